"""Query tasks: created, queued, run on threads, finished, expired."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from tap_looker_tasks.simulator import formats
from tap_looker_tasks.simulator.engine import QueryFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_looker_tasks.simulator.engine import Database

EXPIRED = {"error": "Results have expired. Run the query again."}
FINAL = frozenset({"complete", "error", "killed", "expired"})


@dataclass
class QueryTask:
    """One run of a query.

    Attributes:
        query_task_id: 32 hexadecimal digits.
        body: the query's, limit included.
        about: what `POST /query_tasks` was told: `query_id`, `result_format` and so on.
        status: Looker's word.
        data: the payload as JSON, once finished.
        finished_at: seconds of the clock.
        script: answers to give in place of the truth, one for each time it is asked for.
    """

    query_task_id: str
    body: Mapping[str, Any]
    about: Mapping[str, Any]
    status: str = "added"
    data: bytes | None = None
    runtime_seconds: float | None = None
    finished_at: float | None = None
    script: list[Mapping[str, Any] | bytes | None] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def result_format(self) -> str:
        """Looker's name of the format."""
        return str(self.about.get("result_format"))


class QueryTasks:
    """All tasks of the simulated Looker."""

    def __init__(
        self,
        database: Database,
        *,
        concurrency: int,
        result_ttl_seconds: float,
        latency: Callable[[str], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Run on a database, so many at once; `latency` tells a query's seconds beforehand."""
        self._database = database
        self._ttl = result_ttl_seconds
        self._latency = latency
        self._clock = clock
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="query-task")
        self._tasks: dict[str, QueryTask] = {}

    def create(self, body: Mapping[str, Any], about: Mapping[str, Any]) -> QueryTask:
        """Queue a run of the query `body`."""
        task = QueryTask(uuid.uuid4().hex, body, about)
        self._tasks[task.query_task_id] = task
        self._threads.submit(self._run, task)
        return task

    def run_now(self, body: Mapping[str, Any], about: Mapping[str, Any]) -> QueryTask:
        """Run a query and wait for it."""
        task = QueryTask(uuid.uuid4().hex, body, about)
        self._threads.submit(self._run, task).result()
        return task

    def add_scripted(self, script: list[Mapping[str, Any] | bytes | None]) -> QueryTask:
        """Add a task that says what it is told to; the last answer is given ever after."""
        task = QueryTask(uuid.uuid4().hex, {}, {}, status="running", script=[*script])
        self._tasks[task.query_task_id] = task
        return task

    def find(self, query_task_id: str) -> QueryTask | None:
        """Look a task up, expired if it is that old."""
        task = self._tasks.get(query_task_id)
        if task and task.status != "expired" and self._is_old(task):
            self.expire(task)
        return task

    def _is_old(self, task: QueryTask) -> bool:
        return task.finished_at is not None and self._clock() >= task.finished_at + self._ttl

    def every(self) -> list[QueryTask]:
        """All tasks, in the order of their creation."""
        return [*self._tasks.values()]

    def expire(self, task: QueryTask) -> None:
        """Forget a task's result."""
        task.status, task.data = "expired", formats.encode(EXPIRED)

    def kill(self, task: QueryTask) -> bool:
        """End a task; False if it had ended."""
        if task.status in FINAL:
            return False
        task.status = "killed"
        task.cancelled.set()
        return True

    def close(self) -> None:
        """End all tasks."""
        for task in self._tasks.values():
            task.cancelled.set()
        self._threads.shutdown(cancel_futures=True)

    def _run(self, task: QueryTask) -> None:
        if task.cancelled.is_set():
            return
        task.status = "running"
        started_at = self._clock()
        if task.cancelled.wait(self._latency(str(task.about.get("query_id")))):
            return
        status, data = self._result(task, started_at)
        # It may have been cancelled, or expired, in the meantime.
        if task.status == "running" and not task.cancelled.is_set():
            task.data = data
            task.runtime_seconds = self._clock() - started_at
            task.finished_at = self._clock()
            task.status = status

    def _result(self, task: QueryTask, started_at: float) -> tuple[str, bytes]:
        try:
            answer = self._database.run(
                task.body, server_table_calcs=bool(task.about.get("server_table_calcs"))
            )
        except QueryFailedError as failure:
            payload = formats.failed(failure, task.result_format, query_task_id=task.query_task_id)
            return "error", formats.encode(payload)
        payload = formats.succeeded(
            answer,
            task.result_format,
            query_task_id=task.query_task_id,
            runtime_seconds=self._clock() - started_at,
            ran_at=datetime.now(timezone.utc),
        )
        return "complete", formats.encode(payload)
