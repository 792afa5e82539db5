"""How long many slow queries take together."""

from __future__ import annotations

import heapq
import random
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from bench.arena import check, written
from bench.environments import UnavailableError
from bench.others import airbyte, one_by_one
from bench.processes import PYTHON, TAP, run, server
from bench.report import Line, Of, Series, at_most, times_as_fast
from tap_looker_tasks.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from bench.arena import Arena
    from bench.others import Other
    from bench.processes import Run

    Runs = Mapping[str, tuple[Run, ...]]

AT_ONCE = 10
ONE_BY_ONE = 6
_MEASURE = "slow queries"
_QUERIES = 60
_SHORTEST, _LONGEST = 1.0, 3.0
_ROWS = 4
# An order in which the queries, taken as they come, nearly fill all slots to the end: what is
# lost is then the tap's doing, and not that of chance.
_SEED = 3
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Settings)}
_CONFIGS: Mapping[str, Mapping[str, Any]] = {
    f"default settings (poll_interval_seconds {_DEFAULTS['poll_interval_seconds']})": {},
    "poll_interval_seconds 0.1": {"poll_interval_seconds": 0.1},
}
_OTHERS = {"looker-sdk and singer-python": one_by_one, "airbyte-source-looker": airbyte}
_START_OF = "start of "


def run_times(queries: int) -> list[float]:
    """Tell how long each query takes: anything between two times, in no order."""
    step = (_LONGEST - _SHORTEST) / queries
    times = [_SHORTEST + step * (number + 0.5) for number in range(queries)]
    random.Random(_SEED).shuffle(times)  # noqa: S311 - run times, not secrets
    return times


def best_seconds(queries: int) -> float:
    """Tell how long the queries take when there is never a slot unused."""
    times = run_times(queries)
    return max(sum(times) / AT_ONCE, *times)


def seconds_in_order(queries: int) -> float:
    """Tell how long the queries take when each starts as soon as a slot is free."""
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

    def tap(self, **config: Any) -> Run:
        names = {id_: f"query_{id_}" for id_ in self.query_ids}
        queries = [{"name": name, "query_id": id_} for id_, name in names.items()]
        own = {"base_url": self.base_url, "client_id": "simulator", "client_secret": "simulator"}
        path = written(self.folder / "config.json", {**own, "queries": queries, **config})
        command = [TAP, "--config", path]
        ended = run(command, self.folder)
        expected = dict.fromkeys(names.values(), _ROWS)
        check(ended, {**expected, "query_task_results": len(names)}, command)
        return ended


def slow_queries(arena: Arena) -> Iterator[Line]:
    """Run slow queries side by side, and a few of them one by one."""
    queries = arena.scaled(_QUERIES)
    unavailable: list[Line] = []
    with arena.folder() as folder, ExitStack() as prepared:
        command = [PYTHON, "-m", "bench.slow_looker", str(queries)]
        base_url, *ids = prepared.enter_context(server(command, folder))
        looker = _Looker(folder, base_url, ids[:queries])
        contenders: dict[str, Callable[[], Run]] = {
            name: partial(looker.tap, **config) for name, config in _CONFIGS.items()
        }
        for name in _OTHERS:
            other = prepared.enter_context(_other(name, folder, base_url, ids[queries:]))
            if isinstance(other, Line):
                unavailable.append(other)
            else:
                contenders |= _one_by_one(name, other, folder)
        runs = arena.in_turn(contenders)
    yield from _against_the_best_schedule(queries, runs)
    yield from _against_others(queries, runs)
    yield from unavailable


@contextmanager
def _other(
    name: str, folder: Path, base_url: str, query_ids: Sequence[str]
) -> Iterator[Other | Line]:
    """Prepare a program to compare with; a line that says why, if it cannot be had."""
    with ExitStack() as prepared:
        try:
            found: Other | Line = prepared.enter_context(_OTHERS[name](folder, base_url, query_ids))
        except UnavailableError as error:
            found = Line(_MEASURE, Series("not measured", "s", ()), note=f"{name}: {error}")
        yield found


def _one_by_one(name: str, other: Other, folder: Path) -> dict[str, Callable[[], Run]]:
    return {
        name: partial(other.work, folder, ONE_BY_ONE * _ROWS),
        f"{_START_OF}{name}": partial(other.start, folder),
    }


def _against_the_best_schedule(queries: int, runs: Runs) -> Iterator[Line]:
    goal = at_most(1.15, Of.RATIO)
    best = Series("the best possible schedule", "s", (best_seconds(queries),))
    in_order = Series("the best in this order", "s", (seconds_in_order(queries),))
    for name in _CONFIGS:
        yield Line(_MEASURE, _taken(queries, name, runs), best, goal)
        yield Line(_MEASURE, _taken(queries, name, runs), in_order, goal.without_limit())


def _against_others(queries: int, runs: Runs) -> Iterator[Line]:
    for config in _CONFIGS:
        for other in filter(runs.__contains__, _OTHERS):
            took = _taken(queries, config, runs)
            yield Line(_MEASURE, took, _for_all(queries, other, runs), times_as_fast(6))


def _taken(queries: int, name: str, runs: Runs) -> Series:
    what = f"{queries} queries of 1 to 3 s, {AT_ONCE} at a time, {name}"
    return Series(what, "s", tuple(ended.seconds for ended in runs[name]))


def _for_all(queries: int, name: str, runs: Runs) -> Series:
    """Reckon from a few queries what all would take, the start counted once."""
    factor = queries / ONE_BY_ONE
    pairs = zip(runs[name], runs[f"{_START_OF}{name}"], strict=True)
    totals = tuple(s.seconds + factor * (ended.seconds - s.seconds) for ended, s in pairs)
    return Series(f"{name}, one by one, reckoned from {ONE_BY_ONE} queries", "s", totals)
