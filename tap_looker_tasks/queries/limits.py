"""What Looker cuts results off at, and whether a result is all there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tap_looker_tasks.config import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tap_looker_tasks.results import Result

_ROWS_BY_DEFAULT = 500
_MAX_COLUMNS = 200
# The default, and the most that Looker allows.
_COLUMN_CAPS = frozenset({50, _MAX_COLUMNS})
# Whatever the limit of the query. <https://docs.cloud.google.com/looker/docs/looker-limits>
_ROW_CAPS = {
    5_000: "Looker caps results at 5,000 rows for users without the permission "
    "`download_without_limit`, and some that it cannot stream; check the role of the API user",
    100_000: "Looker caps results that it cannot stream at 100,000 rows: those with table "
    "calculations or row totals, and those of some databases; remove them, or add filters",
}


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


class Shortfall(NamedTuple):
    """A reason why a result may not be all there is.

    Attributes:
        reason: with the figure it is seen by.
        limit: property of the query that cuts it off; None when another one would not help.
        is_cut: whether something cut it off; otherwise it lacks what it should have.
    """

    reason: str
    limit: str | None = None
    is_cut: bool = True


def find_shortfalls(
    result: Result, limits: Limits, missing_columns: Collection[str] = ()
) -> Iterator[Shortfall]:
    """Yield every reason why a complete result may not be all there is; none if it is whole.

    Only what is whole may activate its version, by which targets drop all other rows.

    Args:
        result: what Looker sent.
        limits: of its query, as far as they are known.
        missing_columns: names of declared columns that it does not have.
    """
    if result.row_count is None:
        yield Shortfall("the result has no rows in it", is_cut=False)
    if (columns := _find_column_limit(result, limits.column_limit)) is not None:
        yield Shortfall(f"the result is at its limit (pivoted columns: {columns})", "column_limit")
    yield from _find_row_limit(result, limits.row_limit)
    if missing_columns:
        yield Shortfall(f"the result is without {', '.join(missing_columns)}", is_cut=False)


def _find_column_limit(result: Result, limit: int | None) -> int | None:
    """Return how many pivoted columns there are, if they may have been cut off."""
    columns = sum(not pivot.is_total for pivot in result.pivots)
    reaches = columns >= min(limit, _MAX_COLUMNS) if limit else columns in _COLUMN_CAPS
    return columns if result.columns_truncated or reaches else None


def _find_row_limit(result: Result, limit: int | None) -> Iterator[Shortfall]:
    rows = result.row_count or 0
    says_cut = bool(result.truncated) and not result.columns_truncated
    if (cap := _ROW_CAPS.get(rows)) and (limit is None or limit > rows):
        yield Shortfall(f"the result may be cut off (rows: {rows}): {cap}")
    elif says_cut or (limit is not None and rows >= limit and not _is_filled(result, limit)):
        yield Shortfall(f"the result is at its limit (rows: {rows})", "limit")


def _is_filled(result: Result, limit: int) -> bool:
    """Return whether rows were filled in on top of a limit that did not cut anything off."""
    return result.truncated is False and (result.row_count or 0) > limit


def _row_limit(limit: object) -> int | None:
    rows = int(str(limit or _ROWS_BY_DEFAULT))
    return None if rows == UNLIMITED else rows
