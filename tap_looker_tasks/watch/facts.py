"""Facts of a run, task by task, from its events; every moment is a parameter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from enum import Enum

import msgspec

from tap_looker_tasks.tasks import (
    Cancelled,
    Collected,
    Launched,
    LaunchedTask,
    LaunchFailed,
    ProgressEvent,
)
from tap_looker_tasks.wording import one_line

_COMPLETE = "complete"
_SHARED_ID_LENGTH = 22
# Maximum length of an error in a report; a log line has its start only.
_MAX_ERROR_LENGTH = 20_000


class Stage(Enum):
    """Progress of a task, or its end."""

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


Phase = tuple[Stage, float, float]
"""One of `PHASES`, with its start and its end in epoch seconds."""


class TaskFacts(msgspec.Struct, eq=False, array_like=True):
    """Facts of one query task, or of a query that has none yet.

    A report has these values unchanged, in the order in which its script reads them.

    Attributes:
        name: Stream of the query; None for an external task.
        stage: Current stage.
        query_task_id: Looker's ID; None before the launch.
        query_id: Looker's ID of the query, if known.
        link: Address or path of the query in Looker's pages, if known.
        attempt: Number of the launch, from 1.
        status: Last status from Looker.
        error: Reason of its failure.
        row_count: Rows of the result, as Looker reports them or as delivered so far.
        collected_bytes: Size of the response.
        delivered_bytes: Size of the messages written for it.
        runtime_seconds: Run time, as Looker reports it.
        queued_at: Epoch seconds, like all moments below; None for what did not happen.
        running_at: Moment when it was launched, or first followed in this run.
        finished_at: Moment when its final status arrived.
        collected_at: Moment when its result arrived.
        delivering_at: Moment when its first record was written.
        ended_at: Moment of its last event in this run.
        is_launched: Whether this run of the tap or an earlier one launched it.
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
        """Name that users know it by."""
        return self.name or f"query task {self.query_task_id}"

    def phases(self, now: float) -> list[Phase]:
        """Return the phases that took time, in order; an unfinished one lasts until `now`."""
        moments = (
            self.delivering_at,
            self.collected_at,
            self.finished_at,
            self.running_at,
            self.queued_at,
        )
        end = now if self.ended_at is None else self.ended_at
        phases: list[Phase] = []
        for stage, begin in zip(reversed(PHASES), moments, strict=True):
            if begin is not None:
                # The parts of a run record their moments separately; no phase lasts below zero.
                end = max(begin, end)
                phases.append((stage, begin, end))
                end = begin
        return phases[::-1]


def _page_of(query_id: str | None) -> str | None:
    """Return the page of a query that was run; an ID of 22 characters ends its share URL."""
    return f"/x/{query_id}" if query_id and len(query_id) == _SHARED_ID_LENGTH else None


