"""What a run leaves to the next one."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

COMPLETE = {"status": "complete", "result_source": "query", "data": [{"a.b": 1}]}
RUNNING = {"status": "running"}


def test_a_finished_task_is_neither_asked_for_nor_delivered_again(
    simulator: Simulator, tap: Tap
) -> None:
    id_ = simulator.create_task("1", "json")
    first = tap(query_task_ids=[id_])
    assert first.bookmark["finished"] == {id_: "complete"}
    simulator.clear_calls()
    second = tap(query_task_ids=[id_], state=first.state)
    assert second.records() == []
    assert simulator.count("query_task_multi_results") == 0
    assert second.bookmark["finished"] == {id_: "complete"}


def test_a_failed_task_fails_one_run_only(simulator: Simulator, tap: Tap) -> None:
    id_ = simulator.create_task("5", "json_detail")
    first = tap(query_task_ids=[id_])
    assert (first.exit_code, first.bookmark["finished"]) == (1, {id_: "error"})
    second = tap(query_task_ids=[id_], state=first.state)
    assert (second.exit_code, second.records()) == (0, [])


def test_a_task_that_the_input_no_longer_lists_is_forgotten(simulator: Simulator, tap: Tap) -> None:
    old, new = (simulator.create_task("4", "json") for _ in range(2))
    first = tap(query_task_ids=[old])
    second = tap(query_task_ids=[new], state=first.state)
    assert second.bookmark["finished"] == {new: "complete"}
    third = tap(query_task_ids=[old, new], state=second.state)
    assert list(third.statuses()) == [old]


def test_one_look_leaves_the_rest_to_the_next_run(simulator: Simulator, tap: Tap) -> None:
    done = simulator.add_scripted_task([COMPLETE])
    slow = simulator.add_scripted_task([RUNNING, COMPLETE])
    first = tap(query_task_ids=[done, slow], wait_for_completion=False)
    assert first.exit_code == 0
    assert first.statuses() == {done: "complete", slow: "running"}
    assert first.outcomes()[slow]["finished_at"] is None
    assert first.bookmark["finished"] == {done: "complete"}
    second = tap(query_task_ids=[done, slow], wait_for_completion=False, state=first.state)
    assert second.statuses() == {slow: "complete"}


def test_a_doubtful_status_that_lasts_over_runs_is_believed(simulator: Simulator, tap: Tap) -> None:
    id_ = simulator.add_scripted_task([{"status": "expired"}])
    once = {"query_task_ids": [id_], "wait_for_completion": False}
    first = tap(**once, expired_grace_seconds=60)
    assert (first.exit_code, first.bookmark["finished"]) == (0, {})
    second = tap(**once, expired_grace_seconds=0.001, state=first.state)
    assert second.bookmark["finished"] == {id_: "expired"}
    assert second.exit_code == 1


@pytest.mark.parametrize("records_before", [0, 1, 2, 5, 9])
def test_a_run_stopped_anywhere_loses_nothing(
    simulator: Simulator, tap: Tap, records_before: int
) -> None:
    """The target has read up to some line; the last state it read begins the next run."""
    ids = [simulator.create_task("4", "json") for _ in range(10)]
    first = tap(query_task_ids=ids, batch_size=2)
    seen, state = set[str](), None
    for message in first.messages:
        if message["type"] == "STATE":
            state = message["value"]
            bookmark = state.get("bookmarks", {}).get("query_task_results", {})
            assert set(bookmark.get("finished", {})) <= seen
        elif message["type"] == "RECORD":
            if len(seen) == records_before:
                break
            seen.add(message["record"]["query_task_id"])
    second = tap(query_task_ids=ids, state=state)
    assert seen | set(second.statuses()) == set(ids)


def test_what_was_delivered_before_a_failure_is_not_delivered_again(
    simulator: Simulator, tap: Tap
) -> None:
    done = simulator.add_scripted_task([COMPLETE])
    slow = simulator.add_scripted_task([RUNNING, COMPLETE])
    simulator.fault("server_error", operation="query_task_multi_results", times=3, after=1)
    first = tap(query_task_ids=[done, slow], http_max_tries=2)
    assert first.exit_code == 1
    assert first.bookmark["finished"] == {done: "complete"}
    simulator.clear_faults()
    assert tap(query_task_ids=[done, slow], state=first.state).statuses() == {slow: "complete"}


def test_state_is_a_small_share_of_the_output(simulator: Simulator, tap: Tap) -> None:
    ids = [simulator.add_scripted_task([COMPLETE]) for _ in range(2000)]
    run = tap(query_task_ids=ids, batch_size=250)
    assert set(run.statuses().values()) == {"complete"}
    assert simulator.count("query_task_multi_results") <= 12
    lines = run.output.splitlines()
    states = sum(len(line) for line in lines if line.startswith(b'{"type":"STATE"'))
    assert states < 0.1 * len(run.output)
    assert len(run.bookmark["finished"]) == 2000


def test_the_longest_queries_start_first(tap: Tap) -> None:
    names = ["short", "seconds_only", "long", "longer"]
    config: dict[str, Any] = {
        "queries": [{"name": name, "query_id": 1, "limit": n + 1} for n, name in enumerate(names)],
        "max_concurrent_tasks": 1,
    }
    first = tap(**config)
    assert [outcome["query_name"] for outcome in first.records()] == names
    state = first.state
    remembered = {name: state["bookmarks"][name]["query"] for name in names}
    assert all(
        query["runtime_seconds"] == ceil(query["runtime_milliseconds"] / 1000)
        for query in remembered.values()
    )
    for name, milliseconds in {"short": 1400, "long": 1500, "longer": 1600}.items():
        remembered[name] |= {"runtime_seconds": 2, "runtime_milliseconds": milliseconds}
    remembered["seconds_only"]["runtime_seconds"] = 3
    del remembered["seconds_only"]["runtime_milliseconds"]
    second = tap(state=state, **config)
    assert [outcome["query_name"] for outcome in second.records()] == [
        *("seconds_only", "longer", "long", "short")
    ]
