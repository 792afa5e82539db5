"""Names of columns and streams that every target keeps unchanged; keys computed from rows."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from types import NoneType
from typing import Any

import msgspec

from tap_looker_tasks.records.column_types import (
    UNREADABLE,
    column_type_in_schema,
    column_type_of,
    read_number,
)
from tap_looker_tasks.results import Result, as_text

QUERY_TASK_ID = "_query_task_id"
ROW_NUMBER = "_row_number"
ROW_KEY = "_row_key"
OWN_NAMES = frozenset({QUERY_TASK_ID, ROW_NUMBER, ROW_KEY})
"""Columns of query streams that are not fields of the query."""
# Of text that the tap writes itself.
MAX_KEY_LENGTH = 255
_HASH_DIGITS = 8
# Some targets do not quote names, or not with these: DuckDB's, PipelineWise's.
_UNSAFE = re.compile(r'["`\\\x00-\x1f\x7f-\x9f\u2028\u2029]')


def column_name(field: str) -> str:
    """Name the column of a field: `orders.created_date` -> `orders__created_date`."""
    return field.replace(".", "__")


def shorten(name: str, longest: int) -> str:
    """Shorten a name of more than `longest` bytes, and end it in a hash of the full name."""
    return name if len(name.encode()) <= longest else _with_hash(name, name, longest)


def name_columns(fields: Iterable[str], longest: int) -> dict[str, str]:
    """Choose the name of each field's column.

    Three kinds of names end in a hash of the field, the same in every query: those above
    `longest` bytes, which targets cut or reject; those that differ by case only, which many
    targets treat as one; and those with quotes or control characters, which become `_`.
    """
    by_case = defaultdict(set)
    names = {field: column_name(field) for field in fields}
    for name in (*OWN_NAMES, *names.values()):
        by_case[name.lower()].add(name)
    return {
        field: _with_hash(_UNSAFE.sub("_", name), field, longest)
        if len(by_case[name.lower()]) > 1 or len(name.encode()) > longest or _UNSAFE.search(name)
        else name
        for field, name in names.items()
    }


def find_column_name(field: str, names: Iterable[str]) -> str | None:
    """Return the name of a field's column among those of a stream; None if it has none."""
    names = frozenset(names)
    if (name := column_name(field)) in names:
        return name
    ending = f"_{_hash(field)}"
    return next((name for name in sorted(names) if name.endswith(ending)), None)


def describe_renamed(names: dict[str, str], longest: int) -> list[str]:
    """Return, one line each, fields whose columns have unusual names, and why."""
    by_case = defaultdict(list)
    for field, name in names.items():
        if name != column_name(field):
            by_case[column_name(field).lower()].append(field)
    return [
        f"{' and '.join(map(repr, fields))} would be columns whose names differ by case only, "
        f"which many targets treat as one: they become {' and '.join(names[f] for f in fields)}"
        if len(fields) > 1
        else f"{fields[0]!r} would be a column whose name has more than {longest} bytes "
        "(max_name_length), quotes or control characters, or differs from another by case only: "
        f"it becomes {names[fields[0]]}"
        for fields in by_case.values()
    ]


def _with_hash(name: str, hashed: str, longest: int) -> str:
    # Half a character may be left over.
    kept = name.encode()[: longest - _HASH_DIGITS - 1].decode(errors="ignore")
    return f"{kept}_{_hash(hashed)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]


_MAX_PLAIN_DIGITS = 400
_DESCRIPTION = "Key of the row, computed from "
_TEXT = frozenset({str, NoneType})
_INTEGERS = frozenset({int, NoneType})
_ENCODER = msgspec.json.Encoder(order="deterministic", decimal_format="number")


class RowKeys:
    """Computes the keys of the rows of a result.

    Attributes:
        fields: The dimensions that keys are computed from, in their order.
    """

    def __init__(self, fields: Mapping[str, bool]) -> None:
        """Keep the dimensions, each with whether its values are numbers."""
        self.fields = tuple(sorted(fields))
        self._are_numbers = tuple(fields[name] for name in self.fields)
        self._start = _ENCODER.encode(self.fields)

    def compute(self, columns: Iterable[Sequence[object]], count: int) -> list[str]:
        """Return the key of each row: 32 hexadecimal digits.

        Args:
            columns: Values of each of `fields`, as Looker sent them.
            count: Number of rows.
        """
        spelled = map(_spell_column, columns, self._are_numbers)
        rows = [*zip(*spelled, strict=True)] if self.fields else [()] * count
        # No line break is left within a line: JSON escapes it.
        lines = _ENCODER.encode_lines(rows).split(b"\n")[:count]
        start = self._start
        return [blake2b(start + line, digest_size=16).hexdigest() for line in lines]


def _spell_column(values: Sequence[object], is_number: bool) -> Sequence[str | None]:  # noqa: FBT001 - mapped
    kinds = {*map(type, values)}
    if kinds <= _TEXT and not is_number:
        return values  # type: ignore[return-value]
    if kinds <= _INTEGERS:
        return [None if value is None else str(value) for value in values]
    return [_spell(value, is_number=is_number) for value in values]


def _spell(value: object, *, is_number: bool) -> str | None:
    """Return the one spelling that a value has in all formats."""
    kind = type(value)
    if value is None or (kind is str and not is_number):
        return value  # type: ignore[return-value]
    if kind is bool:
        return "Yes" if value else "No"
    try:
        return _spell_number(read_number(Decimal(repr(value)) if kind is float else value))
    except UNREADABLE:
        return value if isinstance(value, str) else _ENCODER.encode(value).decode()


def _spell_number(number: int | Decimal | None) -> str:
    if not isinstance(number, Decimal):
        return str(number)
    if abs(number.adjusted()) > _MAX_PLAIN_DIGITS:
        return str(number)
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def describe_row_key(fields: Iterable[str]) -> str:
    """Return a `_row_key`'s description for the catalog: the fields that it is computed from."""
    return _DESCRIPTION + _ENCODER.encode([*fields]).decode()


def row_keys_of(schema: Mapping[str, Any], result: Result) -> RowKeys | None:
    """Return the computation of a result's keys; None if its stream has no `_row_key`.

    A dimension that was added to the query since discovery counts also: rows are grouped by it.

    Raises:
        ValueError: If the schema does not list the fields of its `_row_key`.
    """
    if ROW_KEY not in schema["properties"]:
        return None
    types = {field.name: field.type for field in result.fields or ()}
    named = {name for name in key_fields_of(schema) if name in types or not types}
    dimensions = named | result.dimensions
    return RowKeys(
        {
            name: _is_number(schema, name) or column_type_of(types.get(name)).is_number
            for name in dimensions
        }
    )


def key_fields_of(schema: Mapping[str, Any]) -> Sequence[str]:
    """Return the fields of a stream's `_row_key`; none if it has no such key.

    Raises:
        ValueError: If the schema does not list them.
    """
    declared = schema["properties"].get(ROW_KEY)
    if declared is None:
        return ()
    description = as_text(declared.get("description")) or ""
    try:
        return msgspec.json.decode(description.removeprefix(_DESCRIPTION), type=list[str])
    except msgspec.DecodeError:
        msg = f"the description of {ROW_KEY} does not name its fields; discover again"
        raise ValueError(msg) from None


def _is_number(schema: Mapping[str, Any], field: str) -> bool:
    name = find_column_name(field, schema["properties"])
    return name is not None and column_type_in_schema(schema["properties"][name]).is_number
