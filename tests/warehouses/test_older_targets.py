"""Targets without the Singer SDK: PipelineWise's PostgreSQL, SQLite and DuckDB."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any
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
_READ_DUCKDB = """
import json, sys
import duckdb
found = duckdb.connect(sys.argv[1]).execute("select * from looker." + sys.argv[2])
names = [column[0] for column in found.description]
print(json.dumps([dict(zip(names, row)) for row in found.fetchall()], default=str))
"""
_JSON = [column.name for column in COLUMNS if column.kind == "json"]
_NUMBERS = ("123456789012345678901234567890.012345678", "-7.5")
# A name that Python 3.10 took away, without which the target fails at its first list.
_RUN_SQLITE = """
import collections, collections.abc
collections.MutableMapping = collections.abc.MutableMapping
from target_sqlite import main
main()
"""
_SQLITE_TYPES = {
    "text": "VARCHAR",
    "number": "VARCHAR",
    "integer": "BIGINT",
    "yesno": "BOOLEAN",
    "date": "VARCHAR",
    "moment": "VARCHAR",
}
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

    rows = [rename(row) for row in warehouse.rows("pipelinewise", STREAM)]
    expected = [{n: as_written(v) for n, v in record.items()} for record in table.records]
    assert compare(expected, rows) == []
    landed = rename(warehouse.types("pipelinewise", STREAM))
    assert {c.name: landed[c.name] for c in COLUMNS} == {c.name: _TYPES[c.kind] for c in COLUMNS}


def test_sqlite_has_every_type_and_digit_but_no_lists(tmp_path: Path) -> None:
    table = draw_table(60, numbers=_NUMBERS)
    declared = query(decimals={"precision": 39, "scale": 9})
    messages = extract(table, tmp_path / "run", queries=[declared])
    for _ in range(2):  # the second load replaces each row by its key
        load(sqlite_target(tmp_path), messages, database=str(tmp_path / "flights"))

    with closing(sqlite3.connect(tmp_path / "flights.db")) as database:
        database.row_factory = sqlite3.Row
        assert database.execute("select count(*) from query_task_rows").fetchone()[0] == 60
        assert database.execute("select count(*) from query_task_results").fetchone()[0] == 2
        rows = [rename(dict(row)) for row in database.execute("select * from every_type")]
        described = database.execute("pragma table_info(every_type)")
        types = rename({column["name"]: column["type"] for column in described})
    assert not set(_JSON) & set(types)
    for row in rows:
        row["every__is_new"] = {None: None, 0: False, 1: True}[row["every__is_new"]]
    expected = [record | dict.fromkeys(_JSON) for record in table.records]
    assert compare(expected, [row | dict.fromkeys(_JSON) for row in rows]) == []
    columns = [column for column in COLUMNS if column.kind != "json"]
    assert {c.name: types[c.name] for c in columns} == {
        c.name: _SQLITE_TYPES[c.kind] for c in columns
    }


def test_sqlite_has_floats_without_decimals(tmp_path: Path) -> None:
    messages = extract(draw_table(3), tmp_path / "run")
    load(sqlite_target(tmp_path), messages, database=str(tmp_path / "flights"))
    with closing(sqlite3.connect(tmp_path / "flights.db")) as database:
        types = {row[1]: row[2] for row in database.execute("pragma table_info(every_type)")}
    assert types["every__thirty_digits"] == types["every__total"] == "FLOAT"


def sqlite_target(folder: Path) -> str:
    target = folder / "target-sqlite"
    target.write_text(f"#!{environment('targets/sqlite')}/python\n{_RUN_SQLITE}")
    target.chmod(0o755)
    return str(target)


def test_duckdb_has_every_type_and_digit_but_not_the_first_row(tmp_path: Path) -> None:
    table = draw_table(60, numbers=_NUMBERS)
    declared = query(decimals={"precision": 39, "scale": 9})
    messages = extract(table, tmp_path / "run", queries=[declared])
    target = environment("targets/duckdb")
    file = str(tmp_path / "flights.duckdb")
    load(str(target / "target-duckdb"), messages, path=file, default_target_schema="looker")

    # The target's CSV has no header, but DuckDB, left to guess, treats the first row as one.
    assert len(read_duckdb(target, file, "query_task_rows")) == 60
    assert len(read_duckdb(target, file, "query_task_results")) == 1
    rows = [rename(row) for row in read_duckdb(target, file, STREAM)]
    for row in rows:
        row |= {name: json.loads(row[name]) for name in _JSON if row[name] is not None}
    expected = [
        {n: None if v == "" else v for n, v in record.items()} for record in table.records[1:]
    ]
    assert compare(expected, rows) == []


def read_duckdb(target: Path, file: str, table: str) -> list[dict[str, Any]]:
    command = [str(target / "python"), "-c", _READ_DUCKDB, file, table]
    rows: list[dict[str, Any]] = json.loads(subprocess.check_output(command))
    return rows


def rename(row: dict[str, Any]) -> dict[str, Any]:
    return {_RENAMED.get(name, name): value for name, value in row.items()}


def as_written(value: object) -> object:
    """Return what becomes of a value in the target's CSV, from which PostgreSQL loads."""
    if not isinstance(value, str):
        return value
    return value.replace("\n", "\\n").replace("\t", "\\t") or None
