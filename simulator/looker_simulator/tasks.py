"""Query tasks: created, queued, run on threads, finished, expired."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import threading
import time
import uuid
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from looker_simulator import formats
from looker_simulator.engine import QueryFailedError
from looker_simulator.looker import User

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from looker_simulator.engine import Database


@dataclass(frozen=True)
class RealEntry:
    """A marker in a script: the real entry."""


ScriptedEntry = Mapping[str, Any] | bytes | RealEntry | None
"""A scripted entry of `multi_results`, decoded or as JSON; None leaves the task out."""
EXPIRED = {"error": "Results have expired. Run the query again."}
FINAL = frozenset({"complete", "error", "killed", "expired"})
_HIDDEN_FAILURE = QueryFailedError("An error occurred while running the query.", "")
"""An error of the database for users without `see_sql`."""
_RESULTS_AT_ONCE = 2
"""A large result takes ten times its size in memory until it is written."""
_FASTEST = 1
_MAX_BYTES_IN_MEMORY = 1 << 16


@dataclass
class QueryTask:
    """One run of a query.

    Attributes:
        query_task_id: Looker's ID, 32 hexadecimal digits.
        body: Body of the query, limit included.
        about: Parameters of `POST /query_tasks`: `query_id`, `result_format` and so on.
        status: Looker's status.
        load: Function that returns the payload as compressed JSON; None until it is finished.
        packed_bytes: Size of the compressed payload.
        failure: Reason of the query's failure; empty if it did not fail.
        finished_at: Seconds of the clock at its end.
        script: Entries instead of the real one, one for each poll; the last one stays.
    """

    query_task_id: str
    body: Mapping[str, Any]
    about: Mapping[str, Any]
    status: str = "added"
    load: Callable[[], bytes] | None = None
    packed_bytes: int = 0
    runtime_seconds: float | None = None
    failure: str = ""
    finished_at: float | None = None
    script: list[ScriptedEntry] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def result_format(self) -> str:
        """Return Looker's name of the result format."""
        return str(self.about.get("result_format"))

    @property
    def data(self) -> bytes | None:
        """Return the payload as JSON; None until the task is finished."""
        return None if self.load is None else zlib.decompress(self.load())

    @property
    def wants_sql(self) -> bool:
        """Return whether only the SQL is requested, for which Looker runs nothing."""
        return self.result_format == "sql"

    @property
    def user(self) -> User:
        """Return the user that runs it."""
        found = self.about.get("user")
        return found if isinstance(found, User) else User()

    @property
    def shows_errors(self) -> bool:
        """Return whether the format has a place for errors."""
        return self.result_format in formats.DETAILED_FORMATS

    @property
    def query_id(self) -> str:
        """Return the key of the query; empty for an inline one."""
        return str(self.about.get("query_id") or "")

    def next_scripted(self) -> bytes | RealEntry | None:
        """Return the next entry of the script, as JSON; None leaves the task out."""
        if not self.script:
            return RealEntry()
        response = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if response is None or isinstance(response, bytes | RealEntry):
            return response
        return formats.encode(response)


