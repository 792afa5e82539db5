"""Targets that shorten names and read the first key of a property: PipelineWise's PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.warehouses.environments import environment
from tests.warehouses.every_type import COLUMNS, STREAM, compare, draw_table, query
from tests.warehouses.loading import extract, load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.warehouses.reading import Warehouse

pytestmark = [pytest.mark.slow, pytest.mark.warehouses]
# The target writes names in lower case, and shortens those of 63 bytes.
_RENAMED = {column.name.lower(): column.name for column in COLUMNS} | {
    "e_fwantiltpa5683": COLUMNS[20].name,
    "e_fwantiltp905428": COLUMNS[21].name,
}
_NUMBERS = ("123456789012345678901234567890.012345678", "-7.5")
_TYPES = {
    "text": "character varying",
    "number": "character varying",
    "integer": "numeric",
    "yesno": "boolean",
    "date": "character varying",
    "moment": "timestamp without time zone",
    "json": "jsonb",
}


def test_pipelinewise_postgres_has_every_type_and_digit(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    table = draw_table(60, numbers=_NUMBERS)
    declared = query(decimals={"precision": 39, "scale": 9})
    messages = extract(table, tmp_path / "run", queries=[declared])
    load(
        str(environment("targets/pipelinewise-postgres") / "target-postgres"),
        messages,
        host=parse_qs(urlsplit(warehouse.sqlalchemy_url).query)["host"][0],
        port=5432,
        user="postgres",
        password="any",
        dbname="postgres",
        default_target_schema="pipelinewise",
    )

    rows = [
        {_RENAMED.get(name, name): value for name, value in row.items()}
        for row in warehouse.rows("pipelinewise", STREAM)
    ]
    expected = [{n: as_written(v) for n, v in record.items()} for record in table.records]
    assert compare(expected, rows) == []
    types = warehouse.types("pipelinewise", STREAM)
    landed = {_RENAMED.get(name, name): type_ for name, type_ in types.items()}
    assert {c.name: landed[c.name] for c in COLUMNS} == {c.name: _TYPES[c.kind] for c in COLUMNS}


def as_written(value: object) -> object:
    """Return what becomes of a value in the target's CSV, from which PostgreSQL loads."""
    if not isinstance(value, str):
        return value
    return value.replace("\n", "\\n").replace("\t", "\\t") or None
