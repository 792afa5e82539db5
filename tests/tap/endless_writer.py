"""A program that writes messages until it is told to stop."""

from __future__ import annotations

import io
import itertools
import random
import sys
import threading
from typing import TYPE_CHECKING, Any

from singer_sdk.singerlib.encoding.simple import RecordMessage, StateMessage

from tap_looker_tasks.singer import interrupts
from tap_looker_tasks.singer.message_writer import MessageWriter, ReadyJson, RecordChunk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

# On a busy machine, a reader that continues may still pause for a second.
STILL_SECONDS = 1.5
_LINES = b'{"x":"%s"}\n' % (b"x" * 1000)


def write_endlessly(pipe: Connection, *, is_buffered: bool, seed: int) -> None:
    """Write to the pipe; SIGTERM makes STATE the last message."""
    interrupts._MAX_STILL_SECONDS = 30.0  # noqa: SLF001 - this reader does not stop
    file = open(pipe.fileno(), "wb", buffering=-1 if is_buffered else 0, closefd=False)  # noqa: SIM115
    sys.stdout = io.TextIOWrapper(file)
    writer = MessageWriter()

    writer.interrupts.handle()
    # The system may give a signal to any thread.
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    try:
        for record in _records(random.Random(seed)):  # noqa: S311 - not for secrets
            writer.write_message(RecordMessage("s", record))
    except SystemExit:
        writer.interrupts.end()
        writer.write_message(StateMessage({"stopped": True}))


def _records(drawn: random.Random) -> Iterator[dict[str, Any]]:
    """Of all lengths, and in all the ways there are."""
    while True:
        kind = drawn.randrange(5)
        if kind == 0:
            yield RecordChunk(_LINES * 300, 300)
        elif kind == 1:
            yield {"x": ReadyJson(itertools.chain([b'["'], [b"2" * 1000] * 300, [b'"]']))}
        elif kind == 2:
            yield {"x": ReadyJson((b'["' + b"3" * 100_000 + b'"]',))}
        else:
            yield {"x": "x" * drawn.choice((1, 1000, 300_000))}


def write_long_lines(pipe: Connection) -> None:
    """Write long lines to the pipe, and give up a reader that stops."""
    interrupts._MAX_STILL_SECONDS = STILL_SECONDS  # noqa: SLF001 - two would be long for a test
    file = open(pipe.fileno(), "wb", closefd=False)  # noqa: SIM115
    sys.stdout = io.TextIOWrapper(file)
    writer = MessageWriter()
    writer.interrupts.handle()
    try:
        while True:
            writer.write_message(RecordMessage("s", {"x": "x" * 500_000}))
    except SystemExit:
        writer.interrupts.end()
        writer.write_message(StateMessage({"stopped": True}))
