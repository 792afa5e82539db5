"""What the client needs of urllib3's inside is there, and used."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import urllib3.connection
from urllib3 import PoolManager

from tap_looker_tasks.looker import sockets
from tests.looker.raw_server import RawServer, with_body

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    import pytest

    from tap_looker_tasks.looker import LookerClient


def test_connections_are_made_where_the_client_makes_them() -> None:
    # A resolver and a connection that hang can only be ended by who calls them.
    source = inspect.getsource(urllib3.connection.HTTPConnection)
    assert "self._new_conn()" in source
    assert "_dns_host" in source
    assert "self._new_conn()" in inspect.getsource(urllib3.connection.HTTPSConnection)
    assert set(PoolManager().pool_classes_by_scheme) == {"http", "https"}


def test_every_byte_passes_the_client_s_own_sockets(
    connect: Callable[..., LookerClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[str] = []
    for name in ("resolve", "attach", "receive"):
        method = getattr(sockets.Exchange, name)

        def noted(self: object, *args: object, name: str = name, method: object = method) -> object:
            passed.append(name)
            assert callable(method)
            return method(self, *args)

        monkeypatch.setattr(sockets.Exchange, name, noted)

    def answer(_: RawServer, connection: socket.socket) -> None:
        connection.sendall(with_body(b"{}"))

    with RawServer(answer) as server:
        assert connect(server.base_url).look("1") == {}
    assert set(passed) == {"resolve", "attach", "receive"}
