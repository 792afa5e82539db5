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

from tests.tap.endless_writer import write_endlessly

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext


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
    for seed in range(100):
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
            os.kill(process.pid, signal.SIGTERM)
            # The pipe is full by now: the writer is in the middle of a line.
            time.sleep(drawn.random() / 50)
            lines = (start + output.read()).split(b"\n")
            output.close()
            process.join(10)
            assert process.exitcode == 0
        assert lines.pop() == b""
        types = [json.loads(line)["type"] for line in lines]
        assert types == ["RECORD"] * (len(lines) - 1) + ["STATE"]
