"""The network between a client and the simulated Looker: round trips, and a proxy's patience."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from looker_simulator.wire import reset_connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from looker_simulator.wire import FindTransport

_PIECE_BYTES = 1 << 16


@dataclass(frozen=True)
class Network:
    """How far away Looker is.

    Attributes:
        round_trip_seconds: what every request takes beforehand.
        stall_timeout_seconds: how long a client may leave an answer unread; None: for ever.
        find_transport: finds the connection of a client by its address.
    """

    round_trip_seconds: float
    stall_timeout_seconds: float | None
    find_transport: FindTransport


class NetworkMiddleware:
    """ASGI middleware, outermost: every request takes a round trip, and must be read."""

    def __init__(self, app: ASGIApp, *, network: Network) -> None:
        """Take the application and the network before it."""
        self._app = app
        self._network = network

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request after a round trip, as long as the client reads."""
        await asyncio.sleep(self._network.round_trip_seconds)
        timeout = self._network.stall_timeout_seconds
        if timeout is not None:
            send = _Impatient(send, timeout, lambda: self._close(scope))
        await self._app(scope, receive, send)

    def _close(self, scope: Scope) -> None:
        transport = self._network.find_transport(scope["client"])
        if transport is not None:
            reset_connection(transport)


class _Impatient:
    """Sends a body piece by piece; closes the connection when nobody takes one for a while."""

    def __init__(self, send: Send, timeout: float, close: Callable[[], None]) -> None:
        self._send = send
        self._timeout = timeout
        self._close = close
        self._is_closed = False

    async def __call__(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        places = range(0, len(body), _PIECE_BYTES) or range(1)
        for place in places:
            piece = body[place : place + _PIECE_BYTES]
            is_last = place == places[-1]
            await self._send_piece({**message, "body": piece, "more_body": more or not is_last})

    async def _send_piece(self, message: Message) -> None:
        if self._is_closed:
            return
        try:
            await asyncio.wait_for(self._send(message), self._timeout)
        except TimeoutError:
            self._is_closed = True
            self._close()
