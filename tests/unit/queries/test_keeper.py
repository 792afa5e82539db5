"""The bookmark of a query, and what its rows do to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tap_looker_tasks.config import ConfiguredQuery, QueryConfig
from tap_looker_tasks.queries.body import Limits, RunTime
from tap_looker_tasks.queries.bookmark import BookmarkAdvance, latest_value
from tap_looker_tasks.queries.keeper import QueryKeeper, QueryState, names_by_content
from tap_looker_tasks.records.column_types import DATE, DATE_TIME, INTEGER, ColumnType
from tap_looker_tasks.records.columns import Column

BERLIN = "Europe/Berlin"
# Noon in UTC.
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


def column(kind: ColumnType) -> Column:
    return Column("orders__at", "orders.at", kind)


def keeper(
    bookmark: dict[str, Any], kind: ColumnType | None = DATE, start: str | None = None, **more: Any
) -> QueryKeeper:
    query = ConfiguredQuery(QueryConfig(name="orders", query_id="7", **more), "queries[0]")
    return QueryKeeper(query, bookmark, column(kind) if kind else None, start)


def bookmark(value: object, **more: Any) -> dict[str, Any]:
    return {"replication_key": "orders__at", "replication_key_value": value, **more}


@pytest.mark.parametrize(
    ("found", "kind", "value"),
    [
        ({}, DATE, "2020-01-01"),
        ({}, INTEGER, None),
        ({}, None, None),
        (bookmark("2026-01-02"), DATE, "2026-01-02"),
        (bookmark(5), INTEGER, 5),
        ({"replication_key_value": "2026-01-02"}, DATE, "2026-01-02"),
        ({"orders.at": "2026-01-03"}, DATE, "2026-01-03"),
        ({"orders__at": "2026-01-04"}, DATE, "2026-01-04"),
        ({"replication_key": "at", "replication_key_value": "2026-01-05"}, DATE, "2026-01-05"),
        ({"replication_key": "other", "replication_key_value": "2026-01-05"}, DATE, "2020-01-01"),
    ],
)
def test_a_run_resumes_from_the_bookmark_or_the_start(
    found: dict[str, Any], kind: ColumnType | None, value: object
) -> None:
    assert keeper(found, kind, "2020-01-01").value == value


def test_a_bookmark_of_another_zone_goes_back_further() -> None:
    found = bookmark("2026-01-02", time_zone="UTC")
    assert keeper(found).back("UTC") == timedelta(0)
    assert keeper(found).back(BERLIN) == timedelta(hours=26)
    assert keeper(found, lookback="3 days").back(BERLIN) == timedelta(days=3, hours=26)
    assert keeper({}, lookback="3 days").back(BERLIN) == timedelta(0)
    assert not keeper(found, DATE_TIME).is_of_another_zone(BERLIN)


def test_an_unclear_bookmark_is_named() -> None:
    problem = keeper({"last": 1, "cursor": 2}).problem
    assert problem is not None
    assert problem.startswith("state: the bookmark of orders has last, cursor instead of")
    clear: list[dict[str, Any]] = [
        {},
        bookmark("2026-01-02"),
        {"query": {}},
        {"version": 1, "x": 2},
    ]
    assert [keeper(found).problem for found in clear] == [None] * 4
    assert keeper({"last": 1}, None).problem is None


@pytest.mark.parametrize(("day", "is_future"), [("2026-03-03", False), ("2026-03-04", True)])
def test_a_bookmark_of_the_future_is_dropped(day: str, *, is_future: bool) -> None:
    found = bookmark(day, time_zone="UTC", version=3)
    reason = keeper(found, start="2020-01-01").drop_unusable(NOW)
    assert reason == (
        f"orders: the bookmark in state is in the future ({day}), and would skip all rows until "
        "then; loading from start_date (2020-01-01)"
        if is_future
        else None
    )
    assert found == ({"version": 3} if is_future else bookmark(day, time_zone="UTC", version=3))


def test_a_bookmark_of_the_future_without_its_name_is_dropped() -> None:
    found: dict[str, Any] = {"orders.at": "2999-01-01 10:00"}
    reason = keeper(found).drop_unusable(NOW)
    assert reason is not None
    assert reason.endswith("; loading from the start")
    assert found == {}


def test_a_bookmark_of_another_key_is_reported() -> None:
    found = {"replication_key": "orders__id", "replication_key_value": 5}
    assert keeper(found).drop_unusable(NOW) == (
        "orders: the bookmark in state is of orders__id, while the replication key is orders__at; "
        "loading from the start"
    )
    for kept, kind in ((bookmark(10**9), INTEGER), ({}, DATE), (bookmark("2999-01-01"), None)):
        assert keeper(kept, kind).drop_unusable(NOW) is None


def test_a_bookmark_moves_with_its_zone() -> None:
    found: dict[str, Any] = {"orders.at": "2026-01-01", "orders__at": 1, "version": 3}
    keeper(found).move(None, BERLIN)
    assert len(found) == 3
    keeper(found).move("2026-01-02", BERLIN)
    assert found == bookmark("2026-01-02", time_zone=BERLIN, version=3)
    number: dict[str, Any] = {}
    keeper(number, INTEGER).move(5, BERLIN)
    assert number == bookmark(5)
    keeper(number, None).move(6, BERLIN)
    assert number == bookmark(5)


def test_the_last_run_times_are_kept() -> None:
    found: dict[str, Any] = {"query": {"runtimes_milliseconds": [1, 2, 3, 4, 5]}}
    last = QueryState(fingerprint="f", configuration="c", row_limit=5, column_limit=6)
    keeper(found).save(last, None, None)
    assert [*found["query"]["runtimes_milliseconds"]] == [1, 2, 3, 4, 5]
    keeper(found).save(last, 9.0004, None)
    assert found["query"] == {
        "fingerprint": "f",
        "configuration": "c",
        "runtimes_milliseconds": (2, 3, 4, 5, 9000),
        "row_limit": 5,
        "column_limit": 6,
    }
    run = keeper(found).last_run
    assert run.expected == RunTime(0.004, 0.001)
    assert run.limits == Limits(5, 6)
    assert QueryState().expected is None
    assert keeper({"query": {"row_limit": "many"}}).last_run == QueryState()


def test_the_run_that_delivered_last_has_a_name_and_a_configuration() -> None:
    found: dict[str, Any] = {}
    last = QueryState(configuration="c")
    keeper(found).save(last, None, "monday")
    assert keeper(found).was_delivered_in("monday", "c")
    assert not keeper(found).was_delivered_in("tuesday", "c")
    assert not keeper(found).was_delivered_in("monday", "d")
    keeper(found).save(last, None, None)
    assert "run_id" not in found
    keeper(found).save(last, None, None)


def test_streams_are_found_by_their_content() -> None:
    bookmarks = {
        "a": {"query": {"content": "/looks/1"}},
        "b": {"query": {"content": "/looks/1"}},
        "c": {"query": {"content": "/looks/2"}},
        "d": {"query": {"content": None}},
        "e": 5,
    }
    assert names_by_content({"bookmarks": bookmarks}) == {
        "/looks/1": {"a", "b"},
        "/looks/2": {"c"},
    }
    assert names_by_content({"bookmarks": 5}) == names_by_content(None) == {}


def advance(kind: ColumnType, start: object, zone: str = "UTC") -> BookmarkAdvance:
    return BookmarkAdvance(
        column(kind), start, launched_at=NOW, finished_at=NOW + 86_400, query_timezone=zone
    )


def test_rows_of_the_future_do_not_move_the_bookmark() -> None:
    found = advance(DATE, "2026-02-01")
    values = ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04", None]
    found.add(values, [[1, 2, 3, 4, 5]])
    assert found.value == "2026-03-01"
    assert found.problems == [
        (
            "orders__at: 2 rows are in the future, the first '2026-03-03'; they are delivered, "
            "and the bookmark stays before the launch of the task"
        ),
        "orders__at is null in 1 rows, which only a run without a bookmark loads",
    ]
    assert advance(DATE, None).problems == []


def test_the_bound_is_that_of_the_querys_zone() -> None:
    kiribati = advance(DATE, None, "Pacific/Kiritimati")
    kiribati.add(["2026-03-02"], [[1]])
    assert kiribati.value == "2026-03-02"
    at = column(DATE_TIME)
    assert latest_value(at, NOW, BERLIN) == "2026-03-01T12:00:00.000000+00:00"
    number = advance(INTEGER, 5)
    number.add([10**12], [[1]])
    assert number.value == 10**12


def test_rows_that_looker_fills_in_do_not_move_the_bookmark() -> None:
    found = advance(DATE, "2026-02-01")
    days = ["2026-02-02", "2026-02-03", "2026-02-04"]
    # The last one has no value at all.
    found.add(days, [[1, None, None], [None, 5, None], [None, None, None]])
    assert found.value == "2026-02-03"
    alone = advance(DATE, None)
    alone.add(["2026-02-05"], [])
    assert alone.value == "2026-02-05"
