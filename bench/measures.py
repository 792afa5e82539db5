"""All measures, by name, in the order of the table."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from bench import memory, scale, schedule, start, throughput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bench.arena import Arena
    from bench.report import Line

MEASURES: Mapping[str, Callable[[Arena], Iterable[Line]]] = MappingProxyType(
    {
        "typed rows, json_detail": partial(throughput.typed_rows_of, "json_detail"),
        "typed rows, json_bi": partial(throughput.typed_rows_of, "json_bi"),
        "query_task_rows": throughput.task_rows,
        "query_task_results with data": throughput.task_results,
        "slow queries": schedule.slow_queries,
        "peak memory, many results": memory.of_many_results,
        "peak memory, a single result": memory.of_a_single_result,
        "many tasks": scale.of_many_tasks,
        "API calls for finished tasks": scale.calls_for_finished,
        "API calls while waiting": scale.calls_while_waiting,
        "start": start.start,
    }
)
