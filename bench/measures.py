"""All measures, by name, in the order of the table."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from bench import (
    batches,
    end_to_end,
    memory,
    scale,
    schedule,
    slow_target,
    start,
    throughput,
    watching,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bench.arena import Arena
    from bench.report import Line

MEASURES: Mapping[str, Callable[[Arena], Iterable[Line]]] = MappingProxyType(
    {
        "typed rows, json_detail": partial(throughput.typed_rows_of, "json_detail"),
        "typed rows, json_bi": partial(throughput.typed_rows_of, "json_bi"),
        "BATCH files": batches.complete_runs,
        "BATCH files, writing alone": batches.writing_alone,
        "query_task_rows": throughput.task_rows,
        "query_task_results with data": throughput.task_results,
        **{
            f"slow queries, round trip {round_trip:g} s": partial(schedule.slow_queries, round_trip)
            for round_trip in schedule.ROUND_TRIPS
        },
        "finished tasks": scale.of_finished_tasks,
        "slow target": slow_target.of_a_slow_target,
        "end to end into PostgreSQL": end_to_end.into_postgres,
        "peak memory, many results": memory.of_many_results,
        "peak memory, a single result": memory.of_a_single_result,
        "many tasks": scale.of_many_tasks,
        "API calls for finished tasks": scale.calls_for_finished,
        "API calls while waiting": scale.calls_while_waiting,
        "watching, processor time": watching.processor_time,
        "watching, memory": watching.memory,
        "start": start.start,
    }
)
