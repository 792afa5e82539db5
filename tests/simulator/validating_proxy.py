"""A server between a client and the simulator that compares both with Looker's description."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from typing_extensions import override

from tests.simulator.description import Content, Exchange

if TYPE_CHECKING:
    from email.message import Message
    from types import TracebackType

    from tests.simulator.description import Description

_NOT_PASSED_ON = {"accept-encoding", "connection", "content-length", "transfer-encoding"}


class ValidatingProxy:
    """Passes requests on and their answers back, from `with` to its end.

    Attributes:
        wrong_requests: what of the requests was not as described, each thing once.
        wrong_answers: the same of the answers.
        base_url: for clients.
    """

    def __init__(self, base_url: str, description: Description) -> None:
        """Take the address of the simulator, and what is said of it."""
        self._description = description
        self._server = _Server(urlsplit(base_url).netloc, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.wrong_requests: dict[str, None] = {}
        self.wrong_answers: dict[str, None] = {}
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Begin to answer."""
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

    def note(self, exchange: Exchange) -> None:
        """Compare a request and its answer with the description."""
        self.wrong_requests |= dict.fromkeys(self._description.wrong_in_request(exchange))
        self.wrong_answers |= dict.fromkeys(self._description.wrong_in_answer(exchange))


class _Server(ThreadingHTTPServer):
    def __init__(self, destination: str, proxy: ValidatingProxy) -> None:
        self.destination = destination
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _pass_on(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(self.server.destination, timeout=20)
        try:
            headers = dict(_end_to_end(self.headers))
            connection.request(self.command, self.path, sent or None, headers)
            answer = connection.getresponse()
            received = answer.read()
        finally:
            connection.close()
        self.server.proxy.note(
            Exchange(
                self.command,
                self.path,
                Content(_kind_of(self.headers), sent),
                answer.status,
                Content(_kind_of(answer.headers), received),
            )
        )
        self._answer(answer, received)

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = _pass_on  # noqa: N815 - as the server names them

    def _answer(self, answer: http.client.HTTPResponse, body: bytes) -> None:
        # Date and server are the simulator's.
        self.send_response_only(answer.status)
        for name, value in _end_to_end(answer.headers):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what is found is kept."""


def _end_to_end(headers: Message) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in _NOT_PASSED_ON]


def _kind_of(headers: Message) -> str:
    return str(headers.get("Content-Type", "")).partition(";")[0].strip()
