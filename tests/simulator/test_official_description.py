"""What clients and the simulator say to each other is what Looker's own description says.

The description is not part of the project: `LOOKER_OPENAPI` names the file, where there is one.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from looker_sdk import models40
from looker_sdk.error import SDKError

from looker_simulator.routes import ROUTES
from tests.simulator.browser import Browser
from tests.simulator.description import Description
from tests.simulator.node_client import needs_node_client, run_node_client
from tests.simulator.official_client import client_of
from tests.simulator.operations import READING, WRITING
from tests.simulator.validating_proxy import ValidatingProxy
from tests.singer import stored_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from looker_sdk.sdk.api40.methods import Looker40SDK

    from looker_simulator.simulator import Simulator

    Client = Callable[[Simulator, str], None]

DESCRIPTION = os.environ.get("LOOKER_OPENAPI", "")
pytestmark = pytest.mark.skipif(
    not DESCRIPTION, reason="LOOKER_OPENAPI does not name Looker's OpenAPI description"
)
RESULTS = ("json", "json_detail", "json_bi", "csv", "txt", "md", "html", "sql")
OPERATIONS = {route.operation_id for route in ROUTES}


@pytest.fixture(scope="session")
def official() -> Description:
    return Description(json.loads(Path(DESCRIPTION).read_text()))


@pytest.fixture
def wrong() -> Description:
    """The description, of which a request and a response differ."""
    document = json.loads(Path(DESCRIPTION).read_text())
    schemas = document["components"]["schemas"]
    schemas["User"]["properties"]["display_name"]["type"] = "integer"
    del schemas["Query"]["properties"]["sorts"]
    return Description(document)


def requests_of_everything(finished: str) -> Iterator[tuple[str, str, dict[str, str], Any]]:
    """Each operation, as verb, path, parameters in the path, and body."""
    query = {"model": "shop", "view": "orders", "fields": ["orders.count"], "limit": "5"}
    yield "GET", "/user", {}, None
    yield "GET", "/versions", {}, None
    yield "GET", "/timezones", {}, None
    for id_ in (*map(stored_id, range(1, 24)), "1"):
        yield "GET", "/queries/{query_id}", {"query_id": id_}, None
    yield "GET", "/queries/slug/{slug}", {"slug": "slug1"}, None
    yield "POST", "/queries", {}, query
    yield "POST", "/queries", {}, {}
    for kind in RESULTS:
        yield "POST", "/queries/run/{result_format}", {"result_format": kind}, query
        run = {"query_id": stored_id(4), "result_format": kind}
        yield "GET", "/queries/{query_id}/run/{result_format}", run, None
        look = {"look_id": "2", "result_format": kind}
        yield "GET", "/looks/{look_id}/run/{result_format}", look, None
    for id_ in ("1", "2", "3", "5", "999"):
        yield "GET", "/looks/{look_id}", {"look_id": id_}, None
    for id_ in ("1", "2", "3", "shop::overview", "999"):
        for path in ("", "/dashboard_elements", "/dashboard_filters"):
            yield "GET", "/dashboards/{dashboard_id}" + path, {"dashboard_id": id_}, None
    yield "GET", "/lookml_models", {}, None
    explore = "/lookml_models/{lookml_model_name}/explores/{explore_name}"
    for model, name in (
        *(("flights_2013", name) for name in ("flights", "airports", "weather", "numbers")),
        *(("shop", name) for name in ("orders", "secrets", "odd_names")),
        *(("system__activity", name) for name in ("history", "user", "dashboard")),
    ):
        yield "GET", explore, {"lookml_model_name": model, "explore_name": name}, None
    task = {"query_id": stored_id(4), "result_format": "json_detail"}
    for body in (task, {}, {**task, "query_id": "999"}, {**task, "result_format": "x"}):
        yield "POST", "/query_tasks", {}, body
    yield "GET", "/query_tasks/{query_task_id}", {"query_task_id": finished}, None
    yield "GET", "/query_tasks/{query_task_id}/results", {"query_task_id": finished}, None
    yield "GET", "/query_tasks/multi_results", {"query_task_ids": finished}, None
    yield "GET", "/running_queries", {}, None
    yield "DELETE", "/running_queries/{query_task_id}", {"query_task_id": finished}, None
    yield "PATCH", "/session", {}, {"workspace_id": "dev"}
    yield "PATCH", "/session", {}, {}
    branch = "/projects/{project_id}/git_branch"
    yield "PUT", branch, {"project_id": "shop"}, {"name": "main"}
    yield "PUT", branch, {"project_id": "shop"}, {"name": "other"}
    routes = {route.operation_id: route for route in ROUTES}
    for operation, named in READING.items():
        yield routes[operation].verb, routes[operation].path, {**named}, None
        unknown = dict.fromkeys(re.findall(r"\{(\w+)\}", routes[operation].path), "none")
        if unknown:
            yield routes[operation].verb, routes[operation].path, unknown, None
    yield "DELETE", "/logout", {}, None


def calls_of_everything(looker: Looker40SDK) -> Iterator[Callable[[], object]]:
    """Yield a call of each operation; query 1 takes long."""
    query = models40.WriteQuery(
        model="shop", view="orders", fields=["orders.count"], sorts=["orders.count"], limit="5"
    )
    yield from (looker.me, looker.versions, looker.all_timezones, looker.all_lookml_models)
    yield partial(looker.create_query, query)
    yield partial(looker.create_query, models40.WriteQuery(model="shop", view=""))
    yield partial(looker.query_for_slug, "slug1")
    for id_ in ("1", "2", "shop::overview", "999"):
        yield from (
            partial(looker.query, id_ if "::" in id_ else stored_id(int(id_))),
            partial(looker.look, id_),
        )
        yield partial(looker.dashboard, id_)
        yield partial(looker.dashboard_dashboard_elements, id_)
        yield partial(looker.dashboard_dashboard_filters, id_)
    for kind in RESULTS:
        yield partial(looker.run_inline_query, kind, query)
        yield partial(looker.run_query, stored_id(4), kind)
        yield partial(looker.run_look, "2", kind)
    for model, name in (("flights_2013", "flights"), ("shop", "orders"), ("shop", "nothing")):
        yield partial(looker.lookml_model_explore, model, name)
    for query_id in (stored_id(1), stored_id(4)):
        wish = models40.WriteCreateQueryTask(
            query_id=query_id, result_format=models40.ResultFormat.json_detail
        )
        id_ = looker.create_query_task(wish).id or ""
        yield partial(looker.query_task, id_)
        yield partial(looker.query_task_results, id_)
        yield partial(
            looker.query_task_multi_results, models40.DelimSequence([id_, "unknown-task"])
        )
        yield looker.all_running_queries
        yield partial(looker.kill_query, id_)
    for operation, named in READING.items():
        values = {k: int(v) if k == "limit" else v for k, v in named.items()}
        yield partial(getattr(looker, operation), **values)
    yield partial(looker.update_session, models40.WriteApiSession(workspace_id="dev"))
    yield looker.logout


def test_operations_are_named_as_looker_names_them(official: Description) -> None:
    described = {(op.verb, op.path): op for op in official.operations}
    for route in ROUTES:
        operation = described[route.verb, route.path]
        assert operation.described["operationId"] == route.operation_id
        assert {*route.query} <= {*operation.parameters}


def test_every_response_is_as_described(
    official: Description, simulator: Simulator, finished: str
) -> None:
    simulator.clear_calls()
    with ValidatingProxy(simulator.base_url, official) as proxy:
        browser = Browser(proxy)
        with browser.session:
            for verb, path, named, body in requests_of_everything(finished):
                url = browser.api + path.format(**named)
                query = {k: v for k, v in named.items() if f"{{{k}}}" not in path}
                browser.session.request(verb, url, params=query, json=body, timeout=20)
    # Dashboard 3 listens by an object, and has null for the id of a query that was never saved.
    unlike_described = re.compile(r"at '[^']*/(listen|query/id)': ")
    assert [found for found in proxy.wrong_responses if not unlike_described.search(found)] == []
    assert {call.operation for call in simulator.calls} == OPERATIONS


@pytest.fixture(params=["python", pytest.param("node", marks=needs_node_client)])
def drive(request: pytest.FixtureRequest, tmp_path: Path) -> Client:
    """Drive every operation by one of Looker's clients, through what has the address."""
    if request.param == "node":
        return lambda _, base_url: run_node_client(base_url, tmp_path)
    return drive_by_the_python_client


