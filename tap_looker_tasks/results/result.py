"""A task's result: status, fields, errors and rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import Any, Generic, TypeVar

import msgspec

from tap_looker_tasks.results.json_text import NULL, on_one_line, read_json

_T = TypeVar("_T")
ROW_TOTAL = "$$$_row_total_$$$"
# A row takes ten times as much memory while it is decoded.
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the result.

    Attributes:
        name: `view.field`, or the name of a table calculation.
        label: Name that users see.
        type: LookML type; None for table calculations.
        category: `dimension`, `measure` or `table_calculation`.
        is_pivot: Whether the result is pivoted by this dimension.
    """

    name: str
    label: str | None
    type: str | None
    category: str
    is_pivot: bool = False


@dataclass(frozen=True, slots=True)
class Pivot:
    """A pivoted column.

    Attributes:
        key: Key of the column in rows.
        is_total: Whether it holds the row totals.
        data: Value of each pivot dimension.
    """

    key: str
    is_total: bool
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Result:
    """A task's payload, decoded.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/query_task_results>

    Attributes:
        status: Status of the task, corrected by the payload.
        result_format: `json_detail`, `json_bi` or `json`, recognized by its shape.
        from_cache: Whether Looker took the result from its cache.
        truncated: Whether a row limit or a column limit cut off the result.
        columns_truncated: Whether a column limit, which cuts off pivots, did.
        runtime_seconds: Seconds that the query took.
        time_zone: Time zone of its date-times.
        fields: Fields of its rows.
        pivots: Pivoted columns.
        has_totals: Whether Looker computed column totals.
        errors: Errors that failed the task, in Looker's words.
        warnings: Errors that Looker marks as not fatal.
        error_message: The first error, on one line.
        text: Result in a text format.
        row_count: Number of rows; None unless the task completed with rows.
        arrays: Rows as Looker sent them, in JSON arrays, without totals and subtotals.
        is_long: Whether the rows are too large for memory; otherwise there is one array.
    """

    status: str
    result_format: str | None = None
    from_cache: bool | None = None
    truncated: bool | None = None
    columns_truncated: bool = False
    runtime_seconds: float | None = None
    time_zone: str | None = None
    fields: tuple[Field, ...] | None = None
    pivots: tuple[Pivot, ...] = ()
    has_totals: bool = False
    errors: tuple[Mapping[str, object], ...] = ()
    warnings: tuple[Mapping[str, object], ...] = ()
    error_message: str | None = None
    text: str | None = None
    row_count: int | None = None
    arrays: Iterable[bytes] = field(default=(), repr=False, compare=False)
    is_long: bool = False

    @property
    def is_pivoted(self) -> bool:
        """Return whether each row has many records, one for each pivot."""
        return any(not pivot.is_total for pivot in self.pivots) or any(
            field.is_pivot for field in self.fields or ()
        )

    @property
    def dimensions(self) -> frozenset[str]:
        """Names of the fields with one value a row, those that pivot the result included."""
        return frozenset(f.name for f in self.fields or () if f.category == "dimension")

    def rows(self) -> Iterator[dict[str, object]]:
        """Yield each row as field name -> value, as `rows_at_once` does."""
        return chain.from_iterable(self.rows_at_once())

    def rows_at_once(self) -> Iterator[list[dict[str, object]]]:
        """Yield some rows at a time, each as field name -> value.

        A pivoted measure stays one object, pivot key -> value, as Looker's `json` format has
        it. Totals and subtotals are left out. Integers are exact, other numbers are `Decimal`.

        Raises:
            MalformedResponseError: If a row cannot be understood.
        """
        read_row = (
            _OBJECT.decode
            if self.result_format == "json"
            else _RowReader(_ROW_OF_VALUES.decode, _VALUE.decode, self).read
        )
        for array in self.arrays:
            yield [read_json(read_row, row) for row in read_json(ROWS.decode, array)]

    def flat_arrays(self) -> Iterator[bytes]:
        """Yield the same rows as JSON arrays on one line, with every digit as Looker sent it.

        Raises:
            MalformedResponseError: If a row cannot be understood.
        """
        if self.result_format == "json":
            yield from map(on_one_line, self.arrays)
            return
        read_row = _RowReader(_ROW_OF_RAWS.decode, _identity, self).read
        for array in self.arrays:
            rows = read_json(ROWS.decode, array)
            for first in range(0, len(rows), _ROWS_AT_ONCE):
                some = rows[first : first + _ROWS_AT_ONCE]
                yield on_one_line(ENCODER.encode([read_json(read_row, row) for row in some]))


