"""What Looker cuts results off at, and whether a result is as long or as wide as that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tap_looker_tasks.config import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_looker_tasks.results import Result

_ROWS_BY_DEFAULT = 500


class Limits(NamedTuple):
    """What a result is cut off at.

    Attributes:
        row_limit: most rows that Looker sends; None for all, or when it is not known.
        column_limit: most values of the pivots, likewise.
    """

    row_limit: int | None = None
    column_limit: int | None = None

    def known(self) -> dict[str, int]:
        """Return those that are known, by name."""
        return {name: limit for name, limit in self._asdict().items() if limit is not None}

    @classmethod
    def from_state(cls, noted: Mapping[Any, Any]) -> Limits:
        """Read what state holds of them."""
        found = (noted.get(name) for name in cls._fields)
        return cls(*(limit if type(limit) is int else None for limit in found))


UNKNOWN_LIMITS = Limits()


def limits_of(body: Mapping[str, Any]) -> Limits:
    """Return the limits of a query as it is run."""
    columns = str(body.get("column_limit")) if body.get("pivots") else ""
    return Limits(_row_limit(body.get("limit")), int(columns) if columns.isdecimal() else None)


def reached_limits(result: Result, limits: Limits) -> Iterator[tuple[str, str]]:
    """Yield what there may be more of in a result, and the property of the query that limits it."""
    rows, columns = result.row_count or 0, sum(not pivot.is_total for pivot in result.pivots)
    if result.columns_truncated or _reaches(columns, limits.column_limit):
        yield f"pivoted columns: {columns}", "column_limit"
    is_cut = result.truncated and not result.columns_truncated
    if is_cut or _reaches(rows, limits.row_limit):
        yield f"rows: {rows}", "limit"


def _reaches(count: int, limit: int | None) -> bool:
    return limit is not None and count >= limit


def _row_limit(limit: object) -> int | None:
    rows = int(str(limit or _ROWS_BY_DEFAULT))
    return None if rows == UNLIMITED else rows
