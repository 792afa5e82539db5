"""Tells progress and report what happens to the tasks of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_looker_tasks.tasks import (
    CancelFailed,
    Cancelled,
    Collected,
    Launched,
    LaunchedTask,
    LaunchFailed,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_sdk.helpers.types import Record

    from tap_looker_tasks.looker import Clock
    from tap_looker_tasks.run import ActiveRun
    from tap_looker_tasks.singer import MessageWriter
    from tap_looker_tasks.tasks import Outcome, ProgressEvent
    from tap_looker_tasks.watch import Progress, RunFacts


class RunWatch:
    """Keeps the facts of a run, and shows its progress; decides nothing.

    Attributes:
        facts: what has happened so far.
    """

    def __init__(
        self, facts: RunFacts, progress: Progress, *, clock: Clock, output: MessageWriter
    ) -> None:
        """Take what is to be told, and where records are written."""
        self.facts = facts
        self._progress = progress
        self._clock = clock
        self._output = output
        self._written = 0
        self._pages: Mapping[str, str | None] = {}

    def begin(self, following: ActiveRun) -> None:
        """Note what is to be followed and launched, and show it."""
        now = self._clock.now()
        self._pages = following.pages
        for query_name, seconds in following.runtimes.items():
            if seconds is not None:
                self.facts.expect(query_name, seconds)
        for query_name in following.queued:
            self.facts.queued(query_name, now)
        for task in following.tasks:
            name = task.query_name if isinstance(task, LaunchedTask) else None
            self.facts.followed(task.query_task_id, now, name)
        self._progress.__enter__()

    def end(self) -> None:
        """Show nothing any more."""
        self._progress.__exit__(None, None, None)

    def tick(self) -> None:
        """Show what is new, if it is time to."""
        self._progress.tick(self._clock.now())

    def note(self, event: ProgressEvent) -> None:
        """Note what happened besides an outcome."""
        now = self._clock.now()
        match event:
            case Launched(task):
                self.facts.launched(
                    task.query_task_id,
                    task.query_name,
                    task.query_id,
                    task.attempt,
                    now,
                    self._pages.get(task.query_name),
                )
            case Collected(query_task_id, status, size, at):
                self.facts.finished(query_task_id, status, at)
                self.facts.collected(query_task_id, size, at)
            case LaunchFailed(query_name, reason):
                self.facts.not_launched(query_name, reason, now)
            case Cancelled(task):
                self.facts.cancelled(task.query_task_id, now)
            case CancelFailed():
                pass
        self._progress.tick(now)

    def note_delivering(self, outcome: Outcome) -> None:
        """Note that a task's records are about to be written."""
        self._written = self._output.bytes_written
        if outcome.finished_at is not None:
            self.facts.delivering(outcome.task.query_task_id, self._clock.now())

    def note_rows(self, outcome: Outcome, count: int) -> None:
        """Note that some rows of a task were written."""
        now = self._clock.now()
        size = self._output.bytes_written - self._written
        self._written += size
        self.facts.rows(outcome.task.query_task_id, count, size, now)
        self._progress.tick(now)

    def note_delivered(self, outcome: Outcome, record: Record) -> None:
        """Note that a task's last record is written."""
        now, query_task_id = self._clock.now(), outcome.task.query_task_id
        if outcome.finished_at is None:
            self.facts.left(query_task_id, outcome.status, now)
        else:
            self.facts.delivered(
                query_task_id,
                record["status"],
                record["row_count"],
                record["error_message"],
                record["runtime_seconds"],
                now,
            )
        self._progress.tick(now)
