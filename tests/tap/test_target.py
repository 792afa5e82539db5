"""A target that dies, or that reads nothing while the tap is to end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.singer import unmeasured, with_stored_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from looker_simulator.engine import Database

COMMAND = Path(sys.executable).with_name("tap-looker-tasks")
# More than a pipe holds.
LONG = json.dumps([{"a.n": n, "a.text": "x" * 100} for n in range(5000)]).encode()


@pytest.fixture
def slow(database: Database) -> Iterator[Simulator]:
    """No query finishes."""
    with Simulator(SimulatorOptions(latency_seconds=60.0), database=database) as simulator:
        yield simulator


@contextmanager
def running(simulator: Simulator, folder: Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A tap whose launched query continues for ever, while a long result is to be delivered."""
    id_ = simulator.add_scripted_task([b'{"status":"complete","data":%b}' % LONG])
    config = {
        "base_url": simulator.base_url,
        "client_id": simulator.client_id,
        "client_secret": simulator.client_secret,
        "queries": [{"name": "airlines", "query_id": 1}],
        "query_task_ids": [id_],
        "poll_interval_seconds": 0.02,
        **more,
    }
    path = folder / "config.json"
    path.write_text(json.dumps(with_stored_ids(config)))
    options = ["--config", str(path)]
    if (folder / "state.json").exists():
        options += ["--state", str(folder / "state.json")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [COMMAND, *options], stdout=subprocess.PIPE, stderr=log, env=unmeasured()
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            assert process.stdout
            process.stdout.close()


def wait_for_launch(simulator: Simulator) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if launched := simulator.count("create_query_task") and simulator.tasks():
            # What it is to write by now, no pipe can hold.
            time.sleep(0.5)
            return str(launched[-1])
        time.sleep(0.02)
    pytest.fail("nothing was launched")


def is_cancelled(simulator: Simulator, query_task_id: str) -> bool:
    return query_task_id in simulator.cancelled


@pytest.mark.slow
@pytest.mark.parametrize(("on_interrupt", "cancels"), [("cancel", True), ("leave", False)])
def test_a_target_that_dies_ends_the_run_in_one_line(
    slow: Simulator, tmp_path: Path, on_interrupt: str, *, cancels: bool
) -> None:
    with running(slow, tmp_path, on_interrupt=on_interrupt) as process:
        launched = wait_for_launch(slow)
        assert process.stdout
        process.stdout.close()
        assert process.wait(20) == 1
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "Exception ignored" not in log
    last = log.splitlines()[-1]
    assert "| ERROR" in last
    assert "the target stopped reading (Broken pipe); check its log" in last
    assert is_cancelled(slow, launched) is cancels


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_ends_the_run_though_the_target_reads_nothing(
    slow: Simulator, tmp_path: Path, number: signal.Signals
) -> None:
    with running(slow, tmp_path) as process:
        launched = wait_for_launch(slow)
        process.send_signal(number)
        assert process.wait(10) == 128 + number
        assert process.stdout
        *lines, torn = process.stdout.read().split(b"\n")
    assert all(json.loads(line)["type"] for line in lines)
    # The line that no one read was in progress; nothing follows it.
    assert torn.startswith(b'{"type":"RECORD"')
    assert is_cancelled(slow, launched)
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_an_interrupt_ends_the_run_though_no_one_reads_the_last_state(
    slow: Simulator, tmp_path: Path
) -> None:
    # Of it, a pipe takes what is written by the launch, and a part of the last.
    finished = {f"{number:032x}": "complete" for number in range(550)}
    state = {"bookmarks": {"query_task_results": {"finished": finished}}}
    (tmp_path / "state.json").write_text(json.dumps(state))
    with running(slow, tmp_path, query_task_ids=[*finished]) as process:
        launched = wait_for_launch(slow)
        interrupted_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
        assert time.monotonic() - interrupted_at < 5
        assert process.stdout
        *lines, torn = process.stdout.read().split(b"\n")
    assert {json.loads(line)["type"] for line in lines} == {"SCHEMA", "STATE"}
    assert torn.startswith(b'{"type":"STATE"')
    assert is_cancelled(slow, launched)
    assert slow.count("logout") == 1
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_line_of_60_mb_that_is_read_slowly_is_not_torn_by_an_interrupt(
    slow: Simulator, tmp_path: Path, number: signal.Signals
) -> None:
    long = slow.add_scripted_task([b'{"status":"complete","data":"%b"}' % (b"x" * 60_000_000)])
    with running(slow, tmp_path, query_task_ids=[long], max_response_bytes=10**9) as process:
        wait_for_launch(slow)
        assert process.stdout
        # The schema, and the start of the line.
        received = bytearray(process.stdout.read(1_000_000))
        process.send_signal(number)
        # Longer than a reader may stop for.
        for _ in range(25):
            time.sleep(0.1)
            received += process.stdout.read(100_000)
        received += process.stdout.read()
        assert process.wait(20) == 128 + number
    *lines, torn = bytes(received).split(b"\n")
    assert torn == b""
    (record,) = (line for line in lines if line.startswith(b'{"type":"RECORD"'))
    assert len(json.loads(record)["record"]["data"]["text"]) == 60_000_000
    assert json.loads(lines[-1])["type"] == "STATE"
    assert slow.count("logout") == 1
    assert is_cancelled(slow, slow.tasks()[-1])
