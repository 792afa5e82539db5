"""Query task statuses, and the `TaskBoard` that says what to do next about the tasks."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tap_looker_tasks.settings import Settings

ABSENT = "absent"
TIMEOUT = "timeout"
_PAUSE_GROWTH = 1.5
# Of the time a task has been running, when others wait for its slot.
_LONGEST_LAG = 0.05
# Looker takes about 10,240 bytes of query string; a comma may be sent as `%2C`.
_MAX_BATCH_BYTES = 10_000
_SEPARATOR_BYTES = 3


class Phase(Enum):
    """What a status says about the task."""

    FINAL = "the outcome"
    DOUBTFUL = "an outcome that Looker may take back"
    UNFINISHED = "no outcome yet"


PHASES: Mapping[str, Phase] = MappingProxyType(
    {
        "complete": Phase.FINAL,
        "error": Phase.FINAL,
        "failure": Phase.FINAL,
        "killed": Phase.FINAL,
        TIMEOUT: Phase.FINAL,
        # Looker reports running tasks as expired for about a second now and then, and a task
        # just created may be unknown to the node that answers.
        "expired": Phase.DOUBTFUL,
        "missing": Phase.DOUBTFUL,
        ABSENT: Phase.DOUBTFUL,
        "added": Phase.UNFINISHED,
        "pending": Phase.UNFINISHED,
        "running": Phase.UNFINISHED,
    }
)
"""Every status known, in lower case."""


def phase_of(status: str) -> Phase:
    """Tell what a status says, in lower case; a word nobody knows is taken for unfinished."""
    return PHASES.get(status, Phase.UNFINISHED)


@dataclass(frozen=True, slots=True)
class QueuedQuery:
    """A query whose task is still to be created.

    Attributes:
        query_name: the query's stream.
        attempt: number of the launch, from 1.
        not_before: epoch seconds.
    """

    query_name: str
    attempt: int = 1
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Running:
    """A query task that exists in Looker and whose outcome is not believed yet.

    Attributes:
        query_task_id: Looker's id.
        query_name: the query it was launched for; None for a task made elsewhere.
        attempt: number of the launch, from 1.
        launched_at: epoch seconds; None for a task made elsewhere.
        first_seen_at: epoch seconds of Looker's first answer.
        status: what Looker said last, or `absent`; None before the first answer.
        doubted_since: epoch seconds since which the status has been a doubtful one.
        batch_limit: ids that may be asked for together with this one.
        query_id: Looker's id of the query; None for a task made elsewhere.
    """

    query_task_id: str
    query_name: str | None = None
    attempt: int = 1
    launched_at: float | None = None
    first_seen_at: float | None = None
    status: str | None = None
    doubted_since: float | None = None
    batch_limit: int | None = None
    query_id: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A query task whose outcome is believed.

    Attributes:
        task: the task as it was last seen.
        status: its final status.
        finished_at: epoch seconds.
    """

    task: Running
    status: str
    finished_at: float


@dataclass(frozen=True, slots=True)
class Launch:
    """Create the query's task, then tell `launched`, `launch_postponed` or `launch_failed`."""

    query: QueuedQuery


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask for these tasks in one request; tell `answered` for each, then `poll_ended`.

    `poll_refused` takes the place of both when Looker refuses the request as a whole. Those to
    be asked for next, if nothing comes between, are `following`.
    """

    query_task_ids: tuple[str, ...]
    following: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel this task, which was launched here."""

    task: Running


@dataclass(frozen=True, slots=True)
class Wait:
    """Let this many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do in this run."""


Action = Launch | Poll | Cancel | Wait | Done


