"""The collector: real threads, and a Looker that responds as each test requires."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from math import inf
from threading import Event
from typing import TYPE_CHECKING

import pytest

from tap_looker_tasks.config.settings import Settings
from tap_looker_tasks.errors import RequestError, SpoolError, TapError
from tap_looker_tasks.looker.operation import SteadyClock
from tap_looker_tasks.results.entries import TaskEntry
from tap_looker_tasks.results.json_text import NULL
from tap_looker_tasks.run.collector import Collector, Idle
from tap_looker_tasks.store import ResultStore
from tap_looker_tasks.tasks.board import END_TIMES, EndTimes, TaskBoard
from tap_looker_tasks.tasks.query_task import (
    Cancel,
    CancelFailed,
    Cancelled,
    Collected,
    ExternalTask,
    FollowedTask,
    Launch,
    Launched,
    LaunchedTask,
    LaunchFailed,
    Outcome,
    Poll,
    Prepare,
    RequestFailed,
    RequestFinished,
    StatusReceived,
    TaskCreated,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_looker_tasks.tasks.query_task import Event as TaskEvent, Report, Request

# What should happen happens in a moment; a test that waits longer has failed.
PATIENCE = 10.0


class Looker:
    """Responds to requests in the threads they are made in; stands in for client and requests."""

    def __init__(self) -> None:
        self.responses = ResultStore()
        self.aborted = Event()
        self.threads: set[threading.Thread] = set()
        self.requests: deque[Request] = deque()
        self.before: Callable[[Request], None] = lambda _: None
        self.failing: dict[type, Exception] = {}

    def perform(self, request: Request) -> Iterator[Report]:
        self.threads.add(threading.current_thread())
        self.requests.append(request)
        self.before(request)
        if error := self.failing.get(type(request)):
            yield RequestFailed(request, error)
            return
        match request:
            case Launch(name, attempt):
                task = LaunchedTask(f"{name}-{attempt}", name, "1", attempt, 1.0)
                yield TaskCreated(request, task)
                return
            case Poll(ids):
                for id_ in ids:
                    held = self.responses.hold(TaskEntry("complete", data=NULL))
                    yield StatusReceived(request, id_, "complete", held)
        yield RequestFinished(request)

    def abort(self) -> None:
        self.aborted.set()

    def hang_in_polls(self, request: Request) -> None:
        if isinstance(request, Poll):
            self.aborted.wait(PATIENCE)


@pytest.fixture
def looker() -> Iterator[Looker]:
    looker = Looker()
    yield looker
    deadline = time.monotonic() + PATIENCE
    while any(thread.is_alive() for thread in looker.threads) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(thread.is_alive() for thread in looker.threads)


def collect(
    looker: Looker,
    *names: str,
    external: tuple[str, ...] = (),
    deliver_until: float = inf,
    end_times: EndTimes = END_TIMES,
    **config: object,
) -> Collector:
    credentials = {"base_url": "https://looker.test", "client_id": "i", "client_secret": "s"}
    quick = {"poll_interval_seconds": 0.01, "poll_max_interval_seconds": 0.05}
    board = TaskBoard(
        Settings.from_config(credentials | quick | config),
        tasks=[FollowedTask(ExternalTask(id_)) for id_ in external],
        queries=map(Launch, names),
    )
    collector = Collector(
        board,
        looker,  # type: ignore[arg-type]
        looker.responses,
        clock=SteadyClock(),
        logger=logging.getLogger("tests"),
        deliver_until=deliver_until,
        end_times=end_times,
    )
    collector.start()
    return collector


def deliver(collector: Collector) -> list[TaskEvent]:
    events: list[TaskEvent] = [
        event for event in collector.events() if not isinstance(event, Idle | Collected)
    ]
    collector.close()
    return events


def test_everything_is_launched_and_collected(looker: Looker) -> None:
    events = deliver(collect(looker, "x", "y", external=("a", "b")))
    outcomes = {event.task.query_task_id for event in events if isinstance(event, Outcome)}
    assert outcomes == {"a", "b", "x-1", "y-1"}
    assert sum(isinstance(event, Launched) for event in events) == 2
    assert len(events) == 6


def test_slots_are_refilled_while_no_one_takes_what_was_collected(looker: Looker) -> None:
    names = [f"q{n}" for n in range(6)]
    collector = collect(looker, *names, max_concurrent_tasks=2)
    deadline = time.monotonic() + PATIENCE
    while sum(isinstance(request, Launch) for request in [*looker.requests]) < len(names):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(deliver(collector)) == 12


def test_launches_are_reported_before_outcomes_that_wait(looker: Looker) -> None:
    collector = collect(looker, "x", external=("a",))
    # Outcomes are left waiting until the launch is told, whichever comes first.
    deadline = time.monotonic() + PATIENCE
    while not any(isinstance(event, Launched) for event in [*collector.news()]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert all(isinstance(event, Outcome) for event in deliver(collector))


def test_a_request_that_hangs_holds_up_no_other(looker: Looker) -> None:
    hanging = Event()

    def hang(request: Request) -> None:
        if isinstance(request, Poll) and "a" in request.query_task_ids:
            hanging.set()
            looker.aborted.wait(PATIENCE)

    looker.before = hang
    collector = collect(looker, "x", "y", external=("a",))
    outcomes = (event for event in collector.events() if isinstance(event, Outcome))
    assert {next(outcomes).task.query_task_id for _ in range(2)} == {"x-1", "y-1"}
    assert hanging.is_set()
    collector.close()


@pytest.mark.parametrize("error", [RequestError("certificate"), SpoolError("disk full")])
def test_what_ends_the_run_is_raised_after_what_was_collected(
    looker: Looker, error: TapError
) -> None:
    looker.before = lambda request: time.sleep(0.1 * isinstance(request, Prepare))
    looker.failing[Prepare] = error
    collector = collect(looker, "x", external=("a",))
    events = collector.events()
    first = next(event for event in events if not isinstance(event, Idle | Collected))
    assert isinstance(first, Outcome)
    with pytest.raises(type(error)):
        next(event for event in events if not isinstance(event, Idle | Collected))
    collector.close()


def test_a_defect_in_a_worker_is_not_swallowed(looker: Looker) -> None:
    looker.failing[Poll] = KeyError("a defect")
    collector = collect(looker, external=("a",))
    with pytest.raises(KeyError):
        deliver(collector)
    collector.close()


def test_what_was_launched_can_be_cancelled_at_any_moment(looker: Looker) -> None:
    looker.before = looker.hang_in_polls
    collector = collect(looker, "x", "y")
    launched: list[TaskEvent] = []
    for event in collector.events():
        launched += [event] if isinstance(event, Launched) else []
        if len(launched) == 2:
            break
    ended = [*collector.end(cancels=True)]
    assert {e.task.query_name for e in ended if isinstance(e, Cancelled)} == {"x", "y"}
    # The event that the loop above did not finish is the first again.
    assert ended[0] == launched[-1]
    assert len(ended) == 3
    collector.close()


def test_a_launch_in_progress_at_the_end_is_also_cancelled(looker: Looker) -> None:
    launching = Event()

    def delay(request: Request) -> None:
        if isinstance(request, Launch):
            launching.set()
            time.sleep(0.2)

    looker.before = delay
    collector = collect(looker, "x")
    assert launching.wait(PATIENCE)
    launched, cancelled = collector.end(cancels=True)
    assert isinstance(launched, Launched)
    assert cancelled == Cancelled(launched.task)
    collector.close()


def test_a_cancellation_that_fails_is_reported(looker: Looker) -> None:
    looker.failing[Cancel] = RequestError("no answer")
    looker.before = looker.hang_in_polls
    collector = collect(looker, "x")
    task = next(event.task for event in collector.events() if isinstance(event, Launched))
    assert [*collector.end(cancels=True)][1:] == [CancelFailed(task, "no answer")]
    collector.close()


@pytest.mark.slow
def test_a_cancellation_that_hangs_does_not_take_longer_than_promised(looker: Looker) -> None:
    released = Event()

    def hang(request: Request) -> None:
        if isinstance(request, Cancel | Poll):
            released.wait(PATIENCE)

    looker.before = hang
    collector = collect(looker, "x")
    task = next(event.task for event in collector.events() if isinstance(event, Launched))
    started = time.monotonic()
    assert [*collector.end(cancels=True)][1:] == [CancelFailed(task, "the run ended first")]
    assert time.monotonic() - started < 5
    released.set()
    collector.close()


def test_threads_that_hang_are_waited_for_together_and_not_one_after_the_other(
    looker: Looker,
) -> None:
    released = Event()
    hanging: deque[Request] = deque()

    def hang(request: Request) -> None:
        if isinstance(request, Launch):
            hanging.append(request)
            released.wait(PATIENCE)

    looker.before = hang
    names = [f"q{number}" for number in range(32)]
    end_times = EndTimes(requests=0.1, threads=0.3)
    collector = collect(
        looker, *names, end_times=end_times, max_connections=32, max_concurrent_tasks=32
    )
    give_up_at = time.monotonic() + PATIENCE
    while len(hanging) < len(names) and time.monotonic() < give_up_at:
        time.sleep(0.01)
    assert len(hanging) == len(names)
    started = time.monotonic()
    ended = [*collector.end(cancels=True)]
    collector.close()
    # One by one, they would take 32 times as long.
    assert time.monotonic() - started < 32 * end_times.threads / 2
    assert {event.query_name for event in ended if isinstance(event, LaunchFailed)} == {*names}
    released.set()


def test_responses_no_one_needs_make_room(looker: Looker) -> None:
    looker.responses = ResultStore(memory_bytes=0, short_bytes=0)
    collector = collect(looker, external=("a", "b"))
    for event in collector.events():
        if isinstance(event, Outcome):
            assert event.stored
            assert event.stored.take().data == NULL
    collector.close()
    assert looker.responses.bytes_on_disk == 0


def test_results_that_the_target_was_too_slow_for_are_left(looker: Looker) -> None:
    looker.responses = ResultStore(memory_bytes=0, short_bytes=0)
    collector = collect(looker, "x", external=("a",), deliver_until=time.time())
    events = [event for event in collector.events() if not isinstance(event, Idle | Collected)]
    assert [type(event) for event in events] == [Launched]
    assert looker.responses.bytes_on_disk == 0
    collector.close()
