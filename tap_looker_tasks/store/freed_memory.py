"""Memory of answers that were delivered, and how it goes back to the system.

glibc keeps what is freed, in a heap for each thread and between blocks still in use: results of
5 MB, read side by side, took three times the memory that they need.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from mmap import PAGESIZE
from pathlib import Path
from threading import Lock

# Of glibc's malloc.h.
_M_ARENA_MAX = -8
# To look more often costs time; to look seldom lets more pile up.
_LOOKED_AFTER_BYTES = 16 * 1024 * 1024
# Memory given back must be had again: as long as there is little, it is kept.
KEPT_BYTES = 112 * 1024 * 1024
_PAGES_IN_USE = Path("/proc/self/statm")


def use_one_heap() -> None:
    """Have all threads take memory from one heap, where there is glibc: before they begin."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


class FreedMemory:
    """Counts what is freed, and gives it back from time to time."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        """Begin with nothing freed; a process that takes no more than this keeps what it has."""
        self._kept_bytes = kept_bytes
        self._lock = Lock()
        self._bytes = 0

    def add(self, size: int) -> None:
        """Add the length of an answer that is not held any more."""
        with self._lock:
            self._bytes += size
            if self._bytes < _LOOKED_AFTER_BYTES:
                return
            self._bytes = 0
        with suppress(AttributeError, OSError, TypeError):
            if _resident_bytes() > self._kept_bytes:
                ctypes.CDLL(None).malloc_trim(0)


def _resident_bytes() -> int:
    """Return how much memory the process takes."""
    _, resident, *_ = _PAGES_IN_USE.read_bytes().split()
    return int(resident) * PAGESIZE
