"""Faults on the way between a client and the simulated Looker, and the record of its calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from looker_simulator.calls import Call
from looker_simulator.fault_answers import find_answer
from looker_simulator.routes import find_operation
from looker_simulator.wire import WRITERS, capture_answer, reset_connection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from looker_simulator.faults import Fault
    from looker_simulator.looker import Looker
    from looker_simulator.wire import FindTransport

_NOT_RECORDED = frozenset({"simulator", "alive"})


class FaultMiddleware:
    """ASGI middleware, outside of all that changes an answer."""

    def __init__(self, app: ASGIApp, *, looker: Looker, find_transport: FindTransport) -> None:
        """Take the application, and how to find a client's connection."""
        self._app = app
        self._looker = looker
        self._find_transport = find_transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or do something else."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(scope, self._looker)
        scope["faults"] = faults = request.faults
        if "hang" in faults:
            await asyncio.sleep(faults["hang"].seconds)
        writer = next((name for name in faults if name in WRITERS), None)
        if faults.keys() & {"dropped", "reset", "launched_but_dropped"}:
            await self._leave_unanswered(request, receive)
        elif writer is None:
            app = await self._answering_app(request)
            await app(scope, receive, request.record_with(send))
        else:
            await self._write(writer, request, receive)

    async def _answering_app(self, request: _Request) -> ASGIApp:
        """Return who answers: the faults, or the application."""
        if not request.faults:
            return self._app
        answer = await asyncio.to_thread(find_answer, request.faults, request.named_ids)
        return answer or self._app

    async def _leave_unanswered(self, request: _Request, receive: Receive) -> None:
        if "launched_but_dropped" in request.faults:
            await capture_answer(self._app, request.scope, receive)
        request.record(0)
        transport = self._find_transport(request.scope["client"])
        if transport is not None:
            if "reset" in request.faults:
                reset_connection(transport)
            else:
                transport.abort()
            await _until_disconnected(receive)

    async def _write(self, writer: str, request: _Request, receive: Receive) -> None:
        app = await self._answering_app(request)
        answer = await capture_answer(app, request.scope, receive)
        request.record(answer.status)
        transport = self._find_transport(request.scope["client"])
        if transport is not None:
            await WRITERS[writer](transport, answer, request.faults[writer].seconds)
            transport.close()
            await _until_disconnected(receive)


class _Request:
    """A request, as far as faults and the record of calls go."""

    def __init__(self, scope: Scope, looker: Looker) -> None:
        self.scope = scope
        self._looker = looker
        self._operation = find_operation(scope["method"], scope["path"])
        self._query = scope["query_string"].decode("ascii", "replace")
        ids = ",".join(parse_qs(self._query, max_num_fields=1000).get("query_task_ids", []))
        self._asked_for = tuple(filter(None, ids.split(",")))
        self.named_ids = self._asked_for
        if "query_tasks" in scope["path"] or "running_queries" in scope["path"]:
            self.named_ids = (*self._asked_for, *scope["path"].split("/"))
        self.faults: Mapping[str, Fault] = looker.faults.take(
            self._operation, self.named_ids, self._find_query_ids()
        )

    def _find_query_ids(self) -> set[str]:
        """Return the queries that the request names, and those of the tasks it names."""
        parts = self.scope["path"].split("/")
        tasks = (self._looker.tasks.find(id_) for id_ in self.named_ids)
        of_tasks = {task.query_id for task in tasks if task}
        return of_tasks | ({*parts} if "queries" in parts else set())

    def record(self, status: int) -> None:
        """Record that it was answered."""
        if self._operation not in _NOT_RECORDED:
            at = self._looker.clock()
            path = self.scope["path"]
            call = Call(self._operation, path, self._query, status, at, self._asked_for)
            self._looker.calls.append(call)

    def record_with(self, send: Send) -> Send:
        """Return `send`, with the request recorded before the client has the answer."""

        async def record_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.record(message["status"])
            await send(message)

        return record_and_send


async def _until_disconnected(receive: Receive) -> None:
    """Wait for the server to notice that the connection is closed, or it would answer."""
    while (await receive())["type"] != "http.disconnect":
        pass