class _Cell(msgspec.Struct, Generic[_T]):
    value: _T


ROWS = msgspec.json.Decoder(list[msgspec.Raw])
OBJECT_OF_RAWS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_VALUE = msgspec.json.Decoder(float_hook=Decimal)
_ROW_OF_VALUES = msgspec.json.Decoder(dict[str, _Cell[Any]], float_hook=Decimal)
_ROW_OF_RAWS = msgspec.json.Decoder(dict[str, _Cell[msgspec.Raw]])
ENCODER = msgspec.json.Encoder()
_PIVOT_SEPARATOR = "|FIELD|"
_VISIBLE = re.compile(rb"[^ \t\n\r]")


def one_array(arrays: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    """Yield, in pieces, the text of one JSON array that joins all of these."""
    separator = b"["
    for array in arrays:
        # Long pieces are not copied.
        inner = memoryview(array.strip())[1:-1]
        if _VISIBLE.search(inner):
            yield separator
            yield inner
            separator = b","
    yield b"]" if separator == b"," else b"[]"


class _RowReader(Generic[_T]):
    """Unwraps the cells of rows."""

    def __init__(
        self,
        decode: Callable[[msgspec.Raw], dict[str, _Cell[_T]]],
        value_of: Callable[[msgspec.Raw], _T],
        result: Result,
    ) -> None:
        """Decode rows of plain cells with `decode`, and a single value with `value_of`."""
        self._decode = decode
        self._value_of = value_of
        # Keys of the pivoted columns, and of those that hold row totals.
        self._totals = {ROW_TOTAL, *(pivot.key for pivot in result.pivots if pivot.is_total)}
        keys = {pivot.key for pivot in result.pivots}
        self._pivots = keys | self._totals if keys else keys
        self._dimensions = result.dimensions

    def read(self, row: msgspec.Raw) -> dict[str, Any]:
        if not self._pivots:
            try:
                return {name: cell.value for name, cell in self._decode(row).items()}
            except msgspec.ValidationError:
                # A cell of another shape.
                pass
        cells = OBJECT_OF_RAWS.decode(row).items()
        return self._nest({name: self._unwrap(name, cell) for name, cell in cells})

    def _nest(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row whose cells `measure|FIELD|pivot` are in one object for each measure.

        Some releases send `json_bi` in that form.
        """
        if not self._pivots:
            return row
        nested: dict[str, Any] = {}
        for name, value in row.items():
            field, _, pivot = name.partition(_PIVOT_SEPARATOR)
            if pivot not in self._pivots:
                nested[name] = value
            elif pivot not in self._totals:
                nested.setdefault(field, {})[pivot] = value
        return nested

    def _unwrap(self, name: str, cell: msgspec.Raw) -> object:
        if first_byte(cell) != b"{":
            return self._value_of(cell)
        parts = OBJECT_OF_RAWS.decode(cell)
        if name in self._dimensions or not self._is_pivoted(parts):
            return self._value_of(parts.get("value", NULL))
        return {key: self._value_in(part) for key, part in parts.items() if key not in self._totals}

    def _value_in(self, cell: msgspec.Raw) -> _T:
        if first_byte(cell) != b"{":
            return self._value_of(cell)
        return self._value_of(OBJECT_OF_RAWS.decode(cell).get("value", NULL))

    def _is_pivoted(self, parts: dict[str, msgspec.Raw]) -> bool:
        # A pivot may be named `value`, as the key of every cell is.
        if "value" in parts and not parts.keys() <= self._pivots:
            return False
        return bool(parts or self._pivots) and all(
            first_byte(part) in {b"{", b"n"} for part in parts.values()
        )


def first_byte(raw: msgspec.Raw) -> bytes:
    """Return the first byte of JSON, which shows the type of the value."""
    return memoryview(raw)[:1].tobytes()


def _identity(value: msgspec.Raw) -> msgspec.Raw:
    return value
