"""What has happened in a run, task by task; told with every moment, asks for nothing."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from tap_looker_tasks.tasks import Cancelled, Collected, Launched, LaunchFailed
from tap_looker_tasks.wording import one_line

if TYPE_CHECKING:
    from collections.abc import Collection

    from tap_looker_tasks.tasks import ProgressEvent

_COMPLETE = "complete"
_SHARED_ID_LENGTH = 22
# A report shows an error whole, up to this; a line of the log, its beginning.
_MAX_ERROR_LENGTH = 20_000


class Stage(Enum):
    """Where a task is, or how it ended."""

    QUEUED = "queued"
    RUNNING = "running in Looker"
    COLLECTING = "collecting"
    COLLECTED = "waiting for the target"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    FAILED = "failed"
    NOT_LAUNCHED = "not launched"
    CANCELLED = "cancelled"
    RELAUNCHED = "launched again"
    LEFT = "left for the next run"

    # There is one of each: hashing it by its name, as Enum does, would take longer than the rest.
    __hash__ = object.__hash__


PHASES = (Stage.QUEUED, Stage.RUNNING, Stage.COLLECTING, Stage.COLLECTED, Stage.DELIVERING)
"""The stages that take time, in their order."""
_PHASES_BACKWARDS = PHASES[::-1]


Phase = tuple[Stage, float, float]
"""One of `PHASES`, with its begin and its end in epoch seconds."""


class TaskFacts(msgspec.Struct, eq=False, array_like=True):
    """What is known of one query task, or of a query that has none yet.

    A report holds these values as they are, in this order, which its script reads them in.

    Attributes:
        name: the query's stream; None for an external task.
        stage: where it is now.
        query_task_id: Looker's id; None before the launch.
        query_id: Looker's id of the query, when known.
        link: address or path of the query in Looker's pages, when known.
        attempt: number of the launch, from 1.
        status: Looker's last word.
        error: why it failed.
        row_count: rows of the result, as Looker tells them or as delivered so far.
        collected_bytes: size of the answer.
        delivered_bytes: size of what was written for it.
        runtime_seconds: as Looker reports it.
        queued_at: epoch seconds, like all moments below; None for what did not happen.
        running_at: launched, or followed for the first time in this run.
        finished_at: its final status was seen.
        collected_at: its result is here.
        delivering_at: its first record is written.
        ended_at: nothing more happens to it in this run.
        is_launched: whether this run of the tap or an earlier one launched it.
    """

    name: str | None
    stage: Stage
    query_task_id: str | None = None
    query_id: str | None = None
    link: str | None = None
    attempt: int = 1
    status: str | None = None
    error: str | None = None
    row_count: int = 0
    collected_bytes: int = 0
    delivered_bytes: int = 0
    runtime_seconds: float | None = None
    queued_at: float | None = None
    running_at: float | None = None
    finished_at: float | None = None
    collected_at: float | None = None
    delivering_at: float | None = None
    ended_at: float | None = None
    is_launched: bool = False

    @property
    def title(self) -> str:
        """The name that people know it by."""
        return self.name or f"query task {self.query_task_id}"

    def phases(self, now: float) -> list[Phase]:
        """Return what took time, in order; what is not over lasts until `now`."""
        moments = (
            self.delivering_at,
            self.collected_at,
            self.finished_at,
            self.running_at,
            self.queued_at,
        )
        end = now if self.ended_at is None else self.ended_at
        phases: list[Phase] = []
        for stage, begin in zip(_PHASES_BACKWARDS, moments, strict=True):
            if begin is not None:
                # The parts of a run tell their moments on their own; none of them lasts below
                # nothing.
                end = max(begin, end)
                phases.append((stage, begin, end))
                end = begin
        return phases[::-1]


def _page_of(query_id: str | None) -> str | None:
    """Return the page of a query as it was run; an ID of 22 characters ends its share URL."""
    return f"/x/{query_id}" if query_id and len(query_id) == _SHARED_ID_LENGTH else None


class RunFacts:
    """What has happened in a run so far.

    Attributes:
        started_at: epoch seconds.
        ended_at: epoch seconds; None while it goes on.
        exit_status: of the command; None while it goes on.
        error: why the run failed; None while it goes on, or when it did not.
        tasks: all of them, and queries without one, in the order in which they were told of.
        launches: tasks launched in this run.
        row_count: rows delivered.
        delivered_bytes: size of the rows delivered.
        collected_bytes: size of the answers that came.
        changes: how often something was told.
    """

    def __init__(self, started_at: float) -> None:
        """Begin with nothing, at `started_at` in epoch seconds."""
        self.started_at = started_at
        self.ended_at: float | None = None
        self.exit_status: int | None = None
        self.error: str | None = None
        self.tasks: list[TaskFacts] = []
        self.launches = 0
        self.row_count = 0
        self.delivered_bytes = 0
        self.collected_bytes = 0
        self.changes = 0
        self._in_stage: dict[Stage, dict[TaskFacts, None]] = {stage: {} for stage in Stage}
        self._by_id: dict[str, TaskFacts] = {}
        self._by_name: dict[str, TaskFacts] = {}
        self._expected: dict[str, float] = {}
        self._pages: dict[str, str] = {}
        self._answer_bytes_delivered = 0
        self._seconds_delivering = 0.0
        self._finishes = 0
        self._seconds_running = 0.0

    @property
    def total(self) -> int:
        """Tasks and queries of the run; a query launched again counts once."""
        return len(self.tasks) - self.count(Stage.RELAUNCHED)

    def count(self, *stages: Stage) -> int:
        """Return how many tasks are in one of the stages."""
        return sum(len(self._in_stage[stage]) for stage in stages)

    def in_stage(self, stage: Stage) -> Collection[TaskFacts]:
        """Return the tasks in a stage; the one that is there for longest comes first."""
        return self._in_stage[stage].keys()

    def expected_seconds(self, task: TaskFacts) -> float | None:
        """Return how long the task's query took in an earlier run, if that is known."""
        return self._expected.get(task.name or "")

    def expect(self, name: str, runtime_seconds: float | None, page: str | None = None) -> None:
        """Note how long a query took in an earlier run, and its page in Looker, if known."""
        if runtime_seconds is not None:
            self._expected[name] = runtime_seconds
        if page is not None:
            self._pages[name] = page

    def note(self, event: ProgressEvent, now: float) -> None:
        """Note an event of the run at `now`, in epoch seconds."""
        match event:
            case Launched(task):
                name = task.query_name
                page = _page_of(task.query_id) or self._pages.get(name)
                self.launched(task.query_task_id, name, task.query_id, task.attempt, now, page)
            case Collected(query_task_id, status, size, seconds, at):
                self.finished(query_task_id, status, at - seconds)
                self.collected(query_task_id, size, at)
            case LaunchFailed(query_name, reason):
                self.not_launched(query_name, reason, now)
            case Cancelled(task):
                self.cancelled(task.query_task_id, now)

    def queued(self, name: str, at: float) -> None:
        """Note that a query waits for a slot."""
        self._find_queued(name, at).queued_at = at

    def launched(
        self,
        query_task_id: str,
        name: str,
        query_id: str | None,
        attempt: int,
        at: float,
        link: str | None = None,
    ) -> None:
        """Note that a query's task was created, in place of one that was lost, if there was one.

        Args:
            query_task_id: Looker's id of the task.
            name: the query's stream.
            query_id: Looker's id of the query.
            attempt: number of the launch, from 1.
            at: epoch seconds.
            link: address or path of the query in Looker's pages, when known.
        """
        task = self._find_queued(name, at)
        task.query_task_id, task.query_id, task.attempt = query_task_id, query_id, attempt
        task.link, task.is_launched, task.running_at = link, True, at
        self._by_id[query_task_id] = task
        self.launches += 1
        self._move(task, Stage.RUNNING)

    def followed(self, query_task_id: str, at: float, name: str | None = None) -> None:
        """Note that a task is followed that exists already: external, or resumed with its name."""
        task = self._find(query_task_id)
        task.name, task.is_launched, task.running_at = name, name is not None, at
        if name:
            self._by_name[name] = task

    def finished(self, query_task_id: str, status: str, at: float) -> None:
        """Note that a task has its final status in Looker."""
        task = self._find(query_task_id)
        task.status, task.finished_at = status, at
        if task.running_at is not None:
            self._finishes += 1
            self._seconds_running += max(0.0, at - task.running_at)
        self._move(task, Stage.COLLECTING)

    def collected(self, query_task_id: str, size_bytes: int, at: float) -> None:
        """Note that a task's result is here."""
        task = self._find(query_task_id)
        task.collected_bytes, task.collected_at = size_bytes, at
        self.collected_bytes += size_bytes
        self._move(task, Stage.COLLECTED)

    def delivering(self, query_task_id: str, at: float) -> None:
        """Note that a task's records are being written."""
        task = self._find(query_task_id)
        task.delivering_at = at
        self._move(task, Stage.DELIVERING)

    def rows(self, query_task_id: str, count: int, size_bytes: int, at: float) -> None:
        """Note that some rows of a task were written."""
        task = self._find(query_task_id)
        if task.delivering_at is None:
            self.delivering(query_task_id, at)
        task.row_count += count
        task.delivered_bytes += size_bytes
        self.row_count += count
        self.delivered_bytes += size_bytes
        self.changes += 1

    def delivered(
        self,
        query_task_id: str,
        status: str,
        row_count: int | None,
        error: str | None,
        runtime_seconds: float | None,
        at: float,
    ) -> None:
        """Note that a task's last record is written; it failed unless it is complete."""
        task = self._find(query_task_id)
        task.status, task.runtime_seconds = status, runtime_seconds
        task.error = error and _safe_lines(error)
        if row_count is not None and not task.row_count:
            # The rows went into the task's own record.
            task.row_count = row_count
            self.row_count += row_count
        if task.delivering_at is not None:
            self._seconds_delivering += max(0.0, at - task.delivering_at)
        self._answer_bytes_delivered += task.collected_bytes
        is_good = status == _COMPLETE and error is None
        self._end(task, Stage.DELIVERED if is_good else Stage.FAILED, at)

    def not_launched(self, name: str, reason: str, at: float) -> None:
        """Note that a query's task could not be created."""
        task = self._find_queued(name, at)
        task.error = _safe_lines(reason)
        self._end(task, Stage.NOT_LAUNCHED, at)

    def cancelled(self, query_task_id: str, at: float) -> None:
        """Note that the tap cancelled a task in Looker."""
        task = self._find(query_task_id)
        # A task that timed out is cancelled too, and stays one that failed.
        if task.ended_at is None:
            self._end(task, Stage.CANCELLED, at)

    def left(self, query_task_id: str, status: str, at: float) -> None:
        """Note that a task is unfinished and left for the next run."""
        task = self._find(query_task_id)
        task.status = status
        self._end(task, Stage.LEFT, at)

    def ended(self, exit_status: int, error: str | None, at: float) -> None:
        """Note that the run is over; whatever has not ended is left for the next run."""
        self.ended_at, self.exit_status, self.error = at, exit_status, error
        for task in self.tasks:
            if task.ended_at is None:
                self._end(task, Stage.LEFT, at)

    def time_left(self, now: float, slots: int) -> float | None:
        """Return the seconds that the run will still take; None when nothing tells.

        A query that no earlier run knows is taken to need as long as this run's tasks did on
        average; a target, as long for what is here as for what it has taken.
        """
        usual = self._mean_seconds()
        rests: list[float] = []
        for task in (*self.in_stage(Stage.QUEUED), *self.in_stage(Stage.RUNNING)):
            expected = self._expected.get(task.name or "", usual)
            if expected is None:
                return None
            rests.append(max(0.0, expected - now + (task.running_at or now)))
        in_looker = max(*rests, sum(rests) / slots) if rests else 0.0
        return max(in_looker, self._seconds_to_deliver()) or None

    def _mean_seconds(self) -> float | None:
        return self._seconds_running / self._finishes if self._finishes else None

    def _seconds_to_deliver(self) -> float:
        """Return how long it takes to deliver what is here, at the speed so far."""
        if not self._answer_bytes_delivered:
            return 0.0
        waiting = max(0, self.collected_bytes - self._answer_bytes_delivered)
        return waiting * self._seconds_delivering / self._answer_bytes_delivered

    def _find(self, query_task_id: str) -> TaskFacts:
        task = self._by_id.get(query_task_id)
        if task is None:
            task = self._add(TaskFacts(None, Stage.RUNNING, query_task_id=query_task_id))
            self._by_id[query_task_id] = task
        return task

    def _find_queued(self, name: str, at: float) -> TaskFacts:
        """Return the query that waits to be launched; a task it still has was lost."""
        task = self._by_name.get(name)
        if task and task.stage is Stage.QUEUED:
            return task
        if task and task.ended_at is None:
            self._end(task, Stage.RELAUNCHED, at)
        self._by_name[name] = self._add(TaskFacts(name, Stage.QUEUED))
        return self._by_name[name]

    def _add(self, task: TaskFacts) -> TaskFacts:
        self.tasks.append(task)
        self._in_stage[task.stage][task] = None
        self.changes += 1
        return task

    def _end(self, task: TaskFacts, stage: Stage, at: float) -> None:
        task.ended_at = at
        self._move(task, stage)

    def _move(self, task: TaskFacts, stage: Stage) -> None:
        del self._in_stage[task.stage][task]
        task.stage = stage
        self._in_stage[stage][task] = None
        self.changes += 1


def _safe_lines(text: str) -> str:
    return "\n".join(map(one_line, text[:_MAX_ERROR_LENGTH].splitlines()))
