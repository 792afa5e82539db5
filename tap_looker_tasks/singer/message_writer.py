"""The message writer: fast, and no line is ever torn; BATCH files."""

from __future__ import annotations

import logging
import os
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from decimal import Decimal
from itertools import chain
from pathlib import Path
from select import select
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from uuid import uuid4

import msgspec
from singer_sdk.contrib.msgspec import enc_hook, encoder
from singer_sdk.helpers._batch import BatchConfig, StorageTarget
from singer_sdk.helpers._state import StateWriter
from singer_sdk.helpers.types import TapState
from singer_sdk.singerlib.encoding.base import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message, RecordMessage, SchemaMessage, StateMessage
from typing_extensions import override
from upath import UPath

from tap_looker_tasks.errors import StorageError, TargetClosedError
from tap_looker_tasks.singer.interrupts import Interrupts
from tap_looker_tasks.wording import one_line

_BUFFER_BYTES = 64 * 1024
# JSON text never has it: within strings it is always escaped.
_GAP = b"\0"
_DECIMAL_FORMAT, _DECIMAL_KEY = "x-singer.decimal", "x-sql-datatype-properties"
_NOT_FINITE = (b"NaN", b"Infinity")


class RecordChunk(dict[str, Any]):
    """Many serialized records of a stream; the SDK passes it on like one record.

    Attributes:
        lines: JSON of each record, on a separate line.
        count: Number of records.
        is_written: Whether it reached the message writer.
    """

    def __init__(self, lines: bytes, count: int) -> None:
        """Keep the records; as a dict, it stays empty."""
        super().__init__()
        self.lines = lines
        self.count = count
        self.is_written = False


