"""Random histories of incremental loads; `make soak` loads 10,000."""

from __future__ import annotations

import pytest

from tests.chaos.histories import load_histories


@pytest.mark.parametrize("seed", range(4))
def test_the_table_ends_as_a_full_load_does_or_the_log_names_the_reason(seed: int) -> None:
    loads = load_histories(40, seed)
    assert loads.problems == []
    # Those that the log excuses are few.
    assert loads.counts["as a full load"] > 20
