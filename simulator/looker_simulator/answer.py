"""What a query resulted in, and how it is cut to the rows and pivot columns it may have."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from looker_simulator.model import Explore, Field


@dataclass(frozen=True)
class Answer:
    """What a query resulted in.

    Attributes:
        query: the body that was run.
        explore: the Explore it was run on.
        fields: its fields, pivots among them, in the order asked for.
        columns: names of the fields in `rows`; table calculations only if asked for.
        rows: tuples of values; with pivots, one for each row and pivot value.
        truncated: whether there were more rows than the limit.
        columns_truncated: whether there were more pivot values than the column limit.
        sql: what the database was asked.
        timezone: what date-times are told in.
        totals: values of the measures over all rows, by name; None unless asked for.
        row_totals: values of the measures, by the dimensions of a row; for pivots only.
    """

    query: Mapping[str, Any]
    explore: Explore
    fields: tuple[Field, ...]
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool
    columns_truncated: bool
    sql: str
    timezone: str
    totals: Mapping[str, Any] | None = None
    row_totals: Mapping[tuple[Any, ...], Mapping[str, Any]] = field(default_factory=dict)

    @property
    def pivots(self) -> tuple[str, ...]:
        """Return the names of the dimensions that the result is pivoted by."""
        return tuple(self.query.get("pivots") or ())


def limit_rows(answer: Answer, limit: int | None) -> Answer:
    """Leave as many rows as asked for; what a pivot spreads over columns is one row."""
    if limit is None:
        return answer
    if not answer.pivots:
        return replace(answer, rows=answer.rows[:limit], truncated=len(answer.rows) > limit)
    kept: dict[tuple[Any, ...], None] = {}
    keys = [n for n, name in enumerate(answer.columns) if not _spreads(answer, name)]
    rows = []
    for row in answer.rows:
        key = tuple(row[n] for n in keys)
        if len(kept) < limit or key in kept:
            kept[key] = None
            rows.append(row)
    return replace(answer, rows=rows, truncated=len(rows) < len(answer.rows))


def limit_columns(answer: Answer, limit: int | None) -> Answer:
    """Leave as many pivot values as asked for: the first ones, as they are ordered."""
    if limit is None or not answer.pivots:
        return answer
    places = [answer.columns.index(name) for name in answer.pivots]
    values = {tuple(row[n] for n in places) for row in answer.rows}
    kept = {*sorted(values, key=str)[:limit]}
    rows = [row for row in answer.rows if tuple(row[n] for n in places) in kept]
    return replace(answer, rows=rows, columns_truncated=len(kept) < len(values))


def _spreads(answer: Answer, name: str) -> bool:
    described = {found.name: found for found in answer.fields}
    return name in answer.pivots or described[name].is_measure
