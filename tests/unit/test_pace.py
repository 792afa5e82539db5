"""How soon slots are used again, and with how many calls, in simulated time."""

from __future__ import annotations

import heapq
from itertools import count
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tap_looker_tasks.config.settings import Settings
from tap_looker_tasks.results.entries import NULL, TaskEntry
from tap_looker_tasks.store.store import ResultStore
from tap_looker_tasks.tasks.actions import (
    Done,
    Launch,
    Outcome,
    Poll,
    Prepare,
    RequestFinished,
    StatusReceived,
    TaskCreated,
    Wait,
)
from tap_looker_tasks.tasks.board import TaskBoard
from tap_looker_tasks.tasks.query_task import LaunchedTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_looker_tasks.tasks.actions import Action, Report

_AT_ONCE = 10
_RESULT = ResultStore().hold(TaskEntry("complete", data=NULL))
_ANY_ORDER = Random(3)  # noqa: S311 - run times, not secrets
_ONE_TO_THREE_SECONDS = _ANY_ORDER.sample([1 + n / 30 for n in range(60)], 60)


class Pace(NamedTuple):
    seconds: float
    polls: int
    most_in_flight: int


class SimulatedLooker:
    """Answers the requests of a board after a round trip, by a clock that waiting moves on."""

    def __init__(self, run_times: Sequence[float], round_trip: float) -> None:
        self._run_times = run_times
        self._round_trip = round_trip
        self._ends_at: dict[str, float] = {}
        self._numbers = count()
        self._answers: list[tuple[float, int, list[Report]]] = []
        self.now = 0.0
        self.polls = 0
        self.most_in_flight = 0
        self._in_flight = 0

    def pace(self) -> Pace:
        given = {"base_url": "https://looker.test", "client_id": "i", "client_secret": "s"}
        settings = Settings.from_config(given | {"task_timeout_seconds": 86_400})
        names = map(str, range(len(self._run_times)))
        board = TaskBoard(settings, queries=map(Launch, names))
        while not isinstance(action := board.next_action(self.now), Done):
            for report in self._reports(action):
                outcomes = board.note(report, self.now)
                self._in_flight -= sum(isinstance(event, Outcome) for event in outcomes)
        return Pace(self.now, self.polls, self.most_in_flight)

    def _reports(self, action: Action) -> list[Report]:
        if not isinstance(action, Wait):
            answer = (self.now + self._round_trip, next(self._numbers), self._answer(action))
            heapq.heappush(self._answers, answer)
            return []
        until = self.now + action.seconds
        if not self._answers or self._answers[0][0] > until:
            self.now = until
            return []
        self.now, _, reports = heapq.heappop(self._answers)
        return reports

    def _answer(self, action: Action) -> list[Report]:
        arrives_at = self.now + self._round_trip / 2
        match action:
            case Launch(name):
                self._ends_at[name] = arrives_at + self._run_times[int(name)]
                self._in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self._in_flight)
                task = LaunchedTask(name, name, launched_at=self.now + self._round_trip)
                return [TaskCreated(action, task)]
            case Poll(ids):
                self.polls += 1
                ended = {id_ for id_ in ids if self._ends_at[id_] <= arrives_at}
                answers = [
                    StatusReceived(action, id_, "complete", _RESULT)
                    if id_ in ended
                    else StatusReceived(action, id_, "running")
                    for id_ in ids
                ]
                return [*answers, RequestFinished(action)]
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
    ("run_times", "most_times", "most_polls"),
    [
        # In a later run, the longest start first.
        pytest.param(_ONE_TO_THREE_SECONDS, 1.035, 125, id="first run"),
        pytest.param(sorted(_ONE_TO_THREE_SECONDS, reverse=True), 1.04, 90, id="later run"),
        pytest.param([30 * n for n in _ONE_TO_THREE_SECONDS], 1.04, 240, id="slow"),
        pytest.param([0.1] * 200, 1.3, 60, id="cached"),
        # The queries before them say nothing of how long these take.
        pytest.param([1.0] * 40 + [1800.0] * 20, 1.02, 400, id="short, then long"),
    ],
)
def test_slots_are_used_again_soon(
    run_times: Sequence[float], most_times: float, most_polls: int, round_trip: float
) -> None:
    pace = SimulatedLooker(run_times, round_trip).pace()
    launches_in_a_slot = len(run_times) / _AT_ONCE
    # A poll and a launch lie between the end of a task and the start of the next.
    least = without_lag(run_times) + 2 * round_trip * launches_in_a_slot
    assert pace.seconds <= most_times * least
    assert pace.polls <= most_polls
    assert pace.most_in_flight == _AT_ONCE
