"""A simulated Looker for each test, and the tap as its users run it."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings

from tests.singer import Run, run_tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import duckdb

    from looker_simulator.engine import Database
    from looker_simulator.simulator import Simulator

# What starts servers or browsers makes a test slow; others are marked where they are.
SLOW_MARKS = ("meltano", "warehouses", "schedulers")
SLOW_FIXTURES = frozenset({"simulator", "tap", "database", "connection", "show"})

# No time limit for an example: a busy machine is no defect.
hypothesis_settings.register_profile("unhurried", deadline=None, max_examples=30)
# More of them: `make soak`.
hypothesis_settings.register_profile("thorough", deadline=None, max_examples=300)
# The same few examples for each mutant: `make mutants`.
hypothesis_settings.register_profile(
    "brief", deadline=None, max_examples=8, derandomize=True, database=None
)
hypothesis_settings.load_profile("unhurried")

# The unit tests run without what the simulator needs: it is imported where it is used.


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = item.fixturenames if isinstance(item, pytest.Function) else ()
        if SLOW_FIXTURES.intersection(fixtures) or any(map(item.get_closest_marker, SLOW_MARKS)):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables of the simulator, loaded once; they are only read."""
    from looker_simulator.builtin import connect  # noqa: PLC0415 - see above

    with connect() as connection:
        yield connection


@pytest.fixture(scope="session")
def database(connection: duckdb.DuckDBPyConnection) -> Database:
    from looker_simulator.engine import Database  # noqa: PLC0415 - see above

    return Database(connection)


@pytest.fixture
def simulator(database: Database) -> Iterator[Simulator]:
    from looker_simulator.simulator import (  # noqa: PLC0415 - see above
        Simulator,
        SimulatorOptions,
    )

    with Simulator(SimulatorOptions(), database=database) as simulator:
        yield simulator


@pytest.fixture
def tap(simulator: Simulator, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Run the tap against the simulator, impatiently: `tap(state=..., batch_size=2)`."""
    impatient = {
        "base_url": simulator.base_url,
        "client_id": simulator.client_id,
        "client_secret": simulator.client_secret,
        "poll_interval_seconds": 0.02,
        "poll_max_interval_seconds": 0.05,
        "expired_grace_seconds": 0.1,
        "task_timeout_seconds": 20,
        "http_timeout_seconds": 20,
        "http_max_tries": 3,
    }
    # The tap sets handlers, as the program it is.
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield partial(run_tap, tmp_path, impatient)
    for number, handler in handlers.items():
        signal.signal(number, handler)