class TaskBoard:
    """Decides what to do next about a set of query tasks; does nothing itself.

    Polling goes in rounds. A round asks for every running task once, in batches. The pause
    before the next round grows while nothing finishes; the more of the tasks finished in a
    round, the sooner comes the next.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        running: Iterable[Running],
        waiting: Iterable[QueuedQuery] = (),
        abandoned: Iterable[Running] = (),
        stop_at: float = inf,
    ) -> None:
        """Take up tasks that exist already and queries to launch, until `stop_at`.

        Tasks abandoned were launched by an earlier run, and are of no use any more.
        """
        self._settings = settings
        self._running = {task.query_task_id: task for task in running}
        self._waiting = deque(waiting)
        self._stop_at = stop_at
        self._launched_here = sum(task.launched_at is not None for task in self._running.values())
        self._capacity = settings.max_concurrent_tasks
        self._launches: Counter[str] = Counter()
        self._to_cancel = deque(abandoned)
        self._due: deque[str] = deque()
        self._unanswered: set[str] = set()
        self._round_at = 0.0
        self._pause = settings.poll_interval_seconds
        self._launched_at = -inf
        self._asked = self._finished = 0

    def next_action(self, now: float) -> Action:
        """Say what to do at `now`, in epoch seconds."""
        if self._to_cancel:
            return Cancel(self._to_cancel.popleft())
        if now >= self._stop_at:
            return Done()
        if self._may_launch() and now >= self._waiting[0].not_before:
            return Launch(self._waiting[0])
        if not self._due:
            self._due.extend(self._to_ask(now))
        if self._due:
            return Poll(self._next_batch(), following=self._first_due())
        moments = [*self._moments()]
        return Wait(max(0.0, min(*moments, self._stop_at) - now)) if moments else Done()

    def stop(self) -> None:
        """Leave what is unfinished to the next run."""
        self._stop_at = -inf

    def unfinished(self) -> tuple[Running, ...]:
        """Tell the tasks without an outcome."""
        return tuple(self._running.values())

    def launched(self, query_task_id: str, query_id: str, now: float) -> Running:
        """Take in that the task of the last `Launch` was created."""
        launch = self._waiting.popleft()
        task = Running(
            query_task_id,
            launch.query_name,
            launch.attempt,
            launched_at=now,
            query_id=query_id,
        )
        self._launches[launch.query_name] += 1
        self._running[query_task_id] = task
        self._launched_here += 1
        self._launched_at = now
        # It cannot be ready at once, and the others are not asked more often for its sake.
        self._pause = self._settings.poll_interval_seconds
        self._round_at = max(self._round_at, now + self._pause)
        return task

    def launch_postponed(self, now: float, retry_after: float | None) -> None:
        """Take in that Looker has too much to do: launch less at once for a while."""
        self._capacity = max(1, min(self._capacity, self._launched_here) // 2)
        pause = self._settings.poll_max_interval_seconds if retry_after is None else retry_after
        self._waiting[0] = replace(self._waiting[0], not_before=now + pause)

    def launch_failed(self) -> None:
        """Take in that the task of the last `Launch` cannot be created."""
        self._waiting.popleft()

    def answered(self, query_task_id: str, status: str, now: float) -> Finished | None:
        """Take in what Looker said of one task; the outcome, once it is believed."""
        self._unanswered.discard(query_task_id)
        task = self._running.get(query_task_id)
        if task is None:
            return None
        seen = self._seen(task, status, now)
        final_status = self._believed(seen, now)
        if final_status is None:
            self._running[query_task_id] = seen
            return None
        del self._running[query_task_id]
        self._finished += 1
        if seen.launched_at is not None:
            self._free_slot(seen, final_status)
            if self._is_launched_again(seen, final_status):
                return None
        return Finished(seen, final_status, now)

    def poll_ended(self, now: float) -> list[Finished]:
        """Take in that the answer to the last `Poll` is over: tasks not in it are `absent`."""
        outcomes = [self.answered(id_, ABSENT, now) for id_ in sorted(self._unanswered)]
        if not self._due:
            self._end_round(now)
        return [finished for finished in outcomes if finished]

    def poll_refused(self, query_task_ids: Sequence[str], now: float) -> list[Finished]:
        """Take in that Looker refused a whole batch: its tasks are asked for in smaller ones.

        One bad id condemns no other: only a task refused on its own counts as `absent`.
        """
        if len(query_task_ids) == 1:
            return self.poll_ended(now)
        for query_task_id in query_task_ids:
            task = self._running[query_task_id]
            self._running[query_task_id] = replace(task, batch_limit=len(query_task_ids) // 2)
        self._due.extendleft(reversed(query_task_ids))
        return []

    def _may_launch(self) -> bool:
        return bool(self._waiting) and self._launched_here < self._capacity

    def _to_ask(self, now: float) -> list[str]:
        """Every task in the order asked for, when a round is due; else nothing."""
        if not self._settings.wait_for_completion:
            return [id_ for id_, task in self._running.items() if task.status is None]
        return list(self._running) if now >= min(self._moments(), default=inf) else []

    def _moments(self) -> Iterator[float]:
        """When something is to be done next, in epoch seconds."""
        if self._may_launch():
            yield self._waiting[0].not_before
        if self._running and self._settings.wait_for_completion:
            yield self._round_at
            deadlines = map(self._deadline, self._running.values())
            yield from (deadline for deadline in deadlines if deadline is not None)

    def _deadline(self, task: Running) -> float | None:
        """When the task's present status becomes its outcome, unless Looker says otherwise."""
        started_at = _first(task.launched_at, task.first_seen_at)
        if started_at is None:
            return None
        deadline = started_at + self._settings.task_timeout_seconds
        if task.doubted_since is None:
            return deadline
        return min(deadline, task.doubted_since + self._settings.expired_grace_seconds)

    def _next_batch(self) -> tuple[str, ...]:
        """Take the next ids to ask for."""
        batch = self._first_due()
        for _ in batch:
            self._due.popleft()
        self._asked += len(batch)
        self._unanswered = set(batch)
        return batch

    def _first_due(self) -> tuple[str, ...]:
        """Tell as many ids as fit a request; those of a refused batch keep among themselves."""
        limit = self._running[self._due[0]].batch_limit if self._due else None
        room = _MAX_BATCH_BYTES
        batch: list[str] = []
        for id_ in islice(self._due, limit or self._settings.batch_size):
            room -= len(id_) + _SEPARATOR_BYTES
            if (batch and room < 0) or self._running[id_].batch_limit != limit:
                break
            batch.append(id_)
        return tuple(batch)

    def _end_round(self, now: float) -> None:
        fastest, slowest = (
            self._settings.poll_interval_seconds,
            self._settings.poll_max_interval_seconds,
        )
        # A round of many requests in which few tasks finish is not worth repeating so soon.
        unfinished_share = 1 - self._finished / self._asked if self._asked else 1.0
        pause = self._pause * _PAUSE_GROWTH * unfinished_share**2
        if self._waiting:
            # A slot may be free that nobody knows of.
            pause = min(pause, (now - self._launched_at) * _LONGEST_LAG)
        self._pause = min(slowest, max(fastest, pause))
        self._round_at = now + self._pause
        self._asked = self._finished = 0

    def _seen(self, task: Running, status: str, now: float) -> Running:
        doubtful = phase_of(status) is Phase.DOUBTFUL
        return replace(
            task,
            status=status,
            first_seen_at=_first(task.first_seen_at, now),
            doubted_since=_first(task.doubted_since, now) if doubtful else None,
            batch_limit=None if task.batch_limit != 1 else 1,
        )

    def _believed(self, task: Running, now: float) -> str | None:
        """The task's final status, or None while Looker may still say something else."""
        status = task.status or ABSENT
        if phase_of(status) is Phase.FINAL:
            return status
        deadline = self._deadline(task)
        if deadline is None or now < deadline:
            return None
        # A word that nobody knows says more than `timeout` would.
        return TIMEOUT if PHASES.get(status) is Phase.UNFINISHED else status

    def _free_slot(self, task: Running, status: str) -> None:
        self._launched_here -= 1
        self._capacity = min(self._settings.max_concurrent_tasks, self._capacity + 1)
        if status == TIMEOUT or phase_of(status) is Phase.UNFINISHED:
            self._to_cancel.append(task)

    def _is_launched_again(self, task: Running, status: str) -> bool:
        lost = phase_of(status) is Phase.DOUBTFUL
        if not lost or task.query_name is None:
            return False
        if self._launches[task.query_name] >= self._settings.max_task_attempts:
            return False
        self._waiting.append(QueuedQuery(task.query_name, task.attempt + 1))
        return True


def _first(*moments: float | None) -> float | None:
    """Tell the first moment that is known."""
    return next((moment for moment in moments if moment is not None), None)
