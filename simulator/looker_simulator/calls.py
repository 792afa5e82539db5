"""The record of a request that was answered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """A request that was answered.

    Attributes:
        operation: Looker's operationId.
        path: of the URL.
        query: its query string, as it came.
        status: HTTP status of the answer; 0 when there was none.
        at: seconds of the clock.
        query_task_ids: tasks asked for by `query_task_multi_results`.
    """

    operation: str
    path: str
    query: str
    status: int
    at: float
    query_task_ids: tuple[str, ...] = ()
