"""How soon slots are used again, and with how many calls, in simulated time."""

from __future__ import annotations

import heapq
from functools import cache
from itertools import count
from math import inf
from random import Random
from statistics import mean
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tap_looker_tasks.config.settings import Settings
from tap_looker_tasks.queries import RunTime
from tap_looker_tasks.results.entries import TaskEntry
from tap_looker_tasks.results.json_text import NULL
from tap_looker_tasks.store import ResultStore
from tap_looker_tasks.tasks.board import TaskBoard
from tap_looker_tasks.tasks.query_task import (
    Done,
    ExternalTask,
    FollowedTask,
    Launch,
    LaunchedTask,
    Outcome,
    Poll,
    Prepare,
    RequestFinished,
    StatusReceived,
    TaskCreated,
    Wait,
)
from tap_looker_tasks.tasks.schedule import LaunchQueue, PollSchedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_looker_tasks.tasks.query_task import Action, Report

_AT_ONCE = 10
_CREDENTIALS = {"base_url": "https://looker.test", "client_id": "i", "client_secret": "s"}
_RESULT = ResultStore().hold(TaskEntry("complete", data=NULL))
_ANY_ORDER = Random(3)  # noqa: S311 - run times, not secrets
_ONE_TO_THREE_SECONDS = _ANY_ORDER.sample([1 + n / 30 for n in range(60)], 60)


class Pace(NamedTuple):
    """What a simulated run came to; lateness is from a task's end until the board knows of it."""

    seconds: float
    polls: int
    max_in_flight: int
    lateness: list[float]

    @property
    def lateness_of_last(self) -> float:
        return self.lateness[-1]


class SimulatedLooker:
    """Answers the requests of a board after a round trip, by a clock that waiting moves on."""

    def __init__(
        self,
        run_times: Sequence[float],
        round_trip: float = 0.0,
        *,
        memories: Sequence[RunTime | None] = (),
        external: bool = False,
        **settings: Any,
    ) -> None:
        self._run_times = run_times
        self._round_trip = round_trip
        self._memories = memories or [None] * len(run_times)
        self._external = external
        self._settings = Settings.from_config(
            _CREDENTIALS | {"task_timeout_seconds": 86_400} | settings
        )
        self._ends_at: dict[str, float] = {}
        self._numbers = count()
        self._responses: list[tuple[float, int, list[Report]]] = []
        self.now = 0.0
        self.polls = 0
        self.max_in_flight = 0
        self._in_flight = 0

    def pace(self) -> Pace:
        names = [*map(str, range(len(self._run_times)))]
        if self._external:
            self._ends_at = dict(zip(names, self._run_times, strict=True))
            tasks = [FollowedTask(ExternalTask(name)) for name in names]
            board = TaskBoard(self._settings, tasks=tasks)
        else:
            board = TaskBoard(self._settings, queries=map(Launch, names))
        seen_at: dict[str, float] = {}
        while not isinstance(action := board.next_action(self.now), Done):
            for report in self._reports(action):
                outcomes = [e for e in board.note(report, self.now) if isinstance(e, Outcome)]
                self._in_flight -= len(outcomes)
                # Each launch is in a STATE at once.
                board.note_named(isinstance(report, TaskCreated))
                seen_at |= {outcome.task.query_task_id: self.now for outcome in outcomes}
        in_order = sorted(names, key=self._ends_at.__getitem__)
        lateness = [seen_at[name] - self._ends_at[name] for name in in_order]
        return Pace(self.now, self.polls, self.max_in_flight, lateness)

    def _reports(self, action: Action) -> list[Report]:
        if not isinstance(action, Wait):
            response = (self.now + self._round_trip, next(self._numbers), self._respond(action))
            heapq.heappush(self._responses, response)
            return []
        until = self.now + action.seconds
        if not self._responses or self._responses[0][0] > until:
            self.now = until
            return []
        self.now, _, reports = heapq.heappop(self._responses)
        return reports

    def _respond(self, action: Action) -> list[Report]:
        arrives_at = self.now + self._round_trip / 2
        match action:
            case Launch(name):
                self._ends_at[name] = arrives_at + self._run_times[int(name)]
                self._in_flight += 1
                self.max_in_flight = max(self.max_in_flight, self._in_flight)
                task = LaunchedTask(
                    name,
                    name,
                    launched_at=self.now + self._round_trip,
                    expected=self._memories[int(name)],
                )
                return [TaskCreated(action, task)]
            case Poll(ids):
                self.polls += 1
                ended = {id_ for id_ in ids if self._ends_at[id_] <= arrives_at}
                responses = [
                    StatusReceived(action, id_, "complete", _RESULT)
                    if id_ in ended
                    else StatusReceived(action, id_, "running")
                    for id_ in ids
                ]
                return [*responses, RequestFinished(action)]
            case Prepare():
                return [RequestFinished(action)]
            case _:
                raise AssertionError(action)


