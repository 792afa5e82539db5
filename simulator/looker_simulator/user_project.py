"""A user's data folder and model, loaded as a project that the simulated Looker serves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb

from looker_simulator.content import Content
from looker_simulator.declarations import ModelError, read_lookml, read_yaml_model
from looker_simulator.looker import User
from looker_simulator.lookml_fields import FieldBuilder
from looker_simulator.model import Explore, Model, Project
from looker_simulator.sql import Statement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from looker_simulator.declarations import Block, Declarations
    from looker_simulator.model import Field


_JOINS: Mapping[str, str] = {
    "left_outer": "left join",
    "inner": "join",
    "full_outer": "full join",
    "cross": "cross join",
}
_MULTIPLYING = frozenset({"one_to_many", "many_to_many"})
_SHOWN_ONLY = frozenset(
    {
        *("case_sensitive", "group_label", "hidden", "persist_for", "persist_with", "tags"),
        *("required_joins", "view_label", "description", "label"),
    }
)
_OF_EXPLORES = frozenset(
    {
        *("from", "view_name", "fields", "sql_always_where", "always_filter"),
        *("conditionally_filter", "access_filter", "always_join"),
    }
)
_OF_JOINS = frozenset({"from", "type", "relationship", "sql_on", "foreign_key"})
_OF_VIEWS = frozenset({"sql_table_name", "derived_table", "label", "suggestions", "drill_fields"})
_OF_DERIVED_TABLES = frozenset(
    {
        *("sql", "datagroup_trigger", "sql_trigger_value", "persist_for", "indexes"),
        *("distribution", "sortkeys", "partition_keys", "cluster_keys"),
    }
)
_OF_FIELDS = frozenset({"dimension", "dimension_group", "measure", "filter", "parameter", "set"})


def build_model(declared: Declarations) -> tuple[Model, list[str]]:
    """Build a model; return it, and warnings about declarations that were not understood.

    Raises:
        ModelError: If something is missing, or refers to something that is missing.
    """
    warnings = [*declared.warnings]
    for view in declared.views.values():
        warnings += _warn_of_unknown(view, _OF_VIEWS | _OF_FIELDS)
        for table in view.of_kind("derived_table"):
            warnings += _warn_of_unknown(table, _OF_DERIVED_TABLES)
    explores = []
    for block in declared.explores:
        builder = _ExploreBuilder(declared.views, block)
        explores.append(builder.build())
        warnings += builder.warnings
    grants = {
        block.name: (block.require("user_attribute"), frozenset(block.texts("allowed_values")))
        for block in declared.access_grants
    }
    model = replace(Model.of(declared.model, *explores), access_grants=grants)
    return model, [*dict.fromkeys(warnings)]


class _ExploreBuilder:
    def __init__(self, views: Mapping[str, Block], block: Block) -> None:
        self._views = views
        self._block = block
        view_name = block.text("view_name")
        self._base = view_name or block.name
        self._joins = [*block.of_kind("join")]
        joined = {self._base: self._find(block, block.text("from") or self._base)}
        for join in self._joins:
            joined[join.name] = self._find(join, join.text("from", join.name))
        self._joined = joined
        self._fields = FieldBuilder(joined, self._base)
        self.warnings: list[str] = []

    def build(self) -> Explore:
        block = self._block
        self.warnings += _warn_of_unknown(block, _OF_EXPLORES | _SHOWN_ONLY | {"join"})
        fields = {field.name: field for field in self._fields.fields()}
        explore = Explore(
            name=block.name,
            table=self._table(self._base),
            joins={join.name: self._join(join) for join in self._joins},
            always_join=frozenset(block.texts("always_join")),
            fields={field.name: field for field in self._select_fields(fields)},
            description=block.text("description"),
            condition=self._expand(block.text("sql_always_where"), block),
            label=block.text("label"),
            always_filter=dict(self._read_filters("always_filter")),
            conditional_filter=dict(self._read_filters("conditionally_filter")),
            unless=frozenset(map(self._full_name, self._unless())),
            access_filters=tuple(self._read_access_filters(fields)),
        )
        self.warnings += self._fields.warnings
        return explore

    def _find(self, block: Block, name: str) -> Block:
        if name not in self._views:
            known = ", ".join(sorted(self._views)) or "there is none"
            block.reject(f"expected a view of the name {name}; known are: {known}")
        return self._views[name]

    def _table(self, alias: str) -> str:
        view = self._joined[alias]
        for derived in view.of_kind("derived_table"):
            sql = self._fields.expand(alias, derived.require("sql"), derived)
            return f'({sql}) as "{alias}"'
        return f'{view.text("sql_table_name", view.name).replace("`", chr(34))} as "{alias}"'

    def _join(self, join: Block) -> str:
        self.warnings += _warn_of_unknown(join, _OF_JOINS | _SHOWN_ONLY)
        if join.text("relationship") in _MULTIPLYING:
            self.warnings.append(
                join.warning("it multiplies rows, and measures count every one of them")
            )
        type_ = join.text("type", "left_outer")
        if type_ not in _JOINS:
            join.reject(f"expected `type` as one of {', '.join(_JOINS)}")
        text = f"{_JOINS[type_]} {self._table(join.name)}"
        return text if type_ == "cross" else f"{text} on {self._join_condition(join)}"

    def _join_condition(self, join: Block) -> str:
        if foreign_key := join.text("foreign_key"):
            keys = self._joined[join.name].of_kind("dimension")
            key = next((block.name for block in keys if block.is_set("primary_key")), None)
            if key is None:
                join.reject("expected a dimension with `primary_key: yes` in the view joined")
            full = foreign_key if "." in foreign_key else f"{self._base}.{foreign_key}"
            return self._expand(f"${{{full}}} = ${{{join.name}.{key}}}", join)
        return self._expand(join.require("sql_on"), join)

    def _expand(self, sql: str, block: Block) -> str:
        return self._fields.expand(self._base, sql, block)

    def _select_fields(self, fields: Mapping[str, Field]) -> Iterator[Field]:
        """Yield the fields that the Explore's `fields` selects."""
        named = self._block.texts("fields")
        sets = [name for name in named if name.endswith("*") and name != "ALL_FIELDS*"]
        if sets:
            self.warnings.append(self._block.warning(f"sets are not understood: {', '.join(sets)}"))
        left_out = {name[1:] for name in named if name.startswith("-")}
        only = {name for name in named if not name.startswith("-")}
        for name, field in fields.items():
            if name not in left_out and (not only or name in only or "ALL_FIELDS*" in only):
                yield field

    def _read_filters(self, kind: str) -> Iterator[tuple[str, str]]:
        for block in self._block.of_kind(kind):
            for name, expression in block.pairs("filters"):
                yield self._full_name(name), expression

    def _unless(self) -> Iterator[str]:
        for block in self._block.of_kind("conditionally_filter"):
            yield from block.texts("unless")

    def _read_access_filters(self, fields: Collection[str]) -> Iterator[tuple[str, str]]:
        for block in self._block.of_kind("access_filter"):
            name = self._full_name(block.require("field"))
            if name not in fields:
                block.reject(f"expected `field` as a field of the Explore; {name} is none")
            yield name, block.require("user_attribute")

    def _full_name(self, name: str) -> str:
        return name if "." in name else f"{self._base}.{name}"


