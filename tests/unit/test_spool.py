"""Rows in a temporary file."""

from __future__ import annotations

import resource
import tempfile
from typing import TYPE_CHECKING

import pytest

from tap_looker_tasks.errors import SpoolError
from tap_looker_tasks.store.freed_memory import FreedMemory
from tap_looker_tasks.store.private_folder import PrivateFolder
from tap_looker_tasks.store.store import Spool

if TYPE_CHECKING:
    from pathlib import Path

ARRAYS = [b'[{"a":1}]', b"[]", b'[{"a":"\\n\xc3\xa9"},{}]']


def test_arrays_may_be_read_as_often_as_one_likes() -> None:
    spool = Spool(PrivateFolder(), FreedMemory())
    for array in ARRAYS:
        spool.append(array)
    assert [array.rstrip() for array in spool] == ARRAYS
    one, other = iter(spool), iter(spool)
    pairs = zip(one, other, strict=True)
    assert [(a.rstrip(), b.rstrip()) for a, b in pairs] == [(a, a) for a in ARRAYS]
    assert [*Spool(PrivateFolder(), FreedMemory())] == []


def test_a_full_disk_is_told_of_in_one_line() -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        spool = Spool(PrivateFolder(), FreedMemory())
        with pytest.raises(SpoolError, match=r"File too large.*; set TMPDIR to a folder"):
            spool.append(b"x" * 20_000)
        del spool
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_folder_that_is_not_there_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(SpoolError, match="missing"):
        Spool(PrivateFolder(), FreedMemory())


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = Spool(PrivateFolder(), FreedMemory())
    spool.append(ARRAYS[0])
    assert [*spool]
    del spool
    assert not [*tmp_path.iterdir()]