def without_lag(run_times: Sequence[float]) -> float:
    """How long the queries take when each starts the moment a slot is free."""
    slots = [0.0] * _AT_ONCE
    for seconds in run_times:
        heapq.heapreplace(slots, slots[0] + seconds)
    return max(slots)


@pytest.mark.parametrize("round_trip", [0.01, 0.1, 0.25])
@pytest.mark.parametrize(
    ("run_times", "max_times", "max_polls"),
    [
        pytest.param(_ONE_TO_THREE_SECONDS, 1.05, 100, id="first run"),
        pytest.param([30 * n for n in _ONE_TO_THREE_SECONDS], 1.06, 150, id="slow"),
        pytest.param([0.1] * 200, 1.3, 60, id="cached"),
        # The queries before them say nothing of how long these take.
        pytest.param([1.0] * 40 + [1800.0] * 20, 1.02, 400, id="short, then long"),
    ],
)
def test_slots_are_used_again_soon(
    run_times: Sequence[float], max_times: float, max_polls: int, round_trip: float
) -> None:
    pace = SimulatedLooker(run_times, round_trip).pace()
    launches_in_a_slot = len(run_times) / _AT_ONCE
    # A poll and a launch lie between the end of a task and the start of the next.
    least = without_lag(run_times) + 2 * round_trip * launches_in_a_slot
    assert pace.seconds <= max_times * least
    assert pace.polls <= max_polls
    assert pace.max_in_flight == _AT_ONCE


@pytest.mark.parametrize(("round_trip", "max_times"), [(0.01, 1.04), (0.1, 1.1), (0.25, 1.23)])
def test_slots_of_known_queries_are_used_again_with_few_polls(
    round_trip: float, max_times: float
) -> None:
    # In a later run, the longest start first.
    run_times = sorted(_ONE_TO_THREE_SECONDS, reverse=True)
    memories = [RunTime(seconds) for seconds in run_times]
    pace = SimulatedLooker(run_times, round_trip, memories=memories).pace()
    assert pace.seconds <= max_times * max(sum(run_times) / _AT_ONCE, *run_times)
    assert pace.polls <= 40


# What is known of a load: how many times as long as its tasks take earlier runs say they do.
_TEN_TO_THIRTY_SECONDS = [10 + 20 * (n + 0.5) / 10 for n in range(10)]


@pytest.mark.parametrize(
    ("polling", "max_polls", "max_lateness"), [("prompt", 8, 5.0), ("sparing", 5, 5.5)]
)
def test_known_queries_that_all_run_are_polled_when_they_end(
    polling: str, max_polls: int, max_lateness: float
) -> None:
    memories = [RunTime(seconds) for seconds in _TEN_TO_THIRTY_SECONDS]
    pace = SimulatedLooker(_TEN_TO_THIRTY_SECONDS, 0.1, memories=memories, polling=polling).pace()
    assert pace.polls <= max_polls
    assert pace.lateness_of_last <= 1.5
    assert max(pace.lateness) <= max_lateness


