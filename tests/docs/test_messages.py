"""Every message of the tap is in one list, and a test expects it."""

from __future__ import annotations

import errno
import logging
import os
import re
import tempfile
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest

from docs.messages import UNTESTED, Message, collect_messages, find_test
from tap_looker_tasks.cli.yaml import read_yaml
from tap_looker_tasks.config import QueryConfig, Settings, parse_ids_file
from tap_looker_tasks.errors import SettingsError, SpoolError, TasksNotCompletedError
from tap_looker_tasks.queries.bookmark import BookmarkAdvance, bookmark_filter
from tap_looker_tasks.queries.checks import field_problems
from tap_looker_tasks.records.column_types import (
    ANYTHING,
    DATE,
    INTEGER,
    LOCAL_DATE_TIME,
    NUMBER,
    ColumnType,
    decimal_type,
)
from tap_looker_tasks.records.columns import Column
from tap_looker_tasks.records.fields import ExploreField, KnownFields
from tap_looker_tasks.records.timestamps import from_rfc3339
from tap_looker_tasks.results.entries import TaskEntry, read_body, read_payload
from tap_looker_tasks.results.result import Result
from tap_looker_tasks.store import ResultStore
from tap_looker_tasks.streams.outcomes import report_incomplete

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.singer import Run

    Tap = Callable[..., Run]

GIVEN = {"base_url": "https://looker.test", "client_id": "me", "client_secret": "hush"}
LOOK = {"name": "a", "look_id": 1}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"shard_index": 3, "shard_count": 3},
            "shard_index: 3 is not one of 0 to 2; shard_count is 3",
        ),
        (
            {"queries": [{**LOOK, "lookback": "3 days"}]},
            "queries[0].lookback: requires a replication_key",
        ),
        (
            {"queries": [{**LOOK, "lookback": "soon", "replication_key": "orders.id"}]},
            (
                "queries[0].lookback: 'soon' is not a duration like '3 days' "
                "(seconds, minutes, hours, days, weeks)"
            ),
        ),
    ],
)
def test_a_wrong_setting_is_named(config: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_config({**GIVEN, **config})
    assert raised.value.message == message


def test_a_file_of_ids_that_is_not_text_is_named() -> None:
    with pytest.raises(SettingsError, match="query_task_ids_file: not a text file in UTF-8"):
        parse_ids_file(b"\xff\xfe\x00")


def test_a_project_that_is_not_yaml_is_named() -> None:
    with pytest.raises(SettingsError, match=r"meltano\.yml: while parsing"):
        read_yaml("plugins: [")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"queries": "all"}, "queries: expected an array, got text"),
        (
            {"start_date": "soon"},
            "start_date: soon is not a date-time like 2026-01-31T00:00:00Z",
        ),
    ],
)
def test_a_value_of_another_type_is_named(config: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_config({**GIVEN, **config})
    assert raised.value.message == message


NUMBERS = Column("orders__id", "orders.id", NUMBER, "number")
DATES = Column("orders__day", "orders.day", DATE, "date_date")


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (
            partial(bookmark_filter, NUMBERS, 7, "UTC", None, timedelta(days=3)),
            "orders.id is a number, and a lookback is a time",
        ),
        (partial(bookmark_filter, DATES, "soon", "UTC"), "'soon' is not a value of type date"),
        (
            partial(decimal_type(4, 2).converter(None), "12.345"),
            "'12.345' is not a decimal of 4 digits, 2 of them after the point",
        ),
        (partial(INTEGER.converter(None), "1.5"), "'1.5' is not an integer"),
        (partial(from_rfc3339, "2026-01-31T00:00:00"), "no offset in '2026-01-31T00:00:00'"),
        (partial(read_payload, [b"7"], list), "neither an object nor a list"),
        (
            partial(read_body, "text/plain", [b"-" * 20_000_000] * 14, list),
            "text of more than 268435456 bytes; create the task with json_detail",
        ),
    ],
)
def test_a_value_that_cannot_be_read_is_named(read: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        read()


def test_a_lookback_of_a_number_is_named() -> None:
    config = QueryConfig(
        name="a", look_id="1", replication_key="orders.id", lookback="3 days", primary_keys=("x",)
    )
    known = {"orders.id": ExploreField("orders.id", "number", category="dimension")}
    body = {"fields": ["orders.id"]}
    found = field_problems("queries[0]", config, body, KnownFields(known), 63)
    assert (
        "queries[0].lookback: orders.id is a number, but a lookback requires a date or date-time"
    ) in found


def test_a_key_of_no_type_is_named() -> None:
    config = QueryConfig(name="a", look_id="1", replication_key="orders.tags")
    known = KnownFields({"orders.tags": ExploreField("orders.tags", None)})
    (found,) = field_problems("queries[0]", config, {"fields": ["orders.tags"]}, known, 63)
    assert "orders.tags is a field of an unknown type; choose a date" in found


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        (LOCAL_DATE_TIME, 7, "date-time of an unknown time zone"),
        (ANYTHING, 7, "value of any type"),
    ],
)
def test_types_have_names_for_messages(kind: ColumnType, value: object, name: str) -> None:
    assert kind.name == name
    assert kind.converter(None)(value) is not None


def test_nulls_of_a_bookmark_are_counted() -> None:
    advance = BookmarkAdvance(NUMBERS, None, launched_at=0.0, finished_at=1.0, query_timezone="UTC")
    advance.add([None, 3, None], [])
    assert advance.problems == [
        "orders__id is null in 2 rows, which only a run without a bookmark loads"
    ]


def test_a_storage_without_a_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    with closing(ResultStore()) as store:
        expected = "cannot store a large result in the folder of temporary files (No such file"
        with pytest.raises(SpoolError, match=re.escape(expected)):
            store.hold(TaskEntry("complete", data=msgspec.Raw(b"x" * 20_000_000)))


def test_tasks_that_have_no_room_in_the_line_are_counted() -> None:
    logger = logging.getLogger()
    with pytest.raises(TasksNotCompletedError, match="; and 5 more, see query_task_results"):
        report_incomplete([f"task-{n}" for n in range(25)], logger, fails=True)


def test_a_launched_query_without_rows_is_named(tap: Tap, monkeypatch: pytest.MonkeyPatch) -> None:
    text = Result("complete", text="no rows")
    monkeypatch.setattr("tap_looker_tasks.streams.outcomes.read_result", lambda _: text)
    run = tap(queries=[{"name": "a", "query_id": 1}])
    assert run.exit_code == 1
    assert run.only()["error_message"] == "complete, but Looker sent no rows; run again"
    assert run.records("a") == []


def test_a_test_expects_each_message() -> None:
    messages = collect_messages()
    assert len(messages) > 100
    found = {message.text for message in messages if find_test(message) is None}
    assert found == set(UNTESTED)


def test_a_message_that_no_test_expects_is_found() -> None:
    assert find_test(Message("zygotes " * 3, "warning", "run")) is None
