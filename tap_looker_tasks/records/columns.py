"""Columns of a query's fields, and the stream's JSON Schema."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from tap_looker_tasks.records.column_types import (
    ANYTHING,
    DATE,
    DATE_TIME,
    INTEGER,
    LOCAL_DATE_TIME,
    NUMBER,
    STRING,
    ColumnType,
    column_type_in_schema,
    column_type_of,
)
from tap_looker_tasks.records.fields import ExploreField, custom_fields
from tap_looker_tasks.records.keys import (
    MAX_KEY_LENGTH,
    OWN_NAMES,
    QUERY_TASK_ID,
    ROW_KEY,
    ROW_NUMBER,
    describe_row_key,
    find_column_name,
    name_columns,
)
from tap_looker_tasks.results import Field, Result, as_object, as_text, read_json

RAW = "date_raw"
# Types of a `date_raw` by its `datatype`: values are unchanged from the database.
# <https://docs.cloud.google.com/looker/docs/reference/param-field-dimension-group#datatype>
_RAW_TYPES = {"date": DATE, "epoch": NUMBER, "yyyymmdd": NUMBER}
_SELECTABLE = frozenset({"dimension", "measure", "table_calculation"})
# Kept in the schema, since a later run may know a field only from the catalog.
_DATABASE_ZONE = "in the database's time zone"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a row stream.

    Attributes:
        name: Name in records.
        field: Name in Looker.
        column_type: Declaration and reader of its values.
        looker_type: Looker's type, if known.
        title: Looker's label.
        description: Looker's description.
        converts_time_zone: Whether its values are in the query's time zone; otherwise moments are
            in the database's.
    """

    name: str
    field: str
    column_type: ColumnType
    looker_type: str | None = None
    title: str | None = None
    description: str | None = None
    converts_time_zone: bool = True


