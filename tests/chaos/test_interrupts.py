"""An interrupt at any line leaves nothing running that no one knows of, and loses no row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.interrupts import run_interrupted

if TYPE_CHECKING:
    from pathlib import Path

    from looker_simulator.engine import Database


@pytest.mark.slow
def test_an_interrupt_at_any_line_loses_nothing(tmp_path: Path, database: Database) -> None:
    interruptions = run_interrupted(tmp_path, database, 4, seed=5)
    assert interruptions.problems == []
    assert interruptions.lines > 1000
    assert interruptions.exits.keys() - {0}
