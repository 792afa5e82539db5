"""The streams as sources of a dbt project: `--dbt-sources`."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TYPES = MappingProxyType(
    {
        ("string", "date-time"): "timestamp",
        ("string", "date"): "date",
        ("string", "time"): "time",
        ("string", None): "text",
        ("integer", None): "bigint",
        ("number", None): "double precision",
        ("number", "x-singer.decimal"): "numeric",
        ("boolean", None): "boolean",
    }
)
# dbt reads descriptions as templates.
_TEMPLATES = MappingProxyType({"{{": "{ {", "{%": "{ %", "{#": "{ #"})


@dataclass(frozen=True, slots=True)
class Table:
    """A stream, as the table it becomes.

    Attributes:
        name: name of the stream.
        schema: JSON Schema of its records.
        keys: columns that identify a record.
        replication_key: column that an incremental query resumes from.
    """

    name: str
    schema: Mapping[str, Any]
    keys: Sequence[str]
    replication_key: str | None = None


def describe_sources(tables: Iterable[Table]) -> dict[str, Any]:
    """Return the content of dbt's `sources.yml`.

    <https://docs.getdbt.com/reference/source-properties>
    """
    source = {
        "name": "looker",
        "description": "Loaded from Looker by tap-looker-tasks",
        "schema": "looker",
        "tables": [_table(table) for table in tables],
    }
    return {"version": 2, "sources": [source]}


def _table(table: Table) -> dict[str, Any]:
    columns = [
        _column(name, declared, table.keys) for name, declared in table.schema["properties"].items()
    ]
    found = {
        "name": table.name,
        "description": _describe(table.schema),
        "loaded_at_field": _loaded_at(table),
        "columns": columns,
    }
    return {key: value for key, value in found.items() if value}


def _loaded_at(table: Table) -> str | None:
    """Return the column that shows how fresh a table is; only moments can."""
    name = table.replication_key or "finished_at"
    declared = table.schema["properties"].get(name, {})
    return name if _type_of(declared) == "timestamp" else None


def _column(name: str, declared: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    tests = ["not_null", *(["unique"] if len(keys) == 1 else [])] if name in keys else []
    found = {
        "name": name,
        "description": _describe(declared),
        "data_type": _type_of(declared),
        "data_tests": tests,
    }
    return {key: value for key, value in found.items() if value}


def _describe(schema: Mapping[str, Any]) -> str:
    said = dict.fromkeys(filter(None, (schema.get("title"), schema.get("description"))))
    text = ": ".join(" ".join(part.split()) for part in said)
    for template, plain in _TEMPLATES.items():
        text = text.replace(template, plain)
    return text


def _type_of(declared: Mapping[str, Any]) -> str | None:
    """Return a type that most warehouses have; None for objects, which each has its own."""
    types = declared.get("type") or ()
    for type_ in (types,) if isinstance(types, str) else types:
        if type_ != "null":
            return _TYPES.get((type_, declared.get("format"))) or _TYPES.get((type_, None))
    return None
