"""Looker's official client drives every operation of the simulator."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from looker_sdk import error, models40

from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.simulator.official_client import client_of
from tests.singer import stored_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from looker_sdk.sdk.api40.methods import Looker40SDK

    from looker_simulator.engine import Database

UNITED_QUERY = models40.WriteQuery(
    model="flights_2013",
    view="flights",
    fields=["flights.origin", "flights.count"],
    filters={"flights.carrier": "UA"},
    sorts=["flights.count desc"],
    limit="500",
)
UNITED = [
    {"flights.origin": "EWR", "flights.count": 46087},
    {"flights.origin": "LGA", "flights.count": 8044},
    {"flights.origin": "JFK", "flights.count": 4534},
]


@pytest.fixture
def looker(simulator: Simulator) -> Looker40SDK:
    return client_of(simulator)


@pytest.fixture
def slow(database: Database) -> Iterator[Simulator]:
    options = SimulatorOptions(latency_seconds=30, concurrency=1)
    with Simulator(options, database=database) as simulator:
        yield simulator


def created(
    looker: Looker40SDK, query_id: str = stored_id(1), result_format: str = "json_detail"
) -> str:
    body = models40.WriteCreateQueryTask(
        query_id=query_id, result_format=models40.ResultFormat(result_format)
    )
    task = looker.create_query_task(body)
    assert (task.query_id, task.result_format) == (query_id, result_format)
    assert task.id
    return task.id


def outcome(looker: Looker40SDK, query_task_id: str) -> dict[str, Any]:
    for _ in range(500):
        response: dict[str, Any] = json.loads(
            json.dumps(looker.query_task_multi_results(models40.DelimSequence([query_task_id])))
        )
        entry: dict[str, Any] = response[query_task_id]
        if entry["status"] not in {"added", "running"}:
            return entry
        time.sleep(0.01)
    pytest.fail("the task does not finish")


def test_login_and_logout(looker: Looker40SDK) -> None:
    assert looker.me().display_name == "Simulator"
    looker.logout()


def test_a_query_is_stored_once(looker: Looker40SDK) -> None:
    query = looker.create_query(UNITED_QUERY)
    again = looker.create_query(UNITED_QUERY)
    assert query.id == again.id
    assert query.id and query.slug  # noqa: PT018 - both for the type checker
    assert looker.query(query.id).fields == UNITED_QUERY.fields
    assert looker.query_for_slug(query.slug).id == query.id


def test_a_task_is_followed_to_its_rows(looker: Looker40SDK) -> None:
    query = looker.create_query(UNITED_QUERY)
    task_id = created(looker, query.id or "")
    entry = outcome(looker, task_id)
    assert (entry["status"], entry["result_source"]) == ("complete", "query")
    rows = [{k: cell["value"] for k, cell in row.items()} for row in entry["data"]["data"]]
    assert rows == UNITED
    assert looker.query_task(task_id).status == "complete"
    assert json.loads(looker.query_task_results(task_id))["id"] == task_id


def test_several_tasks_are_reported_in_one_response(looker: Looker40SDK) -> None:
    ids = [created(looker) for _ in range(3)]
    requested = models40.DelimSequence([*ids, "unknown-task"])
    assert set(looker.query_task_multi_results(requested)) == set(ids)


@pytest.mark.parametrize("result_format", ["json", "json_detail", "json_bi", "csv", "md", "txt"])
def test_queries_and_looks_run_while_one_waits(looker: Looker40SDK, result_format: str) -> None:
    assert "United" in looker.run_query(stored_id(1), result_format)
    assert "United" in looker.run_look("1", result_format)
    inline = looker.run_inline_query(result_format, UNITED_QUERY)
    assert "46087" in inline


def test_looks_and_dashboards_are_described(looker: Looker40SDK) -> None:
    look = looker.look("1")
    assert look.query_id == stored_id(1)
    assert look.query and look.query.view == "flights"  # noqa: PT018 - both for the type checker
    assert looker.look("3").query is None
    dashboard = looker.dashboard("1")
    assert dashboard.title == "Flights from New York"
    tiles = looker.dashboard_dashboard_elements("1")
    assert [tile.type for tile in tiles] == ["vis", "vis", "text", "vis", "vis"]
    assert tiles[0].query_id == stored_id(7)
    assert tiles[1].look_id == "1"
    assert tiles[3].merge_result_id
    maker = tiles[4].result_maker
    assert maker and maker.sql_query_id  # noqa: PT018 - both for the type checker
    listens = tiles[0].result_maker
    assert listens and listens.filterables and listens.filterables[0].listen  # noqa: PT018
    assert listens.filterables[0].listen[0].field == "flights.carrier"


def test_explores_are_described(looker: Looker40SDK) -> None:
    models = [model.name for model in looker.all_lookml_models()]
    assert models == ["flights_2013", "shop", "system__activity"]
    explore = looker.lookml_model_explore("flights_2013", "flights", fields="fields")
    assert explore.fields and explore.fields.dimensions and explore.fields.measures  # noqa: PT018
    types = {field.name: field.type for field in explore.fields.dimensions}
    assert types["flights.carrier"] == "string"
    assert types["flights.distance_tier"] == "tier"
    assert types["flights.is_cancelled"] == "yesno"
    assert types["flights.departure_time"] == "date_time"
    assert {field.type for field in explore.fields.measures} >= {"count", "average", "list"}


def test_a_query_can_be_cancelled(slow: Simulator) -> None:
    looker = client_of(slow)
    running, queued = created(looker), created(looker)
    for _ in range(200):
        if looker.query_task(running).status == "running":
            break
        time.sleep(0.01)
    assert looker.query_task(queued).status == "added"
    listed = {query.query_task_id: query.status for query in looker.all_running_queries()}
    assert listed == {running: "running", queued: "added"}
    assert looker.query_task_results(running) == ""
    looker.kill_query(running)
    assert looker.query_task(running).status == "killed"
    assert slow.cancelled == {running}
    with pytest.raises(error.SDKError, match="Not found"):
        looker.kill_query(running)


def test_a_task_of_an_unknown_query_is_rejected(looker: Looker40SDK) -> None:
    with pytest.raises(error.SDKError, match="Not found"):
        created(looker, "999")


@pytest.mark.parametrize("operation", ["query", "look", "dashboard", "query_task"])
def test_what_is_not_there_is_not_found(looker: Looker40SDK, operation: str) -> None:
    with pytest.raises(error.SDKError, match="Not found"):
        getattr(looker, operation)("999")


def test_wrong_credentials_are_rejected(simulator: Simulator) -> None:
    simulator_of_others = Simulator()
    simulator_of_others.base_url = simulator.base_url
    simulator_of_others.client_secret = "wrong"
    with pytest.raises(error.SDKError, match="Not found"):
        client_of(simulator_of_others).me()
