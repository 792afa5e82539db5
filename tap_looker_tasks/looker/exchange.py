"""One request and its answer, as their socket sees them: how long they may take, and their end."""

from __future__ import annotations

import socket
from concurrent.futures import CancelledError, Future, InvalidStateError
from concurrent.futures import TimeoutError as NotInTimeError
from contextlib import suppress
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from io import RawIOBase
    from threading import Event

    from tap_looker_tasks.looker.clock import Clock

Addresses = list[tuple[Any, ...]]
_LEAST_BYTES = 1024
# Linux has it, until the next time it thinks otherwise.
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
# No socket takes a much longer time.
_LONGEST_STEP_SECONDS = 1_000_000


class Exchange:
    """Keeps the time of a request and its answer, and ends them from another thread.

    The header must have come within the timeout. From then on either the rest must have come
    within it, too, or, for a long answer, so many bytes in each such time that it gets on. Time
    in which nobody reads does not count. Nothing goes on beyond `ends_at`.

    Attributes:
        aborted: set when everything in progress is to end.
    """

    def __init__(
        self, clock: Clock, *, timeout_seconds: float, ends_at: float, aborted: Event
    ) -> None:
        """Begin now; `ends_at` is in epoch seconds."""
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._ends_at = ends_at
        self.aborted = aborted
        self._due_at = clock.now() + timeout_seconds
        self._is_long = False
        self._bytes = 0
        self._read_at = 0.0
        self._lock = Lock()
        self._handle: socket.socket | None = None
        self._found: Future[Addresses] | None = None

    def expect_long_body(self) -> None:
        """Go on as long as bytes come."""
        self._is_long = True
        self._read_at = self._clock.now()
        self._due_at = self._read_at + self._timeout_seconds

    def seconds_left(self) -> float:
        """Return how long the next step may take.

        Raises:
            TimeoutError: no time is left.
            ConnectionAbortedError: everything is to end.
        """
        if self.aborted.is_set():
            raise ConnectionAbortedError
        left = min(self._due_at, self._ends_at) - self._clock.now()
        if left <= 0:
            msg = "it took too long"
            raise TimeoutError(msg)
        return min(left, _LONGEST_STEP_SECONDS)

    def receive(self, sock: socket.socket, raw: RawIOBase, buffer: memoryview) -> int | None:
        """Read what comes next from a socket by its file; returns the count of bytes.

        Raises:
            OSError: nothing came, or not enough.
        """
        if self._is_long:
            self._due_at += self._clock.now() - self._read_at
        sock.settimeout(self.seconds_left())
        _acknowledge_at_once(sock)
        count = raw.readinto(buffer)
        if self.aborted.is_set():
            # It may look as if the answer had ended.
            raise ConnectionAbortedError
        self._bytes += count or 0
        if self._is_long:
            self._read_at = self._clock.now()
            if self._bytes >= _LEAST_BYTES:
                self._bytes = 0
                self._due_at = self._read_at + self._timeout_seconds
        return count

    def resolve(self, host: str, port: int) -> Addresses:
        """Return the addresses of a host, as `getaddrinfo` does.

        Raises:
            OSError: there are none, or not in time.
        """
        left = self.seconds_left()
        found: Future[Addresses] = Future()
        with self._lock:
            self._found = found
        # Nobody can end it, so nobody waits for it longer than for anything else.
        Thread(target=_resolve, args=(host, port, found), name="resolve", daemon=True).start()
        if self.aborted.is_set():
            self.shut()
        with suppress(CancelledError, NotInTimeError):
            return found.result(timeout=left)
        msg = f"the address of {host} was not found in time"
        raise TimeoutError(msg)

    def attach(self, sock: socket.socket) -> None:
        """Take the socket that is used from now on."""
        self.detach()
        with self._lock:
            # TLS takes the socket itself for its own; shutting a copy shuts both, of any family.
            self._handle = socket.fromfd(sock.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        if self.aborted.is_set():
            self.shut()

    def shut(self) -> None:
        """End what goes on in another thread."""
        with self._lock:
            if self._found:
                self._found.cancel()
            if self._handle:
                # It may not be connected any more, or not yet.
                with suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)

    def detach(self) -> None:
        """Let go of the socket, which others may use from now on."""
        with self._lock:
            if self._handle:
                self._handle.close()
                self._handle = None


def _acknowledge_at_once(sock: socket.socket) -> None:
    """Keep a server that sends head and body apart from waiting for us in between.

    It may hold the body back until the head is acknowledged, which systems put off by 40 ms.
    """
    if _QUICKACK is not None:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def _resolve(host: str, port: int, found: Future[Addresses]) -> None:
    with suppress(InvalidStateError):
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)
