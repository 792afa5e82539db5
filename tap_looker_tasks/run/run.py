"""One run: follows and launches query tasks, and notes in state what becomes of them."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, TypeVar

from tap_looker_tasks.errors import RequestRejectedError
from tap_looker_tasks.launching import Launcher
from tap_looker_tasks.run.collector import Collector, Idle, RequestRunner
from tap_looker_tasks.store import ResultStore
from tap_looker_tasks.tasks import (
    CancelFailed,
    Cancelled,
    FollowedTask,
    Launch,
    Launched,
    LaunchedTask,
    Outcome,
    TaskBoard,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Iterator, Mapping

    from tap_looker_tasks.config import Settings
    from tap_looker_tasks.launching import StoredQueries
    from tap_looker_tasks.looker import Clock, LookerClient
    from tap_looker_tasks.queries import QueryKeeper
    from tap_looker_tasks.tasks import Event, Ledger, ProgressEvent

_Event = TypeVar("_Event", bound="Event | Idle")


class Run:
    """Follows external tasks and tasks in flight, and launches the other queries.

    What happens is noted in the ledger before it is yielded.

    Attributes:
        keepers: The queries of the run, each with what state remembers of it, by name.
        tasks: Tasks that existed before the run.
        queued: Names of the queries to launch, in order.
    """

    def __init__(  # noqa: PLR0913 - the parts of a run meet here, and nowhere else
        self,
        settings: Settings,
        client: LookerClient,
        clock: Clock,
        *,
        ledger: Ledger,
        keepers: Mapping[str, QueryKeeper],
        stored_queries: StoredQueries,
        logger: logging.Logger,
    ) -> None:
        """Decide which tasks to follow and which queries to launch.

        Raises:
            RequestError: If the Look of a query in flight cannot be fetched.
        """
        self.keepers = keepers
        self._ledger = ledger
        self._logger = logger
        self._launcher = Launcher(keepers, settings, client, stored_queries, clock)
        resumed = self._resume()
        in_flight = {task.query_name for task in resumed}
        followed = [*ledger.tasks_to_follow(), *map(FollowedTask, resumed)]
        self.queued = [name for name in longest_first(keepers) if name not in in_flight]
        self.tasks = [each.task for each in followed]
        stop_at = clock.now() + (settings.sync_timeout_seconds or inf)
        abandoned, queries = ledger.tasks_to_cancel(), map(Launch, self.queued)
        board = TaskBoard(
            settings, tasks=followed, queries=queries, abandoned=abandoned, stop_at=stop_at
        )
        answers = ResultStore()
        requests = RequestRunner(client, self._launcher, answers, clock)
        self._collector = Collector(
            board, requests, client, answers, clock=clock, logger=logger, deliver_until=stop_at
        )

    def start(self) -> None:
        """Begin to collect."""
        self._collector.start()

    def events(self) -> Iterator[Event | Idle]:
        """Yield what happens; an outcome before it is noted, which `remember` does.

        Raises:
            TapError: If no more requests can succeed, or there is no room for results.
        """
        return self._noted(self._collector.events())

    def news(self) -> Iterator[ProgressEvent]:
        """Yield what happened besides outcomes, without waiting."""
        return self._noted(self._collector.news())

    def remember(self, outcome: Outcome, runtime: float | None, *, is_complete: bool) -> None:
        """Note an outcome, once the task's last record is written.

        Args:
            outcome: The task's outcome.
            runtime: Seconds the query took, as Looker reports them.
            is_complete: Whether its result arrived without an error.
        """
        self._ledger.remember(outcome)
        task = outcome.task
        if is_complete and isinstance(task, LaunchedTask) and task.query_name in self.keepers:
            self._launcher.remember(task, runtime or _observed_runtime(outcome, task))

    def end(self, *, cancels: bool) -> Iterator[ProgressEvent]:
        """End all requests and threads in a few seconds; yield what becomes of the tasks.

        Args:
            cancels: Whether tasks that this tap launched and has not collected are cancelled.
        """
        for event in self._collector.end(cancels=cancels):
            if not isinstance(event, Outcome):
                self._note(event)
                yield event
            elif isinstance(event.task, LaunchedTask):
                # An interrupt may have come before its launch was noted.
                self._ledger.note_launched(event.task)
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
                    "query task %s is not cancelled: %s; the next run tries again",
                    task.query_task_id,
                    reason,
                )

    def _resume(self) -> list[LaunchedTask]:
        fingerprints: dict[str, str] = {}
        for name in self._ledger.names_in_flight():
            if name in self.keepers:
                try:
                    fingerprints[name] = self._launcher.fingerprint(name)
                except (RequestRejectedError, ValueError) as error:
                    self._logger.warning("%s: %s", name, error)
        return self._ledger.resume(fingerprints)


def longest_first(keepers: Mapping[str, QueryKeeper]) -> list[str]:
    """Order queries: those never run in the order configured, then the longest first."""

    def shortness(query_name: str) -> float:
        runtime = keepers[query_name].last_run.runtime
        return -inf if runtime is None else -runtime

    return sorted(keepers, key=shortness)


def _observed_runtime(outcome: Outcome, task: LaunchedTask) -> float | None:
    """Return the seconds a task took as the tap saw it: `json_bi` does not say."""
    if outcome.finished_at is None:
        return None
    return round(outcome.finished_at - task.launched_at, 3)
