"""Every fault does what its name says, once, and is told in the help."""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from looker_simulator.faults import FAULTS
from looker_simulator.routes import ROUTES
from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.simulator.browser import Browser
from tests.singer import stored_id

if TYPE_CHECKING:
    from looker_simulator.engine import Database
    from looker_simulator.routes import ApiRoute


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ("rate_limited", 429, "message"),
        ("rate_limited_bare", 429, "message"),
        ("server_error", 500, "message"),
        ("unavailable", 503, "message"),
        ("bad_gateway", 502, "<html>"),
        ("gateway_timeout", 504, "<html>"),
        ("not_found", 404, "message"),
        ("uri_too_long", 414, "<html>"),
        ("validation_failed", 422, "message"),
        ("invalid_json", 200, '{"status": "comp'),
        ("not_found_html", 404, "<html>"),
        ("bad_request", 400, "message"),
        ("not_json", 200, "<html>"),
        ("not_a_map", 200, "[]"),
        ("token_lost", 401, "authentication"),
        ("redirected", 302, ""),
    ],
)
def test_a_response_is_replaced_once(
    simulator: Simulator, browser: Browser, finished: str, fault: str, status: int, body: str
) -> None:
    simulator.fault(fault)
    response = browser.ask(finished)
    assert (response.status_code, body in response.text) == (status, True)
    assert browser.ask(finished).json()[finished]["status"] == "complete"


@pytest.mark.parametrize(
    ("fault", "retry_after"),
    [
        ("rate_limited", "0"),
        ("unavailable", "0"),
        ("rate_limited_seconds", "2.5"),
        ("rate_limited_nonsense", "nan"),
        ("rate_limited_bare", None),
    ],
)
def test_a_server_under_load_shows_when_to_come_back(
    simulator: Simulator, browser: Browser, finished: str, fault: str, retry_after: str | None
) -> None:
    simulator.fault(fault, seconds=2.5)
    assert browser.ask(finished).headers.get("Retry-After") == retry_after


def test_a_server_under_load_names_a_date(
    simulator: Simulator, browser: Browser, finished: str
) -> None:
    simulator.fault("rate_limited_date", seconds=3600)
    response = browser.ask(finished)
    named, sent = (parsedate_to_datetime(response.headers[n]) for n in ("Retry-After", "Date"))
    assert 3595 <= (named - sent).total_seconds() <= 3605


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("missing", "missing"),
        ("unknown_status", "paused"),
        ("capitalized", "Complete"),
        ("expired_flap", "expired"),
    ],
)
def test_a_status_is_not_the_truth_once(
    simulator: Simulator, browser: Browser, finished: str, fault: str, status: str
) -> None:
    simulator.fault(fault)
    assert browser.entry(finished)["status"] == status
    assert browser.entry(finished)["status"] == "complete"


def test_a_task_is_left_out(simulator: Simulator, browser: Browser, finished: str) -> None:
    simulator.fault("absent")
    assert browser.ask(finished).json() == {}


def test_a_result_is_gone(simulator: Simulator, browser: Browser, finished: str) -> None:
    simulator.fault("results_expired")
    assert browser.entry(finished)["status"] == "expired"
    assert browser.entry(finished)["data"] == {
        "error": "Results have expired. Run the query again."
    }


def test_a_result_is_elsewhere(simulator: Simulator, browser: Browser, finished: str) -> None:
    simulator.fault("no_data")
    assert browser.entry(finished)["data"] is None
    result = browser.session.get(f"{browser.api}/query_tasks/{finished}/results", timeout=20)
    assert len(result.json()["data"]) > 5


def test_a_result_names_no_fields(simulator: Simulator, browser: Browser, finished: str) -> None:
    simulator.fault("no_fields")
    assert "fields" not in browser.entry(finished)["data"]
    assert "fields" in browser.entry(finished)["data"]


@pytest.mark.parametrize(
    ("fault", "flag"), [("columns_truncated", True), ("columns_truncated_text", "true")]
)
def test_a_result_shows_that_pivots_were_cut(
    simulator: Simulator, browser: Browser, fault: str, flag: object
) -> None:
    id_ = simulator.create_task("4", "json_bi")
    assert browser.entry(id_)["data"]["metadata"]["columns_truncated"] is False
    simulator.fault(fault)
    assert browser.entry(id_)["data"]["metadata"]["columns_truncated"] == flag
    simulator.fault("no_fields")
    assert browser.entry(id_)["data"]["metadata"]["fields"] == {}


