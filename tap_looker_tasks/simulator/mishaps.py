"""Faults on the way between a client and the simulated Looker, and the record of its calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from tap_looker_tasks.simulator.calls import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tap_looker_tasks.simulator.server import Looker

_RETRY_AFTER = {"Retry-After": "0"}
_ERROR = {"message": "A fault on demand", "documentation_url": ""}


def _in_place_of_an_answer() -> dict[str, Response]:
    return {
        "rate_limited": JSONResponse(_ERROR, 429, _RETRY_AFTER),
        "server_error": JSONResponse(_ERROR, 500),
        "unavailable": JSONResponse(_ERROR, 503, _RETRY_AFTER),
        "bad_gateway": HTMLResponse("<html><h1>502 Bad Gateway</h1></html>", 502),
        "not_found_html": HTMLResponse("<html><h1>404 Not Found</h1></html>", 404),
        "bad_request": JSONResponse(_ERROR, 400),
        "not_json": HTMLResponse("<html><h1>Sign in</h1></html>"),
        "not_a_map": JSONResponse([]),
        "token_lost": JSONResponse({"message": "Requires authentication."}, 401),
        "redirected": RedirectResponse("https://elsewhere.test/", 302),
        "forbidden": JSONResponse({"message": "Forbidden"}, 403),
    }


class Mishaps:
    """ASGI middleware, outermost, so that nothing comes after what it does to an answer."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        looker: Looker,
        drop: Callable[[Any], None],
        operation_of: Callable[[str, str], str],
    ) -> None:
        """Take the application, and how to close a client's connection."""
        self._app = app
        self._looker = looker
        self._drop = drop
        self._operation_of = operation_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or do something else."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        operation = self._operation_of(scope["method"], scope["path"])
        scope["faults"] = faults = self._looker.faults.taken(operation)

        async def answer(message: Message) -> None:
            # Before the client has the answer, so that it finds its own call recorded.
            if message["type"] == "http.response.start":
                self._record(operation, scope, message["status"])
            await send(message)

        if not await self._answers(scope, receive, answer, faults):
            self._record(operation, scope, 0)
            self._drop(scope["client"])

    async def _answers(
        self, scope: Scope, receive: Receive, send: Send, faults: dict[str, float]
    ) -> bool:
        """Answer as the faults will have it; False when there is to be no answer."""
        if "hang" in faults:
            await asyncio.sleep(faults["hang"])
        if "dropped" in faults:
            return False
        if "launched_but_dropped" in faults:
            await self._app(scope, receive, _unheard)
            return False
        answers = _in_place_of_an_answer()
        app = next((answers[name] for name in faults if name in answers), self._app)
        await app(scope, receive, _halved(send) if "cut_short" in faults else send)
        return True

    def _record(self, operation: str, scope: Scope, status: int) -> None:
        query = scope["query_string"].decode("ascii", "replace")
        ids = ",".join(parse_qs(query, max_num_fields=1000).get("query_task_ids", []))
        if operation not in {"simulator", "alive"}:
            call = Call(
                operation,
                scope["path"],
                query,
                status,
                self._looker.clock(),
                tuple(filter(None, ids.split(","))),
            )
            self._looker.calls.append(call)


async def _unheard(message: Message) -> None:
    """Take an answer that nobody gets."""


def _halved(send: Send) -> Send:
    """Send half of the body, and never the rest."""

    async def send_half(message: Message) -> None:
        if message["type"] == "http.response.body":
            half = message["body"][: len(message["body"]) // 2]
            message = {**message, "body": half, "more_body": True}
        await send(message)

    return send_half
