"""Cases of one kind: another source, format, run or catalog makes no difference."""

from __future__ import annotations

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
SOURCES = ["query", "look", "tile", "explore"]
GOOD = {"name": "good", "query_id": "17"}


def source_of(
    simulator: Simulator, source: str, body: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """Configure one stream, `q`, by a query that is stored, a Look's, a tile's, or inline."""
    if source == "explore":
        inline = {**body, "explore": body["view"]}
        del inline["view"]
        return {"queries": [{"name": "q", "explore": inline, **more}]}
    if source == "tile":
        tile = {"id": "1", "title": "Tile", "query": body}
        simulator.add_dashboard("90", {"title": "B", "dashboard_elements": [tile]})
        tiles = [{"id": "1", "name": "t", **more}]
        return {"dashboards": [{"dashboard_id": "90", "name": "q", "tiles": tiles}]}
    query_id = simulator.create_query(body)
    simulator.add_look("90", "Look", query_id)
    found = {"query_id": query_id} if source == "query" else {"look_id": "90"}
    return {"queries": [{"name": "q", **found, **more}]}


def stream_of(source: str) -> str:
    return "q_t" if source == "tile" else "q"


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
@pytest.mark.parametrize("source", ["look", "tile"])
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


@pytest.mark.parametrize("result_format", FORMATS)
@pytest.mark.parametrize("source", ["look", "tile", "explore"])
def test_a_result_as_wide_as_the_default_activates_nothing(
    simulator: Simulator, tap: Tap, source: str, result_format: str
) -> None:
    body = orders("orders.state", "orders.count", "orders.id", pivots=["orders.id"])
    config = source_of(simulator, source, body) | {"result_format": result_format}
    run = tap(**config)
    assert run.exit_code == 0
    assert run.only()["truncated"] is True
    assert activated(run) == []