def drive_by_the_python_client(simulator: Simulator, base_url: str) -> None:
    for call in calls_of_everything(client_of(simulator, base_url)):
        # What is not there is rejected, in a response that is described as well.
        with suppress(SDKError):
            call()


def test_looker_s_clients_and_the_simulator_talk_as_described(
    official: Description, busy: Simulator, drive: Client
) -> None:
    with ValidatingProxy(busy.base_url, official) as proxy:
        drive(busy, proxy.base_url)
    assert [*proxy.wrong_requests] == []
    assert [*proxy.wrong_responses] == []
    # The program for Node leaves out what only reads content.
    assert {call.operation for call in busy.calls} | {*READING, *WRITING} == OPERATIONS


def test_the_proxy_notices_what_is_not_as_described(
    wrong: Description, busy: Simulator, drive: Client
) -> None:
    with ValidatingProxy(busy.base_url, wrong) as proxy:
        drive(busy, proxy.base_url)
    assert [found for found in proxy.wrong_responses if "GET /user," in found] == [
        "GET /user, answer 200: at 'display_name': 'Simulator' is not of type 'integer', 'null'"
    ]
    unexpected = "Additional properties are not allowed ('sorts' was unexpected)"
    assert f"POST /queries, request: at '': {unexpected}" in proxy.wrong_requests
    assert any(found.startswith("POST /queries, answer 200") for found in proxy.wrong_responses)