def test_an_entry_is_no_object(simulator: Simulator, browser: Browser, finished: str) -> None:
    simulator.fault("entry_not_an_object")
    assert browser.ask(finished).json() == {finished: 5}


def test_a_fault_concerns_one_task_only(
    simulator: Simulator, browser: Browser, finished: str
) -> None:
    other = simulator.create_task("4", "json_detail")
    browser.entry(other)
    simulator.fault("server_error", times=None, query_task_id=other)
    assert browser.ask(finished).ok
    assert browser.ask(other).status_code == 500
    assert browser.ask(finished, other).status_code == 500
    results = f"{browser.api}/query_tasks/{other}/results"
    assert browser.session.get(results, timeout=20).status_code == 500
    simulator.clear_faults()
    simulator.fault("missing", times=None, query_task_id=other)
    shown = browser.ask(finished, other).json()
    assert [shown[finished]["status"], shown[other]["status"]] == ["complete", "missing"]


def test_a_token_is_rejected_ever_after(
    simulator: Simulator, browser: Browser, finished: str
) -> None:
    simulator.fault("token_expired")
    assert [browser.ask(finished).status_code for _ in range(2)] == [401, 401]


def test_a_result_is_nonsense(simulator: Simulator, browser: Browser, finished: str) -> None:
    simulator.fault("malformed_data")
    assert browser.entry(finished)["data"] == 5


def test_a_result_carries_a_note(simulator: Simulator, browser: Browser, finished: str) -> None:
    simulator.fault("dev_mode_note")
    (note,) = browser.entry(finished)["data"]["errors"]
    assert note["fatal"] is False
    assert note["message"].startswith("Note: This query contains derived tables")


@pytest.mark.parametrize(
    ("fault", "result_format", "found"),
    [
        ("severed", "json_detail", ["looker_error"]),
        ("severed", "json_bi", ["looker_error"]),
        ("severed", "json", ["looker_error"]),
        ("rows_null", "json_detail", None),
        ("rows_null", "json_bi", None),
    ],
)
def test_rows_are_cut_short(
    simulator: Simulator,
    browser: Browser,
    fault: str,
    result_format: str,
    found: list[str] | None,
) -> None:
    id_ = simulator.create_task("4", result_format)
    browser.entry(id_)
    simulator.fault(fault)
    data = browser.entry(id_)["data"]
    rows = data if result_format == "json" else data.get("data", data.get("rows"))
    assert (rows and [*rows[-1]]) == found
    assert rows is None or len(rows) > 1


def test_rows_are_capped_and_nothing_shows_it(simulator: Simulator, browser: Browser) -> None:
    body = {"model": "flights_2013", "view": "flights", "fields": ["flights.tail_number"]}
    more = ["flights.origin", "flights.destination"]
    id_ = simulator.create_task(
        simulator.create_query({**body, "fields": [*body["fields"], *more], "limit": "-1"})
    )
    simulator.fault("rows_capped", times=None)
    data = browser.entry(id_)["data"]
    assert (len(data["data"]), data["truncated"]) == (5000, False)


@pytest.mark.parametrize("cache", [True, False])
def test_results_come_from_the_cache_unless_forbidden(
    simulator: Simulator, browser: Browser, *, cache: bool
) -> None:
    simulator.fault("from_cache", times=None)
    url = f"{browser.api}/query_tasks?cache={str(cache).lower()}"
    body = {"query_id": stored_id(4), "result_format": "json_detail"}
    id_ = browser.session.post(url, json=body, timeout=20).json()["id"]
    assert browser.entry(id_)["data"]["from_cache"] is cache


def test_queries_have_slugs_as_ids(browser: Browser) -> None:
    body = {"model": "shop", "view": "orders", "fields": ["orders.id"]}
    created = browser.session.post(f"{browser.api}/queries", json=body, timeout=20).json()
    assert len(created["id"]) == 22
    found = browser.session.get(f"{browser.api}/queries/{created['id']}", timeout=20).json()
    assert found["fields"] == ["orders.id"]


