"""Results that are cut off, broken off, filled or empty: what is delivered, said and activated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from looker_simulator.simulator import Simulator, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from looker_simulator.engine import Database
    from tests.singer import Run

    Tap = Callable[..., Run]

FORMATS = ["json_detail", "json_bi"]
MORE_THAN_THE_CAP = "9000"


def inline(*fields: str, **more: Any) -> dict[str, Any]:
    return {"model": "shop", "explore": "orders", "fields": [*fields], **more}


def long_query(limit: str = "-1", **more: Any) -> dict[str, Any]:
    """A query with some 6,000 rows, more than a cap."""
    fields = ["flights.departure_time", "flights.tail_number", "flights.origin"]
    days = {"flights.departure_date": "2013-01-01 to 2013-01-08"}
    query = {"model": "flights_2013", "view": "flights", "fields": fields, "filters": days}
    return query | {"limit": limit, **more}


def sources(simulator: Simulator) -> Mapping[str, dict[str, Any]]:
    """One stream, by everything that can be configured to be its query."""
    board = {
        "title": "B",
        "dashboard_elements": [{"id": "1", "title": "By city", "query_id": "17"}],
    }
    simulator.add_dashboard("60", board)
    simulator.add_look("60", "By city", "17")
    return {
        "query": {"queries": [{"name": "q", "query_id": "17"}]},
        "look": {"queries": [{"name": "q", "look_id": "60"}]},
        "explore": {"queries": [{"name": "q", "explore": inline("orders.city", "orders.count")}]},
        "tile": {"dashboards": [{"dashboard_id": "60", "name": "q"}]},
        "lookml": {"dashboards": [{"dashboard_id": "shop::overview", "name": "q"}]},
    }


def activated(run: Run) -> list[str]:
    return [message["stream"] for message in run.of("ACTIVATE_VERSION")]


def catalog_of(tap: Tap, **config: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tap("--discover", **config).output)
    return found


SEVERED = ("severed", "The database closed the connection")
NULL = ("rows_null", "` is null")


@pytest.mark.parametrize(
    ("source", "result_format", "fault", "reason"),
    [
        ("query", "json_detail", *SEVERED),
        ("query", "json_bi", *SEVERED),
        ("query", "json_detail", *NULL),
        ("query", "json_bi", *NULL),
        # Where the query comes from makes no difference.
        ("look", "json_bi", *SEVERED),
        ("explore", "json_detail", *NULL),
        ("tile", "json_detail", *SEVERED),
        ("lookml", "json_bi", *NULL),
    ],
)
def test_what_is_broken_off_or_missing_is_an_error(
    simulator: Simulator, tap: Tap, source: str, result_format: str, fault: str, reason: str
) -> None:
    config = sources(simulator)[source] | {"result_format": result_format}
    simulator.fault(fault, times=None)
    run = tap(**config)
    assert run.exit_code == 1
    outcomes = run.records()
    assert {outcome["status"] for outcome in outcomes} == {"error"}
    assert all(reason in outcome["error_message"] for outcome in outcomes)
    assert all(outcome["row_count"] is None for outcome in outcomes)
    assert len(run.of("RECORD")) == len(outcomes)
    assert activated(run) == []
    simulator.clear_faults()
    again = tap(state=run.state, **config)
    assert again.exit_code == 0
    assert activated(again)


@pytest.mark.parametrize("result_format", FORMATS)
def test_a_result_in_parts_that_is_broken_off_is_an_error(
    simulator: Simulator, tap: Tap, result_format: str
) -> None:
    days = {"flights.departure_date": "2013-01-01 to 2013-04-01"}
    query_id = simulator.create_query(long_query(filters=days))
    simulator.fault("severed", times=None)
    run = tap(queries=[{"name": "q", "query_id": query_id}], result_format=result_format)
    assert run.exit_code == 1
    assert run.only()["error_message"] == "The database closed the connection"
    assert run.records("q") == []
    assert activated(run) == []


def test_totals_do_not_hide_that_a_result_is_broken_off(simulator: Simulator, tap: Tap) -> None:
    simulator.fault("severed", times=None)
    run = tap(queries=[{"name": "q", "query_id": "7"}], result_format="json_bi")
    assert run.only()["status"] == "error"


@pytest.mark.parametrize(
    ("result_format", "limit"), [("json_detail", "-1"), ("json_bi", MORE_THAN_THE_CAP)]
)
def test_a_result_as_long_as_a_cap_activates_nothing(
    simulator: Simulator, tap: Tap, result_format: str, limit: str
) -> None:
    query_id = simulator.create_query(long_query(limit))
    config: dict[str, Any] = {"queries": [{"name": "q", "query_id": query_id}]}
    config |= {"result_format": result_format}
    config["catalog"] = catalog_of(tap, **config)
    simulator.fault("rows_capped", times=None)
    first = tap(**config)
    second = tap(state=first.state, **config)
    for run in (first, second):
        assert run.exit_code == 0
        assert len(run.records("q")) == 5000
        assert run.only()["truncated"] is True
        assert run.log.count("`download_without_limit`") == 1
        assert activated(run) == []


def test_an_external_result_as_long_as_a_cap_is_reported(simulator: Simulator, tap: Tap) -> None:
    id_ = simulator.create_task(simulator.create_query(long_query("-1")))
    simulator.fault("rows_capped", times=None)
    run = tap(query_task_ids=[id_])
    assert run.only()["truncated"] is True
    assert f"query task {id_}: the result may be cut off (rows: 5000)" in run.log
    assert "check the role of the API user; there may be more" in run.log


@pytest.mark.parametrize("says_truncated", [True, False])
@pytest.mark.parametrize("result_format", FORMATS)
def test_days_that_are_filled_in_are_above_the_limit(
    database: Database, tap: Tap, result_format: str, *, says_truncated: bool
) -> None:
    variants = frozenset() if says_truncated else frozenset({"truncated_left_out"})
    fields = ("orders.created_date", "orders.count")
    few = {"orders.customer": "Ada", "orders.state": "CA", "orders.category": "Tea"}
    filled = inline(*fields, fill_fields=fields[:1], filters=few)
    with Simulator(SimulatorOptions(variants=variants), database=database) as looker:
        config = {"base_url": looker.base_url, "result_format": result_format}
        run = tap(queries=[{"name": "q", "explore": filled, "limit": 12}], **config)
        cut = tap(queries=[{"name": "q", "explore": filled, "limit": 2}], **config)
    assert len(run.records("q")) > 12
    assert not run.only()["truncated"]
    assert activated(run) == ["q"]
    assert len(cut.records("q")) > 2
    assert cut.only()["truncated"] is True
    assert activated(cut) == []


@pytest.mark.parametrize("result_format", FORMATS)
def test_a_pivoted_result_as_wide_as_the_default_activates_nothing(
    simulator: Simulator, tap: Tap, result_format: str
) -> None:
    wide = {
        "model": "shop",
        "view": "orders",
        "fields": ["orders.state", "orders.count", "orders.id"],
        "pivots": ["orders.id"],
    }
    wide_id = simulator.create_query(wide)
    config: dict[str, Any] = {"result_format": result_format}
    run = tap(queries=[{"name": "q", "query_id": wide_id}], **config)
    again = tap(queries=[{"name": "q", "query_id": wide_id}], state=run.state, **config)
    for each in (run, again):
        assert each.exit_code == 0
        assert each.only()["truncated"] is True
        assert "change `column_limit` of the query at queries[0]" in each.log
        assert activated(each) == []
    wider = tap(queries=[{"name": "q", "query_id": wide_id, "column_limit": 250}], **config)
    assert len({row["orders__id"] for row in wider.records("q")}) == 240


@pytest.mark.parametrize("result_format", FORMATS)
def test_a_result_without_a_key_is_an_error(
    database: Database, tap: Tap, result_format: str
) -> None:
    with Simulator(SimulatorOptions(), database=database) as looker:
        config: dict[str, Any] = {
            "base_url": looker.base_url,
            "queries": [{"name": "q", "query_id": "13", "primary_keys": ["orders.id"]}],
            "result_format": result_format,
        }
        config["catalog"] = catalog_of(tap, **config)
        looker.hide_field("orders.id")
        run = tap(**config)
    assert run.exit_code == 1
    assert run.records("q") == []
    assert run.only()["status"] == "error"
    assert "the result is without the key orders__id; discover again" in run.error
    assert activated(run) == []


def test_a_tile_at_its_limit_names_the_setting_that_helps(simulator: Simulator, tap: Tap) -> None:
    tiles = [{"id": "1", "title": "Flights", "query_id": simulator.create_query(long_query("500"))}]
    simulator.add_dashboard("61", {"title": "B", "dashboard_elements": tiles})
    board = {"dashboard_id": "61", "name": "b"}
    run = tap(dashboards=[board])
    assert len(run.records("b_flights")) == 500
    assert "change `limit` of dashboards[0]" in run.log
    more = tap(dashboards=[board | {"limit": 600}])
    assert len(more.records("b_flights")) == 600


@pytest.mark.parametrize(
    ("settings", "query", "is_cached"),
    [
        ({}, {}, True),
        ({"cache": False}, {}, False),
        ({}, {"cache": False}, False),
        ({"cache": False}, {"cache": True}, True),
    ],
)
def test_looker_responses_from_its_cache_unless_forbidden(
    simulator: Simulator,
    tap: Tap,
    settings: dict[str, Any],
    query: dict[str, Any],
    *,
    is_cached: bool,
) -> None:
    simulator.fault("from_cache", times=None)
    run = tap(queries=[{"name": "q", "query_id": "11", **query}], **settings)
    assert run.only()["from_cache"] is is_cached
    assert all(row["share"] for row in run.records("q"))
