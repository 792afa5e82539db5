"""`_row_key`: a key computed from the dimensions of a row.

The same row has the same key in every run, result format and release. So the key depends on the
values as Looker sends them, in one spelling each, and not on their declaration in a catalog: 2.50
and "2.5" are one number, true and "Yes" one yesno. The order of the fields has no influence.
"""

from __future__ import annotations

from decimal import Decimal
from hashlib import blake2b
from types import NoneType
from typing import TYPE_CHECKING, Any

import msgspec

from tap_looker_tasks.records.column_types import (
    UNREADABLE,
    column_type_in_schema,
    column_type_of,
    read_number,
)
from tap_looker_tasks.records.names import ROW_KEY, find_column_name
from tap_looker_tasks.results import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_looker_tasks.results import Result

_DIGEST_BYTES = 16
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
        return [blake2b(start + line, digest_size=_DIGEST_BYTES).hexdigest() for line in lines]


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
    declared = schema["properties"].get(ROW_KEY)
    if declared is None:
        return None
    description = as_text(declared.get("description")) or ""
    try:
        named = msgspec.json.decode(description.removeprefix(_DESCRIPTION), type=list[str])
    except msgspec.DecodeError:
        msg = f"the description of {ROW_KEY} does not name its fields; discover again"
        raise ValueError(msg) from None
    types = {field.name: field.type for field in result.fields or ()}
    dimensions = {name for name in named if name in types or not types} | result.dimensions
    return RowKeys(
        {
            name: _is_number(schema, name) or column_type_of(types.get(name)).is_number
            for name in dimensions
        }
    )


def _is_number(schema: Mapping[str, Any], field: str) -> bool:
    name = find_column_name(field, schema["properties"])
    return name is not None and column_type_in_schema(schema["properties"][name]).is_number
