"""Items that a thread gets before they are asked for."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from tap_looker_tasks.looker.read_ahead import call_ahead, read_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator


class Source:
    """Counts what was taken from it."""

    def __init__(self, count: int) -> None:
        self.taken = 0
        self.ended = threading.Event()
        self._count = count

    def __iter__(self) -> Iterator[int]:
        try:
            for number in range(self._count):
                self.taken += 1
                yield number
        finally:
            self.ended.set()


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_all_items_come_in_their_order(count: int) -> None:
    assert [*read_ahead(Source(count), 2)] == [*range(count)]


def test_items_are_got_before_they_are_asked_for_but_not_too_many() -> None:
    source = Source(100)
    items = read_ahead(source, 3)
    assert next(items) == 0
    for _ in range(100):
        if source.taken == 5:
            break
        source.ended.wait(0.01)
    # One was handed on, three wait, and one more is at hand.
    assert not source.ended.wait(0.05)
    assert source.taken == 5


def test_a_failure_comes_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        msg = "cut off"
        raise OSError(msg)

    items = read_ahead(failing(), 2)
    assert next(items) == 1
    with pytest.raises(OSError, match="cut off"):
        next(items)


def test_the_thread_ends_when_nobody_wants_more() -> None:
    source = Source(100)
    items = read_ahead(source, 1)
    next(items)
    del items
    for thread in threading.enumerate():
        if thread.name == "read-ahead":
            thread.join(5)
            assert not thread.is_alive()
    assert source.taken < 100


def test_who_waits_for_what_never_comes_may_leave() -> None:
    never = threading.Event()

    def stuck() -> Iterator[int]:
        yield 1
        never.wait(5)

    items = read_ahead(stuck(), 1)
    assert next(items) == 1
    began_at = time.monotonic()
    del items
    assert time.monotonic() - began_at < 2
    never.set()


def test_a_call_is_made_before_its_result_is_asked_for() -> None:
    made = threading.Event()
    result = call_ahead(made.set)
    assert made.wait(5)
    assert result.result() is None


def test_a_call_that_fails_says_so_when_its_result_is_asked_for() -> None:
    def fail() -> int:
        msg = "no answer"
        raise OSError(msg)

    result = call_ahead(fail)
    with pytest.raises(OSError, match="no answer"):
        result.result()
