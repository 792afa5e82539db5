"""Writes an answer to a connection as no HTTP server would: torn, cut or a byte at a time."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope

FindTransport = Callable[[Any], "asyncio.Transport | None"]
"""Finds the connection of a client by its address; None when it is gone."""
# Closing sends RST in place of FIN.
_NO_LINGER = struct.pack("ii", 1, 0)
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_UNTIL_READ_SECONDS = 0.05


@dataclass(frozen=True)
class WireAnswer:
    """An answer that was not sent yet.

    Attributes:
        status: of HTTP.
        headers: names in lower case, and values; without those that frame the body.
        body: as it would be sent, maybe packed.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def head(self, *framing: tuple[bytes, bytes]) -> bytes:
        """Return status line and headers, up to the empty line."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode()]
        headers = (*self.headers, *framing, (b"connection", b"close"))
        lines += [name + b": " + value for name, value in headers]
        return b"\r\n".join([*lines, b"", b""])

    def sized_head(self) -> bytes:
        """Return the head of the whole body."""
        return self.head((b"content-length", str(len(self.body)).encode()))

    @property
    def half(self) -> bytes:
        """Return the first half of the body."""
        return self.body[: len(self.body) // 2]


async def capture_answer(app: ASGIApp, scope: Scope, receive: Receive) -> WireAnswer:
    """Run an application, and keep its answer."""
    status = 500
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body = bytearray()

    async def keep(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], tuple(message["headers"])
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, keep)
    kept = tuple((name, value) for name, value in headers if name not in _FRAMING)
    return WireAnswer(status, kept, bytes(body))


def reset_connection(transport: asyncio.Transport) -> None:
    """Close a connection with RST, whatever is still to be sent."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


async def _drip_head(transport: asyncio.Transport, answer: WireAnswer, seconds: float) -> None:
    await _drip(transport, answer.sized_head(), seconds)
    transport.write(answer.body)


async def _drip_body(transport: asyncio.Transport, answer: WireAnswer, seconds: float) -> None:
    transport.write(answer.sized_head())
    await _drip(transport, answer.body, seconds)


async def _drip(transport: asyncio.Transport, text: bytes, seconds: float) -> None:
    for place in range(len(text)):
        if transport.is_closing():
            return
        transport.write(text[place : place + 1])
        await asyncio.sleep(seconds)


async def _cut(transport: asyncio.Transport, answer: WireAnswer, _: float) -> None:
    transport.write(answer.sized_head() + answer.half)


async def _cut_chunked(transport: asyncio.Transport, answer: WireAnswer, _: float) -> None:
    head = answer.head((b"transfer-encoding", b"chunked"))
    transport.write(head + f"{len(answer.half):x}\r\n".encode() + answer.half + b"\r\n")


async def _cut_gzip(transport: asyncio.Transport, answer: WireAnswer, _: float) -> None:
    packed = answer
    if (b"content-encoding", b"gzip") not in answer.headers:
        headers = (*answer.headers, (b"content-encoding", b"gzip"))
        packed = replace(answer, headers=headers, body=gzip.compress(answer.body))
    cut = replace(packed, body=packed.half)
    transport.write(cut.sized_head() + cut.body)


async def _reset_in_body(transport: asyncio.Transport, answer: WireAnswer, _: float) -> None:
    transport.write(answer.sized_head() + answer.half)
    await asyncio.sleep(_UNTIL_READ_SECONDS)
    reset_connection(transport)


WRITERS: Mapping[str, Callable[[asyncio.Transport, WireAnswer, float], Awaitable[None]]] = {
    "header_drip": _drip_head,
    "body_drip": _drip_body,
    "error_drip": _drip_body,
    "cut_short": _cut,
    "cut_short_chunked": _cut_chunked,
    "cut_short_gzip": _cut_gzip,
    "reset_in_body": _reset_in_body,
}
"""How faults write an answer, by name of the fault; they end before the connection is closed."""
