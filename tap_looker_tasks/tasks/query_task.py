"""Query tasks, their statuses, and the requests, reports and events about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf
from types import MappingProxyType
from typing import Protocol

from tap_looker_tasks.config import Settings
from tap_looker_tasks.queries import UNKNOWN_LIMITS, Limits, RunTime
from tap_looker_tasks.results import TaskEntry


@dataclass(frozen=True, slots=True)
class ExternalTask:
    """A query task created by another program; never cancelled or launched again.

    Attributes:
        query_task_id: Looker's ID of the task.
    """

    query_task_id: str


@dataclass(frozen=True, slots=True)
class LaunchedTask:
    """A query task that this tap created, in this run or an earlier one.

    Attributes:
        query_task_id: Looker's ID of the task.
        query_name: Stream of the query that it was launched for.
        query_id: Looker's ID of the query.
        attempt: Number of the launch, from 1.
        launched_at: Epoch seconds of the launch.
        fingerprint: Hash of the query as it was configured.
        limits: Row and column limits that cut off its result, if known.
        expected: Run time of its query in earlier runs, if known.
        share_url: Address in Looker that shares its query, if known.
    """

    query_task_id: str
    query_name: str
    query_id: str | None = None
    attempt: int = 1
    launched_at: float = 0.0
    fingerprint: str | None = None
    limits: Limits = UNKNOWN_LIMITS
    expected: RunTime | None = None
    share_url: str | None = None


QueryTask = ExternalTask | LaunchedTask


@dataclass(frozen=True, slots=True)
class FollowedTask:
    """A query task whose status is not yet final.

    Attributes:
        task: The query task.
        status: Last status from Looker, or `absent`; None before the first response.
        first_seen_at: Epoch seconds of Looker's first response.
        doubted_since: Epoch seconds since which the status has been unconfirmed.
        problem: Error in Looker's last entry, if it could not be understood.
    """

    task: QueryTask
    status: str | None = None
    first_seen_at: float | None = None
    doubted_since: float | None = None
    problem: str | None = None

    @property
    def query_task_id(self) -> str:
        """Looker's ID of the task."""
        return self.task.query_task_id

    @property
    def is_launched(self) -> bool:
        """Return whether this tap created it."""
        return isinstance(self.task, LaunchedTask)

    def see(self, status: str, now: float, problem: str | None = None) -> FollowedTask:
        """Return the task after Looker reported `status` at `now`, in epoch seconds."""
        doubted_since = None
        if phase_of(status) is Phase.DOUBTFUL:
            doubted_since = now if self.doubted_since is None else min(now, self.doubted_since)
        # `replace` would take longer than the rest of a poll with thousands of tasks.
        return FollowedTask(
            self.task,
            status=status,
            first_seen_at=now if self.first_seen_at is None else self.first_seen_at,
            doubted_since=doubted_since,
            problem=problem,
        )

    def deadline(self, settings: Settings) -> float:
        """Return when the present status becomes the outcome, unless Looker reports another.

        In epoch seconds; `inf` before Looker's first response for an external task.
        """
        task = self.task
        started_at = self.first_seen_at
        if isinstance(task, LaunchedTask):
            # A future moment comes from a clock that was set back since.
            moments = (task.launched_at, self.first_seen_at)
            started_at = min(moment for moment in moments if moment is not None)
        if started_at is None:
            return inf
        doubted_since = inf if self.doubted_since is None else self.doubted_since
        return min(
            started_at + settings.task_timeout_seconds,
            doubted_since + settings.expired_grace_seconds,
        )

    def final_status(self, now: float, deadline: float) -> str | None:
        """Return the final status at `now`; None while Looker may still report another."""
        status = self.status or ABSENT
        if phase_of(status) is Phase.FINAL:
            return status
        if now < deadline:
            return None
        # An unknown status is more informative than `timeout` would be.
        return TIMEOUT if PHASES.get(status) is Phase.UNFINISHED else status


# Query task statuses, in one table.

ABSENT = "absent"
TIMEOUT = "timeout"
COMPLETE = "complete"
ADDED = "added"
ERROR = "error"
KILLED = "killed"


class Phase(Enum):
    """Meaning of a status for the task."""

    FINAL = "the outcome"
    DOUBTFUL = "an outcome that Looker may take back"
    UNFINISHED = "no outcome yet"


