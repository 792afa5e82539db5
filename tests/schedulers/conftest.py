"""A slow Looker, a warehouse, and Meltano's settings for both, for what schedulers start."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.application import CREDENTIAL
from demo.postgres import running_postgres
from tests.warehouses.environments import PROJECT
from tests.warehouses.reading import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from looker_simulator.simulator import Simulator


CONFIGURATION_EXIT_CODE = 78


@pytest.fixture(scope="session")
def warehouse() -> Iterator[Warehouse]:
    with running_postgres() as database:
        yield Warehouse(database.sqlalchemy_url)


@pytest.fixture
def settings(simulator: Simulator, warehouse: Warehouse, tmp_path: Path) -> dict[str, str]:
    """Return the environment in which `meltano` finds Looker, the warehouse and a state."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
        "MELTANO_PROJECT_ROOT": str(PROJECT),
        "MELTANO_DATABASE_URI": f"sqlite:///{tmp_path / 'meltano.db'}",
        "NO_PROXY": "127.0.0.1",
        "TAP_LOOKER_TASKS_BASE_URL": simulator.base_url,
        "TAP_LOOKER_TASKS_CLIENT_ID": CREDENTIAL,
        "TAP_LOOKER_TASKS_CLIENT_SECRET": CREDENTIAL,
        "TAP_LOOKER_TASKS_POLL_INTERVAL_SECONDS": "0.05",
        "TARGET_POSTGRES_SQLALCHEMY_URL": warehouse.sqlalchemy_url,
    }
