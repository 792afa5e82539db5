"""Looker's own grammar of filter expressions, against the simulator's and the tap's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from looker_simulator.filters import Filter, FilterError
from tap_looker_tasks.queries.bookmark import bookmark_filter
from tap_looker_tasks.records import DATE, DATE_TIME, NUMBER, Column, ColumnType
from tests.simulator.node_client import needs_node_client, parsed_by_looker

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - in the query's zone
DATES = (
    *("7 days", "last 3 weeks", "2 hours ago", "this month", "last year", "today", "yesterday"),
    *("2026", "2026-01", "2026-01-31", "2026/01/31", "2026-01-31 10:30", "2026-01-31 10:30:15"),
    *("after 2026-01-31", "before 2026-01-31 10:30:15", "2026-01-01 to 2026-02-01"),
    *("NOT NULL", "null", "any time", "after last tuesday evening", "soon", "7 dayz"),
)
NUMBERS = (
    *("5", "-5.25", ">5", ">=5", "<5", "<=-5", "<>5", "!=5", "1 to 5", "1,2,3", "NOT 5"),
    *("[1,5]", "(1,5)", "[1,5)", "[1,inf)", "(-inf,5]", "NOT NULL", "null", "[1,5),7"),
    *("much", "5 and more", ">", "[1,5"),
)
# Documented by Looker, although the package does not understand them.
DOCUMENTED = {("date", "any time"), ("number", "<>5"), ("number", "!=5")}


@needs_node_client
def test_both_grammars_understand_the_same(tmp_path: Path) -> None:
    cases = [("date", text) for text in DATES] + [("number", text) for text in NUMBERS]
    found = dict(zip(cases, parsed_by_looker(cases, tmp_path), strict=True))
    differing = {case for case in cases if understood_by_simulator(*case) != found[case]}
    assert differing == DOCUMENTED


@needs_node_client
@pytest.mark.parametrize("existing", [None, "2026-01-01 to 2026-05-01", "before 2026-05-01"])
def test_looker_understands_what_bookmarks_become(tmp_path: Path, existing: str | None) -> None:
    texts = [
        bookmark_filter(moment, "2026-03-01T11:30:15+00:00", "America/New_York", existing, back)
        for moment in (column(DATE_TIME), column(DATE))
        for back in (timedelta(), timedelta(days=3))
    ]
    assert parsed_by_looker([("date", text) for text in texts], tmp_path) == [True] * len(texts)


@needs_node_client
@pytest.mark.parametrize("existing", [None, "<9", ">=1"])
def test_looker_understands_what_numbers_become(tmp_path: Path, existing: str | None) -> None:
    text = bookmark_filter(column(NUMBER), "5.25", "UTC", existing)
    assert parsed_by_looker([("number", text)], tmp_path) == [True]


def column(kind: ColumnType) -> Column:
    return Column("orders__key", "orders.key", kind)


def understood_by_simulator(kind: str, text: str) -> bool:
    filter_ = Filter("x", text, NOW)
    try:
        _ = filter_.on_date() if kind == "date" else filter_.on_number()
    except FilterError:
        return False
    return True
