"""Middleware between a client and the API: round trips, a proxy's timeout, faults, and calls."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec
from starlette.responses import JSONResponse, RedirectResponse, Response

from looker_simulator.content import query_key, query_slug
from looker_simulator.exchange import JSON, Call, error_response, page_response
from looker_simulator.looker import INTERNAL_ERROR, HttpError
from looker_simulator.routes import find_operation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from looker_simulator.faults import Fault
    from looker_simulator.looker import Looker


_PIECE_BYTES = 1 << 16


@dataclass(frozen=True)
class Network:
    """The network before Looker.

    Attributes:
        round_trip_seconds: Seconds that every request takes first.
        stall_timeout_seconds: Seconds that a client may leave a response unread; None for no limit.
        find_transport: Function that returns the connection of a client by its address.
    """

    round_trip_seconds: float
    stall_timeout_seconds: float | None
    find_transport: FindTransport


class NetworkMiddleware:
    """ASGI middleware, outermost: every request takes a round trip, and must be read."""

    def __init__(self, app: ASGIApp, *, network: Network) -> None:
        """Keep the application and the network before it."""
        self._app = app
        self._network = network

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond after a round trip, while the client reads."""
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
    """Sends a body in pieces; closes the connection if none is read for a while."""

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


FindTransport = Callable[[Any], "asyncio.Transport | None"]
"""Finds the connection of a client by its address; None when it is gone."""
# Closing sends RST instead of FIN.
_NO_LINGER = struct.pack("ii", 1, 0)
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_UNTIL_READ_SECONDS = 0.05


@dataclass(frozen=True)
class WireResponse:
    """A response that was not sent yet.

    Attributes:
        status: HTTP status.
        headers: Names in lower case, and values; without those that frame the body.
        body: Body to send, perhaps compressed.
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
        """Return the head of the complete body."""
        return self.head((b"content-length", str(len(self.body)).encode()))

    @property
    def half(self) -> bytes:
        """Return the first half of the body."""
        return self.body[: len(self.body) // 2]


async def capture_response(app: ASGIApp, scope: Scope, receive: Receive) -> WireResponse:
    """Run an application, and keep its response."""
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
    return WireResponse(status, kept, bytes(body))


def reset_connection(transport: asyncio.Transport) -> None:
    """Close a connection with RST, even with unsent bytes."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


async def _drip_head(transport: asyncio.Transport, answer: WireResponse, seconds: float) -> None:
    await _drip(transport, answer.sized_head(), seconds)
    transport.write(answer.body)


async def _drip_body(transport: asyncio.Transport, answer: WireResponse, seconds: float) -> None:
    transport.write(answer.sized_head())
    await _drip(transport, answer.body, seconds)


async def _drip(transport: asyncio.Transport, text: bytes, seconds: float) -> None:
    for place in range(len(text)):
        if transport.is_closing():
            return
        transport.write(text[place : place + 1])
        await asyncio.sleep(seconds)


async def _cut(transport: asyncio.Transport, answer: WireResponse, _: float) -> None:
    transport.write(answer.sized_head() + answer.half)


async def _cut_chunked(transport: asyncio.Transport, answer: WireResponse, _: float) -> None:
    head = answer.head((b"transfer-encoding", b"chunked"))
    transport.write(head + f"{len(answer.half):x}\r\n".encode() + answer.half + b"\r\n")


async def _cut_gzip(transport: asyncio.Transport, answer: WireResponse, _: float) -> None:
    packed = answer
    if (b"content-encoding", b"gzip") not in answer.headers:
        headers = (*answer.headers, (b"content-encoding", b"gzip"))
        packed = replace(answer, headers=headers, body=gzip.compress(answer.body))
    cut = replace(packed, body=packed.half)
    transport.write(cut.sized_head() + cut.body)


async def _reset_in_body(transport: asyncio.Transport, answer: WireResponse, _: float) -> None:
    transport.write(answer.sized_head() + answer.half)
    await asyncio.sleep(_UNTIL_READ_SECONDS)
    reset_connection(transport)