class ReadyJson:
    """JSON within a record that is written unchanged, in pieces.

    Attributes:
        pieces: The JSON text. A tuple is buffered with other records; another iterable is written
            while it is read.
    """

    def __init__(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Keep the pieces, which have no line breaks between them or within."""
        self.pieces = pieces


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes Singer messages to standard output, records in batches.

    `msgspec.Raw` within a message is written unchanged. The text is that of the SDK's own writer,
    except where JSON allows several forms: characters outside ASCII and DEL are not escaped, floats
    have their shortest form (`1e16`, not `1e+16`), and date-times in UTC within a record end in
    `Z`.

    Attributes:
        bytes_written: Length of all messages so far, buffered ones included.
        is_target_gone: Whether standard output is closed; further messages are dropped.
        interrupts: Signals, which are raised only between two lines.
    """

    def __init__(self) -> None:
        """Start with nothing written; standard output is looked up when it is written to."""
        super().__init__()
        self.bytes_written = 0
        self.is_target_gone = False
        self.interrupts = Interrupts()
        self._encoder = msgspec.json.Encoder(enc_hook=self._enc_hook, decimal_format="number")
        self._ready: ReadyJson | None = None
        self._held: list[bytes | memoryview] = []
        self._size = 0

    @override
    def serialize_message(self, message: Message) -> bytes:
        """Serialize a message into a line, without its end; ready JSON within it becomes a gap."""
        content = _content(message)
        line = self._encoder.encode(content)
        # A `Decimal` may be NaN or infinite, for which the SDK and JSON have null.
        if any(name in line for name in _NOT_FINITE):
            line = self._encoder.encode(_finite(content))
        return line

    @override
    def write_message(self, message: Message) -> None:
        """Write a message; records may be buffered until others follow, or `flush` is called."""
        match message:
            case RecordMessage(record=RecordChunk() as chunk):
                self._hold_chunk(message, chunk)
            case _:
                # An interrupt may have come upon an earlier message.
                self._ready = None
                line = self.format_message(message)
                ready, self._ready = self._ready, None
                self._hold_line(line, ready)
        if self._size >= _BUFFER_BYTES or not isinstance(message, RecordMessage):
            self.flush()

    def flush(self) -> None:
        """Write the buffered messages.

        Raises:
            TargetClosedError: If standard output is closed.
        """
        with self._without_interrupts():
            held, self._held = self._held, []
            is_short = self._size < 2 * _BUFFER_BYTES
            self._size = 0
            # Long pieces are not copied.
            self._write((b"".join(held),) if is_short else held)

    def _without_interrupts(self) -> AbstractContextManager[None]:
        # Signal handlers run in the main thread only.
        is_main = threading.current_thread() is threading.main_thread()
        return self.interrupts.writing() if is_main else nullcontext()

    def _write(self, texts: Iterable[bytes | memoryview]) -> None:
        try:
            for text in texts:
                if not self.is_target_gone:
                    self._write_all(text)
        except OSError as error:
            self.is_target_gone = True
            _silence_output()
            msg = (
                f"the target stopped reading ({error.strerror or error}); check its log. The "
                "next run resumes from its last saved state"
            )
            raise TargetClosedError(msg) from error

    def _write_all(self, text: bytes | memoryview) -> None:
        """Write all of it without Python's buffers, which do not count what was taken."""
        if sys.stdout is None:
            msg = "standard output is closed"
            raise OSError(msg)
        sys.stdout.flush()
        file = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
        left = memoryview(text)
        while left:
            size = file.write(left)
            if size is None:
                # A pipe whose creator set it not to block.
                select((), (file,), ())
                continue
            self.interrupts.note_taken(size)
            left = left[size:]

    def _hold(self, *texts: bytes | memoryview) -> None:
        self._held += texts
        size = sum(map(len, texts))
        self._size += size
        self.bytes_written += size

    def _hold_chunk(self, message: RecordMessage, chunk: RecordChunk) -> None:
        """Add the message around each record of a chunk."""
        chunk.is_written = True
        if chunk.count:
            around = replace(message, record=msgspec.Raw(_GAP))  # type: ignore[arg-type]
            before, after = self.serialize_message(around).split(_GAP)
            lines = chunk.lines[:-1].replace(b"\n", b"%b\n%b" % (after, before))
            self._hold(before, lines, after, b"\n")

    def _hold_line(self, line: bytes, ready: ReadyJson | None) -> None:
        if ready is None:
            self._hold(line, b"\n")
            return
        before, after = line.split(_GAP)
        if isinstance(ready.pieces, tuple):
            self._hold(before, *ready.pieces, after, b"\n")
            return
        self.flush()
        with self._without_interrupts():
            self._write(self._count(chain((before,), ready.pieces, (after, b"\n"))))

    def _count(self, pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
        for piece in pieces:
            self.bytes_written += len(piece)
            yield piece

    def _enc_hook(self, value: object) -> object:
        if isinstance(value, ReadyJson):
            self._ready = value
            return msgspec.Raw(_GAP)
        return enc_hook(value)


def _content(message: Message) -> dict[str, Any]:
    match message:
        case RecordMessage(time_extracted=moment):
            content = message.to_dict()
            if moment is not None:
                content["time_extracted"] = moment.isoformat()
            return content
        case SchemaMessage():
            content = message.to_dict()
            return {**content, "schema": _for_targets(content["schema"])}
        case StateMessage(value=value):
            # The SDK copies the complete schema first.
            return {"type": message.type, "value": value}
        case _:
            return message.to_dict()


def _for_targets(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a stream or property as targets read it.

    Some targets read the first key of a property as its type, and fail at any other. Of a decimal,
    they read `precision` and `scale` beside the format, which the SDK drops.
    """
    types: dict[str, Any] = {key: schema[key] for key in ("type", "anyOf") if key in schema}
    schema = {**types, **schema}
    if schema.get("format") == _DECIMAL_FORMAT:
        schema |= schema.pop(_DECIMAL_KEY, {})
    if "properties" in schema:
        properties = schema["properties"].items()
        schema["properties"] = {name: _for_targets(declared) for name, declared in properties}
    return schema


def _finite(value: object) -> object:
    match value:
        case dict():
            return {key: _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case Decimal() if not value.is_finite():
            return None
        case _:
            return value


def _silence_output() -> None:
    """Discard Python's buffers, which it would try to write at its end."""
    with suppress(OSError, AttributeError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - no path of a file
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


# STATE messages: often enough to resume from, and a small share of the output.

_MAX_SILENCE_SECONDS = 30
# The last STATE, as large as all tasks in state, is written in addition.
_OUTPUT_PER_STATE = 30


class PacedStateWriter(StateWriter):
    """Skips STATE messages that would cost more than they save.

    State grows with its tasks, so with one message per fixed number of records, its share of the
    output would grow with their number.
    """

    def __init__(self, message_writer: MessageWriter, clock: Callable[[], float]) -> None:
        """Write to `message_writer`; the clock returns epoch seconds."""
        super().__init__(message_writer)
        self._output = message_writer
        self._clock = clock
        self._written_at = clock()
        self._growth = 0.0
        self._spent = 0

    @override
    def write_state(self, state: TapState) -> None:
        """Write the buffered messages, and the state if it is due and has changed."""
        self.write_if_due(state)
        self._output.flush()

    def write_if_due(self, state: TapState) -> None:
        """Write the state if it is due and has changed."""
        output = self._output.bytes_written
        cost = self._spent + output * self._growth
        silence = self._clock() - self._written_at
        if cost * _OUTPUT_PER_STATE <= output or silence >= _MAX_SILENCE_SECONDS:
            self.write_now(state)

    def write_now(self, state: TapState) -> None:
        """Write the state if it has changed."""
        before = self._output.bytes_written
        super().write_state(state)
        self._output.flush()
        self._written_at = self._clock()
        if size := self._output.bytes_written - before:
            self._spent += size
            # The next STATE is assumed to have grown like the output.
            self._growth = size / self._output.bytes_written

    def write_last(self, state: TapState) -> None:
        """Write the state if it has changed and the target still reads; raise no error."""
        with suppress(TargetClosedError):
            self.write_now(state)


# Log lines.

# Lines that the SDK logs at each start, for each stream, and above each failure, whose message is
# enough.
_DETAILS = ("Skipping parse of env var settings", "Added '%s' as child stream", "Beginning ")
_UNHANDLED = "An unhandled error occurred while syncing '%s'"


def filter_record(record: logging.LogRecord) -> bool:
    """Escape all text from outside in a log record, and drop the SDK's superfluous records.

    Args:
        record: Record whose message is the tap's own, but whose arguments are not.
    """
    if record.msg == _UNHANDLED:
        return False
    match record.args:
        case None | ():
            record.msg = one_line(str(record.msg))
        case tuple(args):
            record.args = tuple(map(_make_safe, args))
        case args:
            record.args = {name: _make_safe(value) for name, value in args.items()}
    if isinstance(record.msg, str) and record.msg.startswith(_DETAILS):
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)
    return True


def _make_safe(value: object) -> object:
    return one_line(str(value)) if isinstance(value, str | BaseException) else value


_IN_MEMORY_BYTES = 8 * 1024 * 1024
# At the SDK's level 9, compressing takes longer than all the rest; at this one, files are half as
# large again.
_GZIP_LEVEL = 1
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
# The local file system, as fsspec names it.
_LOCAL = ("", "file", "local")


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
                    yield from self._add(encoder.encode_lines([record]), 1)
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
        path = root.joinpath(name).path
        if root.protocol in _LOCAL:
            _store_locally(content, Path(path))
            return
        with root.fs.transaction, root.fs.open(path, "wb") as file:
            copyfileobj(content, file)
    except Exception as error:
        # Every kind of storage has separate exceptions.
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"batch_config.storage: cannot write {name}: {reason}"
        raise StorageError(msg) from error


def _store_locally(content: IO[bytes], path: Path) -> None:
    # An interrupt at its end would make the transaction of fsspec leave its temporary file.
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            copyfileobj(content, file)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
