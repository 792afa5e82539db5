"""How fast results become messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.arena import check_size, seconds, seconds_without_start, task_ids
from bench.payloads import EXPLORE, FIELDS, MODEL, Results
from bench.report import Goal, Line, Of, at_most, times_as_fast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.arena import Arena, Served
    from bench.payloads import ResultFormat

TASKS = 40
ROWS = 5000
_RESULTS = 200
_RESULTS_THAT_DIFFER = 20
_RESULT_BYTES = 1_000_000
STOCK = "stock singer-sdk tap"
TAP = "tap"
_FLOOR = "msgspec alone"
_DECLARED = "msgspec alone, shape declared"


def typed_rows_of(result_format: ResultFormat, arena: Arena) -> Iterator[Line]:
    """Launch queries and deliver each as a typed stream."""
    tasks, rows = arena.scaled(TASKS), arena.scaled(ROWS)
    total = tasks * rows
    queries = [explore_query(number) for number in range(tasks)]
    expected = {str(query["name"]): rows for query in queries} | {"query_task_results": tasks}
    impatient = {"poll_interval_seconds": 0.1, "max_concurrent_tasks": tasks, "batch_size": 50}
    config = {"queries": queries, "result_format": result_format, **impatient}
    with arena.stub(Results((result_format,), tasks, rows)) as stub:
        runs = arena.in_turn(
            {
                TAP: lambda: stub.tap(expected, **config),
                STOCK: lambda: stub.stock({"rows": total}, stream="rows", tasks=tasks),
                _FLOOR: lambda: stub.floor({"rows": total}, result_format, tasks),
                _DECLARED: lambda: stub.floor({"rows": total}, "declared", tasks),
            }
        )
    what = f"{tasks} queries of {rows:,} rows, {result_format}"
    floor = times_as_fast(0.6)
    goals = {STOCK: times_as_fast(8), _FLOOR: floor, _DECLARED: floor.without_limit()}
    yield from compared(f"typed rows, {result_format}", what, runs, goals)


def explore_query(number: int) -> dict[str, Any]:
    """Configure a query of all rows that the stub has for it."""
    explore = {"model": MODEL, "explore": EXPLORE, "fields": FIELDS}
    return {
        "name": f"orders_{number}",
        "explore": explore,
        "limit": -1,
        "primary_keys": ["orders.id"],
    }


def task_rows(arena: Arena) -> Iterator[Line]:
    """Deliver the rows of external tasks, unchanged."""
    tasks, rows = arena.scaled(TASKS), arena.scaled(ROWS)
    records = {"query_task_rows": tasks * rows}
    expected = {**records, "query_task_results": tasks}
    with arena.stub(Results(("json",), tasks, rows)) as stub:
        catalog = stub.catalog(["query_task_results", "query_task_rows"], "data")
        options = ("--catalog", catalog)
        runs = arena.in_turn(
            {
                TAP: lambda: stub.tap(expected, *options, query_task_ids=task_ids(tasks)),
                STOCK: lambda: stub.stock(records, stream="query_task_rows", tasks=tasks),
            }
        )
    what = f"{tasks * rows:,} rows in {tasks} json results"
    yield from compared("query_task_rows", what, runs, {STOCK: times_as_fast(25)})


def task_results(arena: Arena) -> Iterator[Line]:
    """Deliver complete results, each in one record."""
    tasks, size = arena.scaled(_RESULTS), arena.scaled(_RESULT_BYTES)
    records = {"query_task_results": tasks}
    given = task_ids(tasks)
    differing = min(tasks, _RESULTS_THAT_DIFFER)
    with arena.stub(Results(("json",), differing, least_bytes=size)) as stub:
        runs = arena.in_turn(
            {
                TAP: lambda: stub.tap(records, query_task_ids=given),
                STOCK: lambda: stub.stock(records, stream="query_task_results", tasks=tasks),
                "copy": lambda: stub.floor({}, "copy", tasks),
            }
        )
    for ended_runs in runs.values():
        check_size(ended_runs, tasks * size)
    what = f"{tasks} json results of {size / 1e6:g} MB"
    goals = {STOCK: times_as_fast(12), "copy": at_most(2.5, Of.RATIO)}
    yield from compared("query_task_results with data", what, runs, goals)


def compared(
    measure: str, what: str, runs: Mapping[str, tuple[Served, ...]], goals: Mapping[str, Goal]
) -> Iterator[Line]:
    """Compare complete processes, and what they did once they had started."""
    for name, goal in goals.items():
        yield Line(measure, seconds(what, runs[TAP]), seconds(name, runs[name]), goal)
        from_first_call = seconds_without_start("from the first call on", runs[TAP])
        other = seconds_without_start(name, runs[name])
        yield Line(measure, from_first_call, other, goal.without_limit())
