"""A server that does to its connections what no well-behaved one would."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


def with_body(body: bytes, head: bytes = OK) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


TOKEN = with_body(b'{"access_token":"t","expires_in":3600}')


class RawServer:
    """Logs everybody in; other requests are answered by a function that is given the connection.

    Attributes:
        requests: the first lines of the requests.
        closing: set when the server is to end.
    """

    def __init__(self, answer: Callable[[RawServer, socket.socket], None]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.requests: list[str] = []
        self.closing = threading.Event()
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

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

    def drip(self, connection: socket.socket, data: bytes, apart: float = 0.02) -> None:
        """Send byte by byte, until nobody listens."""
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
        with suppress(OSError), connection, connection.makefile("rb") as file:
            while request := file.readline().decode("latin-1"):
                length = 0
                while (line := file.readline().lower()) not in {b"\r\n", b""}:
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                file.read(length)
                self.requests.append(request)
                if "/login" in request:
                    connection.sendall(TOKEN)
                elif "/logout" in request:
                    connection.sendall(NO_CONTENT)
                else:
                    self._answer(self, connection)
