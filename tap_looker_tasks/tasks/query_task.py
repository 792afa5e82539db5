"""Query tasks and their statuses; and the requests, reports and events about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from tap_looker_tasks.queries import UNKNOWN_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_looker_tasks.queries import RunTime
    from tap_looker_tasks.results import TaskEntry


@dataclass(frozen=True, slots=True)
class ExternalTask:
    """A query task that somebody else created; it is never cancelled nor launched again.

    Attributes:
        query_task_id: Looker's id.
    """

    query_task_id: str


@dataclass(frozen=True, slots=True)
class LaunchedTask:
    """A query task that this tap created, in this run or an earlier one.

    Attributes:
        query_task_id: Looker's id.
        query_name: the stream of the query it was launched for.
        query_id: Looker's id of the query.
        attempt: number of the launch, from 1.
        launched_at: epoch seconds.
        fingerprint: of the query as it was configured.
        limits: what its result is cut off at, as far as it is known.
        expected: How long earlier runs of its query took, if that is known.
    """

    query_task_id: str
    query_name: str
    query_id: str | None = None
    attempt: int = 1
    launched_at: float = 0.0
    fingerprint: str | None = None
    limits: Limits = UNKNOWN_LIMITS
    expected: RunTime | None = None


QueryTask = ExternalTask | LaunchedTask


@dataclass(frozen=True, slots=True)
class FollowedTask:
    """A query task whose outcome is not believed yet.

    Attributes:
        task: it.
        status: what Looker said last, or `absent`; None before the first answer.
        first_seen_at: epoch seconds of Looker's first answer.
        doubted_since: epoch seconds since which the status has been a doubtful one.
        problem: what is wrong with what Looker said last, when that could not be understood.
    """

    task: QueryTask
    status: str | None = None
    first_seen_at: float | None = None
    doubted_since: float | None = None
    problem: str | None = None

    @property
    def query_task_id(self) -> str:
        """Looker's id."""
        return self.task.query_task_id

    @property
    def is_launched(self) -> bool:
        """Whether this tap created it."""
        return isinstance(self.task, LaunchedTask)

    def see(self, status: str, now: float, problem: str | None = None) -> FollowedTask:
        """Return what is known after Looker said `status` at `now`."""
        doubted_since = None
        if phase_of(status) is Phase.DOUBTFUL:
            doubted_since = now if self.doubted_since is None else min(now, self.doubted_since)
        # Not `replace`, which takes as long as all the rest: there may be many tasks.
        return FollowedTask(
            self.task,
            status=status,
            first_seen_at=now if self.first_seen_at is None else self.first_seen_at,
            doubted_since=doubted_since,
            problem=problem,
        )

    def deadline(self, task_timeout: float, grace: float) -> float | None:
        """Return when the present status becomes the outcome, unless Looker says otherwise.

        In epoch seconds; None before Looker answered for an external task.
        """
        task = self.task
        started_at = self.first_seen_at
        if isinstance(task, LaunchedTask):
            # One that lies ahead comes from a clock that was set back since.
            moments = (task.launched_at, self.first_seen_at)
            started_at = min(moment for moment in moments if moment is not None)
        if started_at is None:
            return None
        deadline = started_at + task_timeout
        return deadline if self.doubted_since is None else min(deadline, self.doubted_since + grace)

    def final_status(self, now: float, deadline: float | None) -> str | None:
        """Return the status to believe at `now`; None while Looker may still say another."""
        status = self.status or ABSENT
        if phase_of(status) is Phase.FINAL:
            return status
        if deadline is None or now < deadline:
            return None
        # A word that nobody knows says more than `timeout` would.
        return TIMEOUT if PHASES.get(status) is Phase.UNFINISHED else status


# Query task statuses, in one table.

ABSENT = "absent"
TIMEOUT = "timeout"
COMPLETE = "complete"
ADDED = "added"
ERROR = "error"
KILLED = "killed"


