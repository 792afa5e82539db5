"""Rows in a temporary file."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from tap_looker_tasks.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ARRAYS = [b'[{"a":1}]', b"[]", b'[{"a":"\\n\xc3\xa9"},{}]']


def test_arrays_may_be_read_as_often_as_one_likes() -> None:
    spool = Spool()
    for array in ARRAYS:
        spool.append(array)
    assert [array.rstrip() for array in spool] == ARRAYS
    one, other = iter(spool), iter(spool)
    pairs = zip(one, other, strict=True)
    assert [(a.rstrip(), b.rstrip()) for a, b in pairs] == [(a, a) for a in ARRAYS]
    assert [*Spool()] == []


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = Spool()
    spool.append(ARRAYS[0])
    assert [*spool]
    # Even a process that is killed leaves no file with a name.
    assert not [*tmp_path.iterdir()]
    del spool
