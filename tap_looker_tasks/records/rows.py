"""Records with typed columns, read from the rows of a result in batches."""

from __future__ import annotations

import re
from array import array as packed_array
from collections.abc import Callable, Iterable, Iterator, Sequence, Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec

from tap_looker_tasks.records.column_types import INTEGER, UNREADABLE
from tap_looker_tasks.records.columns import Column
from tap_looker_tasks.records.keys import QUERY_TASK_ID, ROW_KEY, ROW_NUMBER, RowKeys
from tap_looker_tasks.records.timestamps import zone_named
from tap_looker_tasks.results import (
    OBJECT_OF_RAWS,
    ROWS,
    MalformedResponseError,
    Pivot,
    Result,
    UnexpectedJsonError,
    first_byte,
    quoted,
    read_json,
)

_MAX_KEPT_KEYS = 1_000_000

_Values = Sequence[object]
_Converter = Callable[[Any], object]
_CellsReader = Callable[[bytes], list[msgspec.Struct]]
_NO_PIVOTS = "rows that are pivoted, without a description of the pivots"
# Numbers keep their digits.
_ENCODER = msgspec.json.Encoder(decimal_format="number")
# msgspec's structs cannot have fields whose names are escaped in JSON.
_ESCAPED = re.compile(r'["\\\x00-\x1f]')


