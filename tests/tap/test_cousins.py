"""Cases of one kind: another source, format, run or catalog makes no difference."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.singer import state_at_launch

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

FORMATS = ["json_detail", "json_bi"]
SOURCES = ["query", "look", "tile", "lookml", "explore"]
# Each source once, each format at least twice.
SOURCES_AND_FORMATS = [*zip(SOURCES, itertools.cycle(FORMATS), strict=False)]
GOOD = {"name": "good", "query_id": "17"}


def source_of(
    simulator: Simulator, source: str, body: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """Configure one stream by a query: stored, a Look's, a tile's (stored or LookML), inline."""
    if source == "explore":
        inline = {**body, "explore": body["view"]}
        del inline["view"]
        return {"queries": [{"name": "q", "explore": inline, **more}]}
    if source in {"tile", "lookml"}:
        # The tiles of a dashboard made in LookML have queries that are not stored.
        stored = {"query_id": simulator.create_query(body)} if source == "tile" else {"query": body}
        board = {"dashboard_elements": [{"id": "1", "title": "Tile", **stored}]}
        dashboard_id = "90" if source == "tile" else "shop::board"
        simulator.add_dashboard(dashboard_id, {"title": "B", **board})
        tiles = [{"id": "1", "name": "t", **more}]
        return {"dashboards": [{"dashboard_id": dashboard_id, "name": "q", "tiles": tiles}]}
    query_id = simulator.create_query(body)
    simulator.add_look("90", "Look", query_id)
    found = {"query_id": query_id} if source == "query" else {"look_id": "90"}
    return {"queries": [{"name": "q", **found, **more}]}


def stream_of(source: str) -> str:
    return "q_t" if source in {"tile", "lookml"} else "q"


def catalog_of(tap: Tap, **config: Any) -> dict[str, Any]:
    run = tap("--discover", **config)
    assert run.exit_code == 0, run.log
    found: dict[str, Any] = json.loads(run.output)
    return found


def activated(run: Run) -> list[str]:
    return [message["stream"] for message in run.of("ACTIVATE_VERSION")]


def orders(*fields: str, **more: Any) -> dict[str, Any]:
    return {"model": "shop", "view": "orders", "fields": [*fields], **more}


@pytest.mark.parametrize("fault", ["severed", "rows_null"])
@pytest.mark.parametrize("situation", ["catalog", "later run", "task in flight"])
@pytest.mark.parametrize("result_format", FORMATS)
def test_rows_that_are_incomplete_are_an_error_in_any_run(
    simulator: Simulator, tap: Tap, result_format: str, situation: str, fault: str
) -> None:
    config: dict[str, Any] = {"queries": [{"name": "q", "query_id": "17"}]}
    config["result_format"] = result_format
    if situation == "catalog":
        config["catalog"] = catalog_of(tap, **config)
    else:
        first = tap(**config)
        config["state"] = first.state if situation == "later run" else state_at_launch(first, "q")
    simulator.fault(fault, times=None)
    run = tap(**config)
    assert run.exit_code == 1
    assert run.only()["status"] == "error"
    assert run.records("q") == []
    assert activated(run) == []


@pytest.mark.parametrize(
    ("result_format", "fault"),
    [("json", "severed"), *((f, fault) for f in FORMATS for fault in ("severed", "rows_null"))],
)
def test_rows_of_an_external_task_that_are_incomplete_are_an_error(
    simulator: Simulator, tap: Tap, result_format: str, fault: str
) -> None:
    id_ = simulator.create_task("17", result_format)
    simulator.fault(fault, times=None)
    run = tap(query_task_ids=[id_])
    assert run.exit_code == 1
    assert run.only()["status"] == "error"
    assert run.only()["data"] is None


@pytest.mark.parametrize("result_format", FORMATS)
def test_a_computed_key_without_one_of_its_dimensions_is_an_error(
    simulator: Simulator, tap: Tap, result_format: str
) -> None:
    body = orders("orders.city", "orders.state", "orders.count")
    config = source_of(simulator, "query", body, primary_keys="auto")
    config |= {"result_format": result_format, "catalog": catalog_of(tap, **config)}
    simulator.hide_field("orders.city")
    run = tap(**config)
    assert run.exit_code == 1
    assert run.records("q") == []
    assert activated(run) == []
    assert "orders__city" in run.error or "orders.city" in run.error


@pytest.mark.parametrize("result_format", FORMATS)
@pytest.mark.parametrize("source", SOURCES)
def test_a_column_that_is_hidden_after_discovery_activates_nothing(
    simulator: Simulator, tap: Tap, source: str, result_format: str
) -> None:
    config = source_of(simulator, source, orders("orders.city", "orders.count"))
    config |= {"result_format": result_format, "catalog": catalog_of(tap, **config)}
    simulator.hide_field("orders.count")
    run = tap(**config)
    stream = stream_of(source)
    assert len(run.records(stream)) == 3
    assert "orders__count is no longer in the result" in run.log
    assert activated(run) == []


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("has_catalog", [False, True])
def test_a_query_computed_over_rows_is_never_loaded_incrementally(
    simulator: Simulator, tap: Tap, source: str, *, has_catalog: bool
) -> None:
    days = orders("orders.created_date", "orders.count")
    key = {"replication_key": "orders.created_date"}
    catalog = None
    if has_catalog:
        catalog = catalog_of(tap, **source_of(simulator, source, days, **key))
    calculation = {"table_calculation": "calc", "expression": "running_total(${orders.count})"}
    computed: Any = [calculation] if source == "explore" else json.dumps([calculation])
    config = source_of(simulator, source, days | {"dynamic_fields": computed}, **key)
    run = tap(catalog=catalog, **config)
    assert run.exit_code in {1, 78}
    assert "calc is computed over the rows of the result (running_total)" in run.error
    assert simulator.tasks() == []


@pytest.mark.parametrize("stored", [5, True, ["5"]])
@pytest.mark.parametrize("source", ["look", "tile", "lookml"])
def test_stored_filters_become_text(
    simulator: Simulator, tap: Tap, source: str, stored: object
) -> None:
    body = orders("orders.id", filters={"orders.id": stored})
    config = source_of(simulator, source, body, limit=3)
    run = tap("--explain", **config)
    assert run.exit_code == 0, run.log
    text = "true" if stored is True else "5"
    assert f"orders.id: '{text}'" in run.text or f'orders.id: "{text}"' in run.text
    keyed = source_of(simulator, source, body, replication_key="orders.id")
    assert "a bookmark cannot be combined with the filter" in tap(**keyed).log


@pytest.mark.parametrize("result_format", FORMATS)
@pytest.mark.parametrize("source", SOURCES)
def test_an_incremental_query_resumes_from_its_bookmark(
    simulator: Simulator, tap: Tap, source: str, result_format: str
) -> None:
    body = orders("orders.id", "orders.state")
    keyed = {"replication_key": "orders.id", "primary_keys": ["orders.id"], "limit": 20}
    config = source_of(simulator, source, body, **keyed) | {"result_format": result_format}
    catalog = catalog_of(tap, **config)
    first = tap(catalog=catalog, **config)
    second = tap(catalog=catalog, state=first.state, **config)
    stream = stream_of(source)
    loaded = [[row["orders__id"] for row in run.records(stream)] for run in (first, second)]
    assert loaded == [[*range(1, 21)], [*range(20, 40)]]
    assert activated(second) == []


def test_a_look_keeps_its_name_when_its_title_changes(simulator: Simulator, tap: Tap) -> None:
    simulator.add_look("91", "Cities", "17")
    config: dict[str, Any] = {"queries": [{"url": f"{simulator.base_url}/looks/91"}]}
    first = tap(**config)
    assert len(first.records("cities")) == 3
    simulator.add_look("91", "Towns", "17")
    assert len(tap(state=first.state, **config).records("cities")) == 3
    catalog = catalog_of(tap, **config)
    run = tap(state=first.state, catalog=catalog, **config)
    assert len(run.records("towns")) == 3
    assert "towns: this stream was cities before" in run.log


@pytest.mark.parametrize(("source", "result_format"), SOURCES_AND_FORMATS[1:])
@pytest.mark.parametrize("has_catalog", [False, True])
def test_a_result_as_wide_as_the_default_activates_nothing(
    simulator: Simulator, tap: Tap, source: str, result_format: str, *, has_catalog: bool
) -> None:
    body = orders("orders.state", "orders.count", "orders.id", pivots=["orders.id"])
    config = source_of(simulator, source, body) | {"result_format": result_format}
    run = tap(catalog=catalog_of(tap, **config) if has_catalog else None, **config)
    assert run.exit_code == 0
    assert run.only()["truncated"] is True
    assert activated(run) == []


@pytest.mark.parametrize(("source", "result_format"), SOURCES_AND_FORMATS)
def test_days_that_are_filled_in_are_not_cut_off(
    simulator: Simulator, tap: Tap, source: str, result_format: str
) -> None:
    few = {"orders.customer": "Ada", "orders.state": "CA", "orders.category": "Tea"}
    days = ["orders.created_date", "orders.count"]
    body = orders(*days, fill_fields=days[:1], filters=few, limit="12")
    config = source_of(simulator, source, body) | {"result_format": result_format}
    if source == "explore":
        del config["queries"][0]["explore"]["limit"]
        config["queries"][0]["limit"] = 12
    config["catalog"] = catalog_of(tap, **config)
    run = tap(**config)
    stream = stream_of(source)
    assert len(run.records(stream)) > 12
    assert activated(run) == [stream]


@pytest.mark.parametrize(("source", "result_format"), SOURCES_AND_FORMATS)
def test_a_result_without_its_key_is_an_error_from_any_source(
    simulator: Simulator, tap: Tap, source: str, result_format: str
) -> None:
    keyed = {"primary_keys": ["orders.id"]}
    config = source_of(simulator, source, orders("orders.id", "orders.state"), **keyed)
    config |= {"result_format": result_format, "catalog": catalog_of(tap, **config)}
    simulator.hide_field("orders.id")
    run = tap(**config)
    stream = stream_of(source)
    assert run.exit_code == 1
    assert run.records(stream) == []
    assert "the result is without the key orders__id; discover again" in run.error
    assert activated(run) == []


@pytest.mark.parametrize("result_format", FORMATS)
def test_a_long_result_without_its_key_is_an_error(
    simulator: Simulator, tap: Tap, result_format: str
) -> None:
    fields = ["flights.tail_number", "flights.departure_time", "flights.origin"]
    days = {"flights.departure_date": "2013-01-01 to 2013-04-01"}
    long: dict[str, Any] = {"model": "flights_2013", "view": "flights", "limit": "-1"}
    long |= {"fields": fields, "filters": days}
    config = source_of(simulator, "query", long, primary_keys=fields[:1])
    config |= {"result_format": result_format, "catalog": catalog_of(tap, **config)}
    simulator.hide_field("flights.tail_number")
    run = tap(**config)
    assert run.exit_code == 1
    assert run.records("q") == []
    assert "the result is without the key flights__tail_number" in run.error


@pytest.mark.parametrize("has_catalog", [False, True])
@pytest.mark.parametrize("source", ["tile", "lookml"])
def test_dashboard_filters_on_one_field_hold_both_from_any_source(
    simulator: Simulator, tap: Tap, source: str, *, has_catalog: bool
) -> None:
    body = orders("orders.created_date", "orders.count", sorts=["orders.created_date"])
    config = source_of(simulator, source, body)
    filters = [
        {"name": name, "title": name, "type": "field_filter", "default_value": value}
        for name, value in (("From", "after 2026-03-10"), ("Until", "before 2026-03-12"))
    ]
    listening = [
        {"dashboard_filter_name": name, "field": "orders.created_date"}
        for name in ("From", "Until")
    ]
    element: dict[str, Any] = {"id": "1", "title": "Tile", "query": body}
    element["result_maker"] = {"query": body, "filterables": [{"listen": listening}]}
    board = {"title": "B", "dashboard_filters": filters, "dashboard_elements": [element]}
    simulator.add_dashboard(config["dashboards"][0]["dashboard_id"], board)
    run = tap(catalog=catalog_of(tap, **config) if has_catalog else None, **config)
    days = [row["orders__created_date"] for row in run.records("q_t")]
    assert days == ["2026-03-10", "2026-03-11"]
