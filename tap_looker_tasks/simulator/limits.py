"""Cuts the answer of a query to the rows and pivot columns it may have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tap_looker_tasks.simulator.engine import Answer


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
    described = {field.name: field for field in answer.fields}
    return name in answer.pivots or described[name].is_measure
