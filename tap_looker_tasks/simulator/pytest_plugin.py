"""Fixtures for anybody who tests a Looker client with pytest.

Name the plugin in the `conftest.py` at the top:

    pytest_plugins = ["tap_looker_tasks.simulator.pytest_plugin"]

A test that takes `looker_simulator` has a simulated Looker of its own; the marker of the same name
gives it options:

    @pytest.mark.looker_simulator(latency_seconds=0.5, round_trip_seconds=0.1)
    def test_my_client(looker_simulator):
        looker_simulator.fault("rate_limited")
        MyClient(looker_simulator.base_url, looker_simulator.client_id, ...).run()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_looker_tasks.simulator.builtin import BUILTIN
from tap_looker_tasks.simulator.engine import load_database
from tap_looker_tasks.simulator.simulator import Simulator, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_looker_tasks.simulator.engine import Database
    from tap_looker_tasks.simulator.project import Project


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    line = "looker_simulator(**options): options of `SimulatorOptions` for the simulated Looker"
    config.addinivalue_line("markers", line)


@pytest.fixture(scope="session")
def looker_project() -> Project:
    """Return what the simulated Looker serves; define it anew to serve something else."""
    return BUILTIN


@pytest.fixture(scope="session")
def looker_database(looker_project: Project) -> Iterator[Database]:
    """Yield the loaded tables; they are loaded once, about a second for the built-in ones."""
    database = load_database(looker_project)
    yield database
    database.close()


@pytest.fixture
def looker_simulator(
    request: pytest.FixtureRequest, looker_database: Database
) -> Iterator[Simulator]:
    """Yield a simulated Looker that listens on a free port of this machine."""
    marker = request.node.get_closest_marker("looker_simulator")
    options = SimulatorOptions(**(marker.kwargs if marker else {}))
    with Simulator(options, database=looker_database) as simulator:
        yield simulator