def test_sparing_polls_of_long_known_queries_are_no_more_than_the_queries() -> None:
    run_times = sorted((60 + 18.0 * n for n in range(30)), reverse=True)
    memories = [RunTime(seconds) for seconds in run_times]
    pace = SimulatedLooker(run_times, 0.1, memories=memories, polling="sparing").pace()
    assert pace.polls <= 30
    assert all(
        late <= max(5, 0.1 * seconds) + 0.01 * seconds + 1
        for late, seconds in zip(sorted(pace.lateness), sorted(run_times), strict=True)
    )


@pytest.mark.parametrize(("polling", "max_polls"), [("prompt", 118), ("sparing", 38)])
def test_external_tasks_that_end_evenly_take_few_polls(polling: str, max_polls: int) -> None:
    ends = [3.0 * (n + 1) for n in range(200)]
    pace = SimulatedLooker(ends, 0.1, external=True, polling=polling).pace()
    assert pace.polls <= max_polls


# Hundreds of random loads: what earlier runs say of them, and what that costs.


def play_random_load(seed: int, memory: float | None, *, is_cached: bool = False) -> Pace:
    """Run some queries, `memory` times as long as which earlier runs say they take."""
    random = Random(seed)  # noqa: S311 - run times, not secrets
    typical, count_ = 10 ** random.uniform(0, 2.5), random.randint(2, 10)
    round_trip, slots = random.choice([0.02, 0.1, 0.25]), random.choice([4, 10])
    run_times = [typical * 10 ** random.uniform(-0.4, 0.4) for _ in range(count_)]
    memories = [
        memory and RunTime(seconds * memory * random.uniform(0.97, 1.03), 0.02 * seconds * memory)
        for seconds in run_times
    ]
    return SimulatedLooker(
        [0.05] * count_ if is_cached else run_times,
        round_trip,
        memories=[known or None for known in memories],
        max_concurrent_tasks=slots,
    ).pace()


@cache
def without_memory() -> list[Pace]:
    return [play_random_load(seed, None) for seed in range(100)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("memory", "max_polls", "max_time"),
    [
        pytest.param(1, 0.45, 1.0, id="right"),
        pytest.param(0.1, 1.1, 1.05, id="ten times too short"),
        pytest.param(10, 0.6, 1.1, id="ten times too long"),
    ],
)
def test_memories_save_polls_and_wrong_ones_cost_little_time(
    memory: float, max_polls: float, max_time: float
) -> None:
    known, unknown = [play_random_load(seed, memory) for seed in range(100)], without_memory()
    assert sum(p.polls for p in known) <= max_polls * sum(p.polls for p in unknown)
    assert mean(a.seconds / b.seconds for a, b in zip(known, unknown, strict=True)) <= max_time


def test_ten_known_queries_take_at_most_twenty_calls_whenever_they_end() -> None:
    random = Random(4)  # noqa: S311 - run times, not secrets
    for _ in range(30):
        run_times = sorted((random.uniform(10, 30) for _ in range(10)), reverse=True)
        memories = [RunTime(seconds, 0.01 * seconds) for seconds in run_times]
        pace = SimulatedLooker(run_times, 0.1, memories=memories).pace()
        # Login, ten launches and logout are the other twelve.
        assert pace.polls <= 8
        assert pace.lateness_of_last <= 1.5