WRITERS: Mapping[str, Callable[[asyncio.Transport, WireResponse, float], Awaitable[None]]] = {
    "header_drip": _drip_head,
    "body_drip": _drip_body,
    "error_drip": _drip_body,
    "cut_short": _cut,
    "cut_short_chunked": _cut_chunked,
    "cut_short_gzip": _cut_gzip,
    "reset_in_body": _reset_in_body,
}
"""Functions that send a response with a fault, by name; they end before the connection closes."""


_DEMANDED = "A fault on demand"
_MEGABYTE = 1 << 20
_BOMB_MEGABYTES = 1024
_RAW_DEFLATE = -15
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def _limited(retry_after: str | None, status: int = 429) -> Response:
    response = error_response(HttpError(status, _DEMANDED))
    if retry_after is not None:
        response.headers["Retry-After"] = retry_after
    return response


def _date_after(seconds: float) -> str:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return format_datetime(moment, usegmt=True)


_RESPONSES: Mapping[str, Callable[[Fault], Response]] = {
    "rate_limited": lambda _: _limited("0"),
    "rate_limited_seconds": lambda fault: _limited(f"{fault.seconds:g}"),
    "rate_limited_date": lambda fault: _limited(_date_after(fault.seconds)),
    "rate_limited_nonsense": lambda _: _limited("nan"),
    "rate_limited_bare": lambda _: _limited(None),
    "server_error": lambda _: error_response(HttpError(500, INTERNAL_ERROR)),
    "error_drip": lambda _: error_response(HttpError(500, INTERNAL_ERROR)),
    "bad_gateway": lambda _: page_response(502, "502 Bad Gateway"),
    "unavailable": lambda _: _limited("0", 503),
    "gateway_timeout": lambda _: page_response(504, "504 Gateway Time-out"),
    "bad_request": lambda _: error_response(HttpError(400, _DEMANDED)),
    "token_lost": lambda _: error_response(HttpError(401, "Requires authentication.")),
    "forbidden": lambda _: error_response(HttpError(403, "Forbidden")),
    "not_found": lambda _: error_response(HttpError(404, "Not found")),
    "not_found_html": lambda _: page_response(404, "404 Not Found"),
    "uri_too_long": lambda _: page_response(414, "414 URI Too Long"),
    "validation_failed": lambda _: error_response(HttpError(422, "Validation Failed")),
    "redirected": lambda _: RedirectResponse("https://elsewhere.test/", 302),
    "not_json": lambda _: page_response(200, "Sign in"),
    "invalid_json": lambda _: Response(b'{"status": "comp', media_type=JSON),
    "not_a_map": lambda _: JSONResponse([]),
}


def find_response(faults: Mapping[str, Fault], query_task_ids: Collection[str]) -> Response | None:
    """Return the response of the faults, instead of the real one; None for the real one.

    It may take a second, so it belongs on a thread.
    """
    for name, fault in faults.items():
        if name in _RESPONSES:
            return _RESPONSES[name](fault)
        if name == "gzip_bomb":
            return _bomb(200, query_task_ids)
        if name == "error_bomb":
            return _bomb(500, ())
    return None


def _bomb(status: int, query_task_ids: Collection[str]) -> Response:
    """Respond with one string of a gigabyte, compressed: data of the first task, or a message."""
    head, tail = b'{"message":"', b'"}'
    for id_ in [*query_task_ids][:1]:
        head = b"{" + msgspec.json.encode(id_) + b':{"status":"complete","data":"'
        tail = b'"}}'
    return Response(_packed(head, tail), status, {"Content-Encoding": "gzip"}, JSON)


@cache
def _packed(head: bytes, tail: bytes) -> bytes:
    """Return a head, a gigabyte of one letter and a tail, compressed in constant memory."""
    megabyte = b"a" * _MEGABYTE
    checksum = zlib.crc32(head)
    for _ in range(_BOMB_MEGABYTES):
        checksum = zlib.crc32(megabyte, checksum)
    checksum = zlib.crc32(tail, checksum)
    size = len(head) + _MEGABYTE * _BOMB_MEGABYTES + len(tail)
    end = checksum.to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little")
    # Each part is compressed separately, so one compressed megabyte can be repeated.
    parts = (_flushed(head), _flushed(megabyte) * _BOMB_MEGABYTES, _finished(tail))
    return _GZIP_HEAD + b"".join(parts) + end


