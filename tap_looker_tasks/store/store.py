"""Answers that wait to be delivered: in memory while there is room, else in files."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from tap_looker_tasks.results import TaskEntry
from tap_looker_tasks.store.freed_memory import FreedMemory
from tap_looker_tasks.store.private_folder import PrivateFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_looker_tasks.results import RowArrays

MEMORY_BYTES = 8 * 1024 * 1024
# To keep a file takes as much memory as an answer of this length.
SHORT_BYTES = 2048


class ResultStore:
    """Holds answers; may be used by many threads at once."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        memory_bytes: int = MEMORY_BYTES,
        short_bytes: int = SHORT_BYTES,
    ) -> None:
        """Begin with none.

        Args:
            folder: where a private folder is made, once files are needed.
            memory_bytes: of answers together that are held in memory, the short ones aside.
            short_bytes: length up to which an answer is always held in memory.
        """
        self._folder = PrivateFolder(folder)
        self._memory = _Memory(memory_bytes)
        self._short_bytes = short_bytes
        self._freed = FreedMemory()

    @property
    def bytes_on_disk(self) -> int:
        """The length of all files there are now."""
        return self._folder.bytes_used

    def new_rows(self) -> RowArrays:
        """Make the place for the rows of a long result.

        Raises:
            SpoolError: there is no room for files.
        """
        return Spool(self._folder, self._freed)

    def hold(self, answer: TaskEntry) -> StoredResult:
        """Hold an answer, until it is taken or discarded.

        Raises:
            SpoolError: it does not fit where files are.
        """
        data = memoryview(b"" if answer.data is None else answer.data)
        size = len(data)
        # Of what it was read from.
        self._freed.add(size)
        reserved = size if size > self._short_bytes else 0
        if self._memory.reserve(reserved):
            return _InMemory(answer, size, self._freed, self._memory, reserved)
        path = self._folder.new_path()
        try:
            self._folder.append(path, data)
        except BaseException:
            self._folder.discard(path)
            raise
        return _InFile(replace(answer, data=None), size, self._freed, self._folder, path)

    def close(self) -> None:
        """Remove all files."""
        self._folder.close()


class StoredResult(ABC):
    """An answer that waits; it is taken or discarded once.

    Attributes:
        size_bytes: length of its data, wherever that is.
    """

    def __init__(self, answer: TaskEntry, size_bytes: int, freed: FreedMemory) -> None:
        """Take what is in memory of it."""
        self.size_bytes = size_bytes
        self._freed = freed
        self._answer = answer

    def take(self) -> TaskEntry:
        """Return the answer, which the store does not hold any more.

        Raises:
            SpoolError: somebody removed it from where files are.
        """
        answer, self._answer = self._load(), TaskEntry(self._answer.status)
        self._let_go()
        # Before it is delivered: what was delivered before it is free.
        self._freed.add(self.size_bytes)
        return answer

    def discard(self) -> None:
        """Forget the answer, its rows included."""
        if isinstance(self._answer.rows, Spool):
            self._answer.rows.discard()
        self._let_go()

    @abstractmethod
    def _load(self) -> TaskEntry:
        """Return the answer as a whole."""

    @abstractmethod
    def _let_go(self) -> None:
        """Give its place to others."""


class _InMemory(StoredResult):
    def __init__(
        self,
        answer: TaskEntry,
        size_bytes: int,
        freed: FreedMemory,
        memory: _Memory,
        reserved: int,
    ) -> None:
        super().__init__(answer, size_bytes, freed)
        self._memory = memory
        self._reserved = reserved

    @override
    def _load(self) -> TaskEntry:
        return self._answer

    @override
    def _let_go(self) -> None:
        self._memory.release(self._reserved)
        self._reserved = 0


class _InFile(StoredResult):
    def __init__(
        self,
        answer: TaskEntry,
        size_bytes: int,
        freed: FreedMemory,
        folder: PrivateFolder,
        path: Path,
    ) -> None:
        super().__init__(answer, size_bytes, freed)
        self._folder = folder
        self._path = path

    @override
    def _load(self) -> TaskEntry:
        return replace(self._answer, data=msgspec.Raw(self._folder.read(self._path)))

    @override
    def _let_go(self) -> None:
        self._folder.discard(self._path)


class _Memory:
    """So many bytes that may be held in memory."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = Lock()

    def reserve(self, size: int) -> bool:
        with self._lock:
            fits = size <= self._left
            self._left -= size if fits else 0
            return fits

    def release(self, size: int) -> None:
        with self._lock:
            self._left += size


# Rows that are too many for memory, in a file.


class Spool:
    """JSON arrays, each on one line, in a file that is gone when nobody needs it any more.

    No file stays open: there may be many of them.
    """

    def __init__(self, folder: PrivateFolder, freed: FreedMemory) -> None:
        """Begin with no arrays; whatever was read into memory for one is counted as freed.

        Raises:
            SpoolError: the folder cannot be made.
        """
        self._folder = folder
        self._freed = freed
        self._path = folder.new_path()
        self._is_empty = True
        self._remove = weakref.finalize(self, folder.discard, self._path)

    def append(self, array: bytes, /) -> None:
        """Add an array.

        Raises:
            SpoolError: it does not fit.
        """
        self._folder.append(self._path, array + b"\n")
        self._freed.add(len(array))
        self._is_empty = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield the arrays in the order they were added.

        Raises:
            SpoolError: they are not there any more.
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
