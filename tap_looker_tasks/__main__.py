"""Runs the tap, as `tap-looker-tasks` or as `python -m tap_looker_tasks`."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from importlib.metadata import version

_NAME = "tap-looker-tasks"
# Of glibc's malloc.h: from which size memory is the system's, and in how many heaps the rest is.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_LARGE_BYTES = 128 * 1024


def give_back_memory() -> None:
    """Have freed answers go back to the system, where there is glibc.

    It would keep each as large as any before, in a heap for each thread: results of 5 MB, read
    side by side, took three times the memory.
    """
    with suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_M_ARENA_MAX, 1)


def main() -> None:
    """Run the command; to tell its version, it imports nothing that takes long."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"{_NAME} v{version(_NAME)}, Meltano SDK v{version('singer-sdk')}\n")
        return
    give_back_memory()
    from tap_looker_tasks.tap import TapLookerTasks  # noqa: PLC0415 - half a second

    TapLookerTasks.cli()


if __name__ == "__main__":
    main()
