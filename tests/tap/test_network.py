"""What goes wrong between here and Looker, and what comes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import requests

from looker_simulator.simulator import Simulator, SimulatorOptions
from tap_looker_tasks.looker.http_errors import read_retry_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.engine import Database
    from tests.singer import Run

    Tap = Callable[..., Run]

MULTI_RESULTS = "query_task_multi_results"


@pytest.mark.parametrize(
    "fault",
    [
        "rate_limited",
        "server_error",
        "unavailable",
        "bad_gateway",
        "dropped",
        "cut_short",
        "not_json",
    ],
)
def test_a_failure_that_passes_is_not_seen(simulator: Simulator, tap: Tap, fault: str) -> None:
    ids = [simulator.create_task("4", "json") for _ in range(3)]
    simulator.fault(fault, times=1, operation=MULTI_RESULTS)
    run = tap(query_task_ids=ids)
    assert run.exit_code == 0
    assert run.statuses() == dict.fromkeys(ids, "complete")
    assert simulator.count(MULTI_RESULTS) == 2


@pytest.mark.parametrize(
    ("fault", "shown"),
    [("server_error", "500"), ("bad_gateway", "502"), ("dropped", "no response")],
)
def test_a_failure_that_stays_ends_the_run(
    simulator: Simulator, tap: Tap, fault: str, shown: str
) -> None:
    simulator.fault(fault, times=None, operation=MULTI_RESULTS)
    run = tap(query_task_ids=[simulator.create_task("4", "json")])
    assert run.exit_code == 1
    assert shown in run.error
    assert simulator.base_url in run.error
    assert simulator.count(MULTI_RESULTS) == 3
    assert run.bookmark["finished"] == {}


def test_a_response_that_does_not_come_in_time_is_requested_again(
    simulator: Simulator, tap: Tap
) -> None:
    simulator.fault("hang", times=1, operation=MULTI_RESULTS, seconds=9)
    run = tap(query_task_ids=[simulator.create_task("4", "json")], http_timeout_seconds=2)
    assert run.exit_code == 0


@pytest.mark.parametrize("fault", ["rate_limited", "unavailable", "bad_gateway", "dropped"])
@pytest.mark.parametrize(
    "operation",
    ["login", "query", "look", "lookml_model_explore", "dashboard"],
)
def test_a_failure_before_the_sync_is_waited_out(
    simulator: Simulator, tap: Tap, fault: str, operation: str
) -> None:
    simulator.fault(fault, operation=operation, times=1)
    sources = {
        "queries": [{"name": "airlines", "query_id": 1}, {"name": "airports", "look_id": 1}],
        "dashboards": [{"name": "overview", "dashboard_id": "1"}],
    }
    run = tap("--discover", **sources)
    assert run.exit_code == 0, run.log
    assert "retrying in" in run.log
    # Whoever runs `--discover` reads its output as one JSON object.
    names = {stream["tap_stream_id"] for stream in json.loads(run.output)["streams"]}
    assert {"airlines", "airports"} < names
    assert simulator.calls[-1].operation == "logout"


def test_a_run_logs_in_once_and_out_once(simulator: Simulator, tap: Tap) -> None:
    run = tap(queries=[{"name": "airlines", "query_id": 1}])
    assert run.exit_code == 0
    assert (simulator.count("login"), simulator.count("logout")) == (1, 1)


@pytest.mark.parametrize("fault", ["not_found_html", "bad_request"])
def test_an_instance_that_rejects_everything_fails_no_id(
    simulator: Simulator, tap: Tap, fault: str
) -> None:
    ids = [simulator.create_task("4", "json") for _ in range(20)]
    simulator.fault(fault, times=None, operation=MULTI_RESULTS)
    run = tap(query_task_ids=ids)
    assert run.exit_code == 1
    assert simulator.base_url in run.error
    assert run.records() == []
    assert run.bookmark["finished"] == {}
    simulator.clear_faults()
    assert set(tap(query_task_ids=ids, state=run.state).statuses().values()) == {"complete"}


@pytest.mark.parametrize("fault", ["forbidden", "bad_request", "not_found_html", "redirected"])
def test_a_result_that_is_rejected_is_no_complete_task(
    simulator: Simulator, tap: Tap, fault: str
) -> None:
    id_ = simulator.create_task("4", "csv")
    simulator.fault("no_data", times=1)
    simulator.fault(fault, operation="query_task_results", times=1)
    run = tap(query_task_ids=[id_])
    assert run.exit_code == 1
    assert run.only()["status"] == "error"
    assert run.only()["data"] is None
    assert "complete, but Looker did not return its result: " in run.only()["error_message"]
    assert id_ in run.error
    assert run.bookmark["finished"] == {}
    assert tap(query_task_ids=[id_], state=run.state).only()["status"] == "complete"


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        ("600", 60),
        ("Sat, 28 Feb 2026 12:00:30 GMT", 30),
        ("Sat, 28 Feb 2026 11:00:00 GMT", 0),
        *((odd, None) for odd in ("", "nan", "inf", "-1", "soon", "1e400")),
    ],
)
def test_how_long_to_wait_is_reported_by_seconds_or_a_date(
    retry_after: str, seconds: float | None
) -> None:
    response = requests.Response()
    moment = "Sat, 28 Feb 2026 12:00:00 GMT"
    response.headers.update({"Retry-After": retry_after, "Date": moment})
    assert read_retry_after(response) == seconds


@pytest.mark.parametrize("fault", ["not_found_html", "bad_request"])
def test_a_page_in_place_of_a_response_survives(simulator: Simulator, tap: Tap, fault: str) -> None:
    ids = [simulator.create_task("4", "json") for _ in range(4)]
    simulator.fault(fault, times=1, operation=MULTI_RESULTS)
    run = tap(query_task_ids=ids)
    assert run.statuses() == dict.fromkeys(ids, "complete")


def test_a_response_cut_short_delivers_no_task_twice(simulator: Simulator, tap: Tap) -> None:
    ids = [simulator.create_task("1", "json_detail") for _ in range(20)]
    simulator.fault("cut_short", times=2, operation=MULTI_RESULTS)
    run = tap(query_task_ids=ids)
    assert sorted(run.statuses()) == sorted(ids)


def test_a_token_that_looker_forgot_is_replaced(simulator: Simulator, tap: Tap) -> None:
    id_ = simulator.create_task("4", "json")
    simulator.fault("token_lost", times=1, operation=MULTI_RESULTS)
    assert tap(query_task_ids=[id_]).statuses() == {id_: "complete"}
    assert simulator.count("login") == 2


def test_a_token_that_looker_never_accepts_ends_the_run(simulator: Simulator, tap: Tap) -> None:
    simulator.fault("token_lost", times=None, operation=MULTI_RESULTS)
    run = tap(query_task_ids=[simulator.create_task("4", "json")])
    assert run.exit_code == 1
    assert "401" in run.error
    assert simulator.count(MULTI_RESULTS) == 2


def test_a_token_is_renewed_before_it_expires(database: Database, tap: Tap) -> None:
    with Simulator(SimulatorOptions(token_lifetime_seconds=0.4), database=database) as simulator:
        id_ = simulator.add_scripted_task(
            [{"status": "running"}] * 12 + [{"status": "complete", "data": []}]
        )
        run = tap(query_task_ids=[id_], base_url=simulator.base_url)
        assert run.statuses() == {id_: "complete"}
        rejections = [call for call in simulator.calls if call.status == 401]
        assert simulator.count("login") >= 2
    assert rejections == []


def test_the_session_is_released(simulator: Simulator, tap: Tap) -> None:
    tap(query_task_ids=[simulator.create_task("4", "json")])
    assert [call.operation for call in simulator.calls] == ["login", MULTI_RESULTS, "logout"]


def test_without_tasks_no_request_is_sent(simulator: Simulator, tap: Tap) -> None:
    run = tap()
    assert run.exit_code == 0
    assert simulator.calls == []


@pytest.mark.parametrize("length", [1, 32, 200, 4000])
def test_a_query_string_is_never_too_long(simulator: Simulator, tap: Tap, length: int) -> None:
    ids = [f"{n:0{length}d}" for n in range(10)] if length > 1 else list("abcdefghij")
    ids = ids * 30 if length == 32 else ids
    unique = [f"{id_}-{n}"[-4096:] for n, id_ in enumerate(ids)]
    run = tap(query_task_ids=unique, batch_size=250, wait_for_completion=False)
    assert run.exit_code == 0
    polls = [call for call in simulator.calls if call.operation == MULTI_RESULTS]
    assert all(call.status == 200 for call in polls)
    assert all(len(call.query) < 10_240 for call in polls)
    assert {id_ for call in polls for id_ in call.query_task_ids} == set(unique)
    assert all(len(call.query_task_ids) <= 250 for call in polls)


@pytest.mark.parametrize(
    ("command", "exit_code"), [("--discover", 78), ("--test", 78), ("--doctor", 1)]
)
def test_a_command_that_fails_logs_out_and_logs_its_calls(
    simulator: Simulator, tap: Tap, command: str, exit_code: int
) -> None:
    explore = {"model": "flights_2013", "explore": "flights", "fields": ["flights.cont"]}
    run = tap(command, queries=[{"name": "misspelt", "explore": explore}])
    assert run.exit_code == exit_code
    assert simulator.count("login") == simulator.count("logout") == 1
    assert "API calls made: " in run.log


def test_a_run_ends_with_what_it_did_and_why_it_failed(simulator: Simulator, tap: Tap) -> None:
    run = tap(query_task_ids=[simulator.add_scripted_task([{"status": "complete", "data": []}])])
    polls = "API calls made: 3 (1 login, 1 query_task_multi_results, 1 logout)"
    polls += ": 1 query-based, 0 administrative"
    *_, delivered, calls = run.log.splitlines()
    assert "delivered 1 of 1 query task" in delivered
    assert calls.endswith(polls)
    failed = tap(query_task_ids=[simulator.add_scripted_task([{"status": "killed"}])])
    assert polls in failed.log
    assert failed.log.splitlines()[-1].startswith("Error: ")
    assert failed.log.count("1 query task did not complete") == 1
    gone = tap(queries=[{"name": "gone", "query_id": 999}])
    calls = "API calls made: 3 (1 login, 1 query, 1 logout): 0 query-based, 1 administrative"
    assert calls in gone.log
    assert "there is no query 999, or this user cannot see it" in gone.error
    assert "delivered 0 of 1 query task" in gone.log
