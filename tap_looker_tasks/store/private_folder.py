"""A folder for what does not fit in memory, which nobody else may read and no run leaves behind."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import weakref
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING

from tap_looker_tasks.errors import SpoolError

with suppress(ImportError):  # there is none on Windows, where folders of dead processes stay
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "tap-looker-tasks-"
_HAS_LOCKS = "fcntl" in globals()
_NO_LOCK = -1


class PrivateFolder:
    """A folder for this process, made when it is first needed; may be used by many threads.

    Folders of processes that died are removed when it is made: a living one holds a lock on
    its own.
    """

    def __init__(self, parent: Path | None = None) -> None:
        """Take where it will be; None is the folder for temporary files."""
        self._parent = parent
        self._lock = Lock()
        self._numbers = count()
        self._sizes: dict[Path, int] = {}
        self._path: Path | None = None
        self._remove: weakref.finalize[..., PrivateFolder] | None = None

    @property
    def bytes_used(self) -> int:
        """The length of all files in it."""
        with self._lock:
            return sum(self._sizes.values())

    def new_path(self) -> Path:
        """Return a name for a file.

        Raises:
            SpoolError: the folder cannot be made.
        """
        with self._lock:
            if self._path is None:
                self._path = self._make()
            return self._path / str(next(self._numbers))

    def append(self, path: Path, content: bytes | memoryview) -> None:
        """Write at the end of a file.

        Raises:
            SpoolError: it does not fit.
        """
        with self._translate_errors():
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with open(fd, "wb", buffering=0) as file:  # noqa: PTH123 - a path has no mode of 0600
                view = memoryview(content)
                while view:
                    view = view[file.write(view) or 0 :]
        with self._lock:
            self._sizes[path] = self._sizes.get(path, 0) + len(content)

    def read(self, path: Path) -> bytes:
        """Read a file as a whole.

        Raises:
            SpoolError: it is not there any more.
        """
        with self.open(path) as file:
            return file.read()

    @contextmanager
    def open(self, path: Path) -> Iterator[IO[bytes]]:
        """Open a file for reading.

        Raises:
            SpoolError: it is not there any more.
        """
        try:
            file = path.open("rb")
        except OSError as error:
            msg = f"a result that waited in {path.parent} is lost ({error.strerror})"
            raise SpoolError(msg) from None
        with file:
            yield file

    def discard(self, path: Path) -> None:
        """Remove a file, if it is there."""
        with suppress(OSError):
            path.unlink(missing_ok=True)
        with self._lock:
            self._sizes.pop(path, None)

    def close(self) -> None:
        """Remove everything; it is made again when it is needed again."""
        with self._lock:
            if self._remove:
                self._remove()
            self._path = self._remove = None
            self._sizes.clear()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            parent = self._parent or tempfile.gettempdir()
            msg = (
                f"a result longer than memory should hold does not fit into {parent} "
                f"({error.strerror}); set TMPDIR to a folder with more room"
            )
            raise SpoolError(msg) from None

    def _make(self) -> Path:
        with self._translate_errors():
            parent = self._parent or Path(tempfile.gettempdir())
            _remove_stale(parent)
            while True:
                path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
                held = _lock_folder(path)
                # Another process may have taken it for a stale one before the lock was set.
                if held is not None and path.exists():
                    break
        self._remove = weakref.finalize(self, _remove_folder, path, held)
        return path


def _lock_folder(path: Path) -> int | None:
    """Lock a folder as long as this process lives; None when another one holds it."""
    if not _HAS_LOCKS:
        return _NO_LOCK
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def _remove_folder(path: Path, held: int) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if held != _NO_LOCK:
        os.close(held)


def _remove_stale(parent: Path) -> None:
    if not _HAS_LOCKS:
        return
    for path in parent.glob(f"{_PREFIX}*"):
        if _is_own_folder(path) and (held := _lock_folder(path)) is not None:
            _remove_folder(path, held)


def _is_own_folder(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
