"""Rows that are too many for memory, in a file."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_looker_tasks.looker.freed_memory import FreedMemory
    from tap_looker_tasks.looker.private_folder import PrivateFolder


class Spool:
    """JSON arrays, each on one line, in a file that is gone when nobody needs it any more.

    No file stays open: there may be many of them.
    """

    def __init__(self, folder: PrivateFolder, freed: FreedMemory) -> None:
        """Begin with no arrays; whatever was read into memory for one is counted as freed.

        Raises:
            NoRoomError: the folder cannot be made.
        """
        self._folder = folder
        self._freed = freed
        self._path = folder.new_path()
        self._is_empty = True
        self._remove = weakref.finalize(self, folder.discard, self._path)

    def append(self, array: bytes, /) -> None:
        """Add an array.

        Raises:
            NoRoomError: it does not fit.
        """
        self._folder.append(self._path, array + b"\n")
        self._freed.add(len(array))
        self._is_empty = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield the arrays in the order they were added.

        Raises:
            NoRoomError: they are not there any more.
        """
        if self._is_empty:
            return
        with self._folder.open(self._path) as file:
            for array in file:
                yield array
                self._freed.add(len(array))

    def discard(self) -> None:
        """Remove the file."""
        self._remove()
