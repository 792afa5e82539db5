"""A server that does to its connections what no well-behaved one would."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import IO, Self

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


def with_body(body: bytes, head: bytes = OK) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class RawServer:
    """Logs everybody in; other requests are served by a function that is given the connection.

    Attributes:
        requests: the first lines of the requests.
        refused_tokens: headers that are not accepted; the token of login n is `t<n>`.
        answers_logout: whether it responds to a logout.
        token_end: what tokens end in, as JSON has it.
        closing: set when the server is to end.
    """

    def __init__(
        self,
        response: Callable[[RawServer, socket.socket], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._respond = response
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.requests: list[str] = []
        self.closing = threading.Event()
        self.rejected_tokens: set[str] = set()
        self.responds_to_logout = True
        self.token_end = ""
        scheme = "https" if tls else "http"
        self.base_url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        for sock in (self._listener, *self._connections):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)

    def count(self, part: str) -> int:
        return sum(part in request for request in self.requests)

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self._connections)

    @property
    def open_connections(self) -> int:
        """How many no one has closed yet."""
        return sum(connection.fileno() >= 0 for connection in self._connections)

    def drip(self, connection: socket.socket, data: bytes, apart: float = 0.02) -> None:
        """Send byte by byte, until no one listens."""
        for n in range(len(data)):
            if self.closing.wait(apart):
                return
            connection.sendall(data[n : n + 1])

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                self._run(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self._tls:
                place = self._connections.index(connection)
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._connections[place] = connection
            self._serve_requests(connection)

    def _serve_requests(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            while request := file.readline().decode("latin-1"):
                headers = _read_headers(file)
                file.read(int(headers.get("content-length", 0)))
                self.requests.append(request)
                token = headers.get("authorization")
                if "/login" in request:
                    connection.sendall(self._new_token())
                elif token in self.rejected_tokens:
                    connection.sendall(with_body(b"{}", UNAUTHORIZED))
                elif "/logout" in request and self.responds_to_logout:
                    connection.sendall(NO_CONTENT)
                else:
                    self._respond(self, connection)

    def _new_token(self) -> bytes:
        token = f"t{self.count('/login')}{self.token_end}"
        return with_body(f'{{"access_token":"{token}","expires_in":3600}}'.encode())


def _read_headers(file: IO[bytes]) -> dict[str, str]:
    headers = {}
    while (line := file.readline().decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return headers
