"""What the board wants done, what it is told of it, and the events that follow from that."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tap_looker_tasks.results import TaskEntry
    from tap_looker_tasks.tasks.query_task import FollowedTask, LaunchedTask, QueryTask


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
