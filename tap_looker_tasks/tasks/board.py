"""The `TaskBoard`: decides the next action for a set of query tasks; performs none itself.

Theory
------
The board is a state machine. It receives the time and the results of the requests that it returned,
and decides two things: the request to start now, and the events that follow from a report. It has
no clock, sends no request and starts no thread, so a test can feed it any order of events that a
network can produce.

A query passes through these states, one at a time:

    queued --Prepare--> prepared --Launch--> followed --Poll--> outcome
                                                 |                ^
                                                 | lost           | Fetch, when `multi_results`
                                                 v                | has no result for it
                                   Cancel, then queued again   fetching

An external task starts at `followed` and ends at its outcome; it is never cancelled.

Invariants:

- A slot is taken from the start of a launch until Looker reports the task's end, or has
  cancelled it: at most `max_concurrent_tasks` tasks launched here run in Looker.
- At most ten times `max_concurrent_tasks` tasks are missing from STATE: a kill orphans them.
- At most `max_connections` requests are in progress. A request is in progress from the
  `next_action` that returned it until the report `TaskCreated`, `RequestFinished` or
  `RequestFailed`.
- Each followed task has one outcome: one `Outcome`, or one that `leave` returns at the end.
- A query is launched only if Looker no longer runs its previous task, in any run.
- `Done` comes last, once no request in progress is waited for.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import TypeVar, assert_never

from tap_looker_tasks.config import Settings
from tap_looker_tasks.errors import (
    ApiCallLimitError,
    QueryError,
    RequestRejectedError,
    RetriableRequestError,
    StillRunningError,
)
from tap_looker_tasks.tasks.query_task import (
    ABSENT,
    ADDED,
    COMPLETE,
    ERROR,
    KILLED,
    TIMEOUT,
    Action,
    Cancel,
    CancelFailed,
    Cancelled,
    Done,
    Event,
    Fetch,
    FollowedTask,
    Launch,
    Launched,
    LaunchedTask,
    LaunchFailed,
    Outcome,
    Phase,
    Poll,
    Prepare,
    Report,
    Request,
    RequestFailed,
    RequestFinished,
    StatusReceived,
    StoredResult,
    TaskCreated,
    Wait,
    phase_of,
)
from tap_looker_tasks.tasks.schedule import LaunchQueue, PollSchedule

_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndTimes:
    """Seconds from the moment when a run must end, each until something is no longer waited for.

    Users are promised an end within five seconds; the last one is the interpreter's.

    Attributes:
        launches: Launches in progress when `sync_timeout_seconds` are over, whose tasks should
            be known.
        cancellations: Responses to cancellations, so that a retried one may still arrive.
        requests: All requests; those that cancel tasks of launches in progress come last.
        threads: All threads together; one that still hangs ends with the process.
        logout: The last STATE and the logout; a token that stays expires on its own.
        last_state: Maximum time for the last STATE, if the target does not read.
    """

    launches: float = 2.0
    cancellations: float = 2.5
    requests: float = 3.5
    threads: float = 3.75
    logout: float = 4.0
    last_state: float = 0.5


END_TIMES = EndTimes()

# With a target that stops reading for a minute, slots stay full if queries take 6 s or longer.
UNNAMED_LAUNCHES_PER_SLOT = 10


class TaskBoard:
    """Decides the next action for a set of query tasks."""

    def __init__(
        self,
        settings: Settings,
        *,
        tasks: Iterable[FollowedTask] = (),
        queries: Iterable[Launch] = (),
        abandoned: Iterable[LaunchedTask] = (),
        stop_at: float = inf,
    ) -> None:
        """Start with existing tasks and queries to launch, until `stop_at`.

        Abandoned tasks were launched by an earlier run and are no longer needed.
        """
        self._settings = settings
        self._followed = {task.query_task_id: task for task in tasks}
        self._polls = PollSchedule(settings, self._followed)
        self._to_cancel = deque(abandoned)
        self._queue = LaunchQueue(settings, queries, self._to_cancel)
        self._to_fetch: deque[str] = deque()
        self._fetching: dict[str, FollowedTask] = {}
        # Lost tasks that are cancelled before their query is launched again.
        self._lost: dict[str, Outcome] = {}
        self._launches: Counter[str] = Counter()
        self._launched_here = sum(task.is_launched for task in self._followed.values())
        self._in_progress: list[Request] = []
        self._is_launching_held = False
        self._unnamed_launches = 0
        self._known_ids = {*self._followed}
        self._stop_at = stop_at
        self._is_drained = False

    def next_action(self, now: float) -> Action:
        """Return the action for `now`, in epoch seconds; a returned request is in progress."""
        if len(self._in_progress) < self._settings.max_connections:
            request = self._next_request(now)
            if request is not None:
                self._in_progress.append(request)
                return request
        moment = self._next_moment(now)
        if self._is_over(now) or (moment == inf and not self._in_progress):
            return Done()
        return Wait(max(0.0, min(moment, self._end(now)) - now))

    def _next_request(self, now: float) -> Request | None:
        if self._to_cancel:
            return Cancel(self._to_cancel.popleft())
        if now >= self._stop_at:
            return None
        return (
            self._queue.take_launch(now, self._slots_taken())
            or (Fetch(self._to_fetch.popleft()) if self._to_fetch else None)
            or (self._polls.take_poll(now) if self._may_poll() else None)
            or self._queue.take_preparation(now)
        )

    def _may_poll(self) -> bool:
        """Return whether a poll leaves connections for launches, which are short."""
        polls = len(self._pending(Poll)) + len(self._pending(Fetch))
        reserved = 2 if self._queue and self._settings.max_connections > 2 else 0  # noqa: PLR2004
        return polls < self._settings.max_connections - reserved

    def _next_moment(self, now: float) -> float:
        """Return when `next_action` may return a request, without another report."""
        if now >= self._stop_at or len(self._in_progress) >= self._settings.max_connections:
            return inf
        launch_at = self._queue.next_moment(now, self._slots_taken())
        return min(launch_at, self._polls.next_moment(now)) if self._may_poll() else launch_at

    def _end(self, now: float) -> float:
        """Return when the run must end, even with requests in progress."""
        if now < self._stop_at:
            return self._stop_at
        return inf if self._is_drained else self._stop_at + END_TIMES.launches

    def _is_over(self, now: float) -> bool:
        """Return whether the run must end, and no request in progress is waited for."""
        if now < self._stop_at:
            return False
        is_awaited = bool(self._in_progress) if self._is_drained else self.is_awaiting()
        return now >= self._end(now) or not is_awaited

    def _slots_taken(self) -> int:
        launching = len(self._pending(Launch))
        most = UNNAMED_LAUNCHES_PER_SLOT * self._settings.max_concurrent_tasks
        if self._is_launching_held or self._unnamed_launches + launching >= most:
            return self._settings.max_concurrent_tasks
        cancelling = len(self._pending(Cancel)) + len(self._to_cancel)
        return self._launched_here + launching + cancelling

    def hold_launching(self, *, is_held: bool) -> None:
        """Stop launching while `is_held`, because collected results wait for the target."""
        self._is_launching_held = is_held

    def note_named(self, count: int) -> None:
        """Record that a STATE names that many more launches."""
        self._unnamed_launches -= count

    def stop(self, now: float) -> None:
        """Start nothing more; requests in progress are waited for."""
        self._stop_at = min(self._stop_at, now)
        self._is_drained = True

    def is_awaiting(self) -> bool:
        """Return whether a launch or a cancellation is in progress, or is to be."""
        return any(map(self._pending, (Launch, Cancel))) or bool(self._to_cancel)

    def drop(self, request: Request) -> None:
        """Record that a request is over, with any result."""
        self._in_progress.remove(request)

    def _pending(self, kind: type[_Kind]) -> list[_Kind]:
        """Return the requests of a kind that are in progress."""
        return [request for request in self._in_progress if isinstance(request, kind)]

    def leave(self) -> list[Event]:
        """Return the events of tasks that a finished run leaves to the next one."""
        no_response = "no response before the run ended; Looker may still run it"
        cancels = (request.task for request in self._pending(Cancel))
        unfinished = (*self._followed.values(), *self._fetching.values())
        return [
            *(CancelFailed(task, "the run ended first") for task in (*cancels, *self._to_cancel)),
            *(LaunchFailed(each.query_name, no_response) for each in self._pending(Launch)),
            *(replace(outcome, finished_at=None) for outcome in self._lost.values()),
            *(Outcome(task, task.status or ADDED) for task in unfinished),
        ]

    def take_cancellations(self, max_seconds: float, *, of_all: bool) -> list[Request]:
        """Return requests that cancel abandoned tasks, or all launched ones if `of_all`."""
        launched = (task.task for task in self._followed.values())
        for task in [task for task in launched if of_all and isinstance(task, LaunchedTask)]:
            del self._followed[task.query_task_id]
            self._to_cancel.append(task)
        cancels: list[Request] = [Cancel(task, max_seconds) for task in self._to_cancel]
        self._to_cancel.clear()
        self._in_progress += cancels
        return cancels

    def note(self, report: Report, now: float) -> list[Event]:
        """Record the result of a request; return the events that follow from it.

        Raises:
            RequestError: If no further request to Looker can succeed.
        """
        if isinstance(report, StatusReceived):
            return self._note_status(report, now)
        self.drop(report.request)
        match report:
            case TaskCreated(task=task):
                return self._note_created(task, now)
            case RequestFinished(request):
                return self._note_end(request, now)
            case RequestFailed(request, ApiCallLimitError() as error):
                return self._note_limit(request, error, now)
            case RequestFailed(request, error):
                return self._note_failure(request, error, now)
            case _:
                assert_never(report)

    def _note_created(self, task: LaunchedTask, now: float) -> list[Event]:
        self._queue.note_created()
        self._launches[task.query_name] += 1
        if task.query_task_id in self._known_ids:
            return self._note_same_id(task, now)
        self._known_ids.add(task.query_task_id)
        self._polls.note_launch(task, others_wait=bool(self._queue))
        self._launched_here += 1
        self._unnamed_launches += 1
        self._followed[task.query_task_id] = FollowedTask(task)
        return [Launched(task)]

    def _note_same_id(self, task: LaunchedTask, now: float) -> list[Event]:
        """Fail the queries that Looker gave one id, because either could own its result."""
        problem = f"Looker gave two tasks the id {task.query_task_id}; run again"
        other = self._followed.get(task.query_task_id)
        if other is None or not other.is_launched:
            return [LaunchFailed(task.query_name, problem)]
        del self._followed[task.query_task_id]
        self._polls.note_status(other, now, is_finished=True)
        self._free_slot(other)
        self._to_cancel.append(task)
        outcome = Outcome(other, ERROR, now, problem=problem)
        return [LaunchFailed(task.query_name, problem), outcome]

    def _note_status(self, report: StatusReceived, now: float) -> list[Event]:
        if task := self._fetching.pop(report.query_task_id, None):
            return [Outcome(task, COMPLETE, now, stored=report.stored)]
        followed = self._followed.get(report.query_task_id)
        if followed is None:
            return []
        if report.status is None:
            # The next response may be complete; until then, this one does not count.
            self._followed[report.query_task_id] = replace(followed, problem=report.problem)
            return []
        return self._see(followed, report.status, now, stored=report.stored)

    def _see(
        self,
        task: FollowedTask,
        status: str,
        now: float,
        *,
        stored: StoredResult | None = None,
        problem: str | None = None,
    ) -> list[Event]:
        """Record a task's status; return its outcome once the status is final."""
        seen = task.see(status, now, problem)
        final_status = seen.final_status(now, seen.deadline(self._settings))
        is_finished = final_status is not None
        self._polls.note_status(seen, now, is_finished=is_finished)
        if final_status is None:
            self._followed[seen.query_task_id] = seen
            return []
        del self._followed[seen.query_task_id]
        if final_status == COMPLETE and stored is None:
            self._fetching[seen.query_task_id] = replace(seen, status=task.status)
            self._to_fetch.append(seen.query_task_id)
            self._free_slot(seen)
            return []
        # An abandoned task keeps the last status that Looker reported.
        kept = stored if final_status == status else None
        return self._conclude(Outcome(seen, final_status, now, stored=kept, problem=problem))

    def _conclude(self, outcome: Outcome) -> list[Event]:
        self._free_slot(outcome.followed)
        launched = outcome.task
        if not isinstance(launched, LaunchedTask):
            return [outcome]
        if self._may_launch_again(launched, outcome.status):
            self._lost[launched.query_task_id] = outcome
            self._to_cancel.append(launched)
            return []
        if outcome.status == TIMEOUT or phase_of(outcome.status) is not Phase.FINAL:
            self._to_cancel.append(launched)
        return [outcome]

    def _free_slot(self, task: FollowedTask) -> None:
        if task.is_launched:
            self._launched_here -= 1
            self._queue.note_finished()

    def _may_launch_again(self, task: LaunchedTask, status: str) -> bool:
        launches = self._launches[task.query_name]
        # An earlier run may have cancelled it, and its target died before the state was saved.
        is_cancelled_before = status == KILLED and not launches
        is_lost = is_cancelled_before or phase_of(status) is Phase.DOUBTFUL
        return is_lost and launches < self._settings.max_task_attempts

    def _note_end(self, request: Request, now: float) -> list[Event]:
        match request:
            case Prepare(query_name):
                self._queue.note_prepared(query_name)
            case Poll():
                return self._note_poll_end(request, now)
            case Cancel(task):
                return self._note_cancelled(task)
        return []

    def _note_poll_end(self, request: Poll, now: float) -> list[Event]:
        """Record polled tasks without an entry as `absent`."""
        without_status = [self._followed[id_] for id_ in self._polls.without_status(request)]
        events = [
            event
            for task in without_status
            for event in self._see(task, ABSENT, now, problem=task.problem)
        ]
        self._polls.note_end(request, now, others_wait=bool(self._queue))
        return events

    def _note_cancelled(self, task: LaunchedTask) -> list[Event]:
        self._queue.release(task.query_task_id)
        if self._lost.pop(task.query_task_id, None):
            self._queue.queue_again(task.query_name, task.attempt + 1)
        return [Cancelled(task)]

    def _note_failure(self, request: Request, error: Exception, now: float) -> list[Event]:
        match request:
            case Cancel(task):
                return self._note_not_cancelled(task, error)
            case _ if ends_the_run(error):
                raise error
            case Launch() | Prepare():
                return self._note_launch_failure(request, error, now)
            case Poll():
                return self._note_poll_failure(request, error, now)
            case Fetch(query_task_id):
                problem = f"complete, but Looker did not return its result: {error}"
                fetched = self._fetching.pop(query_task_id)
                return [Outcome(fetched, ERROR, now, problem=problem)]

    def _note_limit(self, request: Request, error: Exception, now: float) -> list[Event]:
        """Leave a request that was not sent, and its tasks, to the next run."""
        self.stop(now)
        match request:
            case Poll():
                self._polls.put_back(request)
            case Launch() | Prepare():
                self._queue.put_back(request)
            case Cancel(task):
                return self._note_not_cancelled(task, error)
        return []

    def _note_not_cancelled(self, task: LaunchedTask, error: Exception) -> list[Event]:
        outcome = self._lost.pop(task.query_task_id, None)
        events: list[Event] = [*([outcome] if outcome else []), CancelFailed(task, str(error))]
        if self._queue.release(task.query_task_id) and isinstance(error, StillRunningError):
            self._queue.give_up(task.query_name)
            events.append(LaunchFailed(task.query_name, f"its task of an earlier run: {error}"))
        return events

    def _note_launch_failure(
        self, request: Launch | Prepare, error: Exception, now: float
    ) -> list[Event]:
        if isinstance(error, RetriableRequestError) and error.safe_to_retry:
            if not self._queue.postpone(request, now, error.retry_after, self._slots_taken()):
                raise error
            return []
        # Looker may have started it: another launch might run it twice.
        self._queue.give_up(request.query_name)
        return [LaunchFailed(request.query_name, str(error))]

    def _note_poll_failure(self, request: Poll, error: Exception, now: float) -> list[Event]:
        was_repeated = isinstance(error, RetriableRequestError) and not request.is_probe
        if not self._polls.note_failure(request, now, was_repeated=was_repeated):
            if self._polls.is_given_up:
                raise error
            return []
        (query_task_id,) = request.query_task_ids
        task = self._followed[query_task_id]
        return self._see(task, ABSENT, now, problem=str(error))


# Consequences of a failed request for the others.

_UNAUTHORIZED = 401


def ends_the_run(error: Exception) -> bool:
    """Return whether every other request would fail also: wrong credentials, address, disk."""
    if isinstance(error, RequestRejectedError):
        return error.http_status == _UNAUTHORIZED
    return not isinstance(error, RetriableRequestError | QueryError | ValueError)
