"""Fields of a query -> columns, and the stream's JSON Schema."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tap_looker_tasks.records.column_types import (
    ANYTHING,
    DATE,
    DATE_TIME,
    LOCAL_DATE_TIME,
    STRING,
    ColumnType,
    column_type_in_schema,
    column_type_of,
)
from tap_looker_tasks.records.fields import ExploreField, custom_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_looker_tasks.looker.result import Field


QUERY_TASK_ID = "_query_task_id"
ROW_NUMBER = "_row_number"
_LONGEST_EXAMPLE = 60


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a row stream.

    Attributes:
        name: what records call it.
        field: what Looker calls it.
        column_type: how its values are declared and read.
        looker_type: Looker's type, when it is known.
        title: Looker's label.
        description: Looker's description.
    """

    name: str
    field: str
    column_type: ColumnType
    looker_type: str | None = None
    title: str | None = None
    description: str | None = None


def column_name(field: str) -> str:
    """Name the column of a field: `orders.created_date` -> `orders__created_date`."""
    return field.replace(".", "__")


def query_fields(query: Mapping[str, Any]) -> tuple[str, ...]:
    """List what a query asks for, in its order: fields, pivots, table calculations.

    Raises:
        ValueError: its `dynamic_fields` are not a JSON array of objects.
    """
    # Looker computes table calculations whether or not the fields name them.
    calculations = (
        field.name
        for field in custom_fields(query.get("dynamic_fields")).values()
        if field.category == "table_calculation"
    )
    names = (*(query.get("fields") or ()), *(query.get("pivots") or ()), *calculations)
    return tuple(dict.fromkeys(names))


def columns_of(known: Mapping[str, ExploreField], query: Mapping[str, Any]) -> tuple[Column, ...]:
    """Describe the columns of a query, in the query's order.

    Args:
        known: the fields of its Explore; a field that is not among them may have any value.
        query: its body: `fields`, `pivots` and `dynamic_fields`.

    Raises:
        ValueError: its `dynamic_fields` are not a JSON array of objects.
    """
    known = {**known, **custom_fields(query.get("dynamic_fields"))}
    return tuple(
        _column(known.get(name) or ExploreField(name, type=None)) for name in query_fields(query)
    )


def _column(field: ExploreField) -> Column:
    column_type = column_type_of(field.type)
    if column_type is DATE_TIME and not field.converts_time_zone:
        column_type = LOCAL_DATE_TIME
    return Column(
        name=column_name(field.name),
        field=field.name,
        column_type=column_type,
        looker_type=field.type,
        title=field.label,
        description=field.description,
    )


def columns_in_schema(schema: Mapping[str, Any], fields: Iterable[str]) -> tuple[Column, ...]:
    """Find the columns of fields in a stream's schema; a field may have none there."""
    properties = schema["properties"]
    return tuple(
        Column(name, field, column_type_in_schema(properties[name]))
        for field in fields
        if (name := column_name(field)) in properties
    )


def collisions(columns: Iterable[Column]) -> list[str]:
    """Name, in one line each, the fields that would become one column."""
    fields = defaultdict(list)
    for column in columns:
        fields[column.name].append(repr(column.field))
    return [
        f"{' and '.join(names)} would both be the column {column}"
        if column not in {QUERY_TASK_ID, ROW_NUMBER}
        else f"{names[0]} would be the column {column}, which every stream has already"
        for column, names in fields.items()
        if len(names) > 1 or column in {QUERY_TASK_ID, ROW_NUMBER}
    ]


def stream_schema(columns: Iterable[Column], key_properties: Sequence[str]) -> dict[str, Any]:
    """Write the JSON Schema of a row stream, its columns in the query's order.

    Args:
        columns: of the query.
        key_properties: names of columns that every record has.
    """
    properties: dict[str, Any] = {
        QUERY_TASK_ID: {"type": "string", "description": "Looker's id of the query task"},
        ROW_NUMBER: {"type": "integer", "description": "Place of the record, from 1"},
    }
    properties |= {column.name: _property(column) for column in columns}
    return {"type": "object", "properties": properties, "required": [*key_properties]}


def _property(column: Column) -> dict[str, Any]:
    said = {"title": column.title, "description": column.description}
    # The SDK looks for `anyOf` in the first place.
    schema = {key: _plain(value) for key, value in column.column_type.json_schema.items()}
    return schema | {key: text for key, text in said.items() if text}


def _plain(found: object) -> object:
    """Copy a part of a schema into the dicts and lists that the SDK takes."""
    if isinstance(found, tuple):
        return [dict(entry) if isinstance(entry, MappingProxyType) else entry for entry in found]
    return found


def vanished(schema: Mapping[str, Any], fields: Iterable[Field] | None) -> list[str]:
    """Name the columns of a stream's schema that a result has no field for."""
    if fields is None:
        return []
    names = {column_name(field.name) for field in fields} | {QUERY_TASK_ID, ROW_NUMBER}
    return [name for name in schema["properties"] if name not in names]


def compare(columns: Iterable[Column], fields: Iterable[Field] | None) -> list[str]:
    """Say, in one line each, where a result is not what its columns were declared for.

    Args:
        columns: as declared.
        fields: those the result names; None when it names none.
    """
    if fields is None:
        return []
    found = {field.name: field for field in fields}
    return [message for column in columns if (message := _drift(column, found.get(column.field)))]


def _drift(column: Column, field: Field | None) -> str | None:
    if field is None:
        return f"{column.field}: not in the result any more"
    found = column_type_of(field.type)
    declared = column_type_of(column.looker_type) if column.looker_type else column.column_type
    # A catalog does not tell Looker's type: moments may be declared as text on purpose.
    is_text = not column.looker_type and declared is STRING and found in {DATE, DATE_TIME}
    if not field.type or is_text or declared in {found, ANYTHING}:
        return None
    was = column.looker_type or declared.name
    return f"{column.field}: declared as {was}, but {field.type} in the result"
