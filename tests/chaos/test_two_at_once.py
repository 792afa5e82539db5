"""Two taps with one state, and a state of another instance."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.singer import leave_running, parse, stored_id, unmeasured

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from looker_simulator.engine import Database
    from tests.singer import Run

    Tap = Callable[..., Run]

CARRIERS = {
    "model": "flights_2013",
    "explore": "flights",
    "fields": ["flights.carrier", "flights.count"],
}
ORIGINS = {**CARRIERS, "fields": ["flights.origin", "flights.count"]}


def killed(simulator: Simulator) -> set[str]:
    """Ids of the tasks that a user requested to cancel."""
    return {c.path.rpartition("/")[2] for c in simulator.calls if c.operation == "kill_query"}


def test_a_state_of_another_instance_harms_no_one_there(
    simulator: Simulator, database: Database, tap: Tap
) -> None:
    with Simulator(database=database) as other:
        queries = [
            {"name": "carriers", "explore": CARRIERS},
            {"name": "saved", "query_id": stored_id(1)},
        ]
        config: dict[str, Any] = {
            "queries": queries,
            "query_task_ids": [other.create_task("4", "json")],
        }
        delivered = tap(**config, base_url=other.base_url)
        running = leave_running(tap, other, **config, state=delivered.state)
    in_flight = {t["query_task_id"] for t in running.bookmark["in_flight"].values()}
    assert len(in_flight) == 2
    # What has Looker's id of `carriers` there is another query here.
    saved = running.state["bookmarks"]["carriers"]["query"]["query_id"]
    others = ({**ORIGINS, "view": "flights", "limit": f"{n}"} for n in range(10, 12))
    assert saved in [simulator.create_query(body) for body in others]
    # The instance has moved, as the user thinks.
    del running.bookmark["instance"]
    theirs = [simulator.create_task("1", "json") for _ in range(3)]
    run = tap(queries=queries, query_task_ids=theirs[:1], state=running.state)
    assert run.exit_code == 0, run.log
    assert run.records("carriers") == [
        {**row, "_query_task_id": run.records("carriers")[0]["_query_task_id"]}
        for row in delivered.records("carriers")
    ]
    assert len(run.records("saved")) == len(delivered.records("saved"))
    assert run.statuses()[theirs[0]] == "complete"
    assert killed(simulator) <= in_flight
    assert simulator.cancelled == set()
    assert run.bookmark["in_flight"] == {}


@pytest.mark.slow
def test_two_taps_with_one_state_lose_nothing_though_one_is_interrupted(
    database: Database, tmp_path: Path
) -> None:
    with Simulator(SimulatorOptions(latency_seconds=1.5), database=database) as simulator:
        given = simulator.create_task("1", "json")
        first, second = (started(simulator, tmp_path, given) for _ in range(2))
        with first, second:
            wait_for_launches(simulator, 2)
            first.send_signal(signal.SIGTERM)
            first.communicate(timeout=30)
            output, _ = second.communicate(timeout=30)
    assert (first.returncode, second.returncode) == (143, 0)
    rows = [m["record"] for m in parse(output) if m["type"] == "RECORD"]
    assert len([row for row in rows if "flights__carrier" in row]) > 10
    (outcome,) = (row for row in rows if row.get("query_task_id") == given)
    assert outcome["status"] == "complete"
    # Each cancels only what itself launched.
    assert len(simulator.cancelled) == 1
    assert given not in simulator.cancelled


def started(simulator: Simulator, folder: Path, given: str) -> subprocess.Popen[bytes]:
    config = {
        "base_url": simulator.base_url,
        "client_id": simulator.client_id,
        "client_secret": simulator.client_secret,
        "query_task_ids": [given],
        "queries": [{"name": "carriers", "explore": CARRIERS}],
    }
    (folder / "config.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "tap_looker_tasks", "--config", str(folder / "config.json")]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=unmeasured()
    )


def wait_for_launches(simulator: Simulator, count: int) -> None:
    deadline = time.monotonic() + 30
    while simulator.count("create_query_task") < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
