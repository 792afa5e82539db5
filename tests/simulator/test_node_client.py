"""Looker's client for Node drives every operation of the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from looker_simulator.routes import ROUTES
from tests.simulator.node_client import needs_node_client, run_node_client
from tests.simulator.operations import READING, WRITING

if TYPE_CHECKING:
    from pathlib import Path

    from looker_simulator.simulator import Simulator


@needs_node_client
def test_the_node_client_drives_the_operations(busy: Simulator, tmp_path: Path) -> None:
    run_node_client(busy.base_url, tmp_path)
    driven = {call.operation for call in busy.calls}
    assert driven | {*READING, *WRITING} == {route.operation_id for route in ROUTES}
