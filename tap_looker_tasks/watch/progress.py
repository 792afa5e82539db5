"""Progress of a run: live on a terminal, otherwise a line every few seconds."""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from tap_looker_tasks.config import Settings, page_of
from tap_looker_tasks.errors import SettingsError
from tap_looker_tasks.looker import Clock
from tap_looker_tasks.queries import QueryKeeper
from tap_looker_tasks.singer import MessageWriter
from tap_looker_tasks.tasks import LaunchedTask, Outcome, ProgressEvent, QueryTask
from tap_looker_tasks.watch.facts import RunFacts, Stage
from tap_looker_tasks.watch.summary import (
    describe_calls,
    describe_end,
    exit_status_of,
    format_bytes,
    format_count,
    format_duration,
    lines_to_log,
)

if TYPE_CHECKING:
    # Only a run on a terminal needs `rich`.
    from tap_looker_tasks.watch.live import LiveDisplay

_SECONDS_BETWEEN_FRAMES = 0.5
_SECONDS_BETWEEN_LINES = 10.0
# While Looker works and nothing else happens, a line is due after this many intervals.
_MAX_SILENCE = 6
_RATE_SECONDS = 10.0
_TERMINALS_WITHOUT_CURSOR = {"", "dumb", "unknown"}


def shows_live(
    errors: TextIO | None, output: TextIO | None, environment: Mapping[str, str]
) -> bool:
    """Return whether a live display can be shown on `errors`.

    It needs a terminal that can move its cursor, and on which `output` is not shown.
    """
    can_move = environment.get("TERM", "") not in _TERMINALS_WITHOUT_CURSOR
    return can_move and _is_terminal(errors) and not _is_terminal(output)


def log_calls(calls: Counter[str], logger: logging.Logger) -> None:
    """Log the calls of a command that was not a run."""
    if calls:
        logger.info("%s", describe_calls(calls))


class RunWatch:
    """Keeps the facts of a run and shows them while it lasts; decides nothing.

    Attributes:
        facts: Facts of the run so far.
    """

    def __init__(
        self,
        clock: Clock,
        output: MessageWriter,
        logger: logging.Logger,
        calls: Counter[str],
        config: Mapping[str, Any],
    ) -> None:
        """Watch a run with this configuration, which writes to `output`."""
        self.facts = RunFacts(
            clock.now(),
            calls,
            config.get("api_call_limit"),
            config.get("max_concurrent_tasks", 1),
            config.get("run_id"),
        )
        self._progress = Progress(self.facts, logger, sys.stderr)
        self._clock = clock
        self._output = output
        self._logger = logger
        self._written = 0

    def begin(
        self, keepers: Mapping[str, QueryKeeper], queued: Iterable[str], tasks: Iterable[QueryTask]
    ) -> None:
        """Record followed tasks and queued queries, and show them."""
        now = self._clock.now()
        for name, keeper in keepers.items():
            expected = keeper.last_run.expected
            self.facts.expect(name, expected and expected.seconds, page_of(keeper.query))
        for name in queued:
            self.facts.queued(name, now)
        for task in tasks:
            resumed = task.query_name if isinstance(task, LaunchedTask) else None
            self.facts.followed(task.query_task_id, now, resumed)
        self._progress.start()

    def end(self) -> None:
        """Stop showing the run."""
        self._progress.stop()

    def check_places(self, settings: Settings) -> None:
        """Check that the files of the run can be written.

        Raises:
            SettingsError: If one cannot be.
        """
        places = {"report_path": settings.report_path, "summary_path": settings.summary_path}
        for name, pattern in places.items():
            if pattern:
                # A run without a report does not need its modules.
                from tap_looker_tasks.watch import report  # noqa: PLC0415

                report.check_place(name, pattern, self.facts.started_at)

    def log_end(
        self, error: BaseException | None, settings: Settings, config: Mapping[str, Any]
    ) -> None:
        """Log a summary of the run, and write its report if one is configured.

        Args:
            error: The exception that ends the command, if there is one.
            settings: Settings of the run.
            config: The configuration without secrets.
        """
        now = self._clock.now()
        self.facts.ended(exit_status_of(error), describe_end(error), now)
        for line in lines_to_log(self.facts):
            self._logger.info("%s", line)
        if not (settings.report_path or settings.summary_path):
            return
        # A run without a report does not need its modules.
        from tap_looker_tasks.watch import report  # noqa: PLC0415

        try:
            if settings.summary_path:
                report.write_summary(settings.summary_path, self.facts, now)
            if settings.report_path:
                path = report.write_report(
                    settings.report_path, self.facts, settings.base_url, config, now
                )
                self._logger.info("report of this run: %s", path)
        except SettingsError as failure:
            self._logger.warning("%s", failure.message)

    def tick(self) -> None:
        """Show new events, if it is time to."""
        self._progress.tick(self._clock.now())

    def note(self, event: ProgressEvent) -> None:
        """Record an event other than an outcome."""
        self.facts.note(event, self._clock.now())
        self.tick()

    def note_delivering(self, outcome: Outcome) -> None:
        """Record that a task's records are about to be written."""
        self._written = self._output.bytes_written
        if outcome.finished_at is not None:
            self.facts.delivering(outcome.task.query_task_id, self._clock.now())

    def note_rows(self, outcome: Outcome, count: int) -> None:
        """Record that some rows of a task were written."""
        size = self._output.bytes_written - self._written
        self._written += size
        self.facts.rows(outcome.task.query_task_id, count, size, self._clock.now())
        self.tick()

    def note_delivered(self, outcome: Outcome, record: Mapping[str, Any]) -> None:
        """Record that a task's last record is written."""
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
        self.tick()


