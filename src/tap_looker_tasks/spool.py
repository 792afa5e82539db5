"""Rows that are too many for memory, in a temporary file."""

from __future__ import annotations

import weakref
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Spool:
    """JSON arrays, each on one line, in a file that is gone when nobody needs it any more."""

    def __init__(self) -> None:
        """Begin with no arrays."""
        self._file = TemporaryFile(prefix="tap-looker-tasks-")  # noqa: SIM115 - closed below
        weakref.finalize(self, self._file.close)

    def append(self, array: bytes, /) -> None:
        """Add an array."""
        self._file.write(array + b"\n")

    def __iter__(self) -> Iterator[bytes]:
        """Yield the arrays in the order they were added."""
        place = 0
        while True:
            self._file.seek(place)
            array = self._file.readline()
            if not array:
                return
            place = self._file.tell()
            yield array