def _flushed(text: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE)
    return packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)


def _finished(text: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE)
    return packer.compress(text) + packer.flush(zlib.Z_FINISH)


_NOT_RECORDED = frozenset({"simulator", "alive"})


class FaultMiddleware:
    """ASGI middleware, outside of all other middleware that changes a response."""

    def __init__(self, app: ASGIApp, *, looker: Looker, find_transport: FindTransport) -> None:
        """Keep the application, and a function that returns a client's connection."""
        self._app = app
        self._looker = looker
        self._find_transport = find_transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request, or do something else."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(scope, self._looker)
        scope["faults"] = faults = request.faults
        if "hang" in faults:
            await asyncio.sleep(faults["hang"].seconds)
        writer = next((name for name in faults if name in WRITERS), None)
        if faults.keys() & {"dropped", "reset", "launched_but_dropped"}:
            await self._send_no_response(request, receive)
        elif writer is None:
            app = await self._responding_app(request)
            await app(scope, receive, request.record_with(send))
        else:
            await self._write(writer, request, receive)

    async def _responding_app(self, request: _Request) -> ASGIApp:
        """Return the application that responds: a fault's, or the real one."""
        if not request.faults:
            return self._app
        answer = await asyncio.to_thread(find_response, request.faults, request.named_ids)
        return answer or self._app

    async def _send_no_response(self, request: _Request, receive: Receive) -> None:
        if "launched_but_dropped" in request.faults:
            await capture_response(self._app, request.scope, receive)
        request.record(0)
        transport = self._find_transport(request.scope["client"])
        if transport is not None:
            if "reset" in request.faults:
                reset_connection(transport)
            else:
                transport.abort()
            await _until_disconnected(receive)

    async def _write(self, writer: str, request: _Request, receive: Receive) -> None:
        app = await self._responding_app(request)
        answer = await capture_response(app, request.scope, receive)
        request.record(answer.status)
        transport = self._find_transport(request.scope["client"])
        if transport is not None:
            await WRITERS[writer](transport, answer, request.faults[writer].seconds)
            transport.close()
            await _until_disconnected(receive)


class _Request:
    """The parts of a request that faults and the record of calls need."""

    def __init__(self, scope: Scope, looker: Looker) -> None:
        self.scope = scope
        self._looker = looker
        self._operation = find_operation(scope["method"], scope["path"])
        self._query = scope["query_string"].decode("ascii", "replace")
        ids = ",".join(parse_qs(self._query, max_num_fields=1000).get("query_task_ids", []))
        self._polled_ids = tuple(filter(None, ids.split(",")))
        self.named_ids = self._polled_ids
        if "query_tasks" in scope["path"] or "running_queries" in scope["path"]:
            self.named_ids = (*self._polled_ids, *scope["path"].split("/"))
        self.faults: Mapping[str, Fault] = looker.faults.take(
            self._operation, self.named_ids, self._find_query_ids()
        )

    def _find_query_ids(self) -> set[str]:
        """Return the queries that the request names, and those of the tasks it names."""
        parts = self.scope["path"].split("/")
        tasks = (self._looker.tasks.find(id_) for id_ in self.named_ids)
        of_tasks = {task.query_id for task in tasks if task}
        keys = of_tasks | ({*map(query_key, parts)} if "queries" in parts else set())
        # A fault may name a query by its number or by its id.
        return keys | {*map(query_slug, keys)}

    def record(self, status: int) -> None:
        """Record the response."""
        if self._operation not in _NOT_RECORDED:
            at = self._looker.clock()
            path = self.scope["path"]
            call = Call(self._operation, path, self._query, status, at, self._polled_ids)
            self._looker.calls.append(call)

    def record_with(self, send: Send) -> Send:
        """Return `send`, with the request recorded before the client has the response."""

        async def record_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.record(message["status"])
            await send(message)

        return record_and_send


async def _until_disconnected(receive: Receive) -> None:
    """Wait until the server notices that the connection is closed; otherwise it would respond."""
    while (await receive())["type"] != "http.disconnect":
        pass
