"""Moments in records and in state."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tap_looker_tasks.records.timestamps import from_rfc3339, to_rfc3339


def test_a_moment_is_written_in_utc() -> None:
    assert to_rfc3339(1370089800.5) == "2013-06-01T12:30:00.500000+00:00"


@given(st.floats(min_value=0, max_value=4e9))
def test_a_moment_written_is_read_again(moment: float) -> None:
    assert from_rfc3339(to_rfc3339(moment)) == pytest.approx(moment, abs=1e-6)


@pytest.mark.parametrize("text", ["", "yesterday", "2013-06-01", "2013-06-01T12:30:00"])
def test_a_moment_that_is_none_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|no offset"):
        from_rfc3339(text)
