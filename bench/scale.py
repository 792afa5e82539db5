"""What many tasks cost: time, state, memory, calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.arena import megabytes, seconds, task_ids
from bench.payloads import Results
from bench.report import Line, Of, Series, at_most
from bench.waiting import count_polls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.arena import Arena, Served, Stub

_MANY, _FEW = 100_000, 1_000
_RESULTS_THAT_DIFFER = 16
_ROWS = 3
_BATCH = 250
_FINISHED = 2000
_ROUND_TRIP = 0.25
_MINUTES = 10


def of_many_tasks(arena: Arena) -> Iterator[Line]:
    """Deliver very many short results, and few of them."""
    many, few = arena.scaled(_MANY), arena.scaled(_FEW)
    with arena.stub(Results(("json",), _RESULTS_THAT_DIFFER, _ROWS)) as stub:
        runs = arena.in_turn(
            {
                "many": lambda: _tap_with(stub, many, batch_size=_BATCH),
                "few": lambda: _tap_with(stub, few, batch_size=_BATCH),
                "one": lambda: _tap_with(stub, 1, batch_size=_BATCH),
            }
        )
    times = {name: seconds(name, served).values for name, served in runs.items()}
    yield from _times(many, few, times)
    shares = tuple(_share_of_state(served) for served in runs["many"])
    yield Line("many tasks", Series("STATE in the output", "%", shares), goal=at_most(10))
    peaks = megabytes(f"peak memory, {many:,} ids", runs["many"])
    yield Line("many tasks", peaks, goal=at_most(300))


def _times(many: int, few: int, times: dict[str, tuple[float, ...]]) -> Iterator[Line]:
    ratio, goal = many / few, at_most(1.3, Of.RATIO)
    share = Series(f"{many:,} ids, time for {few:,}", "s", tuple(t / ratio for t in times["many"]))
    yield Line("many tasks", share, Series(f"{few:,} ids", "s", times["few"]), goal)
    from_many, from_few = (
        tuple(t - start for t, start in zip(times[name], times["one"], strict=True))
        for name in ("many", "few")
    )
    share = Series("less the time of one id", "s", tuple(t / ratio for t in from_many))
    other = Series(f"{few:,} ids", "s", from_few)
    yield Line("many tasks", share, other, goal.without_limit())


def of_finished_tasks(arena: Arena) -> Iterator[Line]:
    """Collect what is finished already, a default batch at a time, from a Looker at a distance."""
    tasks = arena.scaled(_FINISHED)
    with arena.stub(Results(("json",), _RESULTS_THAT_DIFFER, _ROWS), _ROUND_TRIP) as stub:
        runs = arena.in_turn({"tap": lambda: _tap_with(stub, tasks)})
    taken = seconds(f"{tasks:,} finished ids, round trip {_ROUND_TRIP:g} s", runs["tap"])
    yield Line("finished tasks", taken, goal=at_most(5))


def _tap_with(stub: Stub, tasks: int, **config: Any) -> Served:
    ids = stub.folder / "ids.txt"
    ids.write_text("\n".join(task_ids(tasks)))
    expected = {"query_task_results": tasks}
    return stub.tap(expected, query_task_ids_file=str(ids), **config)


def _share_of_state(served: Served) -> float:
    output = served.run.output
    return 100 * output.bytes_of["STATE"] / output.size


def calls_for_finished(arena: Arena) -> Iterator[Line]:
    """Count the calls when everything is finished already."""
    tasks = arena.scaled(_FINISHED)
    with arena.stub(Results(("json",), _RESULTS_THAT_DIFFER, _ROWS)) as stub:
        runs = arena.once().in_turn({"tap": lambda: _tap_with(stub, tasks, batch_size=_BATCH)})
    what = f"{tasks:,} finished ids, {_BATCH} a batch"
    yield Line(
        "API calls", _calls(what, [served.calls for served in runs["tap"]]), goal=at_most(12)
    )


def calls_while_waiting(arena: Arena) -> Iterator[Line]:
    """Count the requests while tasks finish one after the other, in simulated time."""
    tasks = arena.scaled(200)
    apart = _MINUTES * 60 / tasks
    polls = count_polls({f"task{n}": apart * (n + 1) for n in range(tasks)})
    what = f"{tasks} tasks finishing evenly over {_MINUTES} minutes"
    yield Line("API calls", Series(what, "calls", (float(polls),)), goal=at_most(120))


def _calls(what: str, runs: Sequence[Mapping[str, int]]) -> Series:
    return Series(what, "calls", tuple(float(sum(calls.values())) for calls in runs))
