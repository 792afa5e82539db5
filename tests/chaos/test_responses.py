"""Damaged responses are rejected or read, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.responses import read_damaged

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_damaged_responses_are_rejected_or_delivered(tmp_path: Path) -> None:
    reading = read_damaged(tmp_path, 1_000, seed=1)
    assert reading.problems == []
    assert reading.lines > 300
    assert {"response rejected", "result rejected", "delivered, complete"} <= {*reading.counts}
