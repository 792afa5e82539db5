"""The simulated Looker as an ASGI application."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from looker_simulator.control import control_routes
from looker_simulator.exchange import answer_error, answer_page, read_request
from looker_simulator.looker import HttpError
from looker_simulator.middleware import FaultMiddleware, NetworkMiddleware
from looker_simulator.routes import API, ROUTES

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from looker_simulator.looker import Looker
    from looker_simulator.middleware import Network
    from looker_simulator.routes import ApiRoute

_LONGEST_QUERY_STRING = 10_240
_GZIP_FROM_BYTES = 1024
# Packing holds up the other requests: as little of it as there is.
_GZIP_LEVEL = 1


def build_application(looker: Looker, network: Network) -> Starlette:
    """Build the whole API as an ASGI application."""
    api = [
        Route(route.path, endpoint=_Endpoint(looker, route), methods=[route.verb])
        for route in ROUTES
    ]
    return Starlette(
        routes=[
            Mount(API, routes=api),
            Route("/alive", lambda _: Response()),
            *control_routes(looker),
        ],
        middleware=[
            Middleware(NetworkMiddleware, network=network),
            Middleware(FaultMiddleware, looker=looker, find_transport=network.find_transport),
            Middleware(GZipMiddleware, minimum_size=_GZIP_FROM_BYTES, compresslevel=_GZIP_LEVEL),
        ],
    )


class _Endpoint:
    """Reads a request, runs the operation on a thread, and answers."""

    def __init__(self, looker: Looker, route: ApiRoute) -> None:
        self._looker = looker
        self._operation = route.operation
        self._needs_token = route.operation_id != "login"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(Request(scope, receive))
        except ClientDisconnect:
            # Nobody is there to be answered.
            return
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if len(request.url.query) > _LONGEST_QUERY_STRING:
            return answer_page(414, "414 URI Too Long")
        asked = await read_request(request)
        if "token_expired" in asked.faults:
            self._looker.logout(asked.token)
        if self._needs_token and not self._looker.accepts(asked.token):
            return answer_error(401, "Requires authentication.")
        try:
            return await asyncio.to_thread(self._operation, self._looker, asked)
        except HttpError as error:
            return answer_error(error.status, error.message)
