"""Tasks launched by the tap: resumed, launched again, cancelled, given up, never forgotten."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from looker_simulator.simulator import Simulator, SimulatorOptions
from tap_looker_tasks.launching.discovery import Discovery
from tap_looker_tasks.looker.client import LookerClient
from tap_looker_tasks.run.collector import Collector
from tap_looker_tasks.tasks.ledger import Ledger
from tap_looker_tasks.watch.facts import RunFacts
from tests.singer import interrupt, leave_running, parse, unmeasured, until, with_stored_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from looker_simulator.engine import Database
    from tap_looker_tasks.tasks import LaunchedTask
    from tests.singer import Run

    Tap = Callable[..., Run]

COMMAND = Path(sys.executable).with_name("tap-looker-tasks")
AIRLINES = {"name": "airlines", "query_id": 1}
AIRPORTS = {"name": "airports", "query_id": 4}
NEVER = 60.0
OUTCOMES = "query_task_results"
# Each command needs one of them.
HANGING = (
    *("query", "all_timezones", "create_query_task", "look"),
    *("search_looks", "lookml_model_explore"),
)


@pytest.fixture
def slow(database: Database) -> Iterator[Simulator]:
    """Airlines, query 1, never finish; airports, query 4, do at once."""
    with Simulator(SimulatorOptions(latency_seconds=NEVER), database=database) as simulator:
        yield simulator


def in_flight(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run.bookmark["in_flight"]
    return found


def test_a_task_is_in_state_as_soon_as_it_is_launched(tap: Tap) -> None:
    run = tap(queries=[AIRLINES])
    first_record = next(n for n, m in enumerate(run.messages) if m["type"] == "RECORD")
    (noted,) = (
        m["value"]["bookmarks"]["query_task_results"]["in_flight"]
        for m in run.messages[:first_record]
        if m["type"] == "STATE"
        and m["value"].get("bookmarks", {}).get("query_task_results", {}).get("in_flight")
    )
    assert set(noted["airlines"]) == {
        "query_task_id",
        "query_id",
        "launched_at",
        "attempt",
        "fingerprint",
        "row_limit",
    }
    assert noted["airlines"]["query_task_id"] == run.only()["query_task_id"]
    assert in_flight(run) == {}


def test_a_run_out_of_time_is_resumed_without_a_second_launch(slow: Simulator, tap: Tap) -> None:
    queries = [AIRLINES]
    first = tap(base_url=slow.base_url, queries=queries, sync_timeout_seconds=0.4)
    assert first.exit_code == 0
    (task,) = slow.tasks()
    assert first.statuses() == {task: "running"}
    assert in_flight(first)["airlines"]["query_task_id"] == task
    second = tap(
        base_url=slow.base_url, queries=queries, sync_timeout_seconds=0.4, state=first.state
    )
    assert second.statuses() == {task: "running"}
    assert slow.tasks() == [task]
    assert slow.cancelled == set()


def test_a_task_of_a_changed_query_is_cancelled_and_launched_again(
    slow: Simulator, tap: Tap
) -> None:
    first = tap(base_url=slow.base_url, queries=[AIRLINES], wait_for_completion=False)
    (old,) = slow.tasks()
    changed = AIRLINES | {"limit": 3}
    second = tap(
        base_url=slow.base_url, queries=[changed], wait_for_completion=False, state=first.state
    )
    (_, new) = slow.tasks()
    assert slow.cancelled == {old}
    assert in_flight(second)["airlines"]["query_task_id"] == new


def test_a_task_whose_query_is_no_longer_needed_is_cancelled(slow: Simulator, tap: Tap) -> None:
    first = tap(base_url=slow.base_url, queries=[AIRLINES], wait_for_completion=False)
    second = tap(base_url=slow.base_url, state=first.state)
    assert slow.cancelled == {*slow.tasks()}
    assert in_flight(second) == {}


@pytest.mark.parametrize("fault", ["results_expired", "killed"])
def test_a_lost_task_is_launched_again(simulator: Simulator, tap: Tap, fault: str) -> None:
    simulator.fault(fault, times=1)
    run = tap(queries=[AIRLINES])
    if fault == "killed":
        # An administrator does not want it to run.
        assert len(simulator.tasks()) == 1
        return
    assert run.exit_code == 0
    assert (run.only()["status"], run.only()["attempt"]) == ("complete", 2)
    assert len(simulator.tasks()) == 2


def test_a_task_lost_again_and_again_is_abandoned(simulator: Simulator, tap: Tap) -> None:
    simulator.fault("results_expired", times=None)
    run = tap(queries=[AIRLINES], max_task_attempts=3)
    assert run.exit_code == 1
    assert (run.only()["status"], run.only()["attempt"]) == ("expired", 3)
    assert len(simulator.tasks()) == 3
    assert in_flight(run) == {}


def test_a_task_that_takes_too_long_is_cancelled(slow: Simulator, tap: Tap) -> None:
    run = tap(base_url=slow.base_url, queries=[AIRLINES], task_timeout_seconds=0.3)
    assert run.exit_code == 1
    assert run.only()["status"] == "timeout"
    assert run.error.endswith(
        "(airlines, timeout: unfinished after task_timeout_seconds; raise it, or make the query "
        "smaller)"
    )
    assert slow.cancelled == {*slow.tasks()}
    assert in_flight(run) == {}


def test_a_task_killed_between_two_runs_is_launched_again(simulator: Simulator, tap: Tap) -> None:
    """Its run may have cancelled it, and the target died before state could say so."""
    first = leave_running(tap, simulator, queries=[AIRLINES])
    assert [*in_flight(first)] == ["airlines"]
    killed = simulator.add_scripted_task([{"status": "killed"}])
    in_flight(first)["airlines"]["query_task_id"] = killed
    second = tap(queries=[AIRLINES], state=first.state)
    assert second.exit_code == 0
    assert second.only()["status"] == "complete"
    assert second.only()["query_task_id"] == simulator.tasks()[2]
    assert in_flight(second) == {}


@pytest.mark.parametrize("fault", [None, "not_found_html"])
def test_a_task_that_has_ended_need_not_be_cancelled(
    simulator: Simulator, tap: Tap, fault: str | None
) -> None:
    first = leave_running(tap, simulator, queries=[AIRLINES])
    (task,) = in_flight(first).values()
    until(lambda: simulator.task_status(task["query_task_id"]) == "complete")
    if fault:
        # Looker has been seen to say it by a page.
        simulator.fault(fault, operation="kill_query")
    second = tap(state=first.state)
    assert second.exit_code == 0
    assert simulator.count("kill_query") == 1
    assert "was not cancelled" not in second.log
    assert in_flight(second) == {}
    assert "to_cancel" not in second.bookmark


def test_a_task_that_cannot_be_cancelled_is_cancelled_by_the_next_run(
    slow: Simulator, tap: Tap
) -> None:
    first = tap(base_url=slow.base_url, queries=[AIRLINES], wait_for_completion=False)
    (task,) = slow.tasks()
    slow.fault("server_error", operation="kill_query", times=1)
    second = tap(base_url=slow.base_url, state=first.state)
    assert second.exit_code == 0
    assert f"query task {task} was not cancelled: " in second.log
    assert slow.cancelled == set()
    assert second.bookmark["to_cancel"] == {task: "airlines"}
    third = tap(base_url=slow.base_url, state=second.state)
    assert slow.cancelled == {task}
    assert "to_cancel" not in third.bookmark


def test_an_outage_launches_nothing_again(slow: Simulator, tap: Tap) -> None:
    slow.fault("not_found_html", operation="query_task_multi_results", times=None)
    run = tap(base_url=slow.base_url, queries=[AIRLINES], expired_grace_seconds=60)
    assert run.exit_code == 1
    assert "query_task_multi_results" in run.error
    assert "404" in run.error
    (task,) = slow.tasks()
    assert in_flight(run)["airlines"]["query_task_id"] == task
    assert run.records() == []


def test_never_more_than_the_budget_is_unfinished(database: Database, tap: Tap) -> None:
    options = SimulatorOptions(latency_seconds=0.05)
    with Simulator(options, database=database) as simulator:
        queries = [{"name": f"q{n}", "query_id": 1, "limit": n + 1} for n in range(9)]
        run = tap(base_url=simulator.base_url, queries=queries, max_concurrent_tasks=2)
    moments = [(record["launched_at"], 1) for record in run.records()]
    moments += [(record["finished_at"], -1) for record in run.records()]
    in_flight = [*itertools.accumulate(change for _, change in sorted(moments))]
    assert max(in_flight) == 2
    assert len(run.records()) == 9


def test_a_rejection_for_load_is_waited_out(simulator: Simulator, tap: Tap) -> None:
    simulator.fault("rate_limited", operation="create_query_task", times=2)
    run = tap(queries=[AIRLINES, AIRPORTS])
    assert run.exit_code == 0
    assert "; launching fewer queries for a while" in run.log
    assert set(run.statuses().values()) == {"complete"}
    assert len(simulator.tasks()) == 2


def test_a_rejection_for_load_that_stays_ends_the_run(simulator: Simulator, tap: Tap) -> None:
    simulator.fault("rate_limited", operation="create_query_task", times=None)
    run = tap(queries=[AIRLINES, AIRPORTS])
    assert run.exit_code == 1
    assert "429" in run.error


def test_a_launch_that_no_one_can_be_sure_of_is_not_repeated(
    simulator: Simulator, tap: Tap
) -> None:
    simulator.fault("launched_but_dropped", times=1)
    run = tap(queries=[AIRLINES, AIRPORTS])
    assert run.exit_code == 1
    lost, delivered = sorted(["airlines", "airports"], key=lambda name: len(run.records(name)))
    assert f"{lost} (not launched" in run.error
    assert len(run.records(delivered)) > 10
    assert simulator.count("create_query_task") == 2


def test_queries_whose_tasks_have_one_id_fail_with_a_record_each(slow: Simulator, tap: Tap) -> None:
    slow.fault("repeated_id", times=None)
    queries = [{"name": f"q{n}", "query_id": 1, "limit": n} for n in range(1, 6)]
    run = tap(queries=queries, max_concurrent_tasks=5, base_url=slow.base_url)
    assert run.exit_code == 1
    assert "Traceback" not in run.log
    outcomes = run.records("query_task_results")
    assert {outcome["query_name"]: outcome["status"] for outcome in outcomes} == {
        f"q{n}": "error" for n in range(1, 6)
    }
    assert all("Looker gave two tasks the id" in outcome["error_message"] for outcome in outcomes)
    assert not any(run.records(str(query["name"])) for query in queries)
    assert in_flight(run) == {}


def test_a_query_that_looker_rejects_to_run_is_reported(simulator: Simulator, tap: Tap) -> None:
    simulator.fault("bad_request", operation="create_query_task", times=1)
    run = tap(queries=[AIRLINES, AIRPORTS])
    assert run.exit_code == 1
    lost, delivered = sorted(["airlines", "airports"], key=lambda name: len(run.records(name)))
    assert f"{lost} (not launched" in run.error
    assert len(run.records(delivered)) > 10


def test_a_run_stops_before_the_limit_of_calls(slow: Simulator, tap: Tap) -> None:
    limits = {"base_url": slow.base_url, "queries": [AIRLINES], "api_call_limit": 14}
    run = tap(**limits)
    assert run.exit_code == 0
    assert len(slow.calls) <= 14
    assert slow.calls[-1].operation == "logout"
    assert (
        "not called, because the run has used its api_call_limit of 14; the rest is left to the "
        "next run"
    ) in run.log
    assert in_flight(run)["airlines"]["query_task_id"] == slow.tasks()[0]


def test_shards_share_everything_and_nothing_twice(simulator: Simulator, tap: Tap) -> None:
    ids = [simulator.create_task("4", "json") for _ in range(10)]
    queries = [{"name": f"q{n}", "query_id": 1, "limit": n + 1} for n in range(6)]
    seen: list[str] = []
    for shard in range(3):
        run = tap(query_task_ids=ids, queries=queries, shard_count=3, shard_index=shard)
        seen += [record["query_name"] or record["query_task_id"] for record in run.records()]
    assert sorted(seen) == sorted([*ids, *(f"q{n}" for n in range(6))])


def started(
    simulator: Simulator, folder: Path, *options: str, **config: object
) -> subprocess.Popen[bytes]:
    """Start the tap as a separate process, with files as Meltano gives them."""
    settings = {
        "base_url": simulator.base_url,
        "client_id": "simulator",
        "client_secret": "simulator",
        "poll_interval_seconds": 0.02,
        "poll_max_interval_seconds": 0.05,
    }
    (folder / "config.json").write_text(json.dumps(with_stored_ids(settings | config)))
    arguments = ["--config", str(folder / "config.json")]
    if (folder / "state.json").exists():
        arguments += ["--state", str(folder / "state.json")]
    return subprocess.Popen(
        [COMMAND, *arguments, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=unmeasured(),
    )


def test_one_slow_query_holds_up_no_one(database: Database, tmp_path: Path) -> None:
    options = SimulatorOptions(query_latency={"2": 60.0})
    others = [{"name": f"q{n}", "query_id": 1, "limit": n + 1} for n in range(8)]
    with Simulator(options, database=database) as simulator:
        process = started(
            simulator,
            tmp_path,
            queries=[{"name": "slow", "query_id": 2}, *others],
            # That of the saved query, which is run unchanged.
            query_timezone="America/New_York",
            max_concurrent_tasks=3,
        )
        assert process.stdout
        messages = map(json.loads, process.stdout)
        outcomes = (m for m in messages if m["type"] == "RECORD" and m["stream"] == OUTCOMES)
        # They are delivered while the first query still runs.
        names = {outcome["record"]["query_name"] for outcome in itertools.islice(outcomes, 8)}
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert names == {other["name"] for other in others}


def last_in_flight(output: bytes) -> dict[str, Any]:
    state = [m for m in parse(output) if m["type"] == "STATE"][-1]["value"]
    found: dict[str, Any] = state["bookmarks"]["query_task_results"]["in_flight"]
    return found


def assert_cancelled_or_left(
    simulator: Simulator, launched: str, noted: dict[str, Any], on_interrupt: str
) -> None:
    if on_interrupt == "cancel":
        assert simulator.cancelled == {launched}
        assert noted == {}
    else:
        assert simulator.cancelled == set()
        assert noted["airlines"]["query_task_id"] == launched


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("on_interrupt", ["cancel", "leave"])
def test_an_interrupt_cancels_or_leaves_what_was_launched(
    slow: Simulator, tmp_path: Path, number: int, on_interrupt: str
) -> None:
    given = slow.create_task("1", "json")
    config = {"queries": [AIRLINES], "query_task_ids": [given], "on_interrupt": on_interrupt}
    with started(slow, tmp_path, **config) as process:
        until(lambda: len(slow.tasks()) > 1 and slow.count("query_task_multi_results") > 1)
        output, _ = interrupt(process, number)
    assert_cancelled_or_left(slow, slow.tasks()[1], last_in_flight(output), on_interrupt)


@pytest.mark.parametrize("on_interrupt", ["cancel", "leave"])
def test_an_interrupt_waits_for_the_id_of_a_task_that_is_being_launched(
    slow: Simulator, tmp_path: Path, on_interrupt: str
) -> None:
    # A head of 90 bytes or so, after the task was created.
    slow.fault("header_drip", operation="create_query_task", seconds=0.025)
    with started(slow, tmp_path, queries=[AIRLINES], on_interrupt=on_interrupt) as process:
        until(lambda: bool(slow.tasks()))
        output, _ = interrupt(process, signal.SIGTERM, least=1.7)
    (launched,) = slow.tasks()
    assert_cancelled_or_left(slow, launched, last_in_flight(output), on_interrupt)


@pytest.mark.parametrize("on_interrupt", ["cancel", "leave"])
@pytest.mark.parametrize("moment", ["start", "launch", "note", "shown"])
def test_an_interrupt_may_come_between_any_two_steps(
    slow: Simulator, tap: Tap, monkeypatch: pytest.MonkeyPatch, on_interrupt: str, moment: str
) -> None:
    method = {
        "start": (Collector, "start"),
        "launch": (Ledger, "note_launched"),
        "note": (RunFacts, "note"),
        "shown": (RunFacts, "note"),
    }[moment]
    step = getattr(*method)

    def interrupted(self: object, *given: object) -> None:
        if moment in {"start", "shown"}:
            step(self, *given)
        until(lambda: bool(slow.tasks()))
        monkeypatch.setattr(*method, step)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(*method, interrupted)
    run = tap(base_url=slow.base_url, queries=[AIRLINES], on_interrupt=on_interrupt)
    assert run.exit_code == 128 + signal.SIGTERM
    (launched,) = slow.tasks()
    assert_cancelled_or_left(slow, launched, in_flight(run), on_interrupt)
    # The summary knows the task, once, whichever step was cut off.
    assert run.log.count(f"airlines, query task {launched}") == 1
    assert "not launched yet" not in run.log


def test_an_interrupt_that_comes_in_a_finalizer_ends_the_run(
    slow: Simulator, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = Ledger.note_launched

    def interrupted(ledger: Ledger, task: LaunchedTask) -> None:
        note(ledger, task)
        monkeypatch.setattr(Ledger, "note_launched", note)
        # Python drops what is raised there.
        weakref.finalize(Ledger({}, ()), signal.raise_signal, signal.SIGTERM)

    monkeypatch.setattr(Ledger, "note_launched", interrupted)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    run = tap(base_url=slow.base_url, queries=[AIRLINES])
    assert run.exit_code == 128 + signal.SIGTERM
    assert slow.cancelled == {*slow.tasks()}
    assert slow.count("logout") == 1


@pytest.mark.parametrize("command", ["--discover", "--test"])
def test_an_interrupt_that_comes_in_a_finalizer_ends_a_long_discovery(
    slow: Simulator, tap: Tap, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    slow.fault("hang", operation="query", seconds=30, times=None)
    find = Discovery.all_plans

    def interrupted(discovery: Discovery, *given: Any) -> object:
        weakref.finalize(Ledger({}, ()), signal.raise_signal, signal.SIGTERM)
        return find(discovery, *given)

    monkeypatch.setattr(Discovery, "all_plans", interrupted)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    started_at = time.monotonic()
    run = tap(command, base_url=slow.base_url, queries=[AIRLINES])
    assert time.monotonic() - started_at < 10
    assert run.exit_code == 128 + signal.SIGTERM
    assert slow.count("logout") == slow.count("login")


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("--doctor", signal.SIGTERM),
        ("--doctor", signal.SIGINT),
        ("--discover", signal.SIGHUP),
        ("--test", signal.SIGTERM),
        ("--explain", signal.SIGTERM),
        ("--dbt-sources", signal.SIGTERM),
        ("--find airlines", signal.SIGTERM),
        ("--find flights_2013/flights", signal.SIGINT),
    ],
)
def test_an_interrupt_ends_any_command_as_it_ends_a_run(
    slow: Simulator, tmp_path: Path, command: str, number: signal.Signals
) -> None:
    for operation in HANGING:
        slow.fault("hang", operation=operation, seconds=30, times=None)
    with started(slow, tmp_path, *command.split(), queries=[AIRLINES]) as process:
        until(lambda: slow.count("login") > 0)
        # The next request is one that hangs.
        time.sleep(0.3)
        _, log = interrupt(process, number)
    assert slow.count("logout") == 1
    assert b"Traceback" not in log


def test_an_interrupt_of_a_run_that_is_over_changes_nothing(
    simulator: Simulator, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = LookerClient.close

    def interrupted(client: LookerClient, max_seconds: float) -> None:
        signal.raise_signal(signal.SIGTERM)
        close(client, max_seconds)

    monkeypatch.setattr(LookerClient, "close", interrupted)
    run = tap(queries=[AIRLINES])
    assert run.exit_code == 0
    assert run.only()["status"] == "complete"
    assert simulator.count("logout") == 1


@pytest.mark.slow
def test_an_interrupt_of_a_program_that_is_exiting_shows_no_traceback() -> None:
    program = (
        "import atexit, signal, sys; from tap_looker_tasks.__main__ import main;"
        " atexit.register(lambda: signal.raise_signal(signal.SIGINT));"
        " sys.argv[1:] = ['--about']; main()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert b"max_concurrent_tasks" in ended.stdout
    assert ended.returncode == -signal.SIGINT
    assert b"Traceback" not in ended.stderr


def test_an_interrupt_shows_of_a_launch_that_no_one_can_be_sure_of(
    slow: Simulator, tmp_path: Path
) -> None:
    queries = [AIRPORTS | {"query_id": 1, "limit": 7}, AIRLINES]
    slow.fault("body_drip", operation="create_query_task", seconds=1)
    with started(slow, tmp_path, queries=queries) as process:
        until(lambda: len(slow.tasks()) == 2)
        output, log = interrupt(process, signal.SIGTERM)
    # The other is cancelled at once, and need not wait for it.
    assert len(slow.cancelled) == 1
    assert slow.count("logout") == 1
    assert last_in_flight(output) == {}
    (line,) = [line for line in log.decode().splitlines() if "not launched" in line]
    assert "no response before the run ended; Looker may still run it" in line


def test_an_interrupt_ends_a_run_in_time_though_looker_responses_nothing_any_more(
    slow: Simulator, tmp_path: Path
) -> None:
    queries = [AIRLINES, AIRLINES | {"name": "seven", "limit": 7}]
    slow.fault("body_drip", operation="create_query_task", seconds=1)
    for operation in ("query_task_multi_results", "kill_query", "logout"):
        slow.fault("hang", operation=operation, seconds=30, times=None)
    with started(slow, tmp_path, queries=queries) as process:
        until(lambda: len(slow.tasks()) == 2)
        time.sleep(0.2)
        output, _ = interrupt(process, signal.SIGTERM)
    state = [m for m in parse(output) if m["type"] == "STATE"][-1]["value"]
    (to_cancel,) = state["bookmarks"]["query_task_results"]["to_cancel"]
    assert to_cancel in slow.tasks()


def test_an_interrupt_cancels_though_looker_asks_to_wait_for_longer(
    slow: Simulator, tmp_path: Path
) -> None:
    with started(slow, tmp_path, queries=[AIRLINES]) as process:
        until(lambda: bool(slow.tasks()))
        polls = slow.count("query_task_multi_results")
        slow.fault("rate_limited_seconds", operation="query_task_multi_results", seconds=30)
        until(lambda: slow.count("query_task_multi_results") > polls)
        output, _ = interrupt(process, signal.SIGTERM)
    assert slow.cancelled == {*slow.tasks()}
    assert slow.count("logout") == 1
    assert last_in_flight(output) == {}


@pytest.mark.parametrize("fault", ["not_found", "not_found_html"])
def test_a_task_that_cannot_be_stopped_is_reported_to_be_left_running(
    slow: Simulator, tap: Tap, fault: str
) -> None:
    slow.fault(fault, times=None, operation="kill_query")
    run = tap(base_url=slow.base_url, queries=[AIRLINES], task_timeout_seconds=0.3)
    (id_,) = slow.tasks()
    assert slow.task_status(id_) == "running"
    assert (
        f"query task {id_} was not cancelled: it still runs, because Looker does not allow this "
        "user to stop it (HTTP 404); check the permissions of the API user; the next run cancels it"
    ) in run.log
    assert run.bookmark["to_cancel"] == {id_: "airlines"}
    assert run.only()["status"] == "timeout"
    assert "1 cancelled" not in run.log


def test_no_second_task_is_launched_next_to_one_that_cannot_be_stopped(
    slow: Simulator, tap: Tap
) -> None:
    slow.fault("missing")
    slow.fault("not_found", times=None, operation="kill_query")
    run = tap(base_url=slow.base_url, queries=[AIRLINES], expired_grace_seconds=0)
    (id_,) = slow.tasks()
    assert run.exit_code == 1
    assert f"query task {id_} was not cancelled: it still runs" in run.log


def test_the_next_run_launches_nothing_beside_a_task_that_cannot_be_stopped(
    slow: Simulator, tap: Tap
) -> None:
    first = tap(base_url=slow.base_url, queries=[AIRLINES], wait_for_completion=False)
    (id_,) = slow.tasks()
    config: dict[str, Any] = {"base_url": slow.base_url, "wait_for_completion": False}
    config["queries"] = [AIRLINES | {"limit": 3}, AIRPORTS]
    slow.fault("not_found", times=None, operation="kill_query")
    second = tap(state=first.state, **config)
    assert second.exit_code == 1
    assert "airlines (not launched: its task of an earlier run: it still runs" in second.error
    (failed,) = (r for r in second.records() if r["query_name"] == "airlines")
    assert failed["status"] == "error"
    # The other query is launched.
    assert len(slow.tasks()) == 2
    assert second.bookmark["to_cancel"] == {id_: "airlines"}
    slow.clear_faults()
    third = tap(state=second.state, **config)
    assert third.exit_code == 0
    assert slow.cancelled == {id_}
    assert third.bookmark.get("to_cancel") is None
    assert in_flight(third).keys() == {"airlines", "airports"}
