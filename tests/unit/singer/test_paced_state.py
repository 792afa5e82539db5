"""When STATE is written."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import pytest
from singer_sdk.singerlib.encoding.simple import RecordMessage

from tap_looker_tasks.singer.message_writer import MessageWriter, PacedStateWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_sdk.helpers.types import TapState


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Run:
    """Delivers tasks, each with a record and its place in state."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.writer = MessageWriter()
        self.states = PacedStateWriter(self.writer, self.clock)
        self.output = io.BytesIO()
        self.finished: dict[str, str] = {}
        self._stdout = io.TextIOWrapper(self.output)

    @property
    def state(self) -> TapState:
        return {"bookmarks": {"query_task_results": {"finished": self.finished}}}

    def written(self, write: Callable[[TapState], None]) -> None:
        with contextlib.redirect_stdout(self._stdout):
            write(self.state)

    def deliver(self, *, bytes_: int = 500) -> None:
        self.finished[f"{len(self.finished):032}"] = "complete"
        message = RecordMessage("s", {"x": "x" * bytes_})
        self.written(lambda _: self.writer.write_message(message))
        self.written(self.states.write_if_due)

    def lines(self) -> list[bytes]:
        self.written(lambda _: self.writer.flush())
        return self.output.getvalue().splitlines(keepends=True)

    def count(self) -> int:
        return sum(line.startswith(b'{"type":"STATE"') for line in self.lines())


@pytest.fixture
def run() -> Run:
    return Run()


@pytest.mark.parametrize(("tasks", "bytes_"), [(1, 500), (10, 500), (3000, 500), (300, 20_000)])
def test_states_are_a_small_share_for_any_number_of_tasks(
    run: Run, tasks: int, bytes_: int
) -> None:
    for _ in range(tasks):
        run.deliver(bytes_=bytes_)
    *_, last = (len(line) for line in run.lines())
    states = sum(len(line) for line in run.lines() if line.startswith(b'{"type":"STATE"'))
    assert states <= len(run.output.getvalue()) / 30 + last
    run.written(run.states.write_now)
    assert run.lines()[-1].startswith(b'{"type":"STATE"')


def test_large_results_are_kept_often(run: Run) -> None:
    for _ in range(100):
        run.deliver(bytes_=100_000)
    assert run.count() > 50


def test_half_a_minute_is_never_lost(run: Run) -> None:
    for _ in range(2000):
        run.deliver()
    before = run.count()
    for _ in range(10):
        run.clock.now += 29
        run.deliver()
        run.clock.now += 1
        run.deliver()
    assert run.count() >= before + 10


def test_what_did_not_change_is_not_written_again(run: Run) -> None:
    run.deliver()
    run.written(run.states.write_now)
    before = run.count()
    run.written(run.states.write_now)
    run.clock.now += 60
    run.written(run.states.write_state)
    assert run.count() == before


def test_the_end_of_a_stream_lets_the_target_have_everything(run: Run) -> None:
    for _ in range(10):
        run.deliver()
    run.written(run.states.write_state)
    assert run.output.getvalue().count(b'"RECORD"') == 10
