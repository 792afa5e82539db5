"""A long run under faults loses nothing, doubles nothing and does not grow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.chaos.soak import Size, run_soak

if TYPE_CHECKING:
    from pathlib import Path

    from looker_simulator.engine import Database


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_run_under_faults_delivers_everything_once_and_does_not_grow(
    database: Database, tmp_path: Path
) -> None:
    size = Size(tasks=1000, rows_of_task=100)
    assert run_soak(tmp_path, database, size).found(size) == []
