"""The simulated Looker as an ASGI application."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from looker_simulator.control import control_routes
from looker_simulator.exchange import error_response, json_response, page_response, read_request
from looker_simulator.looker import INTERNAL_ERROR, HttpError
from looker_simulator.middleware import FaultMiddleware, NetworkMiddleware
from looker_simulator.routes import API, ROUTES, describe_swagger

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from looker_simulator.looker import Looker
    from looker_simulator.middleware import Network
    from looker_simulator.routes import ApiRoute

_MAX_QUERY_STRING_BYTES = 10_240
_GZIP_FROM_BYTES = 1024
# Compression delays the other requests: use the fastest level.
_GZIP_LEVEL = 1
_NOT_FOUND = 404
_VERBS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_LOGOUT = next(route for route in ROUTES if route.operation_id == "logout")
_LOG = logging.getLogger(__name__)


def build_application(looker: Looker, network: Network) -> Starlette:
    """Build the complete API as an ASGI application."""
    api = [
        Route(route.path, endpoint=_Endpoint(looker, route), methods=[route.verb])
        for route in ROUTES
    ]
    # Looker's SDK for Ruby reads its methods from here, and logs out with a second slash.
    api.append(Route("//logout", endpoint=_Endpoint(looker, _LOGOUT), methods=["DELETE"]))
    api.append(Route("/swagger.json", lambda _: json_response(describe_swagger())))
    api.append(Route("/{path:path}", endpoint=_unknown_response, methods=_VERBS))
    return Starlette(
        routes=[
            Mount(API, routes=api),
            Route("/alive", lambda _: Response()),
            # Looker's own client logs out here.
            Route("/api/logout", endpoint=_Endpoint(looker, _LOGOUT), methods=["DELETE"]),
            *control_routes(looker),
            # Looker forbids what lacks the path of its API.
            Route("/login", endpoint=_forbid, methods=["POST"]),
            Route("/{path:path}", endpoint=_unknown_response, methods=_VERBS),
        ],
        middleware=[
            Middleware(NetworkMiddleware, network=network),
            Middleware(FaultMiddleware, looker=looker, find_transport=network.find_transport),
            Middleware(GZipMiddleware, minimum_size=_GZIP_FROM_BYTES, compresslevel=_GZIP_LEVEL),
        ],
    )


class _Endpoint:
    """Reads a request, runs the operation on a thread, and responds."""

    def __init__(self, looker: Looker, route: ApiRoute) -> None:
        self._looker = looker
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(Request(scope, receive))
        except ClientDisconnect:
            # The client is gone.
            return
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if len(request.url.query) > _MAX_QUERY_STRING_BYTES:
            return page_response(414, "414 URI Too Long")
        if "search" in request.path_params.values():
            # A search that the simulator lacks is not the ID of an entry.
            return await _unknown_response(request)
        try:
            requested = await read_request(request)
            if "token_expired" in requested.faults:
                self._looker.logout(requested.token)
            if self._route.operation_id != "login" and not self._looker.accepts(requested.token):
                return self._reject(HttpError(401, "Requires authentication."))
            return await asyncio.to_thread(self._route.operation, self._looker, requested)
        except HttpError as error:
            return self._reject(error)
        except ClientDisconnect:
            raise
        except Exception:  # noqa: BLE001 - a bug is logged, and the connection lives
            _LOG.exception("%s failed", self._route.operation_id)
            return self._reject(HttpError(500, INTERNAL_ERROR))

    def _reject(self, error: HttpError) -> Response:
        if error.status == _NOT_FOUND and "not_found_html" in self._looker.variants:
            return page_response(_NOT_FOUND, "Looker Not Found (404)")
        return error_response(error, self._route.verb, self._route.path)


async def _forbid(_: Request) -> Response:
    return error_response(HttpError(403, "Forbidden"), "post", "/login")


async def _unknown_response(request: Request) -> Response:
    """Respond to what is not an operation of the simulator: its name, and where all are listed."""
    path = request.url.path.removeprefix(API)
    message = (
        f"{request.method} {path} is not an operation of this simulator; "
        f"{request.base_url}openapi.json lists those there are"
    )
    return error_response(HttpError(_NOT_FOUND, message), request.method, path)
