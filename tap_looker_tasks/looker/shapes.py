"""What decoded JSON has of an expected shape; anything else counts as nothing."""

from __future__ import annotations

from typing import Any


def as_object(found: object) -> dict[str, Any]:
    """Return an object; an empty one in place of anything else."""
    return found if isinstance(found, dict) else {}


def as_objects(found: object) -> list[dict[str, Any]]:
    """Return the objects of an array; none in place of anything else."""
    entries = found if isinstance(found, list) else []
    return [entry for entry in entries if isinstance(entry, dict)]


def as_text(found: object) -> str | None:
    """Return text; None in place of anything else."""
    return found if isinstance(found, str) else None


def as_id(found: object) -> str | None:
    """Return an id, which Looker writes as text and formerly as a number; None for no id."""
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return found if isinstance(found, str) and found else None
