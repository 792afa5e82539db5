"""The message writer: fast, and no line is ever torn."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.contrib.msgspec import enc_hook
from singer_sdk.singerlib.encoding.base import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message, RecordMessage, StateMessage
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUFFER_BYTES = 64 * 1024
_ENCODER = msgspec.json.Encoder(enc_hook=enc_hook, decimal_format="number")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NOT_FINITE = (b"NaN", b"Infinity")


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes Singer messages to standard output, records in batches.

    `msgspec.Raw` within a message is written as it is. The text is that of the SDK's own writer
    but for what JSON lets one write in several ways: characters outside ASCII and DEL are not
    escaped, floats have their shortest form (`1e16`, not `1e+16`), and date-times in UTC within
    a record end in `Z`.

    Attributes:
        bytes_written: length of all messages so far, those still held back included.
    """

    def __init__(self) -> None:
        """Begin with nothing written; standard output is looked up when it is written to."""
        super().__init__()
        self.bytes_written = 0
        self._lines: list[bytes] = []
        self._size = 0

    @override
    def serialize_message(self, message: Message) -> bytes:
        """Serialize a message into a line, without its end."""
        content = _content(message)
        line = _ENCODER.encode(content)
        # A `Decimal` may be written like that; the SDK, and JSON, have null for it.
        if any(name in line for name in _NOT_FINITE):
            line = _ENCODER.encode(_finite(content))
        return line

    @override
    def write_message(self, message: Message) -> None:
        """Write a message; records may be held back until others follow, or `flush` is called."""
        line = self.format_message(message)
        self.bytes_written += len(line) + 1
        self._lines += (line, b"\n")
        self._size += len(line) + 1
        if self._size >= _BUFFER_BYTES or not isinstance(message, RecordMessage):
            self.flush()

    def flush(self) -> None:
        """Write what is held back."""
        # A handler that ends the process would leave half a line in a full pipe.
        with _signals_held_back():
            lines, self._lines = self._lines, []
            self._size = 0
            # The last line may be a large one: it is not worth a copy.
            *short, line, end = lines or (b"", b"")
            for text in (b"".join(short), line, end):
                _write(text)
            sys.stdout.flush()


def _content(message: Message) -> dict[str, Any]:
    match message:
        case RecordMessage(time_extracted=moment):
            content = message.to_dict()
            if moment is not None:
                content["time_extracted"] = moment.isoformat()
            return content
        case StateMessage(value=value):
            # The SDK copies the whole of it first.
            return {"type": message.type, "value": value}
        case _:
            return message.to_dict()


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


def _write(text: bytes) -> None:
    """Write all of it: an unbuffered standard output may take a part at a time."""
    left = memoryview(text)
    while left:
        left = left[sys.stdout.buffer.write(left) or 0 :]


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Let what SIGINT and SIGTERM do wait for the end.

    A signal mask would hold for this thread only; the system may give the signal to another,
    as some libraries start, and Python would still run the handler in the midst of this one.
    """
    if threading.current_thread() is not threading.main_thread():
        # Handlers never run here.
        yield
        return
    came: dict[int, None] = {}
    before = {
        number: signal.signal(number, lambda number, _: came.setdefault(number))
        for number in _SIGNALS
        # Python cannot put back what it did not set.
        if signal.getsignal(number) is not None
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for held_back in came:
            signal.raise_signal(held_back)
