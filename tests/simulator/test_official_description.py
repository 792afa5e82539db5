"""Every answer is what Looker's own OpenAPI description says of it.

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

import jsonschema
import pytest
from looker_sdk import models40
from looker_sdk.error import SDKError
from looker_sdk.rtl.requests_transport import RequestsTransport

from tap_looker_tasks.simulator.routes import ROUTES
from tap_looker_tasks.simulator.simulator import Simulator, SimulatorOptions
from tests.simulator.official_client import client_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests
    from looker_sdk.sdk.api40.methods import Looker40SDK

    from tap_looker_tasks.simulator.engine import Database
    from tests.simulator.browser import Browser

DESCRIPTION = os.environ.get("LOOKER_OPENAPI", "")
pytestmark = pytest.mark.skipif(
    not DESCRIPTION, reason="LOOKER_OPENAPI does not name Looker's OpenAPI description"
)
# As instances answer: tiles of LookML dashboards hold a query without an id, and those of long ago
# listen by an object.
UNLIKE_DESCRIBED = ("query/id", "listen")
RESULTS = ("json", "json_detail", "json_bi", "csv", "txt", "md", "html", "sql")


@pytest.fixture(scope="session")
def official() -> dict[str, Any]:
    described: dict[str, Any] = json.loads(Path(DESCRIPTION).read_text())
    return described


def as_json_schema(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """OpenAPI 3.0 -> JSON Schema: `nullable`, and no key that is not described."""
    if isinstance(schema, list):
        return [as_json_schema(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    read = {key: as_json_schema(value) for key, value in schema.items()}
    if isinstance(read.get("properties"), dict):
        read.setdefault("additionalProperties", False)
    if read.get("type") == "any":
        return {}
    if read.get("nullable") and isinstance(read.get("type"), str):
        read["type"] = [read["type"], "null"]
    return read


def operations(official: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (verb.upper(), path): operation
        for path, verbs in official["paths"].items()
        for verb, operation in verbs.items()
    }


def find_violations(
    official: dict[str, Any], verb: str, path: str, answer: requests.Response
) -> Iterator[str]:
    """Yield what of an answer is not as described."""
    responses = operations(official)[verb, path]["responses"]
    if str(answer.status_code) not in responses:
        yield f"{verb} {path}: {answer.status_code} is not described"
        return
    content = responses[str(answer.status_code)].get("content", {})
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if not answer.content or kind != "application/json" or kind not in content:
        return
    schema = {
        **as_json_schema(content[kind]["schema"]),
        "components": as_json_schema(official["components"]),
    }
    if content[kind]["schema"].get("type") == "string":
        # A result: the description says that it is text, whatever its format.
        return
    for error in jsonschema.Draft202012Validator(schema).iter_errors(answer.json()):
        where = "/".join(str(step) for step in error.absolute_path)
        if not where.endswith(UNLIKE_DESCRIBED):
            yield f"{verb} {path} {answer.status_code} at {where}: {error.message[:200]}"


def requests_of_everything(finished: str) -> Iterator[tuple[str, str, dict[str, str], Any]]:
    """Each operation, as verb, path, parameters in the path, and body."""
    query = {"model": "shop", "view": "orders", "fields": ["orders.count"], "limit": "5"}
    yield "GET", "/user", {}, None
    yield "GET", "/versions", {}, None
    yield "GET", "/timezones", {}, None
    for id_ in (*map(str, range(1, 24)), "999"):
        yield "GET", "/queries/{query_id}", {"query_id": id_}, None
    yield "GET", "/queries/slug/{slug}", {"slug": "slug1"}, None
    yield "POST", "/queries", {}, query
    yield "POST", "/queries", {}, {}
    for kind in RESULTS:
        yield "POST", "/queries/run/{result_format}", {"result_format": kind}, query
        run = {"query_id": "4", "result_format": kind}
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
    task = {"query_id": "4", "result_format": "json_detail"}
    for body in (task, {}, {**task, "query_id": "999"}, {**task, "result_format": "x"}):
        yield "POST", "/query_tasks", {}, body
    yield "GET", "/query_tasks/{query_task_id}", {"query_task_id": finished}, None
    yield "GET", "/query_tasks/{query_task_id}/results", {"query_task_id": finished}, None
    yield "GET", "/query_tasks/multi_results", {"query_task_ids": finished}, None
    yield "GET", "/running_queries", {}, None
    yield "DELETE", "/running_queries/{query_task_id}", {"query_task_id": finished}, None
    yield "DELETE", "/logout", {}, None


def test_operations_are_named_as_looker_names_them(official: dict[str, Any]) -> None:
    described = {place: found["operationId"] for place, found in operations(official).items()}
    for route in ROUTES:
        assert described[route.verb, route.path] == route.operation_id
        parameters = operations(official)[route.verb, route.path].get("parameters", [])
        assert {*route.query} <= {parameter["name"] for parameter in parameters}


def test_every_answer_is_as_described(
    official: dict[str, Any], simulator: Simulator, browser: Browser, finished: str
) -> None:
    violations: list[str] = []
    simulator.clear_calls()
    for verb, path, named, body in requests_of_everything(finished):
        url = browser.api + path.format(**named)
        query = {k: v for k, v in named.items() if f"{{{k}}}" not in path}
        answer = browser.session.request(verb, url, params=query, json=body, timeout=20)
        violations += find_violations(official, verb, path, answer)
    credentials = {"client_id": simulator.client_id, "client_secret": simulator.client_secret}
    login = browser.session.post(f"{browser.api}/login", data=credentials, timeout=20)
    violations += find_violations(official, "POST", "/login", login)
    assert [*dict.fromkeys(violations)] == []
    assert {call.operation for call in simulator.calls} == {route.operation_id for route in ROUTES}


def find_path(verb: str, url: str) -> str:
    """Return the path of the operation that a request is for, as it is described."""
    asked = url.partition("/api/4.0")[2].partition("?")[0]
    return next(
        route.path
        for route in ROUTES
        if route.verb == verb and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route.path), asked)
    )


def calls_of_everything(looker: Looker40SDK) -> Iterator[Callable[[], object]]:
    """Yield a call of each operation; query 1 takes long."""
    query = models40.WriteQuery(model="shop", view="orders", fields=["orders.count"], limit="5")
    yield from (looker.me, looker.versions, looker.all_timezones, looker.all_lookml_models)
    yield partial(looker.create_query, query)
    yield partial(looker.query_for_slug, "slug1")
    for id_ in ("1", "4", "999"):
        yield from (partial(looker.query, id_), partial(looker.look, id_))
        yield partial(looker.dashboard, id_)
        yield partial(looker.dashboard_dashboard_elements, id_)
        yield partial(looker.dashboard_dashboard_filters, id_)
    for kind in RESULTS:
        yield partial(looker.run_inline_query, kind, query)
        yield partial(looker.run_query, "4", kind)
        yield partial(looker.run_look, "2", kind)
    for model, name in (("flights_2013", "flights"), ("shop", "orders"), ("shop", "nothing")):
        yield partial(looker.lookml_model_explore, model, name)
    for query_id in ("1", "4"):
        wish = models40.WriteCreateQueryTask(
            query_id=query_id, result_format=models40.ResultFormat.json_detail
        )
        id_ = looker.create_query_task(wish).id or ""
        yield partial(looker.query_task, id_)
        yield partial(looker.query_task_results, id_)
        yield partial(looker.query_task_multi_results, models40.DelimSequence([id_, "nobody"]))
        yield looker.all_running_queries
        yield partial(looker.kill_query, id_)
    yield looker.logout


def test_every_answer_to_the_official_client_is_as_described(
    official: dict[str, Any], database: Database
) -> None:
    violations: list[str] = []

    def check(answer: requests.Response, **_: object) -> None:
        verb = answer.request.method or ""
        path = find_path(verb, answer.request.url or "")
        violations.extend(find_violations(official, verb, path, answer))

    with Simulator(SimulatorOptions(query_latency={"1": 60}), database=database) as simulator:
        looker = client_of(simulator)
        assert isinstance(looker.transport, RequestsTransport)
        looker.transport.session.hooks["response"].append(check)
        for call in calls_of_everything(looker):
            # What is not there is refused, in an answer that is described as well.
            with suppress(SDKError):
                call()
        called = {call.operation for call in simulator.calls}
    assert [*dict.fromkeys(violations)] == []
    assert called == {route.operation_id for route in ROUTES}
