"""A target that reads nothing leaves few launches that no STATE names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_looker_tasks.tasks.board import UNNAMED_LAUNCHES_PER_SLOT
from tests.chaos.stops import run_stopped

if TYPE_CHECKING:
    from pathlib import Path

    from looker_simulator.engine import Database


@pytest.mark.slow
def test_launches_that_no_state_names_are_bounded_while_a_target_reads_nothing(
    database: Database, tmp_path: Path
) -> None:
    stop = run_stopped(tmp_path, database, slots=1, queries=14, seconds=2, latency=0.02)
    assert stop.found() == []
    # Without the bound, all 14 would be launched.
    assert 0 < stop.unnamed <= UNNAMED_LAUNCHES_PER_SLOT
    assert stop.launched < 14
