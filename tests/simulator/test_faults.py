"""Every fault does what its name says, once, and is told in the help."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tap_looker_tasks.simulator.faults import FAULTS
from tap_looker_tasks.simulator.simulator import Simulator, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_looker_tasks.simulator.engine import Database


class Browser:
    """Asks the simulator, as any HTTP client would."""

    def __init__(self, simulator: Simulator) -> None:
        self.api = f"{simulator.base_url}/api/4.0"
        self.session = requests.Session()
        credentials = {"client_id": "simulator", "client_secret": "simulator"}
        token = self.session.post(f"{self.api}/login", data=credentials, timeout=20).json()
        self.session.headers["Authorization"] = f"token {token['access_token']}"

    def ask(self, *ids: str, timeout: float = 20) -> requests.Response:
        url = f"{self.api}/query_tasks/multi_results?query_task_ids={','.join(ids)}"
        return self.session.get(url, timeout=timeout, allow_redirects=False)

    def entry(self, id_: str) -> dict[str, Any]:
        while True:
            entry: dict[str, Any] = self.ask(id_).json()[id_]
            if entry["status"] not in {"added", "running"}:
                return entry


@pytest.fixture
def browser(simulator: Simulator) -> Iterator[Browser]:
    browser = Browser(simulator)
    with browser.session:
        yield browser


@pytest.fixture
def finished(simulator: Simulator, browser: Browser) -> str:
    id_ = simulator.create_task("4", "json_detail")
    browser.entry(id_)
    return id_


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ("rate_limited", 429, "message"),
        ("server_error", 500, "message"),
        ("unavailable", 503, "message"),
        ("bad_gateway", 502, "<html>"),
        ("not_found_html", 404, "<html>"),
        ("bad_request", 400, "message"),
        ("not_json", 200, "<html>"),
        ("not_a_map", 200, "[]"),
        ("token_lost", 401, "authentication"),
        ("redirected", 302, ""),
    ],
)
def test_an_answer_is_replaced_once(
    simulator: Simulator, browser: Browser, finished: str, fault: str, status: int, body: str
) -> None:
    simulator.fault(fault)
    answer = browser.ask(finished)
    assert (answer.status_code, body in answer.text) == (status, True)
    assert browser.ask(finished).json()[finished]["status"] == "complete"


@pytest.mark.parametrize("fault", ["rate_limited", "unavailable"])
def test_a_server_under_load_says_when_to_come_back(
    simulator: Simulator, browser: Browser, finished: str, fault: str
) -> None:
    simulator.fault(fault)
    assert browser.ask(finished).headers["Retry-After"] == "0"


@pytest.mark.parametrize("fault", ["dropped", "cut_short"])
def test_a_connection_ends_early(
    simulator: Simulator, browser: Browser, finished: str, fault: str
) -> None:
    simulator.fault(fault)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        browser.ask(finished)
    assert browser.ask(finished).ok


def test_an_answer_is_late(simulator: Simulator, browser: Browser, finished: str) -> None:
    simulator.fault("hang", seconds=5)
    with pytest.raises(requests.ReadTimeout):
        browser.ask(finished, timeout=0.2)
    assert browser.ask(finished).ok


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("missing", "missing"),
        ("unknown_status", "paused"),
        ("capitalised", "Complete"),
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


def test_a_result_is_nonsense(simulator: Simulator, browser: Browser, finished: str) -> None:
    simulator.fault("malformed_data")
    assert browser.entry(finished)["data"] == 5


def test_a_result_carries_a_note(simulator: Simulator, browser: Browser, finished: str) -> None:
    simulator.fault("dev_mode_note")
    (note,) = browser.entry(finished)["data"]["errors"]
    assert note["fatal"] is False
    assert note["message"].startswith("Note: This query contains derived tables")


def test_an_unknown_id_spoils_the_batch(
    simulator: Simulator, browser: Browser, finished: str
) -> None:
    simulator.fault("unknown_id_refuses_batch", times=None)
    assert browser.ask(finished, "nobody").status_code == 404
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
    body = {"query_id": "4", "result_format": "json"}
    with pytest.raises(requests.ConnectionError):
        browser.session.post(f"{browser.api}/query_tasks", json=body, timeout=20)
    assert len(simulator.tasks()) == 1


def test_an_explore_is_forbidden(simulator: Simulator, browser: Browser) -> None:
    simulator.fault("forbidden")
    url = f"{browser.api}/lookml_models/flights_2013/explores/flights"
    assert browser.session.get(url, timeout=20).status_code == 403


def test_faults_can_be_switched_while_it_runs(
    simulator: Simulator, browser: Browser, finished: str
) -> None:
    url = f"{simulator.base_url}/simulator/faults"
    wanted = {"name": "server_error", "times": None, "after": 1}
    assert browser.session.post(url, json=wanted, timeout=20).status_code == 204
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


def test_long_answers_are_compressed(browser: Browser, finished: str) -> None:
    assert browser.ask(finished).headers["Content-Encoding"] == "gzip"


def test_it_is_alive(simulator: Simulator) -> None:
    assert requests.get(f"{simulator.base_url}/alive", timeout=20).ok


def test_every_fault_is_tested() -> None:
    with open(__file__, encoding="utf-8") as file:  # noqa: PTH123 - its own path
        text = file.read()
    assert [name for name in FAULTS if json.dumps(name) not in text] == []
