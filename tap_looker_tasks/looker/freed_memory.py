"""Memory of answers that were delivered, and how it goes back to the system.

glibc keeps what is freed, in a heap for each thread and between blocks still in use: results of
5 MB, read side by side, took three times the memory that they need.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from threading import Lock

# Of glibc's malloc.h.
_M_ARENA_MAX = -8
# More often costs time; seldom lets more pile up.
_TRIMMED_AFTER_BYTES = 16 * 1024 * 1024


def use_one_heap() -> None:
    """Have all threads take memory from one heap, where there is glibc: before they begin."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


class FreedMemory:
    """Counts what is freed, and gives it back from time to time."""

    def __init__(self) -> None:
        """Begin with nothing freed."""
        self._lock = Lock()
        self._bytes = 0

    def add(self, size: int) -> None:
        """Add the length of an answer that is not held any more."""
        with self._lock:
            self._bytes += size
            if self._bytes < _TRIMMED_AFTER_BYTES:
                return
            self._bytes = 0
        with suppress(AttributeError, OSError, TypeError):
            ctypes.CDLL(None).malloc_trim(0)
