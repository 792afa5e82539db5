"""Replaces any program that creates query tasks and does not wait for the results."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import requests

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CREDENTIAL = "simulator"
_TIMEOUT = 30.0


class Wish(NamedTuple):
    """A stored query, and the format of its result."""

    query_id: str
    result_format: str


class Application:
    """Creates query tasks and leaves their ids in a file, one a line."""

    def __init__(self, base_url: str, ids_file: Path) -> None:
        """Take Looker's address and the file."""
        self.base_url = base_url
        self.ids_file = ids_file

    def create_query_tasks(self, wishes: Iterable[Wish]) -> None:
        """Create a query task for each wish."""
        api = f"{self.base_url}/api/4.0"
        with requests.Session() as session, self.ids_file.open("a") as ids_file:
            session.trust_env = False  # no proxy leads to this machine
            credentials = {"client_id": CREDENTIAL, "client_secret": CREDENTIAL}
            login = session.post(f"{api}/login", data=credentials, timeout=_TIMEOUT)
            login.raise_for_status()
            session.headers["Authorization"] = f"token {login.json()['access_token']}"
            for wish in wishes:
                task = session.post(f"{api}/query_tasks", json=wish._asdict(), timeout=_TIMEOUT)
                task.raise_for_status()
                ids_file.write(f"{task.json()['id']}\n")
            session.delete(f"{api}/logout", timeout=_TIMEOUT)
