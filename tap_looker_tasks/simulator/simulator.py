"""A simulated Looker that serves from a thread of this process."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn

from tap_looker_tasks.simulator.engine import Database, load_database
from tap_looker_tasks.simulator.server import Looker, application
from tap_looker_tasks.simulator.tasks import QueryTasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from tap_looker_tasks.simulator.calls import Call

CREDENTIAL = "simulator"
_HOST = "127.0.0.1"
_BACKLOG = 128


@dataclass(frozen=True)
class SimulatorOptions:
    """How the simulated Looker behaves.

    Attributes:
        port: to listen on; 0 for a free one.
        latency_seconds: what every query takes beforehand, or (least, most) of it.
        query_latency: seconds for single queries, by id.
        concurrency: queries at once; the others queue.
        result_ttl_seconds: how long results stay.
        token_lifetime_seconds: how long a login lasts.
        seed: of the latencies drawn.
    """

    port: int = 0
    latency_seconds: float | tuple[float, float] = 0.0
    query_latency: Mapping[str, float] = field(default_factory=dict)
    concurrency: int = 15
    result_ttl_seconds: float = 300
    token_lifetime_seconds: float = 3600
    seed: int = 0


class Simulator:
    """A Looker API 4.0 on loopback, from `with` to its end.

    Attributes:
        client_id: the client ID it accepts.
        client_secret: the client secret it accepts.
    """

    client_id = CREDENTIAL
    client_secret = CREDENTIAL

    def __init__(
        self, options: SimulatorOptions | None = None, *, database: Database | None = None
    ) -> None:
        """Take options, and a database to share; without one, it loads its own."""
        self._options = options or SimulatorOptions()
        self._database = database
        self._started = ExitStack()

    def __enter__(self) -> Self:
        """Start to listen."""
        with ExitStack() as starting:
            if self._database is None:
                self._database = load_database()
                starting.callback(self._database.close)
            self._tasks = self._new_tasks(self._database)
            starting.callback(self._tasks.close)
            self._looker = Looker(
                database=self._database,
                tasks=self._tasks,
                client_id=self.client_id,
                client_secret=self.client_secret,
                token_lifetime_seconds=self._options.token_lifetime_seconds,
            )
            listener = _listener(self._options.port)
            starting.callback(listener.close)
            self.base_url = f"http://{_HOST}:{listener.getsockname()[1]}"
            server = _Server(self._looker, listener)
            starting.callback(server.stop)
            self._started = starting.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to listen, and end all tasks."""
        self._started.close()

    @property
    def calls(self) -> list[Call]:
        """Requests answered so far, in order."""
        return self._looker.calls

    @property
    def cancelled(self) -> set[str]:
        """Ids of tasks ended by `kill_query`."""
        return self._looker.cancelled

    def count(self, operation: str) -> int:
        """Tell how often an operation was called."""
        return sum(call.operation == operation for call in self.calls)

    def clear_calls(self) -> None:
        """Forget the requests so far."""
        self.calls.clear()

    def create_query(self, body: Mapping[str, Any]) -> str:
        """Store a query, as an application would; returns its id."""
        return self._looker.create_query(body)

    def create_task(self, query_id: str, result_format: str = "json_detail") -> str:
        """Start a run of a stored query, as an application would; returns the task's id."""
        about = {"query_id": query_id, "result_format": result_format}
        return self._looker.create_query_task(about).query_task_id

    def add_scripted_task(self, answers: Sequence[Mapping[str, Any] | bytes | None]) -> str:
        """Add a task with its answers to `multi_results`, one a call; the last one stays.

        An answer is what the map holds for the task, as it is or as JSON; None: the task is
        not in the map.
        """
        return self._tasks.add_scripted([*answers]).query_task_id

    def tasks(self) -> list[str]:
        """Ids of all tasks, in the order of their creation."""
        return [task.query_task_id for task in self._tasks.every()]

    def task_status(self, query_task_id: str) -> str:
        """Looker's word for a task.

        Raises:
            KeyError: there is no such task.
        """
        task = self._tasks.find(query_task_id)
        if task is None:
            raise KeyError(query_task_id)
        return task.status

    def fault(self, name: str, **details: Any) -> None:
        """Let something go wrong; see `Faults.add`."""
        self._looker.faults.add(name, **details)

    def clear_faults(self) -> None:
        """Let nothing go wrong any more."""
        self._looker.faults.clear()

    def _new_tasks(self, database: Database) -> QueryTasks:
        options = self._options
        drawn = random.Random(options.seed)  # noqa: S311 - latencies, not secrets
        given = options.latency_seconds
        least, most = given if isinstance(given, tuple) else (given, given)
        return QueryTasks(
            database,
            concurrency=options.concurrency,
            result_ttl_seconds=options.result_ttl_seconds,
            latency=lambda id_: options.query_latency.get(id_, drawn.uniform(least, most)),
        )


def _listener(port: int) -> socket.socket:
    # asyncio sends small answers without delay only on sockets that say they are TCP's.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((_HOST, port))
    listener.listen(_BACKLOG)
    return listener


class _Server:
    """uvicorn on a thread of its own."""

    def __init__(self, looker: Looker, listener: socket.socket) -> None:
        config = uvicorn.Config(
            application(looker, self._drop),
            log_level="error",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[listener])),
            name="looker-simulator",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()

    def _drop(self, client: object) -> None:
        """Close the connection of a client, known by its address."""
        for connection in [*self._server.server_state.connections]:
            if getattr(connection, "client", None) == client:
                connection.transport.abort()