PHASES: Mapping[str, Phase] = MappingProxyType(
    {
        COMPLETE: Phase.FINAL,
        ERROR: Phase.FINAL,
        "failure": Phase.FINAL,
        KILLED: Phase.FINAL,
        TIMEOUT: Phase.FINAL,
        # Looker sometimes reports running tasks as expired for about a second, and a new task
        # may be unknown to the node that responds.
        "expired": Phase.DOUBTFUL,
        "missing": Phase.DOUBTFUL,
        ABSENT: Phase.DOUBTFUL,
        ADDED: Phase.UNFINISHED,
        "pending": Phase.UNFINISHED,
        "running": Phase.UNFINISHED,
    }
)
"""Every status known, in lower case."""


def phase_of(status: str) -> Phase:
    """Return the phase of a status in lower case; an unknown status is treated as unfinished."""
    return PHASES.get(status, Phase.UNFINISHED)


# Requests, reports and events between board and collector.

# Actions: each except the last two is started immediately and reported when it is over.


@dataclass(frozen=True, slots=True)
class Prepare:
    """Look up the query, and store the body to run in Looker."""

    query_name: str


@dataclass(frozen=True, slots=True)
class Launch:
    """Create the task of a query.

    Attributes:
        query_name: Name of the query.
        attempt: Number of the launch, from 1.
    """

    query_name: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Poll:
    """Poll tasks in one request.

    Attributes:
        query_task_ids: IDs of the tasks.
        is_probe: Whether an earlier request for them failed, so this one is tried only once.
    """

    query_task_ids: tuple[str, ...]
    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fetch the result of a task that `multi_results` reports complete without one."""

    query_task_id: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel a task that this tap launched, in at most `max_seconds`."""

    task: LaunchedTask
    max_seconds: float = inf


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for this many seconds, or until something is reported."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do in this run."""


Request = Prepare | Launch | Poll | Fetch | Cancel
Action = Request | Wait | Done


class StoredResult(Protocol):
    """A task's entry with its result, stored until delivery; the board only passes it on.

    Attributes:
        size_bytes: Length of the result, its rows included.
        transfer_seconds: Seconds that the result took to arrive.
    """

    size_bytes: int
    transfer_seconds: float

    def take(self) -> TaskEntry:
        """Return the entry and remove it from the store."""

    def discard(self) -> None:
        """Remove the entry from the store."""


@dataclass(frozen=True, slots=True)
class TaskCreated:
    """The task of a `Launch` was created."""

    request: Launch
    task: LaunchedTask


@dataclass(frozen=True, slots=True)
class StatusReceived:
    """Looker reported the status of one task of a `Poll`, or sent the result of a `Fetch`.

    Attributes:
        request: Request that the report is about.
        query_task_id: Looker's ID of the task.
        status: Looker's status in lower case; None if the entry could not be understood.
        stored: Result that came with it; None for a status alone.
        problem: Reason why the entry could not be understood.
    """

    request: Poll | Fetch
    query_task_id: str
    status: str | None
    stored: StoredResult | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """A request is over, and all its results were reported."""

    request: Prepare | Poll | Fetch | Cancel


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """A request failed; `error` shows whether a later one may succeed."""

    request: Request
    error: Exception


Report = TaskCreated | StatusReceived | RequestFinished | RequestFailed


@dataclass(frozen=True, slots=True)
class Launched:
    """A task was just created."""

    task: LaunchedTask


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """A query's task could not be created.

    Attributes:
        query_name: Name of the query.
        reason: Message of the error.
    """

    query_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A task launched by the tap no longer runs."""

    task: LaunchedTask


@dataclass(frozen=True, slots=True)
class CancelFailed:
    """A task launched by the tap is no longer needed, and may still run.

    Attributes:
        task: The task.
        reason: Message of the error that kept it from being cancelled.
    """

    task: LaunchedTask
    reason: str


@dataclass(frozen=True, slots=True)
class Collected:
    """A task's outcome was collected and waits for delivery.

    Attributes:
        query_task_id: Looker's ID of the task.
        status: Final status of the task.
        size_bytes: Length of its result.
        transfer_seconds: Seconds that its request took.
        at: Epoch seconds of its arrival.
    """

    query_task_id: str
    status: str
    size_bytes: int
    transfer_seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a followed task, at its delivery.

    Attributes:
        followed: The task as it was last seen.
        status: Final status, or the last one seen if the run ends before the task.
        finished_at: Epoch seconds at which it finished; None if it is unfinished.
        stored: Entry with its result; None for a status alone.
        problem: Error in Looker's entry, if it could not be understood; the next run then polls the
            task again.
    """

    followed: FollowedTask
    status: str
    finished_at: float | None = None
    stored: StoredResult | None = None
    problem: str | None = None

    @property
    def task(self) -> QueryTask:
        """The query task that was followed."""
        return self.followed.task


ProgressEvent = Launched | LaunchFailed | Cancelled | CancelFailed | Collected
Event = ProgressEvent | Outcome