class RunFacts:
    """Facts of a run so far.

    Attributes:
        started_at: Epoch seconds of its start.
        calls: Number of requests to Looker so far, by operation.
        call_limit: Maximum number of requests; None for no limit.
        slots: Maximum number of tasks that run in Looker concurrently.
        run_id: Setting `run_id`, if it is set.
        ended_at: Epoch seconds of its end; None until then.
        exit_status: Exit status of the command; None until its end.
        error: Reason of the run's failure; None until its end, or if it succeeded.
        tasks: All tasks, and queries without one, in the order of their first event.
        launches: Number of tasks launched in this run.
        row_count: Number of rows delivered.
        delivered_bytes: Size of the rows delivered.
        collected_bytes: Size of the responses received.
        changes: Number of events so far.
    """

    def __init__(
        self,
        started_at: float,
        calls: Counter[str],
        call_limit: int | None = None,
        slots: int = 1,
        run_id: str | None = None,
    ) -> None:
        """Start empty, at `started_at` in epoch seconds."""
        self.started_at = started_at
        self.calls = calls
        self.call_limit = call_limit
        self.slots = slots
        self.run_id = run_id
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
        self._response_bytes_delivered = 0
        self._seconds_delivering = 0.0
        self._finishes = 0
        self._seconds_running = 0.0
        self._last_event: ProgressEvent | None = None

    @property
    def total(self) -> int:
        """Number of tasks and queries of the run; a query launched again counts once."""
        return len(self.tasks) - self.count(Stage.RELAUNCHED)

    def count(self, *stages: Stage) -> int:
        """Return the number of tasks in any of the stages."""
        return sum(len(self._in_stage[stage]) for stage in stages)

    def in_stage(self, stage: Stage) -> Collection[TaskFacts]:
        """Return the tasks in a stage; the one that has been there longest comes first."""
        return self._in_stage[stage].keys()

    def expected_seconds(self, task: TaskFacts) -> float | None:
        """Return the seconds that the task's query took in an earlier run, if known."""
        return self._expected.get(task.name or "")

    def expect(self, name: str, runtime_seconds: float | None, page: str | None = None) -> None:
        """Record a query's run time in an earlier run, and its page in Looker, if known."""
        if runtime_seconds is not None:
            self._expected[name] = runtime_seconds
        if page is not None:
            self._pages[name] = page

    def note(self, event: ProgressEvent, now: float) -> None:
        """Record an event of the run at `now`, in epoch seconds."""
        if event is self._last_event:
            # An interrupt came upon it, and the end of the run shows it again.
            return
        match event:
            case Launched(task):
                self.launched(task, now)
            case Collected(query_task_id, status, size, seconds, at):
                self.finished(query_task_id, status, at - seconds)
                self.collected(query_task_id, size, at)
            case LaunchFailed(query_name, reason):
                self.not_launched(query_name, reason, now)
            case Cancelled(task):
                self.cancelled(task.query_task_id, now)
        self._last_event = event

    def queued(self, name: str, at: float) -> None:
        """Record that a query waits for a slot."""
        self._find_queued(name, at).queued_at = at

    def launched(self, launched: LaunchedTask, at: float) -> None:
        """Record the creation of a query's task, which replaces a lost one, if there was one."""
        name, query_id = launched.query_name, launched.query_id
        task = self._find_queued(name, at)
        task.query_task_id, task.query_id = launched.query_task_id, query_id
        task.attempt, task.is_launched, task.running_at = launched.attempt, True, at
        task.link = launched.share_url or _page_of(query_id) or self._pages.get(name)
        self._by_id[launched.query_task_id] = task
        self.launches += 1
        self._move(task, Stage.RUNNING)

    def followed(self, query_task_id: str, at: float, name: str | None = None) -> None:
        """Record an existing task that is followed: external, or resumed with its name."""
        task = self._find(query_task_id)
        task.name, task.is_launched, task.running_at = name, name is not None, at
        if name:
            self._by_name[name] = task

    def finished(self, query_task_id: str, status: str, at: float) -> None:
        """Record that a task has its final status in Looker."""
        task = self._find(query_task_id)
        task.status, task.finished_at = status, at
        if task.running_at is not None:
            self._finishes += 1
            self._seconds_running += max(0.0, at - task.running_at)
        self._move(task, Stage.COLLECTING)

    def collected(self, query_task_id: str, size_bytes: int, at: float) -> None:
        """Record that a task's result has arrived."""
        task = self._find(query_task_id)
        task.collected_bytes, task.collected_at = size_bytes, at
        self.collected_bytes += size_bytes
        self._move(task, Stage.COLLECTED)

    def delivering(self, query_task_id: str, at: float) -> None:
        """Record that a task's records are being written."""
        task = self._find(query_task_id)
        task.delivering_at = at
        self._move(task, Stage.DELIVERING)

    def rows(self, query_task_id: str, count: int, size_bytes: int, at: float) -> None:
        """Record that some rows of a task were written."""
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
        """Record that a task's last record is written; it failed unless it is complete.

        Args:
            query_task_id: Looker's ID of the task.
            status: Final status.
            row_count: Number of its rows; None without a result.
            error: Message of its error, if it failed.
            runtime_seconds: Seconds that the query took, as Looker reports them.
            at: Epoch seconds.
        """
        task = self._find(query_task_id)
        task.status, task.runtime_seconds = status, runtime_seconds
        task.error = error and _safe_lines(error)
        if row_count is not None and not task.row_count:
            # The rows are in the task's own record.
            task.row_count = row_count
            self.row_count += row_count
        if task.delivering_at is not None:
            self._seconds_delivering += max(0.0, at - task.delivering_at)
        self._response_bytes_delivered += task.collected_bytes
        is_good = status == _COMPLETE and error is None
        self._end(task, Stage.DELIVERED if is_good else Stage.FAILED, at)

    def not_launched(self, name: str, reason: str, at: float) -> None:
        """Record that a query's task could not be created."""
        task = self._find_queued(name, at)
        task.error = _safe_lines(reason)
        self._end(task, Stage.NOT_LAUNCHED, at)

    def cancelled(self, query_task_id: str, at: float) -> None:
        """Record that the tap cancelled a task in Looker."""
        task = self._find(query_task_id)
        # A task that timed out is also cancelled, and stays a failed one.
        if task.ended_at is None:
            self._end(task, Stage.CANCELLED, at)

    def left(self, query_task_id: str, status: str, at: float) -> None:
        """Record that a task is unfinished and left for the next run."""
        task = self._find(query_task_id)
        task.status = status
        self._end(task, Stage.LEFT, at)

    def ended(self, exit_status: int, error: str | None, at: float) -> None:
        """Record the end of the run; unfinished tasks are left for the next run."""
        self.ended_at, self.exit_status, self.error = at, exit_status, error
        for task in self.tasks:
            if task.ended_at is None:
                self._end(task, Stage.LEFT, at)

    def time_left(self, now: float) -> float | None:
        """Return the seconds that the run will still take; None if that cannot be estimated.

        A query unknown to earlier runs is estimated to need this run's average task time; a target,
        as long for the collected results as it took for the delivered ones.
        """
        usual = self._seconds_running / self._finishes if self._finishes else None
        rests: list[float] = []
        for task in (*self.in_stage(Stage.QUEUED), *self.in_stage(Stage.RUNNING)):
            expected = self._expected.get(task.name or "", usual)
            if expected is None:
                return None
            rests.append(max(0.0, expected - now + (task.running_at or now)))
        in_looker = max(*rests, sum(rests) / self.slots) if rests else 0.0
        return max(in_looker, self._seconds_to_deliver()) or None

    def _seconds_to_deliver(self) -> float:
        """Return the estimated seconds to deliver the collected results, at the speed so far."""
        if not self._response_bytes_delivered:
            return 0.0
        waiting = max(0, self.collected_bytes - self._response_bytes_delivered)
        return waiting * self._seconds_delivering / self._response_bytes_delivered

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
