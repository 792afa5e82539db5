"""Rows that are too many for memory, in a temporary file."""

from __future__ import annotations

import weakref
from tempfile import TemporaryFile, gettempdir
from typing import TYPE_CHECKING

from tap_looker_tasks.errors import NoRoomError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Spool:
    """JSON arrays, each on one line, in a file that is gone when nobody needs it any more.

    Raises:
        NoRoomError: the file cannot be made or written.
    """

    def __init__(self) -> None:
        """Begin with no arrays."""
        try:
            self._file = TemporaryFile(prefix="tap-looker-tasks-")  # noqa: SIM115 - closed below
        except OSError as error:
            raise _no_room(error) from None
        weakref.finalize(self, self._file.close)

    def append(self, array: bytes, /) -> None:
        """Add an array."""
        try:
            self._file.write(array + b"\n")
            self._file.flush()
        except OSError as error:
            raise _no_room(error) from None

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


def _no_room(error: OSError) -> NoRoomError:
    msg = (
        f"a result longer than memory should hold does not fit into {gettempdir()} "
        f"({error.strerror}); set TMPDIR to a folder with more room"
    )
    return NoRoomError(msg)
