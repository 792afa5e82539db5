"""A simulated Looker that serves from a thread of this process, for tests and the command.

For example:

    with Simulator() as simulator:
        requests.get(f"{simulator.base_url}/api/4.0/...")
"""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn

from looker_simulator.application import build_application
from looker_simulator.content import query_key
from looker_simulator.engine import Database, load_database
from looker_simulator.faults import VARIANTS, Fault
from looker_simulator.looker import CREDENTIAL, Looker, User
from looker_simulator.middleware import Network
from looker_simulator.scenario import Scenario, play_scenario
from looker_simulator.tasks import QueryTask, QueryTasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from looker_simulator.exchange import Call
    from looker_simulator.tasks import ScriptedEntry

_LOOPBACK = "127.0.0.1"
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - only if the user says so
_BACKLOG = 128
_CONCURRENT_OPERATIONS = 64
_SEND_BUFFER_BYTES = 1 << 16


@dataclass(frozen=True)
class SimulatorOptions:
    """Options of the simulated Looker.

    Attributes:
        host: Address to listen on; loopback unless other machines should reach it.
        port: Port to listen on; 0 for a free one.
        certificate: File with a certificate for https; None for http.
        private_key: File with its key; None if it is in the same file.
        latency_seconds: Seconds that every query takes first, or (minimum, maximum) of them.
        query_latency: Seconds that single queries take first, by id.
        concurrency: Maximum number of concurrent queries; the others queue.
        result_ttl_seconds: Seconds that results stay.
        token_lifetime_seconds: Seconds that a login lasts.
        round_trip_seconds: Seconds that every request takes first, concurrently with others.
        stall_timeout_seconds: Seconds after which the connection of a client that does not read is
            closed, as proxies do; None for never.
        seed: Seed of the random latencies.
        users: Users that can log in, with their permissions; empty for one with all permissions.
        variants: Names of `VARIANTS`: differences of other Looker releases from today's.
        scenario: Scripts of given tasks and queries; None for no scripts.
    """

    host: str = _LOOPBACK
    port: int = 0
    certificate: Path | None = None
    private_key: Path | None = None
    latency_seconds: float | tuple[float, float] = 0.0
    query_latency: Mapping[str, float] = field(default_factory=dict)
    concurrency: int = 15
    result_ttl_seconds: float = 300
    token_lifetime_seconds: float = 3600
    round_trip_seconds: float = 0.0
    stall_timeout_seconds: float | None = None
    seed: int = 0
    users: tuple[User, ...] = ()
    variants: frozenset[str] = frozenset()
    scenario: Scenario | None = None

    def __post_init__(self) -> None:
        """Check the names of the variants.

        Raises:
            ValueError: If there is no variant of a name.
        """
        unknown = {*self.variants} - {*VARIANTS}
        if unknown:
            msg = f"there is no variant {min(unknown)!r}; known are {', '.join(VARIANTS)}"
            raise ValueError(msg)