def query_fields(query: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a query's fields, pivots and table calculations, in its order.

    Raises:
        ValueError: If its `dynamic_fields` are not a JSON array of objects.
    """
    # Looker computes table calculations even if the fields do not name them.
    names = (*(query.get("fields") or ()), *(query.get("pivots") or ()), *table_calculations(query))
    return tuple(dict.fromkeys(names))


def table_calculations(query: Mapping[str, Any]) -> list[str]:
    """Return the names of a query's table calculations, which Looker computes only on request.

    Raises:
        ValueError: If its `dynamic_fields` are not a JSON array of objects.
    """
    fields = custom_fields(query.get("dynamic_fields")).values()
    return [field.name for field in fields if field.category == "table_calculation"]


def dimensions_of(known: Mapping[str, ExploreField], query: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields that a query groups its rows by, in their order.

    Raises:
        ValueError: If the category of a field is unknown.
    """
    known = {**known, **custom_fields(query.get("dynamic_fields"))}
    names = query_fields(query)
    categories = {n: known[n].category if n in known else None for n in names}
    if unknown := [n for n in names if categories[n] not in _SELECTABLE]:
        msg = f"Looker does not report whether {' and '.join(unknown)} is a dimension"
        raise ValueError(msg)
    return tuple(sorted(name for name in names if categories[name] == "dimension"))


def columns_of(
    known: Mapping[str, ExploreField],
    query: Mapping[str, Any],
    max_name_bytes: int,
    number_type: ColumnType = NUMBER,
) -> tuple[Column, ...]:
    """Return the columns of a query, in the query's order.

    Args:
        known: Fields of its Explore; a field that is not among them may have any value.
        query: Body of the query: `fields`, `pivots` and `dynamic_fields`.
        max_name_bytes: Maximum bytes of a column's name.
        number_type: Type of numbers that may have a fraction.

    Raises:
        ValueError: If its `dynamic_fields` are not a JSON array of objects.
    """
    known = {**known, **custom_fields(query.get("dynamic_fields"))}
    names = name_columns(query_fields(query), max_name_bytes)
    return tuple(
        _column(known.get(field) or ExploreField(field, type=None), name, number_type)
        for field, name in names.items()
    )


def _column(field: ExploreField, name: str, number_type: ColumnType) -> Column:
    column_type = _column_type(field)
    return Column(
        name=name,
        field=field.name,
        column_type=number_type if column_type is NUMBER else column_type,
        looker_type=field.type,
        title=field.label,
        description=field.description,
        converts_time_zone=field.converts_time_zone and field.type != RAW,
    )


def _column_type(field: ExploreField) -> ColumnType:
    if field.type == RAW:
        return _RAW_TYPES.get(field.datatype or "", LOCAL_DATE_TIME)
    column_type = column_type_of(field.type)
    if column_type is NUMBER and field.is_primary_key:
        # Keys with fractions are rare, and would be reported; targets join on integers.
        return INTEGER
    is_local = column_type is DATE_TIME and not field.converts_time_zone
    return LOCAL_DATE_TIME if is_local else column_type


def column_in_schema(schema: Mapping[str, Any], field: str) -> Column | None:
    """Return the column of a field in a stream's schema, which a catalog may have changed."""
    name = find_column_name(field, schema["properties"])
    if name is None:
        return None
    declared = as_object(schema["properties"][name])
    description = as_text(declared.get("description")) or ""
    column_type = column_type_in_schema(declared)
    return Column(
        name,
        field,
        column_type,
        # Text may hold moments of any time zone.
        converts_time_zone=column_type is not STRING and _DATABASE_ZONE not in description,
    )


def collisions(columns: Iterable[Column]) -> list[str]:
    """Return a line for each group of fields that would become one column."""
    fields = defaultdict(list)
    for column in columns:
        fields[column.name].append(repr(column.field))
    return [
        f"{' and '.join(names)} would both be the column {column}"
        if column not in OWN_NAMES
        else f"{names[0]} would be the column {column}, which every stream has already"
        for column, names in fields.items()
        if len(names) > 1 or column in OWN_NAMES
    ]


def stream_schema(
    columns: Iterable[Column],
    key_properties: Sequence[str],
    dimensions: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Return the JSON Schema of a row stream, with columns in the query's order.

    Args:
        columns: Columns of the query.
        key_properties: Names of columns that every record has.
        dimensions: Fields that `_row_key` is computed from; None for a stream without it.
    """
    properties: dict[str, Any] = {
        QUERY_TASK_ID: _key("Looker's ID of the query task"),
        ROW_NUMBER: {"type": "integer", "description": "Place of the record, from 1"},
    }
    if dimensions is not None:
        properties[ROW_KEY] = _key(describe_row_key(dimensions))
    properties |= {column.name: _property(column) for column in columns}
    return {"type": "object", "properties": properties, "required": [*key_properties]}


def _key(description: str) -> dict[str, Any]:
    return {"type": "string", "maxLength": MAX_KEY_LENGTH, "description": description}


def _property(column: Column) -> dict[str, Any]:
    texts = {"title": column.title, "description": _description(column)}
    # The SDK looks for `anyOf` first.
    schema = deepcopy(column.column_type.json_schema)
    return schema | {key: text for key, text in texts.items() if text}


def _description(column: Column) -> str | None:
    if column.converts_time_zone or column.column_type not in {DATE, DATE_TIME, LOCAL_DATE_TIME}:
        return column.description
    return f"{column.description} ({_DATABASE_ZONE})" if column.description else _DATABASE_ZONE


def find_type_changes(columns: Iterable[Column], fields: Iterable[Field] | None) -> list[str]:
    """Return, one line each, differences between a result's types and its declared columns.

    Args:
        columns: Declared columns.
        fields: Fields that the result describes; None if it describes none.
    """
    found = {field.name: field.type for field in fields or ()}
    return [message for column in columns if (message := _drift(column, found.get(column.field)))]


def _drift(column: Column, looker_type: str | None) -> str | None:
    declared, found = column.column_type, column_type_of(looker_type)
    # Text, and columns of any value, are written as declared for any type.
    takes_all = declared in {ANYTHING, STRING, LOCAL_DATE_TIME}
    is_known = found is not ANYTHING and looker_type != RAW
    if takes_all or not is_known or declared is found or (declared.is_number and found.is_number):
        return None
    return (
        f"{column.field}: declared as {declared.name}, but {looker_type} in the result: discover "
        "again to change it"
    )


# Matching of declared columns with the columns of a result.

_ROWS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


@dataclass(frozen=True, slots=True)
class ColumnMatch:
    """Columns of a stream that a result has.

    Attributes:
        columns: Declared columns in the result.
        missing: Names of declared columns that it lacks.
        undeclared: Fields of the result without a column.
    """

    columns: tuple[Column, ...] = ()
    missing: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()

    @property
    def differences(self) -> list[str]:
        """Return, one line each, differences between declared columns and result."""
        return [
            *(
                f"{name} is no longer in the result: discover again to remove it"
                for name in self.missing
            ),
            *(
                f"{field} is in the result, but not in the catalog: discover again to load it"
                for field in self.undeclared
            ),
        ]


def match_columns(
    schema: Mapping[str, Any], result: Result, wants: Callable[[str], bool]
) -> ColumnMatch:
    """Return the requested columns of a stream in a result.

    A result may describe no fields at all, or leave out table calculations: a column that its rows
    have is also present.

    Args:
        schema: Schema of the stream's records.
        result: Result of its query.
        wants: Function from a column's name to whether it is requested.

    Raises:
        MalformedResponseError: If a row cannot be understood.
    """
    properties = schema["properties"]
    expected = [name for name in properties if name not in OWN_NAMES and wants(name)]
    described = {
        field.name: find_column_name(field.name, properties) for field in result.fields or ()
    }
    fields = {name: field for field, name in described.items() if name}
    fields |= _find_in_rows(result, {name for name in expected if name not in fields})
    raw = {field.name for field in result.fields or () if field.type == RAW}
    found = (column_in_schema(schema, fields[name]) for name in expected if name in fields)
    # A result without rows and descriptions has lost nothing.
    names_columns = bool(described or result.row_count)
    return ColumnMatch(
        columns=tuple(_unconverted(column, raw) for column in found if column),
        missing=tuple(name for name in expected if names_columns and name not in fields),
        undeclared=tuple(field for field, name in described.items() if name is None),
    )


def _unconverted(column: Column, raw: set[str]) -> Column:
    """Leave a `date_raw` unconverted, even if an older catalog declares another type."""
    if column.field in raw and column.column_type is DATE_TIME:
        return replace(column, column_type=LOCAL_DATE_TIME)
    return column


def _find_in_rows(result: Result, names: set[str]) -> dict[str, str]:
    """Return the fields of columns that the rows have: column name -> field."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    for key in _keys_of_rows(result) if names else ():
        if key not in seen:
            seen.add(key)
            if name := find_column_name(key, names):
                found.setdefault(name, key)
                if len(found) == len(names):
                    break
    return found


def _keys_of_rows(result: Result) -> Iterator[str]:
    for pivot in result.pivots:
        yield from pivot.data
    for array in result.arrays:
        yield from dict.fromkeys(key for row in read_json(_ROWS.decode, array) for key in row)
