"""Fixtures for tests of a Looker client; pytest loads them once the distribution is installed.

A test that takes `looker_simulator` has its own simulated Looker; the marker of the same name
sets its options:

    @pytest.mark.looker_simulator(latency_seconds=0.5, round_trip_seconds=0.1)
    def test_my_client(looker_simulator):
        looker_simulator.fault("rate_limited")
        MyClient(looker_simulator.base_url, looker_simulator.client_id, ...).run()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from looker_simulator.engine import Database
    from looker_simulator.model import Project
    from looker_simulator.simulator import Simulator

# Every pytest of the environment loads this module, so it imports the simulator only when used.


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    line = "looker_simulator(**options): options of `SimulatorOptions` for the simulated Looker"
    config.addinivalue_line("markers", line)


@pytest.fixture(scope="session")
def looker_project() -> Project:
    """Return the project of the simulated Looker; override the fixture to serve another one."""
    from looker_simulator.builtin import BUILTIN  # noqa: PLC0415 - see above

    return BUILTIN


@pytest.fixture(scope="session")
def looker_database(looker_project: Project) -> Iterator[Database]:
    """Yield the loaded tables, loaded once: about a second for the built-in ones."""
    from looker_simulator.engine import load_database  # noqa: PLC0415 - see above

    database = load_database(looker_project)
    yield database
    database.close()


@pytest.fixture
def looker_simulator(
    request: pytest.FixtureRequest, looker_database: Database
) -> Iterator[Simulator]:
    """Yield a simulated Looker that listens on a free port of this machine."""
    from looker_simulator.simulator import (  # noqa: PLC0415 - see above
        Simulator,
        SimulatorOptions,
    )

    marker = request.node.get_closest_marker("looker_simulator")
    options = SimulatorOptions(**(marker.kwargs if marker else {}))
    with Simulator(options, database=looker_database) as simulator:
        yield simulator
