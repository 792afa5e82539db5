"""BATCH files of JSON lines, compressed while they are written and stored when complete."""

from __future__ import annotations

import zlib
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from singer_sdk.contrib.msgspec import enc_hook
from upath import UPath

from tap_looker_tasks.errors import StorageError
from tap_looker_tasks.singer.message_writer import RecordChunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from singer_sdk.helpers._batch import BatchConfig, StorageTarget

_IN_MEMORY_BYTES = 8 * 1024 * 1024
# At the SDK's level 9, compressing takes longer than all the rest; at this one, files are half as
# large again.
_GZIP_LEVEL = 1
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
_ENCODER = msgspec.json.Encoder(enc_hook=enc_hook, decimal_format="number")


class BatchFiles:
    """The files of one stream, with `batch_size` rows each.

    Their names are those of the SDK's `JSONLinesBatcher`. An incomplete file is in memory or in an
    unnamed temporary file, so that nothing is left of it, however the run ends.
    """

    def __init__(self, config: BatchConfig, tap_name: str, stream_name: str) -> None:
        """Start without files."""
        self._storage = config.storage
        self._size = config.batch_size
        self._is_compressed = config.encoding.compression == "gzip"
        self._sync_id = f"{config.storage.prefix or ''}{tap_name}--{stream_name}-{uuid4()}"
        self._count = 0
        self._rows = 0
        self._file = self._begin()

    def write(self, records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        """Write records, chunks of them among them, and yield the URL of each file.

        Raises:
            StorageError: If a file cannot be stored.
        """
        try:
            for record in records:
                if isinstance(record, RecordChunk):
                    yield from self._add(record.lines, record.count)
                    record.is_written = True
                else:
                    yield from self._add(_ENCODER.encode_lines([record]), 1)
            if self._rows:
                yield self._store()
        finally:
            self._file.close()

    def _add(self, lines: bytes, count: int) -> Iterator[str]:
        while self._rows + count >= self._size:
            fitting = self._size - self._rows
            first, lines = split_lines(lines, fitting)
            count -= fitting
            self._file.add(first)
            yield self._store()
        if count:
            self._file.add(lines)
            self._rows += count

    def _begin(self) -> _OpenFile:
        return _OpenFile(is_compressed=self._is_compressed)

    def _store(self) -> str:
        self._count += 1
        ending = "json.gz" if self._is_compressed else "json"
        name = f"{self._sync_id}-{self._count}.{ending}"
        with self._file.read() as content:
            _store(content, self._storage, name)
        self._rows, self._file = 0, self._begin()
        return self._storage.get_url(name)


class _OpenFile:
    """A file that is being written."""

    def __init__(self, *, is_compressed: bool) -> None:
        self._content: IO[bytes] = SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by `close`
        self._gzip = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_FORMAT) if is_compressed else None

    def add(self, lines: bytes) -> None:
        self._content.write(self._gzip.compress(lines) if self._gzip else lines)

    def read(self) -> IO[bytes]:
        """Return the complete content, to be read from its start and closed."""
        if self._gzip:
            self._content.write(self._gzip.flush())
        self._content.seek(0)
        return self._content

    def close(self) -> None:
        self._content.close()


def split_lines(lines: bytes, count: int) -> tuple[bytes, bytes]:
    """Return the first lines, and those after them."""
    parts = lines.split(b"\n", count)
    rest = parts.pop()
    return b"\n".join((*parts, b"")), rest


def _store(content: IO[bytes], storage: StorageTarget, name: str) -> None:
    """Store a file under its name, complete or not at all.

    Raises:
        StorageError: If it cannot be stored.
    """
    try:
        # Like the SDK, but nothing is left behind on failure.
        root = UPath(storage.root, **storage.params).resolve()
        root.mkdir(parents=True, exist_ok=True)
        with root.fs.transaction, root.fs.open(root.joinpath(name).path, "wb") as file:
            copyfileobj(content, file)
    except Exception as error:
        # Every kind of storage has separate exceptions.
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"batch_config.storage: cannot write {name}: {reason}"
        raise StorageError(msg) from error
