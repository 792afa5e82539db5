"""Answers that wait to be delivered: in memory while there is room, else in files."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

import msgspec

from tap_looker_tasks.looker.private_folder import PrivateFolder
from tap_looker_tasks.looker.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

    from tap_looker_tasks.looker.json_stream import RowArrays
    from tap_looker_tasks.looker.multi_results import TaskAnswer

MEMORY_BYTES = 32 * 1024 * 1024


class AnswerStore:
    """Holds answers; may be used by many threads at once."""

    def __init__(self, folder: Path | None = None, *, memory_bytes: int = MEMORY_BYTES) -> None:
        """Begin with none; files go to a private folder in `folder`, once one is needed."""
        self._folder = PrivateFolder(folder)
        self._memory_left = memory_bytes
        self._lock = Lock()

    @property
    def bytes_on_disk(self) -> int:
        """The length of all files there are now."""
        return self._folder.bytes_used

    def new_rows(self) -> RowArrays:
        """Make the place for the rows of a long result.

        Raises:
            NoRoomError: there is no room for files.
        """
        return Spool(self._folder)

    def hold(self, answer: TaskAnswer) -> HeldAnswer:
        """Hold an answer, until it is taken or discarded.

        Raises:
            NoRoomError: it does not fit where files are.
        """
        size = 0 if answer.data is None else len(memoryview(answer.data))
        with self._lock:
            fits = size <= self._memory_left
            if fits:
                self._memory_left -= size
        if fits or answer.data is None:
            return HeldAnswer(self, answer, size, None)
        path = self._folder.new_path()
        try:
            self._folder.append(path, bytes(answer.data))
        except BaseException:
            self._folder.discard(path)
            raise
        return HeldAnswer(self, replace(answer, data=None), size, path)

    def close(self) -> None:
        """Remove all files."""
        self._folder.close()

    def _release(self, size: int, path: Path | None) -> None:
        with self._lock:
            self._memory_left += size
        if path:
            self._folder.discard(path)


class HeldAnswer:
    """An answer that waits; it is taken or discarded once.

    Attributes:
        size_bytes: length of its data, wherever that is.
    """

    def __init__(
        self, store: AnswerStore, answer: TaskAnswer, size: int, path: Path | None
    ) -> None:
        """Take an answer with data of some size, and the path of that when it is in a file."""
        self.size_bytes = size
        self._store = store
        self._answer = answer
        self._memory = 0 if path else size
        self._path = path

    def take(self) -> TaskAnswer:
        """Return the answer, which the store does not hold any more."""
        answer = self._answer
        if self._path:
            answer = replace(answer, data=msgspec.Raw(self._path.read_bytes()))
        self._let_go()
        return answer

    def discard(self) -> None:
        """Forget the answer, its rows included."""
        if isinstance(self._answer.rows, Spool):
            self._answer.rows.discard()
        self._let_go()

    def _let_go(self) -> None:
        self._store._release(self._memory, self._path)  # noqa: SLF001 - both are one thing
        self._memory, self._path = 0, None
