"""Requests at the same time, each once."""

from __future__ import annotations

from threading import Barrier, Event

import pytest

from tap_looker_tasks.errors import RequestRejectedError, RetriableRequestError
from tap_looker_tasks.threads import Lookups, map_concurrently

MAX_WAIT = 20


def test_as_many_calls_as_allowed_are_sent_at_the_same_time_and_keep_their_order() -> None:
    barrier = Barrier(3)

    def call(argument: int) -> int:
        # Each waits for two others.
        barrier.wait(MAX_WAIT)
        return argument * 2

    assert map_concurrently(call, range(9), 3) == [*range(0, 18, 2)]
    assert map_concurrently(call, [], 3) == []


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt()])
def test_the_first_error_waits_for_no_other_call(error: BaseException) -> None:
    may_end, begun = Event(), []

    def call(argument: int) -> None:
        begun.append(argument)
        if argument == 1:
            raise error
        may_end.wait(MAX_WAIT)

    try:
        with pytest.raises(type(error)):
            map_concurrently(call, range(9), 2)
        assert not may_end.is_set()
        assert 8 not in begun
    finally:
        may_end.set()


def test_a_value_that_many_need_is_looked_up_once() -> None:
    lookups, requested = Lookups[str, str](), []
    barrier = Barrier(4)

    def look_up() -> str:
        requested.append("a")
        return "found"

    def want(_: int) -> str:
        barrier.wait(MAX_WAIT)
        return lookups.find("a", look_up)

    assert map_concurrently(want, range(4), 4) == ["found"] * 4
    assert requested == ["a"]


@pytest.mark.parametrize(
    ("error", "times"),
    [
        (RequestRejectedError("no", http_status=404), 1),
        (ValueError("no query"), 1),
        (RetriableRequestError("later"), 2),
    ],
)
def test_only_what_looker_rejects_is_not_requested_again(error: Exception, times: int) -> None:
    lookups, requested = Lookups[str, str](), []

    def look_up() -> str:
        requested.append("a")
        raise error

    for _ in range(2):
        with pytest.raises(type(error)):
            lookups.find("a", look_up)
    assert len(requested) == times
