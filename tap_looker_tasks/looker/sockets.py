"""Connections whose every step has an end: what `requests` and `urllib3` are told to use."""

from __future__ import annotations

import socket
from functools import partial
from http.client import HTTPResponse as HTTPClientResponse
from io import BufferedReader, RawIOBase
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

    from urllib3 import HTTPResponse, PoolManager, ProxyManager

    from tap_looker_tasks.looker.exchange import Exchange

_LONGEST_CONNECT_SECONDS = 30


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
        OSError: the rest does not come.
        HTTPError: likewise, or it cannot be unpacked.
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
        sock.settimeout(min(exchange.seconds_left(), _LONGEST_CONNECT_SECONDS))
        sock.connect(address)
        # What TLS has to say first comes within the same time.
        sock.settimeout(min(exchange.seconds_left(), _LONGEST_CONNECT_SECONDS))


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
