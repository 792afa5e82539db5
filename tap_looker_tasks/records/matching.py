"""Declared columns <-> what a result has of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from tap_looker_tasks.records.column_types import DATE_TIME, LOCAL_DATE_TIME
from tap_looker_tasks.records.columns import RAW, column_in_schema
from tap_looker_tasks.records.names import OWN_NAMES, find_column_name
from tap_looker_tasks.results import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_looker_tasks.records.columns import Column
    from tap_looker_tasks.results import Result

_ROWS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


@dataclass(frozen=True, slots=True)
class ColumnMatch:
    """What a result has of the columns of a stream.

    Attributes:
        columns: those that it has.
        missing: names of those that it does not have.
        undeclared: fields it has, for which there is no column.
    """

    columns: tuple[Column, ...]
    missing: tuple[str, ...]
    undeclared: tuple[str, ...]

    @property
    def differences(self) -> list[str]:
        """Return, a line each, where declared columns and result differ."""
        return [
            *(f"{name} is not in the result any more" for name in self.missing),
            *(
                f"{field} is in the result, but not in the catalog: discover again to load it"
                for field in self.undeclared
            ),
        ]


def match_columns(
    schema: Mapping[str, Any], result: Result, wants: Callable[[str], bool]
) -> ColumnMatch:
    """Find the wanted columns of a stream in a result.

    A result may describe no fields at all, or leave out table calculations: a column that its
    rows have is there.

    Args:
        schema: of the stream's records.
        result: of its query.
        wants: whether a column, given by its name, is wanted.

    Raises:
        MalformedResponseError: a row cannot be understood.
    """
    properties = schema["properties"]
    wanted = [name for name in properties if name not in OWN_NAMES and wants(name)]
    described = {
        field.name: find_column_name(field.name, properties) for field in result.fields or ()
    }
    fields = {name: field for field, name in described.items() if name}
    fields |= _find_in_rows(result, {name for name in wanted if name not in fields})
    raw = {field.name for field in result.fields or () if field.type == RAW}
    found = (column_in_schema(schema, fields[name]) for name in wanted if name in fields)
    # A result without rows and without a description has lost nothing.
    tells = bool(described or result.row_count)
    return ColumnMatch(
        columns=tuple(_unconverted(column, raw) for column in found if column),
        missing=tuple(name for name in wanted if tells and name not in fields),
        undeclared=tuple(field for field, name in described.items() if name is None),
    )


def _unconverted(column: Column, raw: set[str]) -> Column:
    """Leave a `date_raw` as it is, whatever an older catalog declares it for."""
    if column.field in raw and column.column_type is DATE_TIME:
        return replace(column, column_type=LOCAL_DATE_TIME)
    return column


def _find_in_rows(result: Result, names: set[str]) -> dict[str, str]:
    """Find the fields of columns among what rows hold: column name -> field."""
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