class RecordType:
    """The columns that all records of a stream have."""

    def __init__(self, names: Sequence[str]) -> None:
        """Keep the names of the columns, in the order of the records."""
        self.names = tuple(names)
        # Columns may have names that are not valid attributes.
        columns = {f"column_{place}": name for place, name in enumerate(self.names)}
        self.struct = (
            None
            if any(map(_ESCAPED.search, self.names))
            else msgspec.defstruct("Record", columns, rename=columns, gc=False)
        )


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of a stream, column by column.

    Attributes:
        type: Columns of the records.
        columns: Values of each column, in the columns' order.
        count: Number of records, and of values per column.
    """

    type: RecordType
    columns: Sequence[_Values]
    count: int

    def records(self) -> Iterator[dict[str, object]]:
        """Yield the records one by one."""
        if not self.columns:
            yield from ({} for _ in range(self.count))
        for values in zip(*self.columns, strict=True):
            yield dict(zip(self.type.names, values, strict=True))

    def lines(self) -> bytes:
        """Return the records as JSON, one per line."""
        # A list: msgspec 0.22 never releases what other iterables yield.
        if self.type.struct is None or not self.columns:
            return _ENCODER.encode_lines([*self.records()])
        return _ENCODER.encode_lines([*map(self.type.struct, *self.columns)])

    def select_columns(self, names: Sequence[str]) -> RecordBatch:
        """Return the same records with only these columns."""
        if (*names,) == self.type.names:
            return self
        return RecordBatch(RecordType(names), [*map(self.column, names)], self.count)

    def parts(self, most: int) -> Iterator[RecordBatch]:
        """Yield the same records in batches of at most `most`."""
        for first in range(0, self.count, most):
            columns = [column[first : first + most] for column in self.columns]
            yield RecordBatch(self.type, columns, min(most, self.count - first))

    def column(self, name: str) -> _Values:
        """Return the values of one column."""
        return self.columns[self.type.names.index(name)]


class _Cell(msgspec.Struct, frozen=True, gc=False):
    value: Any = None


@dataclass(slots=True)
class _Unreadable:
    """Values of a column that are of another kind: the first, and their number."""

    example: object
    count: int = 0


class RowReader:
    """Turns the rows of a result into records.

    Create one for each result: it decides once, not for each cell, how to read a column.
    """

    def __init__(
        self, columns: Iterable[Column], time_zone: str | None, row_keys: RowKeys | None = None
    ) -> None:
        """Choose the reader of each column.

        Args:
            columns: Selected columns; no others are decoded, except for keys.
            time_zone: Name of the time zone of the result's date-times, if known.
            row_keys: Computation of the column `_row_key`, if there is one.
        """
        self._columns = tuple(columns)
        fields = dict.fromkeys(column.field for column in self._columns)
        self._row_keys = row_keys
        self._fields = tuple(fields | dict.fromkeys(row_keys.fields if row_keys else ()))
        zone = zone_named(time_zone)
        self._converters = tuple(column.column_type.converter(zone) for column in self._columns)
        own = (QUERY_TASK_ID, ROW_NUMBER, *([ROW_KEY] if row_keys else ()))
        self._type = RecordType((*own, *(column.name for column in self._columns)))
        self._unreadable: dict[str, _Unreadable] = {}
        self._too_great: dict[str, int] = {}

    def batches(self, result: Result, query_task_id: str) -> Iterator[RecordBatch]:
        """Yield a record for each row; for each row and pivot value if the result is pivoted.

        A missing value becomes null. A value of another kind than its column's stays unchanged, and
        is among the `problems`.

        Raises:
            MalformedResponseError: If a row cannot be understood.
        """
        read = self._pivoted_values if result.is_pivoted else self._values
        first = 1
        for count, columns in read(result):
            if count:
                own = ([query_task_id] * count, range(first, first + count))
                keys = self._compute_keys(columns, count)
                values = map(self._convert, self._columns, self._converters, columns)
                yield RecordBatch(self._type, (*own, *keys, *values), count)
                first += count

    @property
    def problems(self) -> list[str]:
        """Return, one line for each column, the values so far that were of another kind."""
        kinds = {column.name: column.column_type.name for column in self._columns}
        return [
            *(
                f"{name}: {number} has more than 64 bits, which many targets reject in a column of "
                "integers; declare it as a string in the catalog"
                for name, number in self._too_great.items()
            ),
            *(
                f"{name}: {found.count} values that cannot be read as {kinds[name]}, left "
                f"unchanged; the first is {quoted(str(found.example).encode())}"
                for name, found in self._unreadable.items()
            ),
        ]

    def _compute_keys(self, columns: Sequence[_Values], count: int) -> list[_Values]:
        if self._row_keys is None:
            return []
        values = dict(zip(self._fields, columns, strict=True))
        return [self._row_keys.compute([values[f] for f in self._row_keys.fields], count)]

    def _convert(self, column: Column, convert: _Converter, values: _Values) -> _Values:
        if not column.column_type.native_types.issuperset(map(type, values)):
            try:
                values = [*map(convert, values)]
            except UNREADABLE:
                return [self._convert_or_leave(column, convert, value) for value in values]
        if column.column_type is INTEGER:
            self._check_size(column, values)
        return values

    def _check_size(self, column: Column, values: _Values) -> None:
        integers: list[int] = [*filter(None, values)]  # type: ignore[list-item]
        try:
            packed_array("q", integers)
        except OverflowError:
            self._too_great.setdefault(column.name, max(integers, key=abs))

    def _convert_or_leave(self, column: Column, convert: _Converter, value: object) -> object:
        try:
            return convert(value)
        except UNREADABLE:
            self._unreadable.setdefault(column.name, _Unreadable(value)).count += 1
            return column.column_type.fallback(value)

    def _values(self, result: Result) -> Iterator[tuple[int, list[_Values]]]:
        """Yield, for some rows at a time, their number and the values of each field."""
        read_cells = None
        if result.result_format != "json":
            _check_not_pivoted(result)
            read_cells = _cells_reader(self._fields)
        for array in result.arrays:
            yield self._read(result, array, read_cells)

    def _read(
        self, result: Result, array: bytes, read_cells: _CellsReader | None
    ) -> tuple[int, list[_Values]]:
        if read_cells:
            try:
                return _read_cells(read_cells, array)
            except UnexpectedJsonError:
                # Some value has no cell around it.
                pass
        [rows] = replace(result, arrays=(array,)).rows_at_once()
        return len(rows), [[row.get(field) for row in rows] for field in self._fields]

    def _pivoted_values(self, result: Result) -> Iterator[tuple[int, list[_Values]]]:
        pivots = tuple(pivot for pivot in result.pivots if not pivot.is_total)
        if result.row_count and not pivots:
            raise MalformedResponseError(_NO_PIVOTS)
        keys = {pivot.key for pivot in pivots}
        measures = {field for field in self._fields if field not in result.dimensions}
        for rows in result.rows_at_once():
            values: list[_Values] = [
                [
                    _value_in_pivot(pivot, keys if f in measures else None, f, row.get(f))
                    for row in rows
                    for pivot in pivots
                ]
                for f in self._fields
            ]
            yield len(rows) * len(pivots), values


def _check_not_pivoted(result: Result) -> None:
    """Check that cells hold values, if the result does not describe them.

    Raises:
        MalformedResponseError: If they hold a cell for each of some pivots.
    """
    array = b"[]" if result.fields else next(iter(result.arrays), b"[]")
    for row in read_json(ROWS.decode, array)[:1]:
        for cell in read_json(OBJECT_OF_RAWS.decode, row).values():
            parts = read_json(OBJECT_OF_RAWS.decode, cell) if first_byte(cell) == b"{" else {}
            are_cells = all(first_byte(part) == b"{" for part in parts.values())
            if parts and "value" not in parts and are_cells:
                raise MalformedResponseError(_NO_PIVOTS)


def _read_cells(read_cells: _CellsReader, array: bytes) -> tuple[int, list[_Values]]:
    """Return the number of rows, and the values of each column."""
    rows = read_json(read_cells, array)
    cells = zip(*map(msgspec.structs.astuple, rows), strict=True)
    return len(rows), [[cell.value for cell in column] for column in cells]


def _cells_reader(fields: Iterable[str]) -> _CellsReader | None:
    """Return a decoder of these fields' cells that skips all others; None if not possible."""
    names = {f"cell_{place}": field for place, field in enumerate(fields)}
    if any(map(_ESCAPED.search, names.values())):
        return None
    row = msgspec.defstruct(
        "Row", [(name, _Cell, _Cell()) for name in names], rename=names, gc=False
    )
    return msgspec.json.Decoder(list[row], float_hook=Decimal).decode  # type: ignore[valid-type]


