"""A server on loopback that passes requests on, and their responses back, perhaps changed."""

from __future__ import annotations

import http.client
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import urlsplit

from typing_extensions import override

if TYPE_CHECKING:
    from email.message import Message
    from types import TracebackType

_NOT_PASSED_ON = {"accept-encoding", "connection", "content-length", "transfer-encoding"}


class Content(NamedTuple):
    """A body and the media type it is said to have."""

    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its response.

    Attributes:
        verb: HTTP method.
        target: path and query string.
        sent: with the request.
        status: of the response.
        received: with the response.
    """

    verb: str
    target: str
    sent: Content
    status: int
    received: Content


class Proxy:
    """Stands before a server, from `with` to its end.

    Attributes:
        base_url: for clients.
    """

    def __init__(self, base_url: str) -> None:
        """Take the address of the server."""
        self._server = _Server(urlsplit(base_url).netloc, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Start to response."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to listen."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def response(self, exchange: Exchange) -> bytes:
        """Return the body that the client gets."""
        return exchange.received.body


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, destination: str, proxy: Proxy) -> None:
        self.destination = destination
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    @override
    def handle(self) -> None:
        # A client that has ended reads no response.
        with suppress(ConnectionError):
            super().handle()

    def _pass_on(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(self.server.destination, timeout=20)
        try:
            headers = dict(_end_to_end(self.headers))
            connection.request(self.command, self.path, sent or None, headers)
            response = connection.getresponse()
            received = response.read()
        finally:
            connection.close()
        exchange = Exchange(
            self.command,
            self.path,
            Content(_kind_of(self.headers), sent),
            response.status,
            Content(_kind_of(response.headers), received),
        )
        self._respond(response, self.server.proxy.response(exchange))

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = _pass_on  # noqa: N815 - as the server names them

    def _respond(self, response: http.client.HTTPResponse, body: bytes) -> None:
        # Date and server are those of the destination.
        self.send_response_only(response.status)
        for name, value in _end_to_end(response.headers):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _end_to_end(headers: Message) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in _NOT_PASSED_ON]


def _kind_of(headers: Message) -> str:
    return str(headers.get("Content-Type", "")).partition(";")[0].strip()
