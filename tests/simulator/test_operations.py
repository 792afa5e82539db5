"""What is not simulated says so in Looker's shape; nothing breaks the connection."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from looker_simulator.faults import VARIANTS
from looker_simulator.routes import ROUTES
from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.simulator.browser import Browser
from tests.singer import stored_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.engine import Database

    Change = Callable[[Browser], object]

DESCRIPTION = os.environ.get("LOOKER_OPENAPI", "")


def test_an_operation_that_is_not_there_is_named(browser: Browser) -> None:
    for verb, path in (("GET", "/boards"), ("PUT", "/looks/1"), ("POST", "/queries/1/none")):
        response = browser.session.request(verb, browser.api + path, data="{", timeout=20)
        shown = response.json()
        assert response.status_code == 404
        assert shown["message"].startswith(f"{verb} {path} is not an operation of this simulator")
        assert shown["documentation_url"].endswith(f"/err/4.0/404/{verb.lower()}{path}")
        (listed,) = re.findall(r"\S+/openapi.json", shown["message"])
        assert "/looks" in browser.session.get(listed, timeout=20).json()["paths"]
    outside = browser.session.get(browser.api.replace("4.0", "3.1") + "/looks", timeout=20)
    assert (outside.status_code, outside.headers["Content-Type"]) == (404, "application/json")


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"[" * 9999, b"3", b'{"a": \xff}'])
def test_a_malformed_body_is_rejected_and_the_connection_lives(
    browser: Browser, body: bytes
) -> None:
    for path in ("/queries", "/query_tasks", "/queries/run/json"):
        headers = {"Content-Type": "application/json"}
        response = browser.session.post(browser.api + path, data=body, headers=headers, timeout=20)
        assert response.status_code == 400
        assert response.json()["message"].startswith("Bad request: the body is not")
    assert browser.session.get(f"{browser.api}/user", timeout=20).ok


@pytest.mark.skipif(not DESCRIPTION, reason="LOOKER_OPENAPI names no description")
def test_every_operation_of_the_description_has_a_response_in_json(browser: Browser) -> None:
    document = json.loads(Path(DESCRIPTION).read_text())
    operations = [
        (verb.upper(), path) for path, verbs in document["paths"].items() for verb in verbs
    ]
    assert len(operations) == 483
    known = {(route.verb, route.path) for route in ROUTES}
    for verb, path in sorted(operations, key=lambda operation: operation[1] == "/logout"):
        url = browser.api + re.sub(r"\{\w+\}", "1", path)
        response = browser.session.request(verb, url, json={}, timeout=20)
        assert response.status_code < 500, (verb, path)
        if response.content:
            response.json()
        if (verb, path) not in known:
            assert "is not an operation of this simulator" in response.json()["message"], path


def test_numeric_ids_are_of_former_releases(database: Database, browser: Browser) -> None:
    assert browser.session.get(f"{browser.api}/queries/1", timeout=20).status_code == 404
    body = {"query_id": 1, "result_format": "json"}
    assert (
        browser.session.post(f"{browser.api}/query_tasks", json=body, timeout=20).status_code == 404
    )
    slug = stored_id(1)
    described = browser.session.get(f"{browser.api}/queries/{slug}", timeout=20).json()
    assert (described["id"], described["client_id"], len(slug)) == (slug, slug, 22)
    assert browser.session.get(f"{browser.api}/queries/slug/{slug}", timeout=20).json() == described
    with variant(database, "numeric_ids") as former:
        old = Browser(former)
        assert old.session.get(f"{old.api}/queries/1", timeout=20).json()["id"] == "1"
        assert old.session.get(f"{old.api}/looks/1", timeout=20).json()["query_id"] == "1"
        assert old.session.post(f"{old.api}/query_tasks", json=body, timeout=20).ok


def variant(database: Database, *names: str) -> Simulator:
    return Simulator(SimulatorOptions(variants=frozenset(names)), database=database)


@pytest.mark.parametrize(
    ("name", "query", "result_format", "expected"),
    [
        ("capitalized", "4", "json", b'"status":"Complete"'),
        ("columns_truncated_as_text", "16", "json_bi", b'"columns_truncated":"true"'),
        ("no_fields", "4", "json_bi", b'"fields":{}'),
        ("runtime_number", "4", "json_detail", b'"runtime":0.'),
        ("runtime_left_out", "4", "json_detail", b"!runtime"),
        ("truncated_left_out", "4", "json_detail", b"!truncated"),
        ("great_numbers_as_text", "9", "json_detail", b'{"value":"9007199254740993"}'),
        ("great_numbers_as_text", "9", "json", b'"12345678901234567890.0123456789"'),
        ("flat_pivots", "7", "json_bi", b'"flights.count|FIELD|EWR":{"value":'),
    ],
)
def test_results_differ_by_release(
    database: Database, name: str, query: str, result_format: str, expected: bytes
) -> None:
    with variant(database, name) as simulator:
        browser = Browser(simulator)
        id_ = simulator.create_task(query, result_format)
        while b'"data"' not in (shown := browser.ask(id_).content):
            pass
        is_left_out = expected.startswith(b"!")
        assert (expected.removeprefix(b"!") in shown) is not is_left_out


def test_responses_differ_by_release(database: Database) -> None:
    with variant(database, "listen_object", "unknown_id_missing", "not_found_html") as simulator:
        browser = Browser(simulator)
        tile = browser.session.get(f"{browser.api}/dashboards/2", timeout=20).json()
        maker = tile["dashboard_elements"][0]["result_maker"]
        assert maker["filterables"][0]["listen"] == {"State": "orders.state"}
        assert browser.ask("none").json() == {"none": {"status": "missing"}}
        gone = browser.session.get(f"{browser.api}/looks/99", timeout=20)
        assert (gone.status_code, gone.text) == (
            404,
            "<html><h1>Looker Not Found (404)</h1></html>",
        )
    with variant(database, "unknown_id_refuses_batch") as simulator:
        assert Browser(simulator).ask("none").status_code == 404
    options = SimulatorOptions(variants=frozenset({"pending_204"}), latency_seconds=20)
    with Simulator(options, database=database) as simulator:
        browser = Browser(simulator)
        url = f"{browser.api}/query_tasks/{simulator.create_task('4')}/results"
        assert browser.session.get(url, timeout=20).status_code == 204


def test_an_unknown_variant_is_rejected() -> None:
    with pytest.raises(ValueError, match="there is no variant 'x'; known are numeric_ids"):
        SimulatorOptions(variants=frozenset({"x"}))
    assert all(VARIANTS.values())


def test_results_that_are_too_old_leave_memory_without_a_request(database: Database) -> None:
    options = SimulatorOptions(result_ttl_seconds=0.05)
    with Simulator(options, database=database) as simulator:
        old = simulator.create_task("4")
        task = simulator._tasks._tasks[old]  # noqa: SLF001 - requesting it would expire it
        while task.finished_at is None:
            pass
        time.sleep(0.1)
        assert len(task.data or b"") > 1000
        simulator.create_task("4")
        assert len(task.data or b"") < 100
