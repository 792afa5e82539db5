"""A simulated Looker at a distance, whose queries take the time that they are told to."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.schedule import AT_ONCE, run_times
from looker_simulator.builtin import BUILTIN
from looker_simulator.simulator import Simulator, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUERY = {
    "model": "flights_2013",
    "view": "numbers",
    "fields": ["numbers.id", "numbers.decimal", "numbers.text"],
    "query_timezone": "UTC",
}
_FIRST_LIMIT = 1000


def main() -> None:
    """Serve until SIGTERM; prints the base URL, then the ids of the queries.

    The arguments are the number of queries, the seconds of a round trip, and a file: it has the
    moments of all logins at the end, in seconds of the monotonic clock.
    """
    seconds = run_times(int(sys.argv[1]))
    first_id = len(BUILTIN.content.queries) + 1
    latencies = {str(first_id + n): seconds_of_one for n, seconds_of_one in enumerate(seconds)}
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    options = SimulatorOptions(
        query_latency=latencies, concurrency=AT_ONCE, round_trip_seconds=float(sys.argv[2])
    )
    with Simulator(options) as simulator:
        ids = [simulator.create_query(body) for body in _bodies(len(seconds))]
        sys.stdout.write(" ".join([simulator.base_url, *ids]) + "\n")
        sys.stdout.flush()
        stopped.wait()
        # They are recorded when they are served.
        started = [
            c.at - options.round_trip_seconds for c in simulator.calls if c.operation == "login"
        ]
        Path(sys.argv[3]).write_text(json.dumps(started))


def _bodies(count: int) -> Iterator[dict[str, Any]]:
    """Queries of one table with four rows that differ in a limit far above."""
    for number in range(count):
        yield {**_QUERY, "limit": str(_FIRST_LIMIT + number)}


if __name__ == "__main__":
    main()
