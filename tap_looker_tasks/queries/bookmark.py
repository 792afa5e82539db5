"""Bookmark of an incremental query <-> filter expression of Looker."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tap_looker_tasks.records import (
    DATE,
    DATE_TIME,
    LOCAL_DATE_TIME,
    read_number,
    to_local,
    to_utc,
    zone_named,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tap_looker_tasks.queries.body import Overrides
    from tap_looker_tasks.records import Column


MOMENTS = frozenset({DATE, DATE_TIME, LOCAL_DATE_TIME})
_MOMENT = r"\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d)?)?"
_INTERVAL = re.compile(
    rf"after\s+(?P<after>{_MOMENT})|before\s+(?P<before>{_MOMENT})"
    rf"|(?P<start>{_MOMENT})\s+to\s+(?P<end>{_MOMENT})",
    re.IGNORECASE,
)
_COMPARISON = re.compile(r"(?:>=|<=|>|<)\s*-?\d+(?:\.\d+)?")
_ANY = frozenset({"", "any time", "any value"})
_WRITTEN_DATE_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00"
# How records have moments; a catalog may declare them as text.
_WRITTEN = MappingProxyType(
    {
        DATE: re.compile(r"\d{4}-\d\d-\d\d", re.ASCII),
        DATE_TIME: re.compile(_WRITTEN_DATE_TIME, re.ASCII),
    }
)
_WRITTEN_AT_ALL = re.compile(
    rf"{_WRITTEN_DATE_TIME}"
    r"|\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|UTC|[+-]\d\d:?\d\d))?)?",
    re.ASCII,
)
# Looker reads a filter in the query's time zone, even where it does not convert the values.
_MARGIN = timedelta(days=1)


def from_bookmark(
    overrides: Overrides,
    body: Mapping[str, Any],
    column: Column,
    bookmark: object,
    query_timezone: str,
) -> Overrides:
    """Add to what is wanted: sorted by the replication key, and not before the bookmark.

    Args:
        overrides: what is wanted besides.
        body: the query.
        column: of the replication key.
        bookmark: where to begin; None for the beginning.
        query_timezone: the one the query will run in.

    Raises:
        ValueError: the bookmark cannot be read, or not be combined with the query's filter.
    """
    overrides = replace(overrides, sort_first=column.field)
    if bookmark is None:
        return overrides
    existing = {**(body.get("filters") or {}), **overrides.filters}.get(column.field)
    expression = bookmark_filter(column, bookmark, query_timezone, existing)
    return replace(overrides, filters={**overrides.filters, column.field: expression})


def can_combine(column: Column, existing: str | None) -> bool:
    """Return whether a bookmark can be combined with the filter on the same field.

    It can where both together are one expression that Looker documents: one comparison of a
    number, or dates from, before, or between two days.
    """
    return _can_combine(existing, with_number=column.column_type.is_number)


def _can_combine(existing: str | None, *, with_number: bool) -> bool:
    if not existing or existing.strip().lower() in _ANY:
        return True
    pattern = _COMPARISON if with_number else _INTERVAL
    return pattern.fullmatch(existing.strip()) is not None


def bookmark_filter(
    column: Column, bookmark: object, query_timezone: str, existing: str | None = None
) -> str:
    """Write the filter expression for the rows from a bookmark on, its own rows included.

    It begins a day earlier for a field that Looker does not convert to the query's time zone:
    it reads the filter in that zone all the same, and nobody knows the database's.

    <https://docs.cloud.google.com/looker/docs/filter-expressions>
    <https://docs.cloud.google.com/looker/docs/reference/param-field-convert-tz>

    Args:
        column: of the replication key.
        bookmark: a record's value, or `start_date`.
        query_timezone: the one the query will run in.
        existing: the filter on the same field; both hold.

    Raises:
        ValueError: the bookmark cannot be read, or not be combined with the existing filter.
    """
    is_number = _is_number(column, bookmark)
    if not _can_combine(existing, with_number=is_number):
        msg = f"a bookmark cannot be combined with the filter {existing!r} on {column.field}"
        raise ValueError(msg)
    existing = (existing or "").strip()
    if existing.lower() in _ANY:
        existing = ""
    if is_number:
        start = f">={_plain_number(bookmark)}"
        return f"{existing} AND {start}" if existing else start
    return _from(_local_moment(column, str(bookmark), query_timezone), existing)


def _is_number(column: Column, bookmark: object) -> bool:
    """Return whether a column holds numbers; a catalog may declare them as text."""
    if column.column_type.is_number or column.column_type in MOMENTS:
        return column.column_type.is_number
    return next(_read_numbers([bookmark]), None) is not None


def _plain_number(value: object) -> str:
    number = read_number(value)
    if number is None:
        msg = "no bookmark"
        raise ValueError(msg)
    return f"{number:f}" if isinstance(number, Decimal) else str(number)


def _local_moment(column: Column, bookmark: str, query_timezone: str) -> str:
    if _has_offset(bookmark):
        bookmark = to_local(bookmark, zone_named(query_timezone))
    # Without fractions of a second, or without the time if the field has none.
    moment = bookmark.replace("T", " ")[: 10 if column.column_type is DATE else 19]
    if not re.fullmatch(_MOMENT, moment, re.ASCII):
        msg = f"{bookmark!r} is no {column.column_type.name}"
        raise ValueError(msg)
    return moment if column.converts_time_zone else _day_before(moment)


def _day_before(moment: str) -> str:
    try:
        day = date.fromisoformat(moment[:10]) - _MARGIN
    except (ValueError, OverflowError):
        return moment
    return f"{day.isoformat()}{moment[10:]}"


def _has_offset(bookmark: str) -> bool:
    try:
        to_utc(bookmark, None)
    except (ValueError, OverflowError):
        return False
    return True


def _from(start: str, existing: str) -> str:
    """Begin an interval later, if `start` is later; moments compare as they are written."""
    found = _INTERVAL.fullmatch(existing)
    if not found:
        return f"after {start}"
    start = max(start, found["after"] or found["start"] or "")
    end = found["before"] or found["end"]
    return f"{min(start, end)} to {end}" if end else f"after {start}"


def next_bookmark(column: Column, values: Iterable[object]) -> int | str | None:
    """Choose the greatest of the replication key's values; None when there is none.

    Numbers with a fraction become strings, so that JSON keeps their digits.

    Args:
        column: of the replication key.
        values: of records, and the bookmark before them; those that could not be read as what
            the column is, and nulls, are passed over.
    """
    if column.column_type.is_number:
        return _greatest_number(values)
    values = [*values]
    pattern = _WRITTEN.get(column.column_type, _WRITTEN_AT_ALL)
    texts = [value for value in values if isinstance(value, str) and pattern.fullmatch(value)]
    if texts or column.column_type in MOMENTS:
        return max(texts, default=None)
    return _greatest_number(values)


def _greatest_number(values: Iterable[object]) -> int | str | None:
    greatest = max(_read_numbers(values), default=None)
    return str(greatest) if isinstance(greatest, Decimal) else greatest


def _read_numbers(values: Iterable[object]) -> Iterator[int | Decimal]:
    for value in values:
        try:
            number = read_number(value)
        except ValueError:
            continue
        if number is not None:
            yield number
