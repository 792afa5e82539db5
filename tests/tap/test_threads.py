"""A system that starts no thread, or only some."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.singer import stored_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

QUERIES = [{"name": f"q{n}", "query_id": stored_id(1), "limit": n} for n in range(1, 6)]
REASON = "can't start new thread"
MESSAGE = (
    "cannot start a thread (can't start new thread); raise the limit of processes and threads, "
    "such as `ulimit -u` or `pids` of a container, or free memory"
)


@pytest.fixture
def no_thread(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let no thread start whose name starts so, after some that may."""
    start = threading.Thread.start

    def reject(prefix: str, after: int = 0) -> None:
        started: list[str] = []

        def start_or_not(thread: threading.Thread) -> None:
            if thread.name.startswith(prefix):
                if len(started) >= after:
                    raise RuntimeError(REASON)
                started.append(thread.name)
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", start_or_not)

    return reject


@pytest.mark.parametrize("name", ["ThreadPoolExecutor", "coordinator", "looker-request"])
def test_no_thread_ends_a_run_in_one_line(
    name: str, tap: Tap, simulator: Simulator, no_thread: Callable[..., None]
) -> None:
    before = tap(queries=QUERIES[:1])
    no_thread(name)
    simulator.clear_calls()
    run = tap(queries=QUERIES, state=before.state)
    assert run.exit_code == 1
    assert run.log.splitlines()[-1].endswith(MESSAGE)
    assert "Traceback" not in run.log
    assert run.records("q1") == []
    state = (run.state if run.messages else before.state)["bookmarks"]
    assert state["q1"] == before.state["bookmarks"]["q1"]
    assert state["query_task_results"]["in_flight"] == {}
    # It logs out, and what it launched is not left running.
    assert simulator.count("login") == simulator.count("logout")
    assert simulator.count("create_query_task") == 0


def test_discovery_without_threads_ends_in_one_line(
    tap: Tap, no_thread: Callable[..., None]
) -> None:
    no_thread("ThreadPoolExecutor")
    run = tap("--discover", queries=QUERIES)
    assert (run.exit_code, run.output) == (1, b"")
    assert MESSAGE in run.log
    assert "Traceback" not in run.log


@pytest.mark.parametrize("after", [1, 2])
def test_few_threads_take_longer_and_deliver_everything(
    after: int, tap: Tap, simulator: Simulator, no_thread: Callable[..., None]
) -> None:
    no_thread("looker-request", after)
    given = [simulator.create_task("1", "json") for _ in range(3)]
    run = tap(queries=QUERIES, query_task_ids=given, batch_size=1)
    assert run.exit_code == 0, run.log
    assert [len(run.records(str(query["name"]))) for query in QUERIES] == [1, 2, 3, 4, 5]
    assert {run.statuses()[id_] for id_ in given} == {"complete"}


def test_a_request_without_a_thread_is_tried_again_and_fails_in_one_line(
    tap: Tap, no_thread: Callable[..., None]
) -> None:
    no_thread("request")
    run = tap(queries=QUERIES, http_max_tries=1)
    assert run.exit_code == 1
    last = run.log.splitlines()[-1]
    assert "login: no response from http://127.0.0.1" in last
    assert REASON in last
    assert "Traceback" not in run.log
