"""Asks the simulator without the tap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from looker_simulator.simulator import Simulator
    from tests.simulator.validating_proxy import ValidatingProxy


class Browser:
    """Asks the simulator, as any HTTP client would."""

    def __init__(self, simulator: Simulator | ValidatingProxy) -> None:
        self.api = f"{simulator.base_url}/api/4.0"
        self.session = requests.Session()
        credentials = {"client_id": "simulator", "client_secret": "simulator"}
        token = self.session.post(f"{self.api}/login", data=credentials, timeout=20).json()
        self.session.headers["Authorization"] = f"token {token['access_token']}"

    def ask(self, *ids: str, timeout: float = 20) -> requests.Response:
        url = f"{self.api}/query_tasks/multi_results?query_task_ids={','.join(ids)}"
        return self.session.get(url, timeout=timeout, allow_redirects=False)

    def entry(self, id_: str) -> dict[str, Any]:
        while True:
            entry: dict[str, Any] = self.ask(id_).json()[id_]
            if entry["status"] not in {"added", "running"}:
                return entry
