"""Sessions of `requests`: one for each request at a time, kept with its connection for the next."""

from __future__ import annotations

from importlib.metadata import version
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import requests

from tap_looker_tasks.looker.sockets import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_looker_tasks.looker.connection import Connection


class Session(NamedTuple):
    """A session, and the adapter that it sends all requests with."""

    http: requests.Session
    adapter: Adapter


class Sessions:
    """The sessions of one client; may be used by many threads at once."""

    def __init__(self, connection: Connection, new_session: Callable[[], requests.Session]) -> None:
        """Begin with none."""
        self._connection = connection
        self._new_session = new_session
        self._lock = Lock()
        self._all: list[Session] = []
        self._idle: list[Session] = []

    def take(self) -> Session:
        """Return one that nobody uses: the last that was given back, or a new one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        session = self._begin()
        with self._lock:
            self._all.append(session)
        return session

    def give_back(self, session: Session) -> None:
        """Keep one for the next request."""
        with self._lock:
            self._idle.append(session)

    def close(self) -> None:
        """Close the connections of all, whoever uses them."""
        with self._lock:
            sessions = [*self._all]
        for session in sessions:
            session.http.close()

    def _begin(self) -> Session:
        session, adapter = self._new_session(), Adapter()
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.headers["User-Agent"] = user_agent()
        # Of these, a little is unpacked at a time, however much is packed in it.
        session.headers["Accept-Encoding"] = "gzip, deflate"
        # Looked up once, not for each request: that would take a tenth of its time.
        environment = session.merge_environment_settings(
            self._connection.base_url, {}, None, self._connection.verify, None
        )
        session.proxies, session.verify = environment["proxies"], environment["verify"]
        # Nor are credentials for this host taken from ~/.netrc.
        session.trust_env = False
        return Session(session, adapter)


def user_agent() -> str:
    """Name the tap and its version, so that Looker's administrators see who calls."""
    return f"tap-looker-tasks/{version('tap-looker-tasks')} {requests.utils.default_user_agent()}"
