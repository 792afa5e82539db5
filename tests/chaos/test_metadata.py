"""Damaged metadata, state and catalogs end a run in one line, or do not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.metadata import run_damaged

if TYPE_CHECKING:
    from pathlib import Path

    from looker_simulator.engine import Database


@pytest.mark.slow
def test_damaged_metadata_ends_a_run_in_one_line(tmp_path: Path, database: Database) -> None:
    damages = run_damaged(tmp_path, database, 16, seed=4)
    assert damages.problems == []
    assert damages.responses.total() > 16
    assert {"sync, exit 0", "sync, exit 1", "--discover, exit 0", "--discover, exit 1"} <= {
        *damages.exits
    }
