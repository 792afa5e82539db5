"""Connections whose every step has an end: what `requests` and `urllib3` are told to use."""

from __future__ import annotations

import socket
from concurrent.futures import CancelledError, Future, InvalidStateError
from concurrent.futures import TimeoutError as NotInTimeError
from contextlib import suppress
from functools import partial
from http.client import HTTPResponse as HTTPClientResponse
from io import BufferedReader, RawIOBase
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, cast

from requests.adapters import HTTPAdapter
from typing_extensions import override
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Event

    from urllib3 import HTTPResponse, PoolManager, ProxyManager

    from tap_looker_tasks.looker.clock import Clock

_CONNECT_TIMEOUT_SECONDS = 30


class Adapter(HTTPAdapter):
    """Sends the requests of one thread.

    Attributes:
        exchange: the request that is sent next.
    """

    exchange: Exchange

    @override
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._adapt(self.poolmanager)

    @override
    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> ProxyManager:
        proxy_manager: ProxyManager = super().proxy_manager_for(proxy, **proxy_kwargs)
        # Connections by SOCKS are made by classes of their own.
        if not proxy.lower().startswith("socks"):
            self._adapt(proxy_manager)
        return proxy_manager

    def _adapt(self, pools: PoolManager) -> None:
        new_pools = {
            "http": partial(self._new_pool, HTTPConnectionPool, _PlainConnection),
            "https": partial(self._new_pool, HTTPSConnectionPool, _TlsConnection),
        }
        pools.pool_classes_by_scheme = cast("dict[str, type]", new_pools)

    def _new_pool(
        self,
        pool_class: type[HTTPConnectionPool],
        connection_class: type[_Connection],
        *args: Any,
        **kwargs: Any,
    ) -> HTTPConnectionPool:
        pool = pool_class(*args, **kwargs)
        new_connection = partial(connection_class, lambda: self.exchange)
        pool.ConnectionCls = cast("type[HTTPConnection]", new_connection)
        return pool


def read_pieces(response: HTTPResponse, length: int) -> Iterator[bytes]:
    """Yield a body, unpacked, in pieces of about a length, and all of it that comes.

    Raises:
        OSError: If the rest does not come.
        HTTPError: If likewise, or it cannot be unpacked.
    """
    failure: Exception | None = None
    while failure is None:
        parts: list[bytes] = []
        size = 0
        try:
            while size < length and (part := response.read1(length, decode_content=True)):
                parts.append(part)
                size += len(part)
        except (OSError, HTTPError) as error:
            failure = error
        if parts:
            yield b"".join(parts)
        elif failure is None:
            return
    raise failure


class _Connection(HTTPConnection):
    """A connection that asks, at each step, how long it may take."""

    def __init__(self, exchange: Callable[[], Exchange], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._exchange = exchange
        self.response_class = cast("type[HTTPClientResponse]", self._new_response)

    def _new_response(self, sock: socket.socket, *args: Any, **kwargs: Any) -> _Response:
        return _Response(self._exchange(), sock, *args, **kwargs)

    @override
    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            self._exchange().attach(self.sock)
        super().request(*args, **kwargs)

    @override
    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self._exchange().seconds_left())
        super().send(data)

    @override
    def _new_conn(self) -> socket.socket:
        try:
            return self._connected()
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            msg = f"{self.host} does not let itself be connected to"
            raise ConnectTimeoutError(self, msg) from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error

    def _connected(self) -> socket.socket:
        """Connect to the first address that takes it."""
        failure = OSError("no address")
        addresses = self._exchange().resolve(self._dns_host, self.port)
        for family, type_, protocol, _, address in addresses:
            sock = socket.socket(family, type_, protocol)
            try:
                self._connect(sock, address)
            except OSError as error:
                failure = error
                sock.close()
            else:
                return sock
        raise failure

    def _connect(self, sock: socket.socket, address: tuple[Any, ...]) -> None:
        exchange = self._exchange()
        exchange.attach(sock)
        for option in self.socket_options or ():
            sock.setsockopt(*option)
        sock.settimeout(min(exchange.seconds_left(), _CONNECT_TIMEOUT_SECONDS))
        sock.connect(address)
        # What TLS has to say first comes within the same time.
        sock.settimeout(min(exchange.seconds_left(), _CONNECT_TIMEOUT_SECONDS))


class _PlainConnection(_Connection):
    pass


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Response(HTTPClientResponse):
    def __init__(self, exchange: Exchange, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        self.fp = BufferedReader(_Received(exchange, sock, raw))


class _Received(RawIOBase):
    """What comes by a socket, in time."""

    def __init__(self, exchange: Exchange, sock: socket.socket, raw: RawIOBase) -> None:
        self._exchange = exchange
        self._sock = sock
        self._raw = raw

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int | None:
        return self._exchange.receive(self._sock, self._raw, buffer)

    @override
    def close(self) -> None:
        super().close()
        self._raw.close()


# One request and its answer, as their socket sees them: how long they may take, and their end.

Addresses = list[tuple[Any, ...]]
_LEAST_BYTES = 1024
# No socket takes a much longer time.
_MAX_STEP_SECONDS = 1_000_000


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
            TimeoutError: If no time is left.
            ConnectionAbortedError: If everything is to end.
        """
        if self.aborted.is_set():
            raise ConnectionAbortedError
        left = min(self._due_at, self._ends_at) - self._clock.now()
        if left <= 0:
            msg = "it took too long"
            raise TimeoutError(msg)
        return min(left, _MAX_STEP_SECONDS)

    def receive(self, sock: socket.socket, raw: RawIOBase, buffer: memoryview) -> int | None:
        """Read what comes next from a socket by its file; returns the count of bytes.

        Raises:
            OSError: If nothing came, or not enough.
        """
        if self._is_long:
            self._due_at += self._clock.now() - self._read_at
        sock.settimeout(self.seconds_left())
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
            OSError: If there are none, or not in time.
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


def _resolve(host: str, port: int, found: Future[Addresses]) -> None:
    with suppress(InvalidStateError):
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)
