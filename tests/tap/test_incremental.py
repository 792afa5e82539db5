"""Queries that continue where the last run ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from meltano.core.utils import merge

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]


def query(key: str, *fields: str, **more: object) -> dict[str, Any]:
    explore = {"model": "flights_2013", "explore": "flights", "fields": [key, *fields]}
    return {"name": "flights", "explore": explore, "replication_key": key, **more}


DAYS = query("flights.departure_date", "flights.count", primary_keys=["flights.departure_date"])
NEW_YORK = {"query_timezone": "America/New_York"}


def values(run: Run, column: str) -> list[Any]:
    return [record[column] for record in run.records("flights")]


def bookmark(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run.state["bookmarks"]["flights"]
    return {key: value for key, value in found.items() if key != "query"}


@pytest.mark.parametrize("result_format", ["json_detail", "json_bi"])
def test_the_next_run_repeats_the_boundary_and_continues(tap: Tap, result_format: str) -> None:
    # Midnight in New York.
    start = {"start_date": "2013-12-01T05:00:00Z", "result_format": result_format, **NEW_YORK}
    first = tap(queries=[DAYS | {"limit": 10}], **start)
    assert first.exit_code == 0, first.log
    assert values(first, "flights__departure_date") == [f"2013-12-{d:02}" for d in range(1, 11)]
    assert bookmark(first) == {
        "replication_key": "flights__departure_date",
        "replication_key_value": "2013-12-10",
        "time_zone": "America/New_York",
    }
    second = tap(queries=[DAYS | {"limit": 10}], state=first.state, **start)
    assert values(second, "flights__departure_date") == [f"2013-12-{d}" for d in range(10, 20)]
    assert second.of("ACTIVATE_VERSION") == []
    assert second.of("SCHEMA")[-1]["bookmark_properties"] == ["flights__departure_date"]


def test_without_a_start_everything_is_delivered_in_order(tap: Tap) -> None:
    run = tap(queries=[DAYS], **NEW_YORK)
    found = values(run, "flights__departure_date")
    assert len(found) == 365
    assert found == sorted(found)


def test_date_times_continue_in_the_querys_time_zone(tap: Tap) -> None:
    moments = query("flights.departure_time", "flights.count", limit=3)
    start = {"start_date": "2013-07-04T16:00:00Z", **NEW_YORK}
    first = tap(queries=[moments], **start)
    expected = [f"2013-07-04T16:0{minute}:00+00:00" for minute in (0, 3, 5)]
    assert values(first, "flights__departure_time") == expected
    second = tap(queries=[moments], state=first.state, **start)
    assert values(second, "flights__departure_time")[0] == expected[-1]


def test_numbers_continue(tap: Tap) -> None:
    miles = query("flights.distance", "flights.count", limit=3)
    first = tap(queries=[miles], start_date="2013-01-01T00:00:00Z")
    assert values(first, "flights__distance") == [17, 80, 94]
    second = tap(queries=[miles], state=first.state)
    assert values(second, "flights__distance") == [94, 96, 116]


def test_an_empty_result_leaves_the_bookmark(tap: Tap) -> None:
    state = {
        "bookmarks": {
            "flights": {
                "replication_key": "flights__departure_date",
                "replication_key_value": "2014-06-01",
            }
        }
    }
    run = tap(queries=[DAYS], state=state)
    assert run.records("flights") == []
    assert bookmark(run) == state["bookmarks"]["flights"]


def test_a_bookmark_of_another_key_does_not_count(tap: Tap) -> None:
    first = tap(queries=[DAYS], start_date="2013-12-30T00:00:00Z", **NEW_YORK)
    miles = query("flights.distance", "flights.count", limit=1)
    run = tap(queries=[miles], state=first.state)
    assert values(run, "flights__distance") == [17]
    assert "the replication key is flights__distance; loading from the start" in run.log


def test_the_bookmark_moves_after_the_last_row(tap: Tap) -> None:
    run = tap(queries=[DAYS], start_date="2013-12-01T00:00:00Z")
    rows_left = len(run.records("flights"))
    for message in run.messages:
        if message["type"] == "RECORD" and message["stream"] == "flights":
            rows_left -= 1
        elif message["type"] == "STATE" and rows_left:
            assert "replication_key_value" not in message["value"]["bookmarks"].get("flights", {})
    assert rows_left == 0
    assert run.records("flights")
    assert "replication_key_value" in run.state["bookmarks"]["flights"]


def test_a_failed_query_leaves_the_bookmark(tap: Tap) -> None:
    broken = query("flights.departure_date", "flights.broken")
    run = tap(queries=[broken], start_date="2013-12-01T00:00:00Z")
    assert run.exit_code == 1
    assert "replication_key_value" not in run.state["bookmarks"].get("flights", {})


@pytest.mark.parametrize(
    ("own", "days"),
    [("2013-12-05 to 2013-12-08", 3), ("after 2013-12-30", 2), ("before 2013-12-02", 1)],
)
def test_a_filter_on_the_same_field_also_applies(tap: Tap, own: str, days: int) -> None:
    filtered = DAYS | {"filters": {"flights.departure_date": own}}
    run = tap(queries=[filtered], start_date="2013-12-01T05:00:00Z", **NEW_YORK)
    assert len(values(run, "flights__departure_date")) == days


def test_a_filter_that_cannot_be_combined_is_rejected(simulator: Simulator, tap: Tap) -> None:
    filtered = DAYS | {"filters": {"flights.departure_date": "7 days"}}
    assert "queries[0].replication_key" in tap("--discover", queries=[filtered]).error
    assert simulator.tasks() == []


@pytest.mark.parametrize("result_format", ["json_detail", "json_bi"])
@pytest.mark.parametrize(
    ("field", "future"),
    [
        ("orders.created_time", "2199-12-31T00:00:00+00:00"),
        ("orders.created_date", "2199-12-31"),
        ("orders.shipped_time", "2199-12-31 00:00:00"),
    ],
)
def test_a_sentinel_does_not_move_the_bookmark(
    connection: duckdb.DuckDBPyConnection, tap: Tap, field: str, future: str, result_format: str
) -> None:
    source = field.removeprefix("orders.").rpartition("_")[0]
    cursor = connection.cursor()
    kept = cursor.execute(f"select {source} from shop_orders where id = 5").fetchone()  # noqa: S608 - a column's name
    cursor.execute(f"update shop_orders set {source} = timestamp '2199-12-31' where id = 5")  # noqa: S608 - as above
    try:
        orders = {
            "name": "flights",
            "explore": {"model": "shop", "explore": "orders", "fields": ["orders.id", field]},
            "replication_key": field,
            "primary_keys": ["orders.id"],
        }
        run = tap(queries=[orders], result_format=result_format)
        column = field.replace(".", "__")
        found = {row["orders__id"]: row[column] for row in run.records("flights")}
        assert run.exit_code == 0
        assert found.pop(5) == future
        assert bookmark(run)["replication_key_value"] == max(found.values())
        assert f"{column}: 1 rows are in the future, the first '{future}'" in run.log
        again = tap(queries=[orders], state=run.state, result_format=result_format)
        assert 5 in {row["orders__id"] for row in again.records("flights")}
    finally:
        cursor.execute(f"update shop_orders set {source} = ? where id = 5", kept)  # noqa: S608 - as above
        cursor.close()


def test_a_lookback_loads_late_rows_and_a_zone_that_changed_two_days_more(tap: Tap) -> None:
    days = DAYS | {"limit": 10, "lookback": "3 days"}
    start = {"start_date": "2013-12-01T05:00:00Z"}
    first = tap(queries=[days], **start, **NEW_YORK)
    second = tap(queries=[days], state=first.state, **start, **NEW_YORK)
    assert values(second, "flights__departure_date")[0] == "2013-12-07"
    third = tap(queries=[days], state=first.state, query_timezone="America/Chicago")
    # Zones are up to 26 hours apart.
    assert values(third, "flights__departure_date")[0] == "2013-12-05"
    assert bookmark(third)["time_zone"] == "America/Chicago"


def test_not_null_is_implied_by_a_bookmark(tap: Tap) -> None:
    existing = DAYS | {"filters": {"flights.departure_date": "NOT NULL"}, "limit": 10}
    first = tap(queries=[existing], start_date="2013-12-01T05:00:00Z", **NEW_YORK)
    second = tap(queries=[existing], state=first.state, **NEW_YORK)
    assert values(second, "flights__departure_date")[0] == "2013-12-10"


@pytest.mark.parametrize(
    "older",
    [
        {"flights__departure_date": "2013-12-30"},
        {"flights.departure_date": "2013-12-30"},
        {"replication_key_value": "2013-12-30"},
        {"replication_key": "flights.departure_date", "replication_key_value": "2013-12-30"},
        {"replication_key": "departure_date", "replication_key_value": "2013-12-30"},
    ],
)
def test_a_bookmark_of_an_older_tap_counts(tap: Tap, older: dict[str, str]) -> None:
    run = tap(queries=[DAYS], state={"bookmarks": {"flights": older}}, **NEW_YORK)
    assert "without rows whose replication key is null: flights" in run.log
    assert values(run, "flights__departure_date")[-1] == "2013-12-31"
    assert len(values(run, "flights__departure_date")) < 5
    assert bookmark(run) == {
        "replication_key": "flights__departure_date",
        "replication_key_value": "2013-12-31",
        "time_zone": "America/New_York",
    }


@pytest.mark.parametrize("has_catalog", [False, True])
def test_an_unclear_bookmark_is_rejected(
    simulator: Simulator, tap: Tap, *, has_catalog: bool
) -> None:
    catalog = json.loads(tap("--discover", queries=[DAYS]).output) if has_catalog else None
    state = {"bookmarks": {"flights": {"made_on": "2013-12-30"}}}
    run = tap(queries=[DAYS], catalog=catalog, state=state)
    assert run.exit_code == 78
    assert run.error.startswith("state: the bookmark of flights has made_on instead of ")
    assert "flights__departure_date" in run.error
    assert simulator.tasks() == []


@pytest.mark.parametrize(
    ("bookmark_", "reason"),
    [
        (
            {"replication_key": "flights__departure_date", "replication_key_value": "2199-12-31"},
            "is in the future (2199-12-31)",
        ),
        (
            {"replication_key": "flights__distance", "replication_key_value": 80},
            "is of flights__distance, while the replication key is flights__departure_date",
        ),
        ({"replication_key": "flights__departure_date", "replication_key_value": None}, None),
    ],
)
def test_a_bookmark_that_serves_no_run_is_named_and_replaced(
    tap: Tap, bookmark_: dict[str, Any], reason: str | None
) -> None:
    state = {"bookmarks": {"flights": bookmark_}}
    run = tap(queries=[DAYS], state=state, start_date="2013-12-30T05:00:00Z", **NEW_YORK)
    assert run.exit_code == 0
    assert values(run, "flights__departure_date") == ["2013-12-30", "2013-12-31"]
    assert bookmark(run)["replication_key_value"] == "2013-12-31"
    assert bookmark(run)["replication_key"] == "flights__departure_date"
    shown = f"flights: the bookmark in state {reason}"
    assert (shown in run.log) == (reason is not None)


def test_a_lookback_on_a_number_is_rejected(tap: Tap) -> None:
    miles = query("flights.distance", "flights.count", lookback="3 days")
    assert "queries[0].lookback" in tap("--discover", queries=[miles]).error


def test_merged_states_of_shards_serve_another_number_of_shards(
    simulator: Simulator, tap: Tap
) -> None:
    names = [f"flights_{number}" for number in range(6)]
    queries = [DAYS | {"name": name} for name in names]
    ids = [simulator.create_task("4", "json") for _ in range(6)]

    def run_shards(count: int, state: dict[str, Any]) -> list[Run]:
        given = {"query_task_ids": ids, "queries": queries, "shard_count": count}
        return [tap(**given, shard_index=n, state=state) for n in range(count)]

    former = run_shards(2, {})
    merged: dict[str, Any] = {}
    for run in former:
        # As `meltano state merge` does.
        merged = merge(run.state, merged)  # type: ignore[no-untyped-call]
    runs = run_shards(3, merged)

    assert sum(len(run.records()) for run in former) == len(ids) + len(names)
    # No external task is delivered again, and each query resumes from its bookmark in one shard.
    assert sum(len(run.records()) for run in runs) == len(names)
    for name in names:
        before = [b for run in former if (b := run.state["bookmarks"].get(name))]
        (launched,) = (run for run in runs if run.records(name))
        reached = before[0]["replication_key_value"]
        assert min(r["flights__departure_date"] for r in launched.records(name)) >= reached
        assert launched.state["bookmarks"][name]["replication_key_value"] == reached
