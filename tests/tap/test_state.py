"""What a run leaves to the next one."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.singer import invoke, state_at_launch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

COMPLETE = {"status": "complete", "result_source": "query", "data": [{"a.b": 1}]}
RUNNING = {"status": "running"}


def test_a_finished_task_is_neither_requested_nor_delivered_again(
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


def test_an_unconfirmed_status_that_lasts_over_runs_is_final(
    simulator: Simulator, tap: Tap
) -> None:
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
    """The target has read up to some line; the last state it read starts the next run."""
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
    names = ["short", "unknown", "long", "longer"]
    config: dict[str, Any] = {
        "queries": [{"name": name, "query_id": 1, "limit": n + 1} for n, name in enumerate(names)],
        "max_concurrent_tasks": 1,
        # A query is launched once it is prepared: one request at a time keeps the order.
        "max_connections": 1,
    }
    first = tap(**config)
    assert [outcome["query_name"] for outcome in first.records()] == names
    state = first.state
    saved = {name: state["bookmarks"][name]["query"] for name in names}
    for name, milliseconds in {"short": 1400, "long": 1500, "longer": 1600}.items():
        saved[name]["runtimes_milliseconds"] = [1, milliseconds, 90_000]
    del saved["unknown"]["runtimes_milliseconds"]
    second = tap(state=state, **config)
    assert [outcome["query_name"] for outcome in second.records()] == [
        *("unknown", "longer", "long", "short")
    ]
    again = second.state["bookmarks"]["long"]["query"]["runtimes_milliseconds"]
    assert again[:3] == [1, 1500, 90_000]
    assert len(again) == 4


def test_the_last_five_run_times_of_a_query_are_kept(tap: Tap) -> None:
    config: dict[str, Any] = {"queries": [{"name": "airlines", "query_id": 1}]}
    state = tap(**config).state
    state["bookmarks"]["airlines"]["query"]["runtimes_milliseconds"] = [1, 2, 3, 4, 5]
    last = tap(state=state, **config).state["bookmarks"]["airlines"]["query"]
    assert last["runtimes_milliseconds"][:4] == [2, 3, 4, 5]
    assert len(last["runtimes_milliseconds"]) == 5


def test_the_time_of_a_cached_result_is_not_kept(simulator: Simulator, tap: Tap) -> None:
    config: dict[str, Any] = {"queries": [{"name": "airlines", "query_id": 1}]}
    simulator.fault("from_cache", times=None)
    run = tap(**config)
    assert run.only()["from_cache"] is True
    assert "runtimes_milliseconds" not in run.state["bookmarks"]["airlines"]["query"]


def test_a_run_of_the_same_name_launches_only_what_it_has_not_delivered(
    simulator: Simulator, tap: Tap
) -> None:
    config: dict[str, Any] = {
        "queries": [{"name": "airlines", "query_id": 1}, {"name": "wrong", "query_id": 5}],
        "run_id": "scheduled__2026-11-29",
    }
    first = tap(**config)
    assert first.exit_code == 1
    assert simulator.count("create_query_task") == 2
    assert first.state["bookmarks"]["airlines"]["run_id"] == "scheduled__2026-11-29"
    retry = tap(state=first.state, **config)
    assert (retry.exit_code, simulator.count("create_query_task")) == (1, 3)
    assert [outcome["query_name"] for outcome in retry.records()] == ["wrong"]
    # Nothing is said of the other: a target keeps its rows, and the version it has.
    assert {m["stream"] for m in retry.messages if "stream" in m} == {"query_task_results"}
    assert (
        "run_id scheduled__2026-11-29: already delivered, not launched again: airlines" in retry.log
    )
    assert retry.state["bookmarks"]["airlines"] == first.state["bookmarks"]["airlines"]


def test_versions_and_truncation_stay_right_over_the_tries_of_a_run(
    simulator: Simulator, tap: Tap
) -> None:
    config: dict[str, Any] = {
        "queries": [
            {"name": "cut", "query_id": 1, "limit": 2},
            {"name": "whole", "query_id": 1},
            {"name": "wrong", "query_id": 5},
        ]
    }

    def activated(run: Run) -> dict[str, int]:
        return {message["stream"]: message["version"] for message in run.of("ACTIVATE_VERSION")}

    first = tap(**config, run_id="one")
    truncated = {r["query_name"]: r["truncated"] for r in first.records()}
    assert (first.exit_code, truncated["cut"], truncated["whole"]) == (1, True, False)
    assert {*activated(first)} == {"whole"}
    retry = tap(state=first.state, **config, run_id="one")
    # The rows of the first try stay, and so does what it did not activate.
    assert (retry.exit_code, activated(retry)) == (1, {})
    assert [r["query_name"] for r in retry.records()] == ["wrong"]
    for name in ("cut", "whole"):
        assert retry.state["bookmarks"][name] == first.state["bookmarks"][name]
    assert simulator.count("create_query_task") == 4
    later = tap(state=retry.state, **config, run_id="two")
    assert {r["query_name"]: r["truncated"] for r in later.records()}["cut"] is True
    assert activated(later).keys() == {"whole"}
    assert activated(later)["whole"] > activated(first)["whole"]


def test_another_run_or_configuration_launches_everything(simulator: Simulator, tap: Tap) -> None:
    queries = [{"name": "airlines", "query_id": 1}]
    first = tap(queries=queries, run_id="one")
    for changed in (
        {"run_id": "two"},
        {},
        {"run_id": "one", "queries": [{**queries[0], "limit": 3}]},
    ):
        simulator.clear_calls()
        second = tap(state=first.state, **{"queries": queries, **changed})
        assert (second.exit_code, simulator.count("create_query_task")) == (0, 1)


def test_an_incremental_query_is_delivered_once_in_a_run(simulator: Simulator, tap: Tap) -> None:
    config: dict[str, Any] = {
        "queries": [
            {
                "name": "flights",
                "explore": {
                    "model": "flights_2013",
                    "explore": "flights",
                    "fields": ["flights.departure_date", "flights.count"],
                },
                "replication_key": "flights.departure_date",
            }
        ],
        "run_id": "one",
    }
    first = tap(**config)
    retry = tap(state=first.state, **config)
    assert (first.exit_code, retry.exit_code) == (0, 0)
    assert simulator.count("create_query_task") == 1
    assert retry.records() == []


def test_a_later_run_without_catalog_looks_up_no_saved_query_again(
    simulator: Simulator, tap: Tap
) -> None:
    config: dict[str, Any] = {
        "queries": [{"name": f"airlines_{n}", "query_id": 1} for n in range(3)],
    }
    first = tap(**config)
    simulator.clear_calls()
    second = tap(state=first.state, **config)
    assert second.exit_code == 0
    assert second.schema("airlines_2") == first.schema("airlines_2")
    assert len(second.records("airlines_2")) == len(first.records("airlines_2"))
    assert [simulator.count(name) for name in ("query", "lookml_model_explore")] == [0, 1]
    third = tap(state=second.state, queries=[{"name": "airlines_0", "query_id": 4}])
    assert third.exit_code == 0
    assert simulator.count("query") == 1


@pytest.mark.parametrize(
    ("text", "lookups"),
    [(None, 0), ("", 1), ("{", 1), ('{"bookmarks": 1}', 1), ("[1]", 1), ("[" * 5000, 1)],
)
def test_discovery_reads_the_state_that_meltano_saves_beside_the_configuration(
    simulator: Simulator, tap: Tap, tmp_path: Path, text: str | None, lookups: int
) -> None:
    config: dict[str, Any] = {"queries": [{"name": "airlines", "query_id": 1}]}
    first = tap(**config)
    (tmp_path / "state.json").write_text(json.dumps(first.state) if text is None else text)
    path = (tmp_path / "config.json").rename(tmp_path / "tap.0.config.json")
    simulator.clear_calls()
    discovered = invoke("--config", str(path), "--discover")
    assert discovered.exit_code == 0
    assert simulator.count("query") == lookups
    # In a folder that is not Meltano's, `state.json` can be anyone's.
    other = path.rename(tmp_path / "config.json")
    assert invoke("--config", str(other), "--discover").output == discovered.output
    assert simulator.count("query") == lookups + 1


def test_state_of_another_instance_is_rejected_with_the_way_out(
    simulator: Simulator, tap: Tap
) -> None:
    queries = [{"name": "q", "query_id": "17"}]
    first = tap(queries=queries)
    assert first.exit_code == 0
    elsewhere = simulator.base_url.replace("127.0.0.1", "localhost")
    rejected = tap(queries=queries, state=first.state, base_url=elsewhere)
    assert rejected.exit_code == 78
    assert rejected.error.startswith("state: it belongs to another Looker instance than base_url")
    assert len(simulator.tasks()) == 1
    moved = first.state
    del moved["bookmarks"]["query_task_results"]["instance"]
    again = tap(queries=queries, state=moved, base_url=elsewhere)
    assert again.exit_code == 0
    assert len(again.records("q")) == 3


@pytest.mark.parametrize(("hours", "is_awaited"), [(5, True), (7, False)])
def test_a_task_that_looker_has_removed_by_now_is_launched_again_without_the_grace(
    simulator: Simulator, tap: Tap, hours: int, *, is_awaited: bool
) -> None:
    config: dict[str, Any] = {"queries": [{"name": "q", "query_id": "17"}], "run_id": "r"}
    config |= {"expired_grace_seconds": 60, "task_timeout_seconds": 90_000}
    state = state_at_launch(tap(**config), "q")
    task = state["bookmarks"]["query_task_results"]["in_flight"]["q"]
    launched_at = datetime.fromisoformat(task["launched_at"]) - timedelta(hours=hours)
    task |= {"launched_at": launched_at.isoformat(), "query_task_id": "0" * 32}
    simulator.clear_calls()
    run = tap(state=state, sync_timeout_seconds=2 if is_awaited else None, **config)
    assert run.exit_code == 0
    assert simulator.count("create_query_task") == (0 if is_awaited else 1)
    assert len(run.records("q")) == (0 if is_awaited else 3)


def test_a_try_after_a_killed_one_launches_nothing_that_was_delivered(
    simulator: Simulator, tap: Tap
) -> None:
    queries = [{"name": f"airlines_{n}", "query_id": 1, "limit": n + 1} for n in range(4)]
    config: dict[str, Any] = {"queries": queries, "run_id": "one", "max_concurrent_tasks": 1}
    # A target that was killed has returned STATE of any moment.
    states = [message["value"] for message in tap(**config).of("STATE")]
    delivered = [{n for n, kept in s["bookmarks"].items() if "run_id" in kept} for s in states]
    assert any(0 < len(names) < len(queries) for names in delivered)
    for state, names in zip(states, delivered, strict=True):
        in_flight = {*state["bookmarks"]["query_task_results"]["in_flight"]}
        simulator.clear_calls()
        retry = tap(state=state, **config)
        assert retry.exit_code == 0
        assert simulator.count("create_query_task") == len(queries) - len(names | in_flight)
        streams = {m["stream"] for m in retry.messages if "stream" in m}
        assert streams == {"query_task_results", *(q["name"] for q in queries)} - names
