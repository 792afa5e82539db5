"""Numbers as people read them."""

from __future__ import annotations

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_BYTES_STEP = 1000
_TENTHS_BELOW = 10


def format_duration(seconds: float) -> str:
    """Return a length of time with its two largest units, such as `2 min 13 s`."""
    if seconds < _TENTHS_BELOW:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    for unit, name, part, part_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"


def format_bytes(size: float) -> str:
    """Return a size in decimal units, such as `1.2 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < _BYTES_STEP:
            digits = 1 if size < _TENTHS_BELOW and unit != "bytes" else 0
            return f"{size:.{digits}f} {unit}"
        size /= _BYTES_STEP
    return f"{size:,.1f} TB"


def format_count(count: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun, such as `1 task` or `1,234 tasks`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def shorten(text: str, length: int) -> str:
    """Return a text in one line, without control characters, of at most `length` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= length else line[: length - 1] + "…"