class Simulator:
    """A Looker API 4.0, on loopback by default, from `with` to its end.

    Attributes:
        client_id: Client ID that it accepts.
        client_secret: Client secret that it accepts.
    """

    client_id = CREDENTIAL
    client_secret = CREDENTIAL

    def __init__(
        self, options: SimulatorOptions | None = None, *, database: Database | None = None
    ) -> None:
        """Keep the options, and a database to share; without one, load the built-in one."""
        self._options = options or SimulatorOptions()
        self._database = database
        self._started = ExitStack()

    def __enter__(self) -> Self:
        """Start listening."""
        with ExitStack() as starting:
            if self._database is None:
                self._database = load_database()
                starting.callback(self._database.close)
            self._tasks = self._new_tasks(self._database)
            # For a start that fails; otherwise they are closed earlier.
            starting.callback(self._tasks.close)
            self._looker = Looker(
                database=self._database,
                tasks=self._tasks,
                users=self._options.users or (self._default_user(),),
                token_lifetime_seconds=self._options.token_lifetime_seconds,
                variants=frozenset(self._options.variants),
            )
            if self._options.scenario:
                play_scenario(self._options.scenario, self._looker)
            listener = _listener(self._options)
            starting.callback(listener.close)
            scheme = "https" if self._options.certificate else "http"
            host = self._options.host
            shown = _LOOPBACK if host == _EVERYWHERE else host
            self.base_url = f"{scheme}://{shown}:{listener.getsockname()[1]}"
            server = _Server(self._looker, listener, self._options)
            starting.callback(server.join)
            # Requests that wait for a query would delay the end.
            starting.callback(self._tasks.close)
            starting.callback(server.stop)
            self._started = starting.pop_all()
        return self

    def _default_user(self) -> User:
        return User(client_id=self.client_id, client_secret=self.client_secret)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening, and end all tasks."""
        self._started.close()

    @property
    def calls(self) -> list[Call]:
        """Return the requests with their responses so far, in order."""
        return self._looker.calls

    @property
    def cancelled(self) -> set[str]:
        """Return the ids of tasks ended by `kill_query`."""
        return self._looker.cancelled

    def count(self, operation: str) -> int:
        """Return the number of calls of an operation."""
        return sum(call.operation == operation for call in self.calls)

    def clear_calls(self) -> None:
        """Forget the requests so far."""
        self.calls.clear()

    def create_query(self, body: Mapping[str, Any]) -> str:
        """Store a query, as an application would; return its id."""
        return self._looker.query_id(self._looker.create_query(body))

    def add_look(self, look_id: str, title: str, query_id: str, **more: Any) -> None:
        """Save a query as a Look; `more` are other keys, such as `deleted` or `folder_id`."""
        self._looker.looks[look_id] = {"title": title, "query_id": query_id, **more}

    def add_looks(self, count: int, title: str = "Look {}", query_id: str = "1") -> None:
        """Save many Looks of a query.

        Args:
            count: Number of Looks.
            title: Title of each, with `{}` for its number, from 1.
            query_id: Query of all of them.
        """
        first = len(self._looker.looks) + 1
        for number in range(count):
            self.add_look(f"{first + number}", title.format(number + 1), query_id)

    def add_merge_query(self, merge_query_id: str, merged: Mapping[str, Any]) -> None:
        """Save merged results, as the API describes them: `source_queries` and so on."""
        self._looker.merge_queries[merge_query_id] = merged

    def add_dashboard(self, dashboard_id: str, dashboard: Mapping[str, Any]) -> None:
        """Save a dashboard, or change it.

        `dashboard` has the keys of Looker's API: `title`, and lists of `dashboard_filters` and
        `dashboard_elements`.
        """
        self._looker.dashboards[dashboard_id] = dashboard

    def trash(self, *, look_id: str | None = None, dashboard_id: str | None = None) -> None:
        """Move a Look or a dashboard to the trash, where Looker still finds it."""
        for found, id_ in ((self._looker.looks, look_id), (self._looker.dashboards, dashboard_id)):
            if id_ is not None:
                found[id_] = {**found[id_], "deleted": True}

    def forget_query(self, query_id: str) -> None:
        """Forget a query, as a restored instance does."""
        del self._looker.queries[query_key(query_id)]

    def hide_field(self, name: str) -> None:
        """Hide a field from the user, as an access grant does."""
        self._looker.hidden_fields.add(name)

    def create_task(
        self,
        query_id: str,
        result_format: str = "json_detail",
        *,
        server_table_calcs: bool = False,
    ) -> str:
        """Start a run of a stored query, as an application would; return the task's id.

        `query_id` may be the number that built-in queries and those of a model are listed with.
        """
        key = query_key(query_id)
        about = {
            "query_id": self._looker.query_id(key),
            "result_format": result_format,
            "server_table_calcs": server_table_calcs,
        }
        return self._looker.create_query_task(about, self._looker.users[0]).query_task_id

    def add_scripted_task(self, answers: Sequence[ScriptedEntry]) -> str:
        """Add a task with scripted entries in `multi_results`, one per call; the last one stays.

        An entry is the task's value in the response, decoded or as JSON; None leaves the task out.
        """
        task = QueryTask(uuid.uuid4().hex, {}, {}, status="running", script=[*answers])
        self._tasks.add(task)
        return task.query_task_id

    def tasks(self) -> list[str]:
        """Return the ids of all tasks, in the order of their creation."""
        return [task.query_task_id for task in self._tasks.every()]

    def task_status(self, query_task_id: str) -> str:
        """Return Looker's status of a task.

        Raises:
            KeyError: If there is no such task.
        """
        task = self._tasks.find(query_task_id)
        if task is None:
            raise KeyError(query_task_id)
        return task.status

    def fault(self, name: str, **details: Any) -> None:
        """Add a fault; `details` are those of `Fault`: times, operation, after, ...

        Raises:
            ValueError: If there is no fault of that name.
        """
        self._looker.faults.add(Fault(name, **details))

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._looker.faults.clear()

    def _new_tasks(self, database: Database) -> QueryTasks:
        options = self._options
        drawn = random.Random(options.seed)  # noqa: S311 - latencies, not secrets
        given = options.latency_seconds
        least, most = given if isinstance(given, tuple) else (given, given)
        scenario = options.scenario or Scenario()
        given_latencies = {**options.query_latency, **scenario.latencies()}
        latencies = {query_key(id_): seconds for id_, seconds in given_latencies.items()}
        return QueryTasks(
            database,
            concurrency=options.concurrency,
            result_ttl_seconds=options.result_ttl_seconds,
            latency=lambda key: latencies.get(key, drawn.uniform(least, most)),
            scripts={query_key(id_): script for id_, script in scenario.scripts().items()},
        )


def _listener(options: SimulatorOptions) -> socket.socket:
    # asyncio sends small responses without delay only on sockets with protocol TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.stall_timeout_seconds is not None:
        # By default, the system would buffer megabytes that the client does not read.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    listener.bind((options.host, options.port))
    listener.listen(_BACKLOG)
    return listener


class _Server:
    """uvicorn on a separate thread."""

    def __init__(self, looker: Looker, listener: socket.socket, options: SimulatorOptions) -> None:
        network = Network(
            options.round_trip_seconds, options.stall_timeout_seconds, self._find_transport
        )
        config = uvicorn.Config(
            build_application(looker, network),
            http="h11",
            ssl_certfile=options.certificate,
            ssl_keyfile=options.private_key,
            log_level="error",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener)),
            name="looker-simulator",
            daemon=True,
        )
        self._thread.start()

    async def _serve(self, listener: socket.socket) -> None:
        # The loop's own threads are too few on a small machine: `run_query` waits on one.
        threads = ThreadPoolExecutor(_CONCURRENT_OPERATIONS, thread_name_prefix="looker-operation")
        asyncio.get_running_loop().set_default_executor(threads)
        await self._server.serve(sockets=[listener])

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True

    def join(self) -> None:
        self._thread.join()

    def _find_transport(self, client: object) -> asyncio.Transport | None:
        """Return the connection of a client by its address."""
        for connection in self._server.server_state.connections:
            if getattr(connection, "client", None) == client:
                transport: asyncio.Transport | None = connection.transport
                return transport
        return None
