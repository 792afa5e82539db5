"""One run: follows and launches query tasks, and saves their outcomes in state."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import inf
from typing import TypeVar

from tap_looker_tasks.errors import RequestRejectedError
from tap_looker_tasks.launching import Launcher
from tap_looker_tasks.queries import QueryKeeper
from tap_looker_tasks.records import to_rfc3339
from tap_looker_tasks.run.collector import Collector, Idle, RequestRunner
from tap_looker_tasks.store import ResultStore, return_freed_memory
from tap_looker_tasks.tasks import (
    CancelFailed,
    Cancelled,
    Event,
    FollowedTask,
    Launch,
    Launched,
    LaunchedTask,
    Ledger,
    Outcome,
    ProgressEvent,
    TaskBoard,
)

# An end is noticed sooner than after this many times the run time and a second.
_MAX_LATENESS = 2
_MAX_CACHED_SECONDS = 5
# <https://docs.cloud.google.com/looker/docs/looker-limits>: rows of the task table, 360 minutes.
_MAX_TASK_AGE_SECONDS = 6 * 3600.0
_Event = TypeVar("_Event", bound="Event | Idle")


class Run:
    """Follows external tasks and tasks in flight, and launches the other queries.

    Each event is saved in the ledger before it is yielded.

    Attributes:
        keepers: Queries of the run, each with its state, by name.
        tasks: Tasks that existed before the run.
        queued: Names of the queries to launch, in order.
    """

    def __init__(
        self, launcher: Launcher, ledger: Ledger, logger: logging.Logger, run_id: str | None = None
    ) -> None:
        """Decide which tasks to follow and which queries to launch.

        Queries that a run named `run_id` has delivered are not launched again.

        Raises:
            RequestError: If the Look of a query in flight cannot be fetched.
        """
        settings, clock = launcher.settings, launcher.clock
        self.keepers = launcher.keepers
        self._ledger = ledger
        self._logger = logger
        self._launcher = launcher
        resumed = self._resume(clock.now())
        in_flight = {task.query_name for task in resumed}
        followed = [*ledger.tasks_to_follow(), *(_follow(task, clock.now()) for task in resumed)]
        self._run_id = run_id
        skipped = in_flight | self._delivered_before()
        self.queued = [name for name in longest_first(self.keepers) if name not in skipped]
        self.tasks = [each.task for each in followed]
        stop_at = clock.now() + (settings.sync_timeout_seconds or inf)
        abandoned, queries = ledger.tasks_to_cancel(), map(Launch, self.queued)
        board = TaskBoard(
            settings, tasks=followed, queries=queries, abandoned=abandoned, stop_at=stop_at
        )
        results = ResultStore()
        requests = RequestRunner(launcher, results)
        self._collector = Collector(
            board, requests, results, clock=clock, logger=logger, deliver_until=stop_at
        )

    def start(self) -> None:
        """Start collecting."""
        return_freed_memory()
        self._collector.start()

    def events(self) -> Iterator[Event | Idle]:
        """Yield events; an outcome before it is saved, which `save` does.

        Raises:
            TapError: If no further request can succeed, or results cannot be stored.
        """
        return self._noted(self._collector.events())

    def news(self) -> Iterator[ProgressEvent]:
        """Yield events other than outcomes, without waiting."""
        return self._noted(self._collector.news())

    def save(
        self, outcome: Outcome, runtime: float | None, *, is_complete: bool, is_cached: bool = False
    ) -> None:
        """Save an outcome, once the task's last record is written.

        Args:
            outcome: Outcome of the task.
            runtime: Seconds the query took, as Looker reports them.
            is_complete: Whether its result arrived without an error.
            is_cached: Whether Looker reports that its result came from the cache.
        """
        self._ledger.save(outcome)
        task = outcome.task
        if (
            not is_complete
            or not isinstance(task, LaunchedTask)
            or task.query_name not in self.keepers
        ):
            return
        if task.query_name in self.queued:
            runtime = _runtime(outcome, task, runtime)
        # Some Lookers report every result as cached; one that took seconds was not.
        if is_cached and (runtime or 0) < _MAX_CACHED_SECONDS:
            runtime = None
        self._launcher.save(task, runtime, self._run_id)

    def end(self, *, cancels: bool) -> Iterator[ProgressEvent]:
        """End all requests and threads in a few seconds; yield what becomes of the tasks.

        Args:
            cancels: Whether tasks that this tap launched and has not collected are cancelled.
        """
        for event in self._collector.end(cancels=cancels):
            if not isinstance(event, Outcome):
                self._note(event)
                yield event
        self._collector.close()

    def _noted(self, events: Iterable[_Event]) -> Iterator[_Event]:
        for event in events:
            self._note(event)
            yield event

    def _note(self, event: Event | Idle) -> None:
        match event:
            case Launched(task):
                self._ledger.note_launched(task)
            case Cancelled(task):
                self._ledger.note_cancelled(task)
            case CancelFailed(task, reason):
                self._ledger.note_to_cancel(task)
                self._logger.warning(
                    "query task %s was not cancelled: %s; the next run cancels it",
                    task.query_task_id,
                    reason,
                )

    def _delivered_before(self) -> set[str]:
        """Return the queries that a run of the same name has delivered."""
        delivered = {
            name
            for name, keeper in self.keepers.items()
            if self._run_id is not None
            and keeper.was_delivered_in(self._run_id, self._launcher.configuration(name))
        }
        if delivered:
            self._logger.info(
                "run_id %s: already delivered, not launched again: %s",
                self._run_id,
                ", ".join(sorted(delivered)),
            )
        return delivered

    def _resume(self, now: float) -> list[LaunchedTask]:
        fingerprints: dict[str, str] = {}
        for name in self._ledger.names_in_flight():
            if name in self.keepers:
                try:
                    fingerprints[name] = self._launcher.fingerprint(name)
                except (RequestRejectedError, ValueError) as error:
                    self._logger.warning("%s: %s", name, error)
        resumed = self._ledger.resume(fingerprints)
        for task in resumed:
            if task.launched_at > now:
                self._logger.warning(
                    "%s: in state, query task %s was launched at %s, which is ahead of this "
                    "machine's clock; treating it as launched now. Check the clock",
                    task.query_name,
                    task.query_task_id,
                    to_rfc3339(task.launched_at),
                )
        return [
            replace(task, expected=self.keepers[task.query_name].last_run.expected)
            for task in resumed
        ]


def _follow(task: LaunchedTask, now: float) -> FollowedTask:
    """Follow a task in flight; an old one is lost without a grace, since Looker forgets tasks."""
    is_old = now - task.launched_at > _MAX_TASK_AGE_SECONDS
    return FollowedTask(task, doubted_since=task.launched_at if is_old else None)


def longest_first(keepers: Mapping[str, QueryKeeper]) -> list[str]:
    """Order queries: those never run in their configured order, then the longest first."""

    def shortness(query_name: str) -> float:
        expected = keepers[query_name].last_run.expected
        return -inf if expected is None else -expected.seconds

    return sorted(keepers, key=shortness)


def _runtime(outcome: Outcome, task: LaunchedTask, reported: float | None) -> float | None:
    """Return the seconds from the launch of a task to its end, as exactly as possible.

    `json_bi` does not report them, and Looker does not count the time a task waited for its turn.
    """
    if outcome.finished_at is None:
        return reported
    observed = max(0.0, outcome.finished_at - task.launched_at)
    is_credible = reported is not None and observed < _MAX_LATENESS * (reported + 1)
    return reported if is_credible else observed