class Progress:
    """Shows `facts` between `start` and `stop`; `tick` is to be called often."""

    def __init__(self, facts: RunFacts, logger: logging.Logger, stream: TextIO | None) -> None:
        """Prepare the display.

        Args:
            facts: Facts of the run.
            logger: Logger for lines, if no live display is possible.
            stream: Standard error; None if the process has none.
        """
        self._facts = facts
        self._logger = logger
        self._stream = stream
        self._live: LiveDisplay | None = None
        self._due_at = facts.started_at + _SECONDS_BETWEEN_LINES
        self._reported_at = facts.started_at
        self._changes_reported = facts.changes
        self._rows: deque[tuple[float, int]] = deque([(facts.started_at, facts.row_count)])

    def start(self) -> None:
        """Show the live display, if there is a terminal for it."""
        if self._stream is not None and shows_live(self._stream, sys.stdout, os.environ):
            # A run without a live display does not need its module.
            from tap_looker_tasks.watch.live import LiveDisplay  # noqa: PLC0415

            live = LiveDisplay(self._facts, self._stream)
            # The loss of the terminal must not end the run.
            with suppress(OSError, ValueError):
                live.start()
                self._live = live
                self._due_at = self._facts.started_at

    def tick(self, now: float) -> None:
        """Show new facts at `now`, in epoch seconds, if it is time to."""
        if now < self._due_at:
            return
        self._note_rows(now)
        if self._live is None:
            self._due_at = now + _SECONDS_BETWEEN_LINES
            self._log_line(now)
        else:
            self._due_at = now + _SECONDS_BETWEEN_FRAMES
            self._show_frame(self._live, now)

    def describe(self, now: float) -> str:
        """Return one line about the state of the run at `now`, in epoch seconds."""
        return ", ".join([self.describe_tasks(), self.describe_flow(now)])

    def describe_tasks(self) -> str:
        """Return the number of tasks in each stage."""
        facts = self._facts
        failed = facts.count(Stage.FAILED, Stage.NOT_LAUNCHED)
        queued = facts.count(Stage.QUEUED)
        here = facts.count(Stage.COLLECTED, Stage.DELIVERING)
        tasks = format_count(facts.total, "query task")
        parts = [
            f"delivered {facts.count(Stage.DELIVERED):,} of {tasks}",
            f"failed {failed:,}" if failed else "",
            f"queued {queued:,}" if queued else "",
            f"launched {facts.launches:,}" if facts.launches else "",
            f"running in Looker {facts.count(Stage.RUNNING, Stage.COLLECTING):,}",
            f"collected {here:,}" if here else "",
        ]
        return ", ".join(filter(None, parts))

    def describe_flow(self, now: float) -> str:
        """Return rows, bytes, rate, API calls and the time left."""
        facts = self._facts
        size = facts.delivered_bytes or facts.collected_bytes
        limit = "" if facts.call_limit is None else f" of {facts.call_limit:,}"
        parts = [
            format_count(facts.row_count, "row"),
            format_bytes(size) if size else "",
            f"{self._rate(now):,.0f} rows/s" if facts.row_count else "",
            f"{format_count(facts.calls.total(), 'API call')}{limit}",
            self._describe_time_left(now),
        ]
        return ", ".join(filter(None, parts))

    def _describe_time_left(self, now: float) -> str:
        left = self._facts.time_left(now)
        return "" if left is None else f"about {format_duration(left)} left"

    def _log_line(self, now: float) -> None:
        is_silent = self._facts.changes == self._changes_reported
        if is_silent and now - self._reported_at < _SECONDS_BETWEEN_LINES * _MAX_SILENCE:
            return
        self._changes_reported, self._reported_at = self._facts.changes, now
        # Handlers of a closed standard error may fail.
        with suppress(OSError, ValueError):
            self._logger.info("%s", self.describe(now))

    def _show_frame(self, live: LiveDisplay, now: float) -> None:
        try:
            live.show(now, self.describe_tasks(), self.describe_flow(now))
        except (OSError, ValueError):
            self.stop()

    def stop(self) -> None:
        """Remove the live display; log lines stay."""
        live, self._live = self._live, None
        if live is not None:
            with suppress(OSError, ValueError):
                live.stop()

    def _note_rows(self, now: float) -> None:
        self._rows.append((now, self._facts.row_count))
        while len(self._rows) > 1 and self._rows[1][0] <= now - _RATE_SECONDS:
            self._rows.popleft()

    def _rate(self, now: float) -> float:
        """Return the recent rate of delivery, in rows per second."""
        begin, before = self._rows[0]
        return (self._facts.row_count - before) / (now - begin) if now > begin else 0.0


def _is_terminal(stream: TextIO | None) -> bool:
    # One that is closed raises.
    with suppress(OSError, ValueError):
        return stream is not None and stream.isatty()
    return False
