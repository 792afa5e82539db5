"""A wall clock that jumps by hours neither times tasks out nor hangs a run."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from looker_simulator.simulator import Simulator, SimulatorOptions
from tap_looker_tasks.looker import SteadyClock
from tests.singer import parse, stored_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from looker_simulator.engine import Database
    from tests.singer import Run

    Tap = Callable[..., Run]

EIGHT_HOURS = 8 * 3600
QUERIES = [{"name": f"airlines_{n}", "query_id": stored_id(1), "limit": 100 + n} for n in range(2)]
DAYS = {
    "name": "days",
    "explore": {
        "model": "flights_2013",
        "explore": "flights",
        "fields": ["flights.departure_date", "flights.count"],
        "sorts": ["flights.departure_date"],
    },
    "replication_key": "flights.departure_date",
    "primary_keys": ["flights.departure_date"],
}
CHANGES = {
    ("Europe/Berlin", "forward"): "2026-03-29T01:00:00+00:00",
    ("Europe/Berlin", "back"): "2026-10-25T01:00:00+00:00",
    ("America/New_York", "forward"): "2026-03-08T07:00:00+00:00",
    ("America/New_York", "back"): "2026-11-01T06:00:00+00:00",
}
POLLS_BEFORE_CHANGE = 5
DAY, COUNT = "flights__departure_date", "flights__count"
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def check_runtime(record: Mapping[str, Any]) -> None:
    """The moments of a task are in order, and not hours apart."""
    launched_at, finished_at = (
        datetime.fromisoformat(record[name]) for name in ("launched_at", "finished_at")
    )
    assert timedelta(0) < finished_at - launched_at < timedelta(minutes=1)


def test_a_clock_that_shows_another_hour_each_time_changes_nothing(
    database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, jumps = time.time, itertools.cycle([0, EIGHT_HOURS, -EIGHT_HOURS])
    with Simulator(SimulatorOptions(latency_seconds=0.3), database=database) as simulator:
        monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
        run = tap(base_url=simulator.base_url, queries=QUERIES, sync_timeout_seconds=15)
    assert run.exit_code == 0, run.log
    assert {*run.statuses().values()} == {"complete"}
    assert len(run.records()) == 2
    for record in run.records():
        check_runtime(record)


@pytest.mark.parametrize("year", [1960, 2150])
def test_a_run_under_any_clock_delivers(
    tap: Tap, monkeypatch: pytest.MonkeyPatch, year: int
) -> None:
    offset = (year - 2026) * 365.25 * 86_400
    real = time.time
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: real() + offset)
        first = tap(queries=QUERIES)
    assert first.exit_code == 0, first.log
    second = tap(queries=QUERIES, state=first.state)
    assert second.exit_code == 0, second.log
    versions = [m["version"] for run in (first, second) for m in run.of("ACTIVATE_VERSION")]
    name = QUERIES[0]["name"]
    before, after = (
        [m["version"] for m in run.of("ACTIVATE_VERSION") if m["stream"] == name]
        for run in (first, second)
    )
    assert max(before) < min(after)
    assert len(versions) == 4
    assert ("is ahead of this machine's clock" in second.log) is (year > 2100)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("direction", ["forward", "back"])
def test_a_run_across_a_change_of_daylight_saving_delivers(
    database: Database, tap: Tap, monkeypatch: pytest.MonkeyPatch, zone: str, direction: str
) -> None:
    """The query's zone and the machine's change while the queries run."""
    change = datetime.fromisoformat(CHANGES[zone, direction])
    real = SteadyClock.now
    with Simulator(SimulatorOptions(latency_seconds=1.0), database=database) as simulator:
        started_at = time.time()
        crossed_at: list[float] = []

        def now(clock: SteadyClock) -> float:
            at = real(clock)
            # By then, all queries are launched, and none has ended.
            if not crossed_at and simulator.count("query_task_multi_results") > POLLS_BEFORE_CHANGE:
                crossed_at.append(at)
            if not crossed_at:
                return change.timestamp() - 10 + min(at - started_at, 9.0)
            return change.timestamp() + at - crossed_at[0]

        config = {"base_url": simulator.base_url, "queries": [*QUERIES, DAYS]}
        try:
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            monkeypatch.setattr(SteadyClock, "now", now)
            first = tap(**config, query_timezone=zone)
            second = tap(**config, query_timezone=zone, state=first.state)
        finally:
            monkeypatch.undo()
            time.tzset()
    for run in (first, second):
        assert run.exit_code == 0, run.log
        assert [*run.statuses().values()] == ["complete"] * 3
    for record in first.records():
        launched_at, finished_at = (
            datetime.fromisoformat(record[name]) for name in ("launched_at", "finished_at")
        )
        assert launched_at < change < finished_at < launched_at + timedelta(minutes=2)
    before, after = (
        [m["version"] for m in run.of("ACTIVATE_VERSION") if m["stream"] == "airlines_0"]
        for run in (first, second)
    )
    assert max(before) < min(after)
    # The second run loads the last day again, and no other.
    last = first.records("days")[-1]
    assert first.state["bookmarks"]["days"]["replication_key_value"] == last[DAY]
    assert [(row[DAY], row[COUNT]) for row in second.records("days")] == [(last[DAY], last[COUNT])]


@pytest.mark.slow
@pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime (Debian: apt install faketime)")
@pytest.mark.parametrize("jump", ["+8h", "-8h"])
def test_the_machines_clock_may_be_set_during_a_run(
    database: Database, tmp_path: Path, jump: str
) -> None:
    with Simulator(SimulatorOptions(latency_seconds=1.0), database=database) as simulator:
        config = {
            "base_url": simulator.base_url,
            "client_id": simulator.client_id,
            "client_secret": simulator.client_secret,
            "queries": QUERIES,
            "task_timeout_seconds": 60,
            "sync_timeout_seconds": 60,
            "poll_interval_seconds": 0.05,
        }
        (tmp_path / "config.json").write_text(json.dumps(config))
        clock = tmp_path / "clock"
        clock.write_text("+0")
        environment = {
            **os.environ,
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        command = [sys.executable, "-m", "tap_looker_tasks", "--config", config_path(tmp_path)]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            deadline = time.monotonic() + 30
            while simulator.count("query_task_multi_results") < 2:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            clock.write_text(jump)
            output, log = process.communicate(timeout=45)
    assert process.returncode == 0, log.decode()
    outcomes = [
        m["record"]
        for m in parse(output)
        if m.get("stream") == "query_task_results" and m["type"] == "RECORD"
    ]
    assert [outcome["status"] for outcome in outcomes] == ["complete"] * 2
    for outcome in outcomes:
        check_runtime(outcome)


def config_path(folder: Path) -> str:
    return str(folder / "config.json")
