"""Queries, Looks, tiles and Explores: launched by the tap, one typed stream each."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.singer import stored_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.engine import Database
    from tests.singer import Run

    Tap = Callable[..., Run]

EXPLORE: dict[str, Any] = {
    "model": "flights_2013",
    "explore": "flights",
    "fields": ["flights.carrier", "flights.count"],
    "sorts": ["flights.count desc"],
}
UNITED = {"flights__carrier": "UA", "flights__count": 58665}


def catalog_of(run: Run) -> dict[str, Any]:
    assert run.exit_code == 0, run.log
    catalog: dict[str, Any] = json.loads(run.output)
    return {stream["tap_stream_id"]: stream for stream in catalog["streams"]}


def rows(run: Run, stream: str) -> list[dict[str, Any]]:
    """Records of a stream without the pseudo columns."""
    return [
        {name: value for name, value in record.items() if not name.startswith("_")}
        for record in run.records(stream)
    ]


@pytest.mark.parametrize(
    "source",
    [
        {"query_id": 1},
        {"query_id": "1"},
        {"query_slug": "slug1"},
        {"look_id": 1},
        {"explore": EXPLORE},
    ],
)
@pytest.mark.parametrize("result_format", ["json_detail", "json_bi"])
def test_every_source_becomes_a_typed_stream(
    tap: Tap, source: dict[str, Any], result_format: str
) -> None:
    run = tap(queries=[{"name": "airlines", **source}], result_format=result_format)
    assert run.exit_code == 0, run.log
    first = rows(run, "airlines")[0]
    assert UNITED.items() <= first.items()
    schema = run.schema("airlines")
    assert schema["properties"]["flights__count"]["type"] == ["integer", "null"]
    assert schema["properties"]["flights__count"]["title"] == "Flights Count"
    outcome = run.only()
    assert (outcome["status"], outcome["origin"], outcome["attempt"]) == ("complete", "launched", 1)
    assert outcome["query_name"] == "airlines"
    assert outcome["query_id"]
    assert outcome["launched_at"] <= outcome["finished_at"]
    assert outcome["look_id"] == ("1" if "look_id" in source else None)
    assert outcome["data"] is None
    assert outcome["row_count"] == len(run.records("airlines"))
    records = run.records("airlines")
    assert {record["_query_task_id"] for record in records} == {outcome["query_task_id"]}
    assert [record["_row_number"] for record in records] == [*range(1, len(records) + 1)]


def test_a_stored_query_runs_unchanged_unless_something_changes(
    simulator: Simulator, tap: Tap
) -> None:
    july = {"name": "july", "query_id": "2"}
    assert tap(queries=[july], query_timezone="America/New_York").only()["query_id"] == stored_id(2)
    assert simulator.count("create_query") == 0
    assert tap(queries=[july]).only()["query_id"] != stored_id(2)
    assert simulator.count("create_query") == 1


def test_limit_and_filters_are_laid_over_a_stored_query(tap: Tap) -> None:
    filters = {"flights.origin": "JFK"}
    query = {"name": "july", "query_id": "2", "filters": filters, "limit": 3}
    run = tap(queries=[query], query_timezone="America/New_York")
    found = rows(run, "july")
    assert [row["flights__departure_date"] for row in found] == [
        "2013-07-01",
        "2013-07-02",
        "2013-07-03",
    ]
    assert {row["flights__origin"] for row in found} == {"JFK"}


def test_no_limit_is_no_limit(tap: Tap) -> None:
    explore: dict[str, Any] = EXPLORE | {"fields": ["flights.tail_number"], "sorts": []}
    limited, unlimited = (
        tap(queries=[{"name": "planes", "explore": explore, "limit": limit}])
        for limit in (None, -1)
    )
    assert (len(limited.records("planes")), limited.only()["truncated"]) == (500, True)
    assert (len(unlimited.records("planes")), unlimited.only()["truncated"]) == (4044, False)


@pytest.mark.parametrize("result_format", ["json_detail", "json_bi"])
def test_a_result_as_long_as_its_limit_is_reported(tap: Tap, result_format: str) -> None:
    query = {"name": "airlines", "query_id": "1", "limit": 5}
    run = tap(queries=[query], result_format=result_format)
    assert run.only()["truncated"] is True
    (warning,) = (line for line in run.log.splitlines() if "limit" in line)
    assert "airlines" in warning
    assert "queries[0]" in warning


def test_each_tile_of_a_dashboard_becomes_a_stream(tap: Tap) -> None:
    board = {"dashboard_id": 1, "name": "board", "filters": {"Carrier": "UA"}}
    run = tap(dashboards=[board])
    assert run.exit_code == 0
    assert {outcome["query_name"] for outcome in run.records()} == {
        "board_flights_a_month",
        "board_airlines",
        "board_merged_airlines",
        "board_merged_average_delays",
    }
    assert {outcome["dashboard_id"] for outcome in run.records()} == {"1"}
    (united,) = rows(run, "board_airlines")
    assert UNITED.items() <= united.items()
    warnings = [line for line in run.log.splitlines() if "cannot run" in line]
    assert len(warnings) == 1
    assert "'SQL Runner'" in warnings[0]


@pytest.mark.parametrize("result_format", ["json_detail", "json_bi"])
def test_pivots_are_delivered_long_without_totals(tap: Tap, result_format: str) -> None:
    query = {
        "name": "months",
        "query_id": "7",
        "primary_keys": ["flights.departure_month", "flights.origin"],
    }
    run = tap(queries=[query], query_timezone="America/New_York", result_format=result_format)
    found = rows(run, "months")
    assert len(found) == 12 * 3
    assert found[0] == {
        "flights__departure_month": "2013-01",
        "flights__origin": "EWR",
        "flights__count": 9893,
        "flights__average_arrival_delay": found[0]["flights__average_arrival_delay"],
    }
    assert sum(row["flights__count"] for row in found) == 336776
    keys = run.of("SCHEMA")[-1]["key_properties"]
    assert keys == ["flights__departure_month", "flights__origin"]


@pytest.mark.parametrize("result_format", ["json_detail", "json_bi"])
def test_every_digit_arrives_typed(tap: Tap, result_format: str) -> None:
    run = tap(queries=[{"name": "numbers", "query_id": 9}], result_format=result_format)
    first = rows(run, "numbers")[0]
    assert first["numbers__integer"] == 18014398509481985
    assert first["numbers__decimal"] == Decimal("12345678901234567890.0123456789")


def test_date_times_arrive_in_utc_and_yesno_as_boolean(tap: Tap) -> None:
    query = {"name": "christmas", "query_id": "3", "filters": {"flights.number": "15"}}
    run = tap(queries=[query], query_timezone="America/New_York")
    (row,) = (r for r in rows(run, "christmas") if r["flights__carrier"] == "UA")
    assert row["flights__departure_time"] == "2013-12-24T14:30:00+00:00"
    assert row["flights__is_cancelled"] is False
    assert row["flights__distance_tier"] == "2000 or Above"


def test_table_calculations_and_custom_measures_have_columns(tap: Tap) -> None:
    run = tap(queries=[{"name": "miles", "query_id": "8"}])
    row = rows(run, "miles")[0]
    assert row["farthest"] == 4963
    assert row["miles_per_flight"] == pytest.approx(Decimal("1529.1148725816074"))
    assert run.schema("miles")["properties"]["miles_per_flight"]["title"] == "Miles per flight"


def test_discovery_runs_nothing_and_asks_once(simulator: Simulator, tap: Tap) -> None:
    queries: list[dict[str, object]] = [
        {"name": f"q{n}", "explore": EXPLORE | {"filters": {"flights.distance": f">{n}"}}}
        for n in range(100)
    ]
    queries += [{"name": f"s{n}", "query_id": 1, "limit": n + 1} for n in range(100)]
    run = tap("--discover", queries=queries)
    streams = catalog_of(run)
    assert len(streams) == 202
    assert simulator.tasks() == []
    assert simulator.count("lookml_model_explore") == 1
    assert simulator.count("query") == 1
    properties = streams["q0"]["schema"]["properties"]
    assert [name for name in properties if not name.startswith("_")] == [
        "flights__carrier",
        "flights__count",
    ]
    assert streams["s0"]["key_properties"] == ["_query_task_id", "_row_number"]
    root = next(m["metadata"] for m in streams["s0"]["metadata"] if m["breadcrumb"] == [])
    assert root.get("selected-by-default", True) is True


def test_a_run_with_a_catalog_asks_for_no_metadata(simulator: Simulator, tap: Tap) -> None:
    queries = [{"name": "airlines", "query_id": 1}]
    catalog = json.loads(tap("--discover", queries=queries).output)
    simulator.clear_calls()
    run = tap(queries=queries, catalog=catalog)
    assert run.exit_code == 0
    assert UNITED.items() <= rows(run, "airlines")[0].items()
    assert simulator.count("lookml_model_explore") == 0


def select(catalog: dict[str, Any], stream: str, *breadcrumb: str, selected: bool) -> None:
    (entry,) = (s for s in catalog["streams"] if s["tap_stream_id"] == stream)
    for item in entry["metadata"]:
        if item["breadcrumb"] == list(breadcrumb):
            item["metadata"]["selected"] = selected


def test_a_query_whose_stream_is_not_selected_is_not_launched(
    simulator: Simulator, tap: Tap
) -> None:
    queries = [{"name": "airlines", "query_id": 1}, {"name": "airports", "query_id": 4}]
    catalog = json.loads(tap("--discover", queries=queries).output)
    select(catalog, "airlines", selected=False)
    select(catalog, "query_task_results", selected=False)
    run = tap(queries=queries, catalog=catalog)
    assert run.exit_code == 0
    assert {message["stream"] for message in run.of("RECORD")} == {"airports"}
    assert len(simulator.tasks()) == 1


def test_a_column_that_is_not_selected_is_left_out(tap: Tap) -> None:
    queries = [{"name": "airlines", "query_id": 1}]
    catalog = json.loads(tap("--discover", queries=queries).output)
    select(catalog, "airlines", "properties", "flights__count", selected=False)
    run = tap(queries=queries, catalog=catalog)
    assert "flights__count" not in rows(run, "airlines")[0]
    assert rows(run, "airlines")[0]["flights__carrier"] == "UA"


def test_drift_between_catalog_and_result_is_reported(tap: Tap) -> None:
    before = [{"name": "airlines", "query_id": 1}]
    catalog = json.loads(tap("--discover", queries=before).output)
    (entry,) = (s for s in catalog["streams"] if s["tap_stream_id"] == "airlines")
    entry["schema"]["properties"]["flights__gone"] = {"type": ["string", "null"]}
    entry["schema"]["properties"]["flights__carrier"] = {"type": ["number", "null"]}
    run = tap(queries=before, catalog=catalog)
    assert "flights__gone is no longer in the result: discover again to remove it" in run.log
    drift = "flights.carrier: declared as number, but string in the result: discover again"
    assert f"{drift} to change it" in run.log
    assert "values that cannot be read as number" in run.log


def test_a_forbidden_explore_is_probed(simulator: Simulator, tap: Tap) -> None:
    simulator.fault("forbidden", times=None)
    streams = catalog_of(tap("--discover", queries=[{"name": "airlines", "query_id": 1}]))
    properties = streams["airlines"]["schema"]["properties"]
    assert properties["flights__count"]["type"] == ["integer", "null"]
    assert simulator.count("run_query") == 1


def test_a_full_table_ends_with_its_version(tap: Tap) -> None:
    run = tap(queries=[{"name": "airlines", "query_id": 1}, {"name": "none", "query_id": 6}])
    messages = [m for m in run.messages if m.get("stream") == "airlines"]
    assert messages[-1]["type"] == "ACTIVATE_VERSION"
    versions = {m["version"] for m in messages if m["type"] in {"RECORD", "ACTIVATE_VERSION"}}
    assert len(versions) == 1
    assert [m["stream"] for m in run.of("ACTIVATE_VERSION")].count("none") == 1


def test_a_query_that_fails_holds_up_no_one(tap: Tap) -> None:
    queries = [{"name": "broken", "query_id": 5}, {"name": "airlines", "query_id": 1}]
    run = tap(queries=queries)
    assert run.exit_code == 1
    assert "broken" in run.error
    assert len(run.records("airlines")) == 16
    statuses = {o["query_name"]: o["status"] for o in run.records()}
    assert statuses == {"broken": "error", "airlines": "complete"}
    assert run.of("ACTIVATE_VERSION")[0]["stream"] == "airlines"
    assert len(run.of("ACTIVATE_VERSION")) == 1


def test_a_test_run_has_one_row_of_each_stream_and_leaves_nothing_running(
    database: Database, tap: Tap
) -> None:
    options = SimulatorOptions(query_latency={"4": 60})
    with Simulator(options, database=database) as simulator:
        queries = [{"name": "airlines", "query_id": 1}, {"name": "airports", "query_id": 2}]
        run = tap("--test", base_url=simulator.base_url, queries=queries)
        assert run.exit_code == 0, run.log
        for stream in ("airlines", "airports", "query_task_results"):
            assert len(run.records(stream)) == 1
        assert all(simulator.task_status(id_) == "complete" for id_ in simulator.tasks())


BAD = [
    ({"explore": EXPLORE | {"explore": "nowhere"}}, "queries[0].explore: the Explore "),
    ({"explore": EXPLORE | {"fields": ["flights.carier"]}}, "did you mean flights.carrier"),
    ({"explore": EXPLORE | {"fields": []}}, "queries[0].fields"),
    ({"query_id": 1, "filters": {"flights.hue": "red"}}, "queries[0].filters: flights.hue"),
    ({"query_id": 1, "primary_keys": ["flights.origin"]}, "queries[0].primary_keys"),
    ({"query_id": 1, "replication_key": "flights.origin"}, "queries[0].replication_key"),
    ({"query_id": 1, "replication_key": "flights.carrier"}, "queries[0].replication_key"),
    ({"query_id": 1, "limit": 0}, "queries[0].limit"),
    ({"query_id": 1, "limit": -2}, "queries[0].limit"),
    ({"query_id": 1, "look_id": 1}, "found query_id and look_id"),
    ({}, "found none"),
    ({"query_id": 1, "hue": "red"}, "queries[0]"),
    ({"query_id": 1, "name": "Bad-Name"}, "queries[0].name"),
    ({"query_id": 1, "name": "query_task_rows"}, "queries[0].name"),
]


@pytest.mark.parametrize(("query", "shown"), BAD)
def test_a_wrong_query_is_rejected_at_discovery(
    simulator: Simulator, tap: Tap, query: dict[str, Any], shown: str
) -> None:
    run = tap("--discover", queries=[{"name": "q", **query}])
    assert run.exit_code == 78
    assert shown in run.error
    assert simulator.tasks() == []


def test_two_fields_that_become_one_column_are_both_named(tap: Tap) -> None:
    dynamic = [{"dimension": "flights__carrier", "expression": "${flights.origin}"}]
    explore = EXPLORE | {
        "fields": ["flights.carrier", "flights__carrier"],
        "sorts": [],
        "dynamic_fields": dynamic,
    }
    run = tap("--discover", queries=[{"name": "q", "explore": explore}])
    assert "'flights.carrier' and 'flights__carrier'" in run.error


def test_all_problems_are_reported_together(tap: Tap) -> None:
    queries = [
        {"name": "a", "query_id": 1, "filters": {"flights.hue": "red"}},
        {"name": "b", "query_id": 1},
        {"name": "c", "query_id": 1, "primary_keys": ["flights.origin"]},
    ]
    board = {"dashboard_id": 1, "name": "d", "filters": {"Hue": "red"}}
    run = tap("--discover", queries=queries, dashboards=[board])
    assert run.exit_code == 78
    shown = run.log[run.log.index("Error: ") :].splitlines()
    assert [line.strip().partition(": ")[0] for line in shown[1:]] == [
        "dashboards[0].filters",
        "queries[0].filters",
        "queries[2].primary_keys",
    ]
    assert shown[0] == "Error: 3 problems in the configuration:"


def test_two_queries_with_one_name_are_rejected(tap: Tap) -> None:
    queries = [{"name": "a", "query_id": 1}, {"name": "a", "query_id": 2}]
    assert "queries[1].name" in tap(queries=queries).error


def test_a_dashboard_filter_that_no_one_listens_to_is_rejected(tap: Tap) -> None:
    board: dict[str, Any] = {"dashboard_id": 1, "name": "board", "filters": {"Carrer": "UA"}}
    assert "did you mean Carrier" in tap("--discover", dashboards=[board]).error


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shard_index", 1),
        ("query_timezone", "Mars/Base"),
        ("start_date", "soon"),
        ("result_format", "csv"),
        ("on_interrupt", "shrug"),
        ("max_concurrent_tasks", 0),
        ("api_call_limit", 1),
    ],
)
def test_a_wrong_setting_of_launching_is_named(tap: Tap, name: str, value: object) -> None:
    assert tap(**{name: value}).error.startswith(name)