def _warn_of_unknown(block: Block, known: frozenset[str]) -> list[str]:
    keys = dict.fromkeys([*block.properties, *(inner.kind for inner in block.blocks)])
    return [block.warning(f"`{key}` is not understood") for key in keys if key not in known]


_READERS = {".csv": "read_csv", ".parquet": "read_parquet"}
_YAML = frozenset({".yml", ".yaml"})


def read_project(data: Path, model_file: Path) -> tuple[Project, list[str]]:
    """Read a model, and find its tables.

    Args:
        data: Folder of `.csv` and `.parquet` files, one table each, named like the file; files in a
            folder within it belong to a schema of the folder's name.
        model_file: File in YAML (`.yml`, `.yaml`) or LookML (anything else).

    Returns:
        The project, and warnings: declarations not understood, and fields whose queries would fail.

    Raises:
        ModelError: If the model or the data cannot be served.
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
        ModelError: If there are no files, or one cannot be read.
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
    """Yield a warning for each field whose queries would fail.

    Raises:
        ModelError: If the tables of an Explore cannot be joined.
    """
    for explore in model.explores.values():
        place = places[explore.name]
        try:
            tables = " ".join([explore.table, *explore.joins.values()])
            connection.execute(f"explain select 1 from {tables}")  # noqa: S608 - the model's own
        except duckdb.Error as error:
            message = f"explore {explore.name}: {_first_line(error)}"
            raise ModelError(place, message) from None
        yield from _check_fields(connection, explore, place)


def _check_fields(
    connection: duckdb.DuckDBPyConnection, explore: Explore, place: str
) -> Iterator[str]:
    now = ("UTC", datetime.now(UTC).replace(tzinfo=None))
    attributes = {
        **dict.fromkeys((name for _, name in explore.access_filters), "-"),
        **User().all_attributes,
    }
    for field in explore.fields.values():
        if field.category in {"dimension", "measure"}:
            query = {"fields": [field.name]}
            try:
                statement = Statement(
                    explore, query, now, server_table_calcs=False, user_attributes=attributes
                )
                connection.execute(f"explain {statement.text(limit=1)}")
            except (duckdb.Error, ValueError) as error:
                yield f"{place}: {field.name}: queries of it will fail: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _text(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))
