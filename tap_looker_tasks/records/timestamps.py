"""Moments: epoch seconds, Looker's date-times, and RFC 3339 in UTC.

For example, `to_utc("2026-01-31 12:30:00", zone_named("America/New_York"))` is
`2026-01-31T17:30:00+00:00`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

_DATE_TIME = re.compile(
    r"(?P<moment>\d{4}-\d\d-\d\d[T ]\d\d(?::\d\d(?::\d\d(?P<fraction>\.\d+)?)?)?)\s*"
    r"(?P<offset>Z|UTC|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)


def zone_named(name: str | None) -> tzinfo | None:
    """Return the time zone of a name; None if there is no such zone."""
    # Not every system has a database of time zones, and most queries need none.
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, LookupError, OSError):
        return None


def to_utc(text: str, zone: tzinfo | None) -> str:
    """Convert a date-time to RFC 3339 in UTC, with every digit of its second.

    A time without an offset is in `zone`. If clocks were set back, it is the first of two such
    times; if it was skipped, it is as much later as clocks were set forward.

    Raises:
        ValueError: If it is not a date-time, or has no known offset.
        OverflowError: If in UTC it is outside the years 1 to 9999.
    """
    found = _DATE_TIME.fullmatch(text)
    offset = found and found["offset"]
    if not found or not (offset or zone):
        msg = f"{text!r} is not a date-time of a known time zone"
        raise ValueError(msg)
    moment = datetime.fromisoformat(found["moment"] + (offset or "").replace("UTC", "Z"))
    moment = moment if offset else moment.replace(tzinfo=zone)
    in_utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{in_utc.isoformat(timespec='seconds')}{found['fraction'] or ''}+00:00"


def to_local(text: str, zone: tzinfo | None) -> str:
    """Convert a date-time with an offset to Looker's form in a zone: `2026-01-31 12:30:00`.

    Fractions of a second are cut off. An hour that occurs twice is ambiguous, so the hour before it
    is returned.

    Raises:
        ValueError: If it is not a date-time with an offset, or the zone is None.
        OverflowError: If it is outside the years 1 to 9999.
    """
    if zone is None:
        msg = f"no time zone is known to write {text!r} in"
        raise ValueError(msg)
    local = datetime.fromisoformat(to_utc(text, None)[:19] + "+00:00").astimezone(zone)
    while local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        local -= timedelta(hours=1)
    return local.replace(tzinfo=None, microsecond=0).isoformat(" ")


def to_rfc3339(epoch_seconds: float) -> str:
    """Write epoch seconds as RFC 3339, to the microsecond: `2013-06-01T12:30:00.000000+00:00`."""
    moment = datetime.fromtimestamp(epoch_seconds, tz=UTC)
    return moment.isoformat(timespec="microseconds")


def from_rfc3339(text: str) -> float:
    """Return the epoch seconds of a date-time that `to_rfc3339` wrote.

    Raises:
        ValueError: If it is not a date-time, or has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        msg = f"no offset in {text!r}"
        raise ValueError(msg)
    return moment.timestamp()
