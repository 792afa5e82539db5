"""Connections of `requests` and `urllib3` in which every step has a limit of time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import (
    CancelledError,
    Future,
    InvalidStateError,
    TimeoutError as NotInTimeError,
)
from contextlib import suppress
from functools import partial
from http.client import HTTPResponse as HTTPClientResponse
from io import BufferedReader, RawIOBase
from threading import Event, Lock, Thread
from typing import Any, cast

from requests.adapters import HTTPAdapter
from typing_extensions import override
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
)

from tap_looker_tasks.looker.operation import Clock

_CONNECT_TIMEOUT_SECONDS = 30


class Adapter(HTTPAdapter):
    """Sends the requests of one thread.

    Attributes:
        exchange: The request to be sent next.
    """

    exchange: Exchange

    @override
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._adapt(self.poolmanager)

    @override
    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> ProxyManager:
        proxy_manager: ProxyManager = super().proxy_manager_for(proxy, **proxy_kwargs)
        # SOCKS connections have separate classes.
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
    """Yield a body, unpacked, in pieces of about `length` bytes.

    Raises:
        OSError: If the rest does not arrive.
        HTTPError: If the rest does not arrive, or cannot be unpacked.
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
    """A connection that checks the time left before each step."""

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
            msg = f"timed out connecting to {self.host}"
            raise ConnectTimeoutError(self, msg) from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error

    def _connected(self) -> socket.socket:
        """Connect to the first address that accepts."""
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
        # The TLS handshake shares the same limit of time.
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
    """Bytes received by a socket, within a limit of time."""

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


# One request and its response as seen by their socket: their limit of time, and their end.

Addresses = list[tuple[Any, ...]]
_LEAST_BYTES = 1024
# Sockets do not accept much longer times.
_MAX_STEP_SECONDS = 1_000_000


class Exchange:
    """Limits the time of a request and its response; another thread can end them.

    The header must arrive within the timeout. After it, either the rest must arrive within another
    timeout or, for a long body, enough bytes in each such time. Time in which no thread reads does
    not count. Nothing continues beyond `ends_at`.

    Attributes:
        aborted: Event that ends everything in progress.
    """

    def __init__(
        self, clock: Clock, *, timeout_seconds: float, ends_at: float, aborted: Event
    ) -> None:
        """Start now; `ends_at` is in epoch seconds."""
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
        """Continue while bytes arrive."""
        self._is_long = True
        self._read_at = self._clock.now()
        self._due_at = self._read_at + self._timeout_seconds

    def seconds_left(self) -> float:
        """Return the seconds that the next step may take.

        Raises:
            TimeoutError: If no time is left.
            ConnectionAbortedError: If everything in progress has to end.
        """
        if self.aborted.is_set():
            raise ConnectionAbortedError
        left = min(self._due_at, self._ends_at) - self._clock.now()
        if left <= 0:
            msg = "it took too long"
            raise TimeoutError(msg)
        return min(left, _MAX_STEP_SECONDS)

    def receive(self, sock: socket.socket, raw: RawIOBase, buffer: memoryview) -> int | None:
        """Read the next bytes from a socket by its file; return their number.

        Raises:
            OSError: If no bytes, or too few, arrived.
        """
        if self._is_long:
            self._due_at += self._clock.now() - self._read_at
        sock.settimeout(self.seconds_left())
        count = raw.readinto(buffer)
        if self.aborted.is_set():
            # Otherwise it could look as if the response had ended.
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
            OSError: If the host has no address, or none is found in time.
        """
        left = self.seconds_left()
        found: Future[Addresses] = Future()
        with self._lock:
            self._found = found
        # Nothing can end it, so it is not waited for longer than for any other step.
        Thread(target=_resolve, args=(host, port, found), name="resolve", daemon=True).start()
        if self.aborted.is_set():
            self.shut()
        with suppress(CancelledError, NotInTimeError):
            return found.result(timeout=left)
        msg = f"timed out looking up the address of {host}"
        raise TimeoutError(msg)

    def attach(self, sock: socket.socket) -> None:
        """Use another socket from now on."""
        self.detach()
        with self._lock:
            # TLS takes over the socket; shutting a copy shuts both, of any family.
            self._handle = socket.fromfd(sock.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        if self.aborted.is_set():
            self.shut()

    def shut(self) -> None:
        """End the exchange from another thread."""
        with self._lock:
            if self._found:
                self._found.cancel()
            if self._handle:
                # The socket may no longer be connected, or not yet.
                with suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)

    def detach(self) -> None:
        """Release the socket, which others may use from now on."""
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