def _value_in_pivot(
    pivot: Pivot, keys: AbstractSet[str] | None, field: str, value: object
) -> object:
    """Return a row's value for one pivot: its dimension's, a measure's there, or the row's own.

    `keys` are the pivots' keys; None for a dimension, whose value is the row's own.
    """
    if field in pivot.data:
        return pivot.data[field]
    if keys is not None and isinstance(value, dict) and value.keys() <= keys:
        return value.get(pivot.key)
    return value


class KeyCheck:
    """Counts nulls in the key columns of records, and records with repeated keys.

    It keeps a hash of each key. Beyond a million, it continues with half the keys, then a quarter,
    and so on, chosen by their hash, so that it still finds repeats of those.
    """

    def __init__(self, names: Sequence[str], max_kept_keys: int = _MAX_KEPT_KEYS) -> None:
        """Start empty; `names` are those of the key columns."""
        self._nulls = dict.fromkeys(names, 0)
        self._max_kept_keys = max_kept_keys
        self._hashes: set[int] = set()
        self._one_in = 1
        self._repeats = 0

    def add(self, batch: RecordBatch) -> None:
        """Check the records of a batch, which has all key columns."""
        if not self._nulls:
            return
        columns = [batch.column(name) for name in self._nulls]
        for name, values in zip(self._nulls, columns, strict=True):
            self._nulls[name] += values.count(None)
        hashes: Sequence[int] = [*map(hash, zip(*map(_as_hashable, columns), strict=True))]
        if self._one_in > 1:
            hashes = [found for found in hashes if not found % self._one_in]
        before = len(self._hashes)
        self._hashes.update(hashes)
        self._repeats += len(hashes) - (len(self._hashes) - before)
        while len(self._hashes) > self._max_kept_keys:
            self._one_in *= 2
            self._hashes = {found for found in self._hashes if not found % self._one_in}

    @property
    def problems(self) -> list[str]:
        """Return, one line each, why the keys do not identify records."""
        keys = " and ".join(self._nulls)
        least = "" if self._one_in == 1 else "at least "
        nulls = [f"{name} is null in {count} rows" for name, count in self._nulls.items() if count]
        repeats = (
            f"{least}{self._repeats} rows repeat the dimensions of another, because their Explore "
            "does not group them (auto cannot distinguish them; name fields that do)"
            if ROW_KEY in self._nulls
            else f"{least}{self._repeats} rows repeat the values of {keys} of another"
        )
        return [
            f"primary_keys: {problem}, so a target may keep fewer rows than there are"
            for problem in (*nulls, *([repeats] if self._repeats else []))
        ]


def _as_hashable(values: Sequence[object]) -> Sequence[object]:
    """Replace values without a hash, and -1, which Python hashes like -2."""
    if {dict, list}.isdisjoint(map(type, values)) and -1 not in values:
        return values
    return [(repr(v),) if v == -1 or isinstance(v, dict | list) else v for v in values]
