"""Streams as dbt's sources."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from tap_looker_tasks.cli.yaml import describe_sources

if TYPE_CHECKING:
    from singer_sdk import Stream

SCHEMA = {
    "title": "Orders",
    "description": "All of {{ them }}\nsince 2019",
    "properties": {
        "id": {"type": ["integer", "null"], "title": "ID", "description": "ID"},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "total": {"type": ["number", "null"], "format": "x-singer.decimal"},
        "tags": {"type": ["array", "null"]},
        "any": {},
    },
}


def orders(keys: list[str], replication_key: str | None = None) -> Stream:
    stream = SimpleNamespace(
        name="orders", schema=SCHEMA, primary_keys=keys, replication_key=replication_key
    )
    return cast("Stream", stream)


def test_a_stream_becomes_a_table_with_types_tests_and_freshness() -> None:
    (source,) = describe_sources([orders(["id"], "at")])["sources"]
    (table,) = source["tables"]
    assert table["description"] == "Orders: All of { { them }} since 2019"
    assert table["loaded_at_field"] == "at"
    assert table["columns"] == [
        {
            "name": "id",
            "description": "ID",
            "data_type": "bigint",
            "data_tests": ["not_null", "unique"],
        },
        {"name": "at", "data_type": "timestamp"},
        {"name": "total", "data_type": "numeric"},
        {"name": "tags"},
        {"name": "any"},
    ]


def test_of_several_keys_none_is_unique_alone() -> None:
    (source,) = describe_sources([orders(["id", "at"])])["sources"]
    tests = [column.get("data_tests") for column in source["tables"][0]["columns"]]
    assert tests == [["not_null"], ["not_null"], None, None, None]


@pytest.mark.parametrize("replication_key", [None, "id", "gone"])
def test_only_a_moment_shows_how_fresh_a_table_is(replication_key: str | None) -> None:
    (source,) = describe_sources([orders([], replication_key)])["sources"]
    assert "loaded_at_field" not in source["tables"][0]
