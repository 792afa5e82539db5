"""A user's data and model -> what the simulated Looker serves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb

from looker_simulator.content import Content
from looker_simulator.declarations import ModelError
from looker_simulator.lookml import read_lookml
from looker_simulator.lookml_explores import build_model
from looker_simulator.project import Project
from looker_simulator.sql import Statement
from looker_simulator.yaml_model import read_yaml_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from looker_simulator.model import Explore, Model

_READERS = {".csv": "read_csv", ".parquet": "read_parquet"}
_YAML = frozenset({".yml", ".yaml"})


def read_project(data: Path, model_file: Path) -> tuple[Project, list[str]]:
    """Read a model, and find the tables that it is about.

    Args:
        data: folder of `.csv` and `.parquet` files, a table each, named like the file; those in a
            folder within it belong to a schema of the folder's name.
        model_file: in YAML (`.yml`, `.yaml`) or LookML (anything else).

    Returns:
        What can be served, and warnings: what is not understood, and which fields would fail.

    Raises:
        ModelError: one of them cannot be served.
    """
    is_yaml = model_file.suffix in _YAML
    declared = read_yaml_model(model_file) if is_yaml else read_lookml(model_file)
    model, warnings = build_model(declared)
    project = Project(
        models={model.name: model},
        content=Content(
            queries=declared.content.get("queries", {}),
            looks=declared.content.get("looks", {}),
            dashboards=declared.content.get("dashboards", {}),
        ),
        connect=lambda: open_folder(data),
        description=f"{model_file.name} with the data of {data}",
    )
    with open_folder(data) as connection:
        places = {block.name: str(block.place) for block in declared.explores}
        warnings += _check_model(connection, model, places)
    return project, warnings


def open_folder(data: Path) -> duckdb.DuckDBPyConnection:
    """Open a database in memory with a table for each file of a folder.

    Raises:
        ModelError: there is no file, or one cannot be read.
    """
    files = sorted(path for path in data.rglob("*") if path.suffix in _READERS)
    if not files:
        message = "expected a folder with .csv or .parquet files"
        raise ModelError(str(data), message)
    connection = duckdb.connect()
    for path in files:
        schema = "main" if path.parent == data else path.parent.name
        reader = _READERS[path.suffix]
        try:
            connection.execute(f"create schema if not exists {_quoted(schema)}")
            connection.execute(
                f"create table {_quoted(schema)}.{_quoted(path.stem)} as "
                f"from {reader}({_text(str(path))})"
            )
        except duckdb.Error as error:
            connection.close()
            raise ModelError(str(path), _first_line(error)) from None
    return connection


def _check_model(
    connection: duckdb.DuckDBPyConnection, model: Model, places: dict[str, str]
) -> Iterator[str]:
    """Yield the fields whose queries would fail.

    Raises:
        ModelError: an Explore whose tables cannot be joined.
    """
    for explore in model.explores.values():
        place = places[explore.name]
        try:
            connection.execute(f"explain select 1 from {explore.tables}")  # noqa: S608 - the model's own
        except duckdb.Error as error:
            message = f"explore {explore.name}: {_first_line(error)}"
            raise ModelError(place, message) from None
        yield from _check_fields(connection, explore, place)


def _check_fields(
    connection: duckdb.DuckDBPyConnection, explore: Explore, place: str
) -> Iterator[str]:
    now = ("UTC", datetime.now(UTC).replace(tzinfo=None))
    for field in explore.fields.values():
        if field.category in {"dimension", "measure"}:
            statement = Statement(explore, {"fields": [field.name]}, now, server_table_calcs=False)
            try:
                connection.execute(f"explain {statement.text(limit=1)}")
            except duckdb.Error as error:
                yield f"{place}: {field.name}: queries of it will fail: {_first_line(error)}"


def _first_line(error: duckdb.Error) -> str:
    return str(error).strip().splitlines()[0]


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _text(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))
