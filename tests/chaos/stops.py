"""A target that reads nothing for a while: how many launches are then missing from STATE."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from looker_simulator.simulator import Simulator, SimulatorOptions
from tap_looker_tasks.tasks.board import UNNAMED_LAUNCHES_PER_SLOT
from tests.chaos.kills import named_tasks, unfinished_tasks
from tests.singer import stored_id, unmeasured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from looker_simulator.engine import Database

_MAX_SECONDS = 600
_MOMENT_SECONDS = 0.05
# More than a pipe holds.
_LONG = json.dumps([{"a.n": n, "a.text": "x" * 100} for n in range(5000)]).encode()
_OUTCOMES = "query_task_results"


@dataclass(frozen=True)
class Stop:
    """What happened while the target read nothing.

    Attributes:
        slots: `max_concurrent_tasks`.
        seconds: Seconds for which nothing was read.
        launched: Query tasks that were launched until then.
        unnamed: Those of them that no STATE names.
        share_full: Share of that time in which every slot was in use.
        launched_again: Launches by the next run, after SIGKILL, of queries already launched.
    """

    slots: int
    seconds: float
    launched: int
    unnamed: int
    share_full: float
    launched_again: int

    def shown(self) -> Iterator[str]:
        """Yield a table."""
        yield f"{'slots':38} {self.slots:8,}"
        yield f"{f'launched in {self.seconds:.0f} s without reading':38} {self.launched:8,}"
        yield f"{'of these, named by no STATE':38} {self.unnamed:8,}"
        yield f"{'share of time with all slots in use':38} {self.share_full:8.0%}"
        yield f"{'launched again after SIGKILL':38} {self.launched_again:8,}"

    def found(self) -> list[str]:
        """Return the promises that were broken."""
        bound = self.slots * UNNAMED_LAUNCHES_PER_SLOT
        found = []
        if self.unnamed > bound:
            found.append(f"{self.unnamed} launches are missing from STATE, more than {bound}")
        if self.launched_again > self.unnamed:
            found.append(f"{self.launched_again} queries run again, {self.unnamed} were unnamed")
        return found


@dataclass(frozen=True)
class _Experiment:
    simulator: Simulator
    folder: Path
    slots: int
    queries: int
    seconds: float

    @contextmanager
    def started(self, state: object = None) -> Iterator[subprocess.Popen[bytes]]:
        """Start a run whose first lines are more than a pipe holds."""
        long = self.simulator.add_scripted_task([b'{"status":"complete","data":%b}' % _LONG])
        queries = [
            {"name": f"q{n}", "query_id": stored_id(1), "limit": 100 + n}
            for n in range(self.queries)
        ]
        config = {
            "base_url": self.simulator.base_url,
            "client_id": self.simulator.client_id,
            "client_secret": self.simulator.client_secret,
            "queries": queries,
            "query_task_ids": [long],
            "max_concurrent_tasks": self.slots,
            "poll_interval_seconds": 0.05,
        }
        command = [sys.executable, "-m", "tap_looker_tasks"]
        for name, content in {"config": config, "state": state or {}}.items():
            path = self.folder / f"{name}.json"
            path.write_text(json.dumps(content))
            command += [f"--{name}", str(path)]
        with (
            (self.folder / "log").open("wb") as log,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, env=unmeasured()
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def stop(self) -> float:
        """Read nothing, from the first launch on; return the share of time with full slots."""
        give_up_at = time.monotonic() + _MAX_SECONDS
        while not self.launched:
            assert time.monotonic() < give_up_at, (self.folder / "log").read_text()
            time.sleep(_MOMENT_SECONDS)
        ends_at, used = time.monotonic() + self.seconds, []
        while time.monotonic() < ends_at:
            time.sleep(_MOMENT_SECONDS)
            used.append(len(unfinished_tasks(self.simulator)))
        return sum(count >= self.slots for count in used) / len(used)

    def launch_again(self, messages: list[dict[str, Any]]) -> int:
        """Run from the last STATE; return how many queries were launched a second time."""
        state = _last_state(messages)
        with self.started(state) as process:
            output, _ = process.communicate(timeout=_MAX_SECONDS)
        assert process.returncode == 0, (self.folder / "log").read_text()
        assert _delivered(_messages(output)) | _delivered(messages) == self.names()
        return self.launched - self.queries

    def names(self) -> set[str]:
        return {f"q{n}" for n in range(self.queries)}

    @property
    def launched(self) -> int:
        return self.simulator.count("create_query_task")


def run_stopped(
    folder: Path, database: Database, *, slots: int, queries: int, seconds: float, latency: float
) -> Stop:
    """Stop reading for that long, then kill the run, and let the next one finish."""
    options = SimulatorOptions(latency_seconds=latency, concurrency=2 * slots)
    with Simulator(options, database=database) as simulator:
        experiment = _Experiment(simulator, folder, slots, queries, seconds)
        with experiment.started() as process:
            share_full = experiment.stop()
            launched = experiment.launched
            process.kill()
            assert process.stdout
            messages = _messages(process.stdout.read())
        named = named_tasks(_last_state(messages)) | _finished(messages)
        launched_again = experiment.launch_again(messages)
        return Stop(slots, seconds, launched, launched - len(named), share_full, launched_again)


def _messages(output: bytes) -> list[dict[str, Any]]:
    """Read the complete lines."""
    return [json.loads(line) for line in output.split(b"\n")[:-1]]


def _last_state(messages: list[dict[str, Any]]) -> dict[str, Any] | None:
    states = [message["value"] for message in messages if message["type"] == "STATE"]
    return states[-1] if states else None


def _outcomes(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        if message["type"] == "RECORD" and message["stream"] == _OUTCOMES:
            yield message["record"]


def _finished(messages: list[dict[str, Any]]) -> set[str]:
    """Return the launched tasks that were delivered."""
    return {row["query_task_id"] for row in _outcomes(messages) if row["origin"] == "launched"}


def _delivered(messages: list[dict[str, Any]]) -> set[str]:
    return {row["query_name"] for row in _outcomes(messages) if row["origin"] == "launched"}