@pytest.mark.parametrize("memory", [0.1, 10])
@pytest.mark.parametrize(
    ("shortest", "longest", "queries", "loads"),
    [(10, 30, 10, 40), (60, 600, 3, 40), (1, 3, 60, 6)],
)
def test_the_last_task_is_noticed_hardly_later_if_all_memories_are_wrong(
    shortest: float, longest: float, queries: int, loads: int, memory: float
) -> None:
    random = Random(5)  # noqa: S311 - run times, not secrets
    run_times = [[random.uniform(shortest, longest) for _ in range(queries)] for _ in range(loads)]
    wrong = [
        SimulatedLooker(times, 0.1, memories=[RunTime(memory * each) for each in times]).pace()
        for times in run_times
    ]
    unknown = [SimulatedLooker(times, 0.1).pace() for times in run_times]
    latest = mean(pace.lateness_of_last for pace in wrong)
    assert latest <= 1.1 * mean(pace.lateness_of_last for pace in unknown)
    assert mean(a.seconds / b.seconds for a, b in zip(wrong, unknown, strict=True)) <= 1.1


def test_results_from_the_cache_are_noticed_soon() -> None:
    paces = [play_random_load(seed, 1, is_cached=True) for seed in range(100)]
    assert max(max(pace.lateness) for pace in paces) < 2.3


def test_no_poll_is_repeated_at_the_same_moment() -> None:
    random = Random(2)  # noqa: S311 - run times, not secrets
    settings = Settings.from_config(_CREDENTIALS)
    for seconds in (random.uniform(0.5, 30) for _ in range(200)):
        # Moments are rounded to a quarter of a microsecond.
        now = 1_790_000_000.0 + random.random()
        expected = RunTime(seconds, 0.03 * seconds)
        task = LaunchedTask("t", "q", launched_at=now, expected=expected)
        followed = FollowedTask(task)
        schedule = PollSchedule(settings, {"t": followed})
        schedule.note_launch(task, others_wait=True)
        while now < task.launched_at + 2 * seconds:
            now = schedule.next_moment(now)
            poll = schedule.take_poll(now)
            assert poll
            schedule.note_status(followed, now, is_finished=False)
            schedule.note_end(poll, now, others_wait=True)
            assert schedule.next_moment(now) > now + 0.001


def test_how_long_ago_an_earlier_run_launched_a_task_does_not_affect_others() -> None:
    settings = Settings.from_config(_CREDENTIALS)
    old = LaunchedTask("old", "old", launched_at=0.0)
    board = TaskBoard(settings, tasks=[FollowedTask(old)], queries=[Launch("new")])
    now = 1000.0
    while not isinstance(action := board.next_action(now), Wait):
        if isinstance(action, Prepare):
            board.note(RequestFinished(action), now)
        elif isinstance(action, Launch):
            board.note(TaskCreated(action, LaunchedTask("new", "new", launched_at=now)), now)
        else:
            assert isinstance(action, Poll)
            board.note(StatusReceived(action, "old", "complete", _RESULT), now)
            board.note(RequestFinished(action), now)
    assert action == Wait(0.25)


def test_launches_and_preparations_wait_after_a_rejection_for_load() -> None:
    settings = Settings.from_config(_CREDENTIALS | {"max_concurrent_tasks": 2})
    queue = LaunchQueue(settings, [Launch("x"), Launch("y")], abandoned=())
    # What is not prepared can be, whichever slots are free.
    assert queue.next_moment(0, in_flight=2) == 0
    assert queue.take_preparation(0) == Prepare("x")
    queue.note_prepared("x")
    launch = queue.take_launch(0, in_flight=0)
    assert launch == Launch("x")
    assert queue.postpone(launch, 0, retry_after=5, in_flight=0)
    assert queue.next_moment(4.9, in_flight=0) == 5
    assert queue.take_preparation(4.9) is None
    assert queue.take_launch(4.9, in_flight=0) is None
    assert queue.take_preparation(5) == Prepare("y")
    assert queue.take_launch(5, in_flight=0) == Launch("x")
    # The other is being prepared, and one slot is left of two.
    assert queue.next_moment(5, in_flight=0) == inf
    queue.note_prepared("y")
    assert queue.next_moment(5, in_flight=0) == 5
    assert queue.next_moment(5, in_flight=1) == inf
