"""How much memory large results take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.arena import check_size, megabytes, task_ids
from bench.payloads import Results
from bench.report import Line, at_most
from bench.throughput import explore_query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.arena import Arena, Served, Stub
    from bench.payloads import ResultFormat

_RESULTS = 200
_RESULTS_THAT_DIFFER = 10
_RESULT_BYTES = 5_000_000
_SINGLE_BYTES = 500_000_000
_MEGABYTE = 1_000_000
# Rows of `json_detail` are shorter without the braces around each cell.
_LEAST_SHARE = 0.5


def of_many_results(arena: Arena) -> Iterator[Line]:
    """Deliver many large results that are all finished at the first poll."""
    tasks, size = arena.scaled(_RESULTS), arena.scaled(_RESULT_BYTES)
    expected, given = {"query_task_results": tasks}, task_ids(tasks)
    results = Results(("json", "json_detail"), _RESULTS_THAT_DIFFER, least_bytes=size)
    with arena.stub(results) as stub:
        runs = arena.in_turn({"tap": lambda: stub.tap(expected, query_task_ids=given)})
    check_size(runs["tap"], tasks * size * _LEAST_SHARE)
    what = f"{tasks} results of {size / _MEGABYTE:g} MB, json and json_detail"
    yield Line("peak memory, many results", megabytes(what, runs["tap"]), goal=at_most(200))


def of_a_single_result(arena: Arena) -> Iterator[Line]:
    """Deliver one very large result, in every way there is."""
    size = arena.scaled(_SINGLE_BYTES)
    formats: tuple[ResultFormat, ...] = ("json", "json_detail")
    for result_format in formats:
        with arena.stub(Results((result_format,), 1, least_bytes=size)) as stub:
            runs = arena.once().in_turn(_ways(stub, result_format))
        for way, peaks in runs.items():
            check_size(peaks, size * _LEAST_SHARE)
            what = f"{size / _MEGABYTE:g} MB {result_format}, {way}"
            yield Line("peak memory, a single result", megabytes(what, peaks), goal=at_most(250))


def _ways(stub: Stub, result_format: ResultFormat) -> dict[str, Callable[[], Served]]:
    (rows,), given = stub.rows, task_ids(1)
    catalog = stub.catalog(["query_task_results", "query_task_rows"], "data")
    typed: dict[str, Any] = {
        "queries": [explore_query(0)],
        "result_format": result_format,
        "poll_interval_seconds": 0.1,
    }
    one = {"query_task_results": 1}
    ways = {
        "query_task_rows": lambda: stub.tap(
            {**one, "query_task_rows": rows}, "--catalog", catalog, query_task_ids=given
        ),
        "query_task_results with data": lambda: stub.tap(one, query_task_ids=given),
    }
    if result_format == "json":
        # Queries are launched in the formats that carry types.
        return ways
    return {**ways, "typed stream": lambda: stub.tap({**one, "orders_0": rows}, **typed)}
