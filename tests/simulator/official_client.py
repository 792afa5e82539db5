"""Looker's official client, set up for a simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import looker_sdk
from looker_sdk.rtl import api_settings
from typing_extensions import override

if TYPE_CHECKING:
    from looker_sdk.sdk.api40.methods import Looker40SDK

    from looker_simulator.simulator import Simulator


class Credentials(api_settings.ApiSettings):
    """What the client would read from a file."""

    def __init__(self, simulator: Simulator, base_url: str) -> None:
        self._simulator = simulator
        self._base_url = base_url
        super().__init__()

    @override
    def read_config(self) -> api_settings.SettingsConfig:
        return {
            "base_url": self._base_url,
            "client_id": self._simulator.client_id,
            "client_secret": self._simulator.client_secret,
            "verify_ssl": "false",
            "timeout": "20",
        }


def client_of(simulator: Simulator, base_url: str | None = None) -> Looker40SDK:
    """Return a client that logs in with its first request.

    Args:
        simulator: whose credentials it has.
        base_url: of what stands before the simulator, if something does.
    """
    return looker_sdk.init40(config_settings=Credentials(simulator, base_url or simulator.base_url))