class Phase(Enum):
    """What a status says about the task."""

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
        # Looker reports running tasks as expired for about a second now and then, and a task
        # just created may be unknown to the node that answers.
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
    """Return what a status, in lower case, says; an unknown word is taken for unfinished."""
    return PHASES.get(status, Phase.UNFINISHED)


# What board and collector say to each other: requests, reports, events.

# Actions: each but the last two is begun at once and reported when it is over.


@dataclass(frozen=True, slots=True)
class Prepare:
    """Look the query up, and have Looker store what is to be run."""

    query_name: str


@dataclass(frozen=True, slots=True)
class Launch:
    """Create the query's task; `attempt` is the number of the launch, from 1."""

    query_name: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask for these tasks in one request.

    Attributes:
        query_task_ids: of the tasks.
        is_probe: whether an earlier request for them failed: this one is tried once only.
    """

    query_task_ids: tuple[str, ...]
    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask for the result of a task that `multi_results` reports complete without one."""

    query_task_id: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel this task, which this tap launched, in at most so many seconds."""

    task: LaunchedTask
    max_seconds: float = inf


@dataclass(frozen=True, slots=True)
class Wait:
    """Let this many seconds pass, or fewer when something is reported."""

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
        transfer_seconds: How long it took to arrive.
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
    """Looker said something of one task of a `Poll`, or sent the result of a `Fetch`.

    Attributes:
        request: what it answers.
        query_task_id: of the task.
        status: Looker's word, in lower case; None when the answer could not be understood.
        answer: what came with it; None when it is no more than a status.
        problem: why it could not be understood.
    """

    request: Poll | Fetch
    query_task_id: str
    status: str | None
    answer: StoredResult | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """A request is over, and everything that it brought was reported."""

    request: Prepare | Poll | Fetch | Cancel


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """A request failed; `error` says whether that may pass."""

    request: Request
    error: Exception


Report = TaskCreated | StatusReceived | RequestFinished | RequestFailed


@dataclass(frozen=True, slots=True)
class Launched:
    """A task that was created just now."""

    task: LaunchedTask


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """A query whose task could not be created, for `reason`."""

    query_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A task launched by the tap that does not run any more."""

    task: LaunchedTask


@dataclass(frozen=True, slots=True)
class CancelFailed:
    """A task launched by the tap that nobody waits for, and that may still run."""

    task: LaunchedTask
    reason: str


@dataclass(frozen=True, slots=True)
class Collected:
    """A task whose outcome is here and waits to be delivered.

    Attributes:
        query_task_id: Looker's id.
        status: its final status.
        size_bytes: length of its result.
        transfer_seconds: how long the request took that brought it.
        at: epoch seconds.
    """

    query_task_id: str
    status: str
    size_bytes: int
    transfer_seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of a task when it is delivered.

    Attributes:
        task: it.
        status: its final status, or the last one seen when the run ends before the task.
        first_seen_at: epoch seconds of Looker's first answer, if there was one.
        finished_at: epoch seconds; None when it is unfinished.
        doubted_since: epoch seconds since which the status has been a doubtful one.
        answer: what Looker said, when that is more than a status.
        problem: what is wrong with what Looker said, when that could not be understood; the
            task is then asked for again by the next run.
    """

    task: QueryTask
    status: str
    first_seen_at: float | None = None
    finished_at: float | None = None
    doubted_since: float | None = None
    answer: StoredResult | None = None
    problem: str | None = None


ProgressEvent = Launched | LaunchFailed | Cancelled | CancelFailed | Collected
Event = ProgressEvent | Outcome


def outcome_of(
    task: FollowedTask,
    status: str,
    finished_at: float | None = None,
    *,
    answer: StoredResult | None = None,
    problem: str | None = None,
) -> Outcome:
    """Build the outcome of a task that was followed."""
    return Outcome(
        task.task,
        status,
        first_seen_at=task.first_seen_at,
        finished_at=finished_at,
        doubted_since=task.doubted_since,
        answer=answer,
        problem=problem,
    )
