"""Whether a result is all there is, told everything that is known of it."""

from __future__ import annotations

from typing import Any

import pytest

from tap_looker_tasks.queries.body import Limits, find_shortfalls, limits_of
from tap_looker_tasks.results.result import Pivot, Result


def result(rows: int | None, columns: int = 0, **more: Any) -> Result:
    pivots = tuple(Pivot(str(n), is_total=False, data={}) for n in range(columns))
    return Result("complete", row_count=rows, pivots=pivots, **more)


CUT = {"truncated": True}
WHOLE = {"truncated": False}


@pytest.mark.parametrize(
    ("found", "limits", "reasons"),
    [
        (result(0), Limits(), []),
        (result(499), Limits(500), []),
        (result(499, **WHOLE), Limits(500), []),
        (result(500), Limits(500), ["limit"]),
        (result(500, **WHOLE), Limits(500), ["limit"]),
        (result(499, **CUT), Limits(500), ["limit"]),
        (result(499, **CUT), Limits(), ["limit"]),
        # Filled in on top of the limit.
        (result(501, **WHOLE), Limits(500), []),
        (result(501), Limits(500), ["limit"]),
        (result(501, **CUT), Limits(500), ["limit"]),
        # Caps, whatever the limit is, and whatever Looker says.
        (result(5_000), Limits(), [None]),
        (result(5_000, **WHOLE), Limits(), [None]),
        (result(5_000, **CUT), Limits(9_000), [None]),
        (result(5_000, **WHOLE), Limits(4_000), []),
        (result(5_000), Limits(5_000), ["limit"]),
        (result(4_999), Limits(), []),
        (result(5_001), Limits(), []),
        (result(100_000), Limits(), [None]),
        # Pivots: the default is 50, and 200 are the most.
        (result(1, 49), Limits(), []),
        (result(1, 50), Limits(), ["column_limit"]),
        (result(1, 51), Limits(), []),
        (result(1, 50), Limits(None, 60), []),
        (result(1, 60), Limits(None, 60), ["column_limit"]),
        (result(1, 200), Limits(None, 300), ["column_limit"]),
        (result(1, 200), Limits(), ["column_limit"]),
        (result(1, 7, columns_truncated=True, **CUT), Limits(), ["column_limit"]),
        (result(500, 50), Limits(500), ["column_limit", "limit"]),
        (result(None), Limits(), [None]),
    ],
)
def test_a_result_that_may_be_cut_off_is_incomplete(
    found: Result, limits: Limits, reasons: list[str | None]
) -> None:
    assert [shortfall.limit for shortfall in find_shortfalls(found, limits)] == reasons


def test_a_result_without_a_column_is_incomplete() -> None:
    (shortfall,) = find_shortfalls(result(3), Limits(), ["orders__id"])
    assert shortfall == ("the result is without orders__id", None, False)


def test_a_cap_is_reported_with_the_permission() -> None:
    (shortfall,) = find_shortfalls(result(5_000), Limits())
    assert shortfall.reason == (
        "the result may be cut off (rows: 5000): Looker caps results at 5,000 rows for users "
        "without the permission `download_without_limit`, and some that it cannot stream; check "
        "the role of the API user"
    )
    assert shortfall.is_cut


@pytest.mark.parametrize(
    ("found", "limits", "reason"),
    [
        (result(None), Limits(), "the result has no rows in it"),
        (result(500), Limits(500), "the result is at its limit (rows: 500)"),
        (result(1, 50), Limits(), "the result is at its limit (pivoted columns: 50)"),
        (
            result(100_000),
            Limits(),
            (
                "the result may be cut off (rows: 100000): Looker caps results that it cannot "
                "stream at 100,000 rows: those with table calculations or row totals, and those of "
                "some databases; remove them, or add filters"
            ),
        ),
    ],
)
def test_a_shortfall_names_its_figure(found: Result, limits: Limits, reason: str) -> None:
    assert [shortfall.reason for shortfall in find_shortfalls(found, limits)] == [reason]


@pytest.mark.parametrize(
    ("body", "limits"),
    [
        ({}, Limits(500)),
        ({"limit": "-1", "column_limit": "7"}, Limits()),
        ({"limit": 9, "pivots": ["p"], "column_limit": "7"}, Limits(9, 7)),
        ({"limit": "9", "pivots": ["p"]}, Limits(9)),
    ],
)
def test_limits_are_read_from_the_query(body: dict[str, Any], limits: Limits) -> None:
    assert limits_of(body) == limits
