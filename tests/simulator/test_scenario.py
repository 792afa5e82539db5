"""A scenario scripts what happens to given tasks and queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from looker_simulator.declarations import ModelError
from looker_simulator.scenario import read_scenario
from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.simulator.browser import Browser
from tests.singer import stored_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from looker_simulator.engine import Database

SCENARIO = """
queries:
  4:
    latency_seconds: 0
    answers:
      - {status: running, times: 2}
      - {status: expired, data: {error: Results have expired.}}
      - {}
  1:
    latency_seconds: 30
tasks:
  from-the-application:
    answers:
      - is_absent: true
      - {status: complete, result_source: query, data: {data: [{a: {value: 1}}]}}
  of-a-query: {query_id: 4, result_format: json}
  nonsense:
    answers: [{raw: '{"status": oops'}, {entry: [1, 2]}, {status: paused}]
faults:
  - {name: server_error, times: 2, query_id: 6}
  - {name: missing, times: null, query_task_id: of-a-query}
"""


@pytest.fixture
def scripted(database: Database, tmp_path: Path) -> Iterator[tuple[Simulator, Browser]]:
    (tmp_path / "scenario.yml").write_text(SCENARIO)
    options = SimulatorOptions(scenario=read_scenario(tmp_path / "scenario.yml"))
    with Simulator(options, database=database) as simulator:
        browser = Browser(simulator)
        with browser.session:
            yield simulator, browser


def reported(browser: Browser, query_task_id: str, times: int) -> list[dict[str, Any]]:
    return [browser.ask(query_task_id).json()[query_task_id] for _ in range(times)]


def test_statuses_come_one_after_the_other(scripted: tuple[Simulator, Browser]) -> None:
    simulator, browser = scripted
    id_ = simulator.create_task("4")
    shown = reported(browser, id_, 3)
    assert [entry["status"] for entry in shown] == ["running", "running", "expired"]
    assert shown[2]["data"] == {"error": "Results have expired."}
    real = browser.entry(id_)
    assert real["status"] == "complete"
    assert real["data"]["data"]
    assert browser.entry(id_) == real
    # Each task of the query has a separate script.
    assert reported(browser, simulator.create_task("4"), 1)[0]["status"] == "running"


def test_queries_take_their_time(scripted: tuple[Simulator, Browser]) -> None:
    simulator, browser = scripted
    assert reported(browser, simulator.create_task("1"), 1)[0]["status"] in {"added", "running"}


def test_tasks_are_there_from_the_start(scripted: tuple[Simulator, Browser]) -> None:
    simulator, browser = scripted
    assert simulator.tasks() == ["from-the-application", "of-a-query", "nonsense"]
    assert browser.ask("from-the-application").json() == {}
    assert (
        reported(browser, "from-the-application", 2)
        == [
            {
                "status": "complete",
                "result_source": "query",
                "data": {"data": [{"a": {"value": 1}}]},
            }
        ]
        * 2
    )
    assert browser.ask("nonsense").text == '{"nonsense":{"status": oops}'
    assert browser.ask("nonsense").json() == {"nonsense": [1, 2]}
    assert reported(browser, "nonsense", 1) == [{"status": "paused"}]


def test_faults_concern_a_query_or_a_task(scripted: tuple[Simulator, Browser]) -> None:
    simulator, browser = scripted
    innocent, concerned = simulator.create_task("3"), simulator.create_task("6")
    assert browser.ask(innocent).status_code == 200
    assert [browser.ask(innocent, concerned).status_code for _ in range(3)] == [500, 500, 200]
    assert reported(browser, "of-a-query", 2) == [{"status": "missing"}] * 2
    assert "status" in browser.entry(innocent)
    simulator.fault("server_error", query_id="6")
    url = f"{browser.api}/queries/{stored_id(6)}"
    assert [browser.session.get(url, timeout=20).status_code for _ in range(2)] == [500, 200]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("queries: [", "line 2: expected YAML"),
        ("- 1", "line 1: expected faults and queries and tasks only"),
        ("queries: 3", "line 1: expected `queries` as ids"),
        ("query: {}", "line 1: expected faults and queries and tasks only"),
        ("queries:\n  1:\n    latency_seconds: long", "line 3: Expected `float"),
        ("tasks:\n  a:\n    answers:\n      - {}\n      - {state: x}", "line 5: Object contains"),
        ("faults:\n  - {name: hang}\n  - {name: x}", "line 3: there is no fault 'x'; name must be"),
        ("faults:\n  - {name: hang, times: often}", "line 2: Expected `int | null`"),
    ],
)
def test_an_error_names_file_line_and_what_is_expected(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "scenario.yml").write_text(text + "\n")
    with pytest.raises(ModelError) as raised:
        read_scenario(tmp_path / "scenario.yml")
    assert str(raised.value).startswith(f"scenario.yml, {message}")


def test_a_task_of_a_query_that_is_not_there_is_named(database: Database, tmp_path: Path) -> None:
    (tmp_path / "scenario.yml").write_text("tasks: {a: {query_id: 999}}")
    options = SimulatorOptions(scenario=read_scenario(tmp_path / "scenario.yml"))
    with (
        pytest.raises(ModelError, match="task a of the scenario: there is no query 999"),
        Simulator(options, database=database),
    ):
        requests.get("http://127.0.0.1", timeout=1)
