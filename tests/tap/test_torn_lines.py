"""No line is torn, whenever a signal comes."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tap_looker_tasks.singer.interrupts import SIGNALS
from tests.tap.endless_writer import STILL_SECONDS, write_endlessly, write_long_lines

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Makes processes that have imported all there is to import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.tap.endless_writer"])
    return context


@pytest.mark.parametrize("is_buffered", [True, False])
def test_no_line_is_torn_by_a_signal_at_any_moment(
    processes: ForkServerContext, *, is_buffered: bool
) -> None:
    drawn = random.Random(0)  # noqa: S311 - not for secrets
    for seed in range(30):
        reader, writer = processes.Pipe(duplex=False)
        process = processes.Process(
            target=write_endlessly,
            args=(writer,),
            kwargs={"is_buffered": is_buffered, "seed": seed},
        )
        process.start()
        writer.close()
        with reader, contextlib.ExitStack() as stack:
            stack.callback(process.kill)
            output = open(reader.fileno(), "rb", closefd=False)  # noqa: SIM115
            start = output.read(drawn.randrange(1, 500_000))
            assert process.pid
            os.kill(process.pid, drawn.choice(SIGNALS))
            # The pipe is full by now: the writer is in the middle of a line.
            time.sleep(drawn.random() / 50)
            lines = (start + output.read()).split(b"\n")
            output.close()
            process.join(30)
            assert process.exitcode == 0
        assert lines.pop() == b""
        types = [json.loads(line)["type"] for line in lines]
        assert types == ["RECORD"] * (len(lines) - 1) + ["STATE"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_long_line_is_written_to_its_end_while_it_is_read(
    processes: ForkServerContext, number: signal.Signals
) -> None:
    """It takes longer than a reader that reads nothing may stop."""
    reader, writer = processes.Pipe(duplex=False)
    process = processes.Process(target=write_long_lines, args=(writer,))
    process.start()
    writer.close()
    with reader, contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        output = open(reader.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115
        received = output.read(4096)
        assert process.pid
        os.kill(process.pid, number)
        until = time.monotonic() + STILL_SECONDS + 0.6
        while time.monotonic() < until:
            received += output.read(8192)
            time.sleep(0.1)
        while piece := output.read(1_000_000):
            received += piece
        output.close()
        process.join(30)
    *lines, last = received.split(b"\n")
    assert last == b""
    assert [json.loads(line)["type"] for line in lines] == ["RECORD", "STATE"]


def test_a_reader_that_stopped_is_abandoned(processes: ForkServerContext) -> None:
    reader, writer = processes.Pipe(duplex=False)
    process = processes.Process(target=write_long_lines, args=(writer,))
    process.start()
    writer.close()
    with reader, contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        output = open(reader.fileno(), "rb", closefd=False)  # noqa: SIM115
        start = output.read(1)
        assert process.pid
        os.kill(process.pid, signal.SIGTERM)
        process.join(30)
        assert not process.is_alive()
        # The docs say what a target sees: a last line without its end.
        (torn,) = (start + output.read()).split(b"\n")
        output.close()
    assert torn.startswith(b'{"type":"RECORD"')
