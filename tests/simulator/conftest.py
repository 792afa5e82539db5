"""A client and a finished task for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.simulator.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from looker_simulator.engine import Database


@pytest.fixture
def browser(simulator: Simulator) -> Iterator[Browser]:
    browser = Browser(simulator)
    with browser.session:
        yield browser


@pytest.fixture
def finished(simulator: Simulator, browser: Browser) -> str:
    id_ = simulator.create_task("4", "json_detail")
    browser.entry(id_)
    return id_


@pytest.fixture
def busy(database: Database) -> Iterator[Simulator]:
    """A simulator in which query 1 takes a minute."""
    with Simulator(SimulatorOptions(query_latency={"1": 60}), database=database) as simulator:
        yield simulator
