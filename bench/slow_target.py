"""What a slow target does to a run whose results Looker keeps for a short time only."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bench.arena import written
from bench.processes import PROJECT, SIMULATOR, TAP, BenchError, server
from bench.report import Line, Series, at_most

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bench.arena import Arena

_ROWS_A_SECOND = 5000
_QUERIES = 10
_ROWS = 30_000
_AT_ONCE = 3
_LAST_LAUNCH_SECONDS = 25
_LOOKER = ("--result-ttl", "12", "--stall-timeout", "4", "--latency", "1", "--port", "0")
_EXPLORE = {
    "model": "flights_2013",
    "explore": "flights",
    "fields": ["flights.departure_time", "flights.carrier", "flights.number", "flights.distance"],
}


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What a target took.

    Attributes:
        outcomes: records of `query_task_results`.
        seconds: from the first message to the last.
    """

    outcomes: list[dict[str, Any]]
    seconds: float


def of_a_slow_target(arena: Arena) -> Iterator[Line]:
    """Deliver large results to a target that takes 5,000 rows a second."""
    rows = arena.scaled(_ROWS)
    with (
        arena.folder() as folder,
        server([SIMULATOR, *_LOOKER], folder) as words,
    ):
        (base_url,) = (word for word in words if word.startswith("http"))
        loaded = _load(folder, base_url, rows)
    launches = sorted(_moment(outcome["launched_at"]) for outcome in loaded.outcomes)
    complete = sum(outcome["status"] == "complete" for outcome in loaded.outcomes)
    what = f"{_QUERIES} queries of {rows:,} rows, {_ROWS_A_SECOND:,} rows/s taken"
    yield Line(
        "slow target",
        Series(f"{what}: not delivered", "", (float(_QUERIES - complete),)),
        goal=at_most(0),
    )
    attempts = sum(outcome["attempt"] for outcome in loaded.outcomes)
    yield Line("slow target", Series("launches", "", (float(attempts),)), goal=at_most(_QUERIES))
    last = Series("last launch after", "s", (launches[-1] - launches[0],))
    yield Line("slow target", last, goal=at_most(_LAST_LAUNCH_SECONDS))
    yield Line("slow target", Series("all delivered after", "s", (loaded.seconds,)))


def _load(folder: Path, base_url: str, rows: int) -> _Loaded:
    # Each limit makes another query.
    queries = [
        {"name": f"query_{n}", "explore": _EXPLORE, "limit": rows + n} for n in range(_QUERIES)
    ]
    config = {
        "base_url": base_url,
        "client_id": "simulator",
        "client_secret": "simulator",
        "max_concurrent_tasks": _AT_ONCE,
        "queries": queries,
    }
    command = [TAP, "--config", written(folder / "config.json", config)]
    with (folder / "stderr").open("wb") as log:
        process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=log)
        loaded = _take(process.stdout or ())
        if process.wait():
            msg = f"exit code {process.returncode}: {(folder / 'stderr').read_text()[-1000:]}"
            raise BenchError(msg)
    return loaded


def _take(lines: Iterable[bytes]) -> _Loaded:
    """Take messages as a target does that loads that many rows a second."""
    started = time.monotonic()
    outcomes, taken = [], 0
    for line in lines:
        if b'"stream":"query_task_results"' in line and b'"RECORD"' in line:
            outcomes.append(json.loads(line)["record"])
        taken += b'"RECORD"' in line[:20]
        ahead = taken / _ROWS_A_SECOND - (time.monotonic() - started)
        if ahead > 0.05:  # noqa: PLR2004 - as fine as sleeping is
            time.sleep(ahead)
    return _Loaded(outcomes, time.monotonic() - started)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