class QueryTasks:
    """All tasks of the simulated Looker."""

    def __init__(
        self,
        database: Database,
        *,
        concurrency: int,
        result_ttl_seconds: float,
        latency: Callable[[str], float],
        scripts: Mapping[str, Sequence[ScriptedEntry]] = MappingProxyType({}),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Run queries on a database, at most `concurrency` concurrently.

        Args:
            database: Database with the tables.
            concurrency: Maximum number of concurrent queries.
            result_ttl_seconds: Seconds that results stay.
            latency: Seconds that a query takes first, by id.
            scripts: Entries instead of the real ones for the tasks of a query, by id.
            clock: Seconds that never decrease.
        """
        self._database = database
        self._ttl = result_ttl_seconds
        self._latency = latency
        self._scripts = scripts
        self._clock = clock
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="query-task")
        self._tasks: dict[str, QueryTask] = {}
        self._waited_for: dict[str, QueryTask] = {}
        # Held while a status is derived from the previous one.
        self._lock = threading.Lock()
        self._writing = threading.Semaphore(_RESULTS_AT_ONCE)
        # Without a name, so the system removes it, however the process ends.
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`

    def create(self, body: Mapping[str, Any], about: Mapping[str, Any]) -> QueryTask:
        """Queue a run of the query `body`, and remove expired results from memory."""
        for old in self.every():
            self.find(old.query_task_id)
        task = QueryTask(uuid.uuid4().hex, body, about)
        task.script = [*self._scripts.get(task.query_id, ())]
        self.add(task)
        return task

    def add(self, task: QueryTask) -> None:
        """Add a task, and queue its run if it has a query."""
        self._tasks[task.query_task_id] = task
        if task.body:
            self._threads.submit(self._run, task)

    def run_now(self, body: Mapping[str, Any], about: Mapping[str, Any]) -> QueryTask:
        """Run a query and wait for it."""
        task = QueryTask(uuid.uuid4().hex, body, about)
        self._waited_for[task.query_task_id] = task
        try:
            self._threads.submit(self._run, task).result()
        finally:
            del self._waited_for[task.query_task_id]
        return task

    def find(self, query_task_id: str) -> QueryTask | None:
        """Return a task, expired if it is old enough; None if there is none."""
        task = self._tasks.get(query_task_id)
        if task and task.status != "expired" and self._is_old(task):
            self.expire(task)
        return task

    def _is_old(self, task: QueryTask) -> bool:
        return task.finished_at is not None and self._clock() >= task.finished_at + self._ttl

    def packed_bytes(self, query_task_id: str) -> int:
        """Return the size of a task's compressed result; 0 if it has none."""
        task = self._tasks.get(query_task_id)
        return task.packed_bytes if task else 0

    def _keep(self, task: QueryTask, packed: bytes) -> None:
        """Keep a payload: in memory if it is small, otherwise at the end of a file."""
        task.packed_bytes = len(packed)
        if len(packed) <= _MAX_BYTES_IN_MEMORY:
            task.load = lambda: packed
        else:
            self._file.write(packed)
            self._file.flush()
            start = self._file.tell() - len(packed)
            task.load = partial(os.pread, self._file.fileno(), len(packed), start)

    def every(self) -> list[QueryTask]:
        """Return all tasks, in the order of their creation."""
        return [*self._tasks.values()]

    def expire(self, task: QueryTask) -> None:
        """Discard a task's result."""
        task.status = "expired"
        self._keep(task, zlib.compress(formats.encode(EXPIRED)))

    def kill(self, task: QueryTask) -> bool:
        """End a task; return False if it had already ended."""
        with self._lock:
            if task.status in FINAL:
                return False
            task.status = "killed"
            task.cancelled.set()
            return True

    def close(self) -> None:
        """End all tasks."""
        for task in (*self._tasks.values(), *self._waited_for.values()):
            task.cancelled.set()
        self._threads.shutdown(cancel_futures=True)
        self._file.close()

    def _run(self, task: QueryTask) -> None:
        with self._lock:
            if task.cancelled.is_set():
                return
            task.status = "running"
        started_at = self._clock()
        latency = self._latency(str(task.about.get("query_id")))
        if not task.wants_sql and task.cancelled.wait(latency):
            return
        with self._writing:
            status, packed = self._result(task, started_at)
            if len(packed) > _MAX_BYTES_IN_MEMORY:
                _return_memory()
        with self._lock:
            # It may have been cancelled, or expired, in the meantime.
            if task.status == "running" and not task.cancelled.is_set():
                self._keep(task, packed)
                task.runtime_seconds = self._clock() - started_at
                task.finished_at = self._clock()
                task.status = status

    def _result(self, task: QueryTask, started_at: float) -> tuple[str, bytes]:
        sees_sql = task.user.may("see_sql")
        try:
            response = self._database.run(
                task.body,
                server_table_calcs=bool(task.about.get("server_table_calcs")),
                only_sql=task.wants_sql,
                user_attributes=task.user.all_attributes,
            )
        except QueryFailedError as error:
            failure = error if sees_sql or error.sql is None else _HIDDEN_FAILURE
            task.failure = failure.message
            payload = formats.build_failure(
                failure, task.result_format, query_task_id=task.query_task_id
            )
            return "error", zlib.compress(formats.encode(payload), _FASTEST)
        payload = formats.build_payload(
            response if sees_sql else replace(response, sql=""),
            task.result_format,
            query_task_id=task.query_task_id,
            runtime_seconds=self._clock() - started_at,
            ran_at=datetime.now(UTC),
            options=formats.ResultOptions.of(task.about),
        )
        return "complete", zlib.compress(formats.encode(payload), _FASTEST)


def _return_memory() -> None:
    """Return what the C library keeps of freed memory to the system, on Linux."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim:
            trim(0)
