"""Clients of Looker, impatient ones."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from tap_looker_tasks.looker import Connection, LookerClient, SteadyClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def connect() -> Iterator[Callable[..., LookerClient]]:
    """Make a client: `connect(base_url, timeout_seconds=0.3)`."""
    clients: list[LookerClient] = []

    def connect(base_url: str, **changes: Any) -> LookerClient:
        given: dict[str, Any] = {
            "client_id": "simulator",
            "client_secret": "hush",
            "verify": True,
            "timeout_seconds": 20.0,
            "max_tries": 1,
            "call_limit": None,
            "max_response_bytes": 1 << 30,
        }
        clock = changes.pop("clock", SteadyClock())
        calls = changes.pop("calls", None)
        connection = Connection(base_url, **{**given, **changes})
        client = LookerClient(connection, clock=clock, logger=logging.getLogger(), calls=calls)
        clients.append(client)
        return client

    yield connect
    for client in clients:
        # Without a limit, a logout waits for the time that a server sets.
        client.close(1)
