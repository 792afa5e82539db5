"""Runs the tap with default settings while tasks finish by a clock that its pauses move on."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from bench.payloads import Results, build, query_task_id
from bench.stub import Stub, serving
from tap_looker_tasks.tap import TapLookerTasks

_START = 1_700_000_000.0
_MINUTES = 10


class Clock:
    """Stands still but for pauses."""

    def __init__(self) -> None:
        """Begin at some moment."""
        self.now = _START

    def __call__(self) -> float:
        """Tell epoch seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.now += seconds


def main() -> None:
    """Take the number of tasks and a file for the calls from the command line."""
    tasks, path = int(sys.argv[1]), Path(sys.argv[2])
    clock = Clock()
    apart = _MINUTES * 60 / tasks
    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder) / "served"
        build(Results(("json",), 1, 1), served)
        stub = Stub.of(served, is_finished=lambda n: clock() >= _START + (n + 1) * apart)
        with serving(stub) as base_url:
            config = {"base_url": base_url, "client_id": "stub", "client_secret": "stub"}
            ids = [query_task_id(number) for number in range(tasks)]
            tap = TapLookerTasks(
                config={**config, "query_task_ids": ids}, clock=clock, sleep=clock.sleep
            )
            tap.sync_all()
    path.write_text(json.dumps(stub.calls))


if __name__ == "__main__":
    main()
