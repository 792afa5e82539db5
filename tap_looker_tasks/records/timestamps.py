"""Epoch seconds <-> RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime, timezone


def to_rfc3339(epoch_seconds: float) -> str:
    """Write a moment down, to the microsecond: `2013-06-01T12:30:00.000000+00:00`."""
    moment = datetime.fromtimestamp(epoch_seconds, tz=timezone.utc)
    return moment.isoformat(timespec="microseconds")


def from_rfc3339(text: str) -> float:
    """Read what `to_rfc3339` wrote.

    Raises:
        ValueError: it is no date-time, or has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        msg = f"no offset in {text!r}"
        raise ValueError(msg)
    return moment.timestamp()
