"""Bookmarks of incremental queries, and the Looker filter expressions that resume from them.

For example, a bookmark of 2026-01-31T12:30:00Z on a field of times becomes the filter expression
`after 2026-01-31 12:30:00`, in the query's time zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from tap_looker_tasks.records import (
    DATE,
    DATE_TIME,
    LOCAL_DATE_TIME,
    Column,
    read_number,
    to_local,
    to_utc,
    zone_named,
)

MOMENTS = frozenset({DATE, DATE_TIME, LOCAL_DATE_TIME})
_MOMENT = r"\d{4}[-/]\d\d[-/]\d\d(?: \d\d:\d\d(?::\d\d)?)?"
_INTERVAL = re.compile(
    rf"after\s+(?P<after>{_MOMENT})|before\s+(?P<before>{_MOMENT})"
    rf"|(?P<start>{_MOMENT})\s+to\s+(?P<end>{_MOMENT})",
    re.IGNORECASE,
)
_COMPARISON = re.compile(r"(?:>=|<=|>|<)\s*-?\d+(?:\.\d+)?")
_COMPARISONS = re.compile(rf"{_COMPARISON.pattern}(?:\s+AND\s+{_COMPARISON.pattern})*")
_ANY = frozenset({"", "any time", "any value"})
# A bookmark implies it.
_NOT_NULL = "not null"
_WRITTEN_DATE_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00"
# Formats of moments in records; a catalog may declare them as text.
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
# Two time zones differ by 26 hours at most. Looker reads a filter in the query's time zone, even if
# it does not convert the values.
BETWEEN_ZONES = timedelta(hours=26)
# Latest offset from UTC of any time zone.
_LATEST_ZONE = timedelta(hours=14)
_NO_TIME = timedelta(0)


def from_bookmark(
    changes: Mapping[str, Any],
    body: Mapping[str, Any],
    column: Column,
    bookmark: object,
    query_timezone: str,
    back: timedelta = _NO_TIME,
) -> dict[str, Any]:
    """Add a sort by the replication key and a filter from the bookmark to the changes.

    Args:
        changes: Other changes to the query.
        body: Body of the query.
        column: Column of the replication key.
        bookmark: Value to resume from; None for the start.
        query_timezone: Time zone the query will run in.
        back: Time before the bookmark at which the filter starts.

    Raises:
        ValueError: If the bookmark cannot be read, or combined with the query's filter.
    """
    key = column.field
    sorts = [s for s in body.get("sorts") or () if s.split()[:1] not in ([key], ["__UNSORTED__"])]
    changes = {**changes, "sorts": [key, *sorts]}
    if bookmark is None:
        return changes
    filters = changes.get("filters") or body.get("filters") or {}
    expression = bookmark_filter(column, bookmark, query_timezone, filters.get(key), back)
    return {**changes, "filters": {**filters, key: expression}}


def can_combine(existing: str | None, *, with_number: bool) -> bool:
    """Return whether a bookmark can be combined with the filter on the same field.

    It can if both are one expression that Looker documents: one comparison of a number, or dates
    from, before, or between two days.
    """
    if not existing or existing.strip().lower() in _ANY | {_NOT_NULL}:
        return True
    pattern = _COMPARISON if with_number else _INTERVAL
    return pattern.fullmatch(existing.strip()) is not None


def bookmark_filter(
    column: Column,
    bookmark: object,
    query_timezone: str,
    existing: str | None = None,
    back: timedelta = _NO_TIME,
) -> str:
    """Return the filter expression for the rows from a bookmark, its own rows included.

    It starts 26 hours earlier for a field that Looker does not convert to the query's time zone,
    because Looker still reads the filter in that zone, and the database's zone is unknown.

    <https://docs.cloud.google.com/looker/docs/filter-expressions>
    <https://docs.cloud.google.com/looker/docs/reference/param-field-convert-tz>

    Args:
        column: Column of the replication key.
        bookmark: A record's value, or `start_date`.
        query_timezone: Time zone the query will run in.
        existing: Filter on the same field, which also applies.
        back: Time before the bookmark at which the filter starts.

    Raises:
        ValueError: If the bookmark cannot be read, or combined with the existing filter.
    """
    is_number = _is_number(column, bookmark)
    if not can_combine(existing, with_number=is_number):
        msg = f"a bookmark cannot be combined with the filter {existing!r} on {column.field}"
        raise ValueError(msg)
    if is_number and back:
        msg = f"{column.field} is a number, and a lookback is a time"
        raise ValueError(msg)
    if is_number:
        number = read_number(bookmark)
        start = f">={number:f}" if isinstance(number, Decimal) else f">={number}"
    else:
        start = f"after {_local_moment(column, str(bookmark), query_timezone, back)}"
    return combine_filters(existing or "", start) or start


def combine_filters(first: str, second: str) -> str | None:
    """Return one filter expression for the rows that match two; None if there is none.

    Times combine to an interval, comparisons of numbers by AND, and "any value" with everything.
    """
    texts = dict.fromkeys(text.strip() for text in (first, second))
    texts = {text: None for text in texts if text.lower() not in _ANY}
    stronger = [text for text in texts if text.lower() != _NOT_NULL]
    if len(texts) < 2:  # noqa: PLR2004 - one of them matches everything
        return next(iter(texts), "")
    intervals = [found for text in stronger if (found := _INTERVAL.fullmatch(text))]
    comparisons = [text for text in stronger if _COMPARISONS.fullmatch(text)]
    if len(intervals) == len(stronger):
        return _intersect(intervals)
    return _narrowest(comparisons) if len(comparisons) == len(stronger) else None


def _narrowest(comparisons: Iterable[str]) -> str:
    """Join comparisons, at most one in each direction, because Looker documents no more."""
    kept: dict[str, tuple[tuple[Decimal, bool], str]] = {}
    for text in re.split(r"\s+AND\s+", " AND ".join(comparisons)):
        direction, number = text[0], Decimal(text.lstrip("<>= "))
        rank = (number if direction == ">" else -number, "=" not in text)
        kept[direction] = max(kept.get(direction, (rank, text)), (rank, text))
    return " AND ".join(text for _, text in kept.values())


def _intersect(intervals: Iterable[re.Match[str]]) -> str:
    """Return the intersection of intervals, whose moments compare as text."""
    bounds = [
        {name: text.replace("/", "-") for name, text in found.groupdict().items() if text}
        for found in intervals
    ]
    start = max((b.get("after") or b.get("start") or "" for b in bounds), default="")
    end = min((e for b in bounds if (e := b.get("before") or b.get("end"))), default="")
    if not start:
        return f"before {end}"
    return f"{min(start, end)} to {end}" if end else f"after {start}"


def _is_number(column: Column, bookmark: object) -> bool:
    """Return whether a column holds numbers; a catalog may declare them as text."""
    if column.column_type.is_number or column.column_type in MOMENTS:
        return column.column_type.is_number
    return next(_read_numbers([bookmark]), None) is not None


def _local_moment(column: Column, bookmark: str, query_timezone: str, back: timedelta) -> str:
    if _has_offset(bookmark):
        bookmark = to_local(bookmark, zone_named(query_timezone))
    # Without fractions of a second, or without the time if the field has none.
    moment = bookmark.replace("T", " ")[: 10 if column.column_type is DATE else 19]
    if not re.fullmatch(_MOMENT, moment, re.ASCII):
        msg = f"{bookmark!r} is not a value of type {column.column_type.name}"
        raise ValueError(msg)
    back += _NO_TIME if column.converts_time_zone else BETWEEN_ZONES
    return _earlier(moment.replace("/", "-"), back) if back else moment


def _earlier(moment: str, back: timedelta) -> str:
    try:
        earlier = datetime.fromisoformat(moment) - back
    except (ValueError, OverflowError):
        return moment
    return earlier.isoformat(" ")[: len(moment)]


def _has_offset(bookmark: str) -> bool:
    try:
        to_utc(bookmark, None)
    except (ValueError, OverflowError):
        return False
    return True


def next_bookmark(column: Column, values: Iterable[object]) -> int | str | None:
    """Return the greatest of the replication key's values; None if there is none.

    Numbers with a fraction become strings, so that JSON keeps their digits.

    Args:
        column: Column of the replication key.
        values: Values of records, and the previous bookmark; nulls and values that cannot be read
            as the column's type are skipped.
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


