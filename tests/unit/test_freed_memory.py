"""Memory that goes back to the system."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from tap_looker_tasks.looker.freed_memory import FreedMemory

_MEGABYTE = 1_000_000


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the system's malloc is another")
def test_what_is_freed_between_blocks_in_use_goes_back_once_it_is_much() -> None:
    freed = FreedMemory()
    # Too short to be a mapping of its own; every second one stays.
    blocks = [bytes(60_000) for _ in range(2_000)]
    in_use = blocks[::2]
    del blocks
    before = resident_bytes()
    freed.add(8 * _MEGABYTE)
    assert before - resident_bytes() < 5 * _MEGABYTE
    freed.add(9 * _MEGABYTE)
    assert before - resident_bytes() > 50 * _MEGABYTE
    assert len(in_use) == 1_000
