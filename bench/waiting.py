"""Runs the tap with default settings while tasks finish by a clock that its pauses move on."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.payloads import Results, build, query_task_id
from bench.stub import Stub, serving
from tap_looker_tasks.tap import TapLookerTasks

if TYPE_CHECKING:
    import threading

_START = 1_700_000_000.0
_MINUTES = 10


class Clock:
    """Stands still but for pauses."""

    def __init__(self) -> None:
        """Begin at some moment."""
        self._now = _START

    def now(self) -> float:
        """Return the time, in epoch seconds."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self._now += seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Let time pass at once, unless the event is set."""
        if not event.is_set():
            self.sleep(seconds)
        return event.is_set()


def main() -> None:
    """Take the number of tasks and a file for the calls from the command line."""
    tasks, path = int(sys.argv[1]), Path(sys.argv[2])
    clock = Clock()
    apart = _MINUTES * 60 / tasks
    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder) / "served"
        build(Results(("json",), 1, 1), served)
        stub = Stub.of(served, is_finished=lambda n: clock.now() >= _START + (n + 1) * apart)
        with serving(stub) as base_url:
            config = {"base_url": base_url, "client_id": "stub", "client_secret": "stub"}
            ids = [query_task_id(number) for number in range(tasks)]
            tap = TapLookerTasks(config={**config, "query_task_ids": ids}, clock=clock)
            tap.sync_all()
    path.write_text(json.dumps(stub.calls))


if __name__ == "__main__":
    main()
