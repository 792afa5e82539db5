"""The two kinds of query tasks, and what is known of one that is being followed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from tap_looker_tasks.queries import UNKNOWN_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_looker_tasks.queries import RunTime


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
            doubted_since = now if self.doubted_since is None else self.doubted_since
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
        started_at = task.launched_at if isinstance(task, LaunchedTask) else self.first_seen_at
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
