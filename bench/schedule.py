"""How long many slow queries take together."""

from __future__ import annotations

import heapq
import json
import math
import random
import re
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from bench.arena import check, written
from bench.processes import PYTHON, TAP, BenchError, run, server
from bench.report import Line, Of, Series, at_most

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bench.arena import Arena
    from bench.processes import Run

    Runs = Mapping[str, tuple[Run, ...]]

AT_ONCE = 10
_QUERIES = 60
_SHORTEST, _LONGEST = 1.0, 3.0
_ROWS = 4
# An order of the queries that nearly fills all slots to the end: what is
# lost is then the tap's doing, and not that of chance.
_SEED = 3
# What the interpreter and the SDK take before the first request, left out of all figures.
_START_UP_SECONDS = 0.5
_GOALS = MappingProxyType({0.0: 1.1, 0.1: 1.35, 0.25: 1.7})
ROUND_TRIPS = tuple(_GOALS)
# Launches, and polls with login and logout.
_MAX_CALLS_AGAIN = _QUERIES + 50
_CALLS = re.compile(r"API calls made: (?P<calls>\d+)")


def _last_state(messages: Path) -> bytes:
    lines = (line for line in messages.read_bytes().splitlines() if b'"STATE"' in line[:20])
    *_, last = lines
    return json.dumps(json.loads(last)["value"]).encode()


def run_times(queries: int) -> list[float]:
    """Return how long each query takes: anything between two times, in no order."""
    step = (_LONGEST - _SHORTEST) / queries
    times = [_SHORTEST + step * (number + 0.5) for number in range(queries)]
    random.Random(_SEED).shuffle(times)  # noqa: S311 - run times, not secrets
    return times


def best_seconds(queries: int) -> float:
    """Return how long the queries take when there is never a slot unused."""
    times = run_times(queries)
    return max(sum(times) / AT_ONCE, *times)


def seconds_in_order(queries: int) -> float:
    """Return how long the queries take when each starts as soon as a slot is free."""
    slots = [0.0] * AT_ONCE
    for seconds in run_times(queries):
        heapq.heapreplace(slots, slots[0] + seconds)
    return max(slots)


@dataclass(frozen=True, slots=True)
class _Looker:
    """The simulator, and the queries that the tap runs."""

    folder: Path
    base_url: str
    query_ids: Sequence[str]

    def first(self) -> Run:
        """Run the tap as for the first time, with default settings."""
        return self._tap()

    def again(self) -> Run:
        """Run the tap with the catalog and the state of an earlier run."""
        catalog, state = self.folder / "catalog.json", self.folder / "state.json"
        if not state.exists():
            run([TAP, "--config", self._config(), "--discover"], self.folder, keep=catalog)
            messages = self.folder / "messages"
            self._tap(keep=messages)
            state.write_bytes(_last_state(messages))
        return self._tap("--catalog", str(catalog), "--state", str(state))

    def calls(self) -> float:
        """Return the API calls of the last run, as its log has them."""
        found = _CALLS.search((self.folder / "stderr").read_text())
        return float(found["calls"]) if found else math.nan

    def _tap(self, *options: str, keep: Path | None = None) -> Run:
        command = [TAP, "--config", self._config(), *options]
        ended = run(command, self.folder, keep=keep)
        names = self._names()
        check(ended, {**dict.fromkeys(names, _ROWS), "query_task_results": len(names)}, command)
        return ended

    def _names(self) -> list[str]:
        return [f"query_{id_}" for id_ in self.query_ids]

    def _config(self) -> str:
        queries = [
            {"name": name, "query_id": id_}
            for name, id_ in zip(self._names(), self.query_ids, strict=True)
        ]
        own = {"base_url": self.base_url, "client_id": "simulator", "client_secret": "simulator"}
        return written(self.folder / "config.json", {**own, "queries": queries})


def slow_queries(round_trip: float, arena: Arena) -> Iterator[Line]:
    """Run slow queries side by side, for the first time and once more."""
    queries = arena.scaled(_QUERIES)
    with arena.folder() as folder:
        with _looker(folder, queries, round_trip) as looker:
            runs = arena.in_turn(
                {"first run": looker.first, "with state and catalog": looker.again}
            )
            calls = looker.calls()
        logins = json.loads(_logins(folder).read_text())
    measure = f"slow queries, round trip {round_trip:g} s"
    best = Series("the best possible schedule", "s", (best_seconds(queries),))
    in_order = Series("the best in this order", "s", (seconds_in_order(queries),))
    goal = at_most(_GOALS[round_trip], Of.RATIO)
    for name in runs:
        taken = _taken(queries, name, runs)
        yield Line(measure, taken, best, goal, note="less 0.5 s of start-up")
        yield Line(measure, taken, in_order, goal.without_limit())
        times = (*_since(logins, runs[name]),)
        from_first_call = Series(f"{name}, from the first call on", "s", times)
        yield Line(measure, from_first_call, best, goal.without_limit())
    again = Series(f"calls for {queries} queries, with state and catalog", "calls", (calls,))
    yield Line(measure, again, goal=at_most(_MAX_CALLS_AGAIN))


@contextmanager
def _looker(folder: Path, queries: int, round_trip: float) -> Iterator[_Looker]:
    own = [str(queries), str(round_trip), str(_logins(folder))]
    command = [PYTHON, "-m", "bench.slow_looker", *own]
    with server(command, folder) as (base_url, *ids):
        yield _Looker(folder, base_url, ids)


def _taken(queries: int, name: str, runs: Runs) -> Series:
    what = f"{queries} queries of 1 to 3 s, {AT_ONCE} at a time, {name}"
    return Series(what, "s", tuple(ended.seconds - _START_UP_SECONDS for ended in runs[name]))


def _since(logins: Sequence[float], runs: Sequence[Run]) -> Iterator[float]:
    """Return how long each run took from its login on.

    Raises:
        BenchError: If a run did not log in once.
    """
    for ended in runs:
        moments = [at for at in logins if ended.ended_at - ended.seconds < at < ended.ended_at]
        if len(moments) != 1:
            msg = f"{len(moments)} logins in one run, expected 1"
            raise BenchError(msg)
        yield ended.ended_at - moments[0]


def _logins(folder: Path) -> Path:
    return folder / "logins.json"
