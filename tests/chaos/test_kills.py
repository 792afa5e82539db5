"""Runs that are ended at any moment lose nothing, and launch hardly anything twice."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from demo.postgres import running_postgres
from tests.chaos.kills import run_kills
from tests.chaos.postgres import PostgresWarehouse
from tests.chaos.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from looker_simulator.engine import Database


@pytest.mark.slow
def test_runs_ended_at_random_moments_load_what_one_run_loads(
    database: Database, tmp_path: Path
) -> None:
    tally = run_kills(tmp_path, database, kills=4, seed=12, new_warehouse=Warehouse)
    assert tally.problems == []
    assert tally.kills.total() >= 4
    assert len(tally.kills) > 2
    # Whatever the state names is resumed.
    assert tally.unexplained == []


@pytest.mark.slow
@pytest.mark.warehouses
def test_runs_ended_at_random_moments_load_the_same_tables(
    database: Database, tmp_path: Path
) -> None:
    with running_postgres() as postgres:
        numbers = itertools.count()
        tally = run_kills(
            tmp_path,
            database,
            kills=4,
            seed=12,
            new_warehouse=lambda: PostgresWarehouse(postgres, f"kills_{next(numbers)}", tmp_path),
        )
    assert tally.problems == []
    assert tally.kills.total() >= 4
    assert tally.unexplained == []