def test_an_unknown_id_spoils_the_batch(
    simulator: Simulator, browser: Browser, finished: str
) -> None:
    simulator.fault("unknown_id_refuses_batch", times=None)
    assert browser.ask(finished, "unknown-task").status_code == 404
    assert browser.ask(finished).ok


def test_an_administrator_kills_a_task(database: Database) -> None:
    with Simulator(SimulatorOptions(latency_seconds=30), database=database) as simulator:
        browser = Browser(simulator)
        with browser.session:
            id_ = simulator.create_task("1")
            simulator.fault("killed")
            assert browser.ask(id_).json() == {id_: {"status": "killed"}}
        assert simulator.task_status(id_) == "killed"


def test_a_task_is_created_unheard(simulator: Simulator, browser: Browser) -> None:
    simulator.fault("launched_but_dropped")
    body = {"query_id": stored_id(4), "result_format": "json"}
    with pytest.raises(requests.ConnectionError):
        browser.session.post(f"{browser.api}/query_tasks", json=body, timeout=20)
    assert len(simulator.tasks()) == 1


def test_tasks_have_one_id(simulator: Simulator, browser: Browser) -> None:
    simulator.fault("repeated_id", times=None)
    body = {"query_id": stored_id(4), "result_format": "json"}
    posts = [
        browser.session.post(f"{browser.api}/query_tasks", json=body, timeout=20) for _ in range(3)
    ]
    assert len({post.json()["id"] for post in posts}) == 1
    assert len(simulator.tasks()) == 3


def test_an_explore_is_forbidden(simulator: Simulator, browser: Browser) -> None:
    simulator.fault("forbidden")
    url = f"{browser.api}/lookml_models/flights_2013/explores/flights"
    assert browser.session.get(url, timeout=20).status_code == 403


def test_faults_can_be_switched_while_it_runs(
    simulator: Simulator, browser: Browser, finished: str
) -> None:
    url = f"{simulator.base_url}/simulator/faults"
    expected = {"name": "server_error", "times": None, "after": 1}
    assert browser.session.post(url, json=expected, timeout=20).status_code == 204
    assert browser.session.get(url, timeout=20).json() == ["server_error"]
    assert [browser.ask(finished).status_code for _ in range(3)] == [200, 500, 500]
    assert browser.session.delete(url, timeout=20).status_code == 204
    assert browser.ask(finished).status_code == 200
    assert browser.session.post(url, json={"name": "x"}, timeout=20).status_code == 422
    calls = browser.session.get(f"{simulator.base_url}/simulator/calls", timeout=20).json()
    assert [call["status"] for call in calls[-4:]] == [200, 500, 500, 200]


def test_results_expire(database: Database) -> None:
    options = SimulatorOptions(result_ttl_seconds=0)
    with Simulator(options, database=database) as simulator:
        browser = Browser(simulator)
        with browser.session:
            id_ = simulator.create_task("4")
            assert browser.entry(id_)["status"] == "expired"
            url = f"{browser.api}/query_tasks/{id_}/results"
            assert browser.session.get(url, timeout=20).status_code == 404


def test_a_token_expires(database: Database) -> None:
    options = SimulatorOptions(token_lifetime_seconds=0)
    with Simulator(options, database=database) as simulator:
        browser = Browser(simulator)
        with browser.session:
            assert browser.ask("x").status_code == 401


def test_a_query_string_has_a_limit(browser: Browser) -> None:
    assert browser.ask("x" * 10_200).status_code == 200
    assert browser.ask("x" * 10_240).status_code == 414


def test_long_responses_are_compressed(browser: Browser, finished: str) -> None:
    assert browser.ask(finished).headers["Content-Encoding"] == "gzip"


def test_it_is_alive(simulator: Simulator) -> None:
    assert requests.get(f"{simulator.base_url}/alive", timeout=20).ok


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation_id)
def test_any_operation_may_fail_for_ever(
    simulator: Simulator, browser: Browser, route: ApiRoute
) -> None:
    simulator.fault("unavailable", times=None, operation=route.operation_id)
    url = browser.api + re.sub(r"\{\w+\}", "1", route.path)
    requested = [browser.session.request(route.verb, url, timeout=20) for _ in range(2)]
    assert [response.status_code for response in requested] == [503, 503]
    assert [call.operation for call in simulator.calls[-2:]] == [route.operation_id] * 2


def test_every_fault_is_tested() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in FAULTS if json.dumps(name) not in text] == []
