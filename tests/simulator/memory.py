"""Memory of the simulator over a session of large results; run by hand, on Linux.

    python -m tests.simulator.memory

A client launches 100 tasks of 100,000 rows and polls them, 15 at once, as the tap does. A quarter
of an hour; with `--tasks 20`, three minutes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

import requests

_FIELDS = ("number", "carrier", "departure_time", "distance", "tail_number", "count")
_QUERY = {
    "model": "flights_2013",
    "view": "flights",
    "fields": [f"flights.{name}" for name in _FIELDS],
    "limit": "100000",
}
_AT_ONCE = 15
_MAX_MEGABYTES = 500
_MAX_KEPT_MEGABYTES = 100


def main() -> int:
    """Run the session, print the memory in MB, and return 1 if it is too much or kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator.memory")
    parser.add_argument("--tasks", type=int, default=100)
    tasks = parser.parse_args().tasks
    command = [str(Path(sys.executable).with_name("looker-simulator")), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[3]
            status = Path(f"/proc/{process.pid}/status")
            before, _ = _memory(status)
            _run_session(f"{address}/api/4.0", tasks)
            after, peak = _memory(status)
        finally:
            process.terminate()
    shown = f"{before} MB at the start, {peak} MB at most, {after} MB at the end"
    sys.stdout.write(f"{tasks} tasks: {shown}\n")
    return int(peak > _MAX_MEGABYTES or after - before > _MAX_KEPT_MEGABYTES)


def _memory(status: Path) -> tuple[int, int]:
    """Return the resident memory of a process now and at its peak, in MB."""
    now, peak = (re.search(rf"{key}:\s+(\d+)", status.read_text()) for key in ("VmRSS", "VmHWM"))
    assert now is not None
    assert peak is not None
    return int(now[1]) // 1024, int(peak[1]) // 1024


def _run_session(api: str, tasks: int) -> None:
    """Launch tasks and poll them until all are complete."""
    with requests.Session() as session:
        secret = {"client_id": "simulator", "client_secret": "simulator"}
        token = session.post(f"{api}/login", data=secret, timeout=60).json()["access_token"]
        session.headers["Authorization"] = f"token {token}"
        query = session.post(f"{api}/queries", json=_QUERY, timeout=60).json()
        task = {"query_id": query["id"], "result_format": "json_detail"}
        left, pending = tasks, set[str]()
        while left or pending:
            while left and len(pending) < _AT_ONCE:
                created = session.post(f"{api}/query_tasks", json=task, timeout=60).json()
                pending.add(created["id"])
                left -= 1
            ids = {"query_task_ids": ",".join(pending)}
            polled = session.get(f"{api}/query_tasks/multi_results", params=ids, timeout=600).json()
            statuses = {id_: entry["status"] for id_, entry in polled.items()}
            assert not {*statuses.values()} & {"error", "expired"}, statuses
            pending -= {id_ for id_, status in statuses.items() if status == "complete"}
            time.sleep(0.3)


if __name__ == "__main__":
    sys.exit(main())