class BookmarkAdvance:
    """Moves a bookmark by the rows of one result.

    A bookmark is the greatest value of a row that exists and is not later than the launch of its
    task: rows that Looker fills in, nulls and future moments do not move it.

    Attributes:
        value: The bookmark after the rows so far; None if it has not moved.
    """

    def __init__(
        self,
        column: Column,
        start: object,
        *,
        launched_at: float,
        finished_at: float,
        query_timezone: str,
    ) -> None:
        """Start at `start`, unless it is of another time zone; moments are in epoch seconds."""
        self.value: object = start
        self._column = column
        self._bound = latest_value(column, launched_at, query_timezone)
        self._end = latest_value(column, finished_at, query_timezone)
        self._pattern = _WRITTEN.get(column.column_type, _WRITTEN_AT_ALL)
        self._first_beyond: object = None
        self._beyond = self._nulls = 0

    def add(self, values: Sequence[object], others: Iterable[Sequence[object]]) -> None:
        """Process the values of some rows; `others` are the values of their other columns."""
        self._nulls += sum(value is None for value in values)
        filled = _find_filled(others)
        existing = [v for n, v in enumerate(values) if n not in filled] if filled else values
        if not self._column.column_type.is_number:
            existing = [value for value in existing if self._is_in_time(value)]
        self.value = next_bookmark(self._column, [self.value, *existing])

    def _is_in_time(self, value: object) -> bool:
        if not isinstance(value, str) or not self._pattern.fullmatch(value):
            return True
        comparable = value.replace(" ", "T")
        if comparable > self._end:
            self._beyond += 1
            self._first_beyond = self._first_beyond or value
        return comparable <= self._bound

    @property
    def problems(self) -> list[str]:
        """Return, one line each, rows that do not move the bookmark and why that matters."""
        name, found = self._column.name, []
        if self._beyond:
            found.append(
                f"{name}: {self._beyond} rows are in the future, the first {self._first_beyond!r}; "
                "they are delivered, and the bookmark stays before the launch of the task"
            )
        if self._nulls:
            found.append(
                f"{name} is null in {self._nulls} rows, which only a run without a bookmark loads"
            )
        return found


def latest_value(column: Column, moment: float, query_timezone: str) -> str:
    """Return the greatest value that a column of moments can have at `moment`, in epoch seconds.

    Values of a field that Looker does not convert may be of any zone.
    """
    at = datetime.fromtimestamp(moment, tz=UTC)
    if column.column_type is DATE_TIME:
        return at.isoformat(timespec="microseconds")
    zone = zone_named(query_timezone) if column.converts_time_zone else None
    local = (at.astimezone(zone) if zone else at + _LATEST_ZONE).replace(tzinfo=None)
    return local.date().isoformat() if column.column_type is DATE else local.isoformat()


def _find_filled(others: Iterable[Sequence[object]]) -> set[int]:
    """Return the indices of rows that Looker filled in: except for the key, they are empty."""
    filled: set[int] | None = None
    for values in others:
        nulls = {n for n, value in enumerate(values) if value is None}
        filled = nulls if filled is None else filled & nulls
        if not filled:
            break
    return filled or set()
