"""Memory that goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# In a process of its own: what others left free would go back as well.
PROGRAM = """
import os
from pathlib import Path
from tap_looker_tasks.store.freed_memory import FreedMemory

def resident_megabytes():
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000

# Too short to be a mapping of its own; every second one stays.
blocks = [b"x" * 60_000 for _ in range(2_000)]
in_use = blocks[::2]
del blocks
before = resident_megabytes()
for kept_bytes in (before * 1_100_000, before * 900_000):
    freed = FreedMemory(kept_bytes)
    for _ in range(2):
        freed.add(9_000_000)
        print(before - resident_megabytes())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the system's malloc is another")
def test_what_is_freed_goes_back_once_much_is_freed_and_much_is_held() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    *kept, given_back = map(int, done.stdout.split())
    assert max(kept) < 5
    assert given_back > 40
