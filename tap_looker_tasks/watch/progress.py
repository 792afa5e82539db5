"""Shows a run while it goes on: live on a terminal, else one line now and then."""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from contextlib import ExitStack, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TextIO

from rich.console import Console, Group
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text
from typing_extensions import override

from tap_looker_tasks.watch.facts import PHASES, Stage
from tap_looker_tasks.watch.summary import format_bytes, format_count, format_duration, shorten

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from rich.console import ConsoleOptions, RenderableType, RenderResult

    from tap_looker_tasks.watch.facts import RunFacts, TaskFacts

_SECONDS_BETWEEN_FRAMES = 0.5
# While Looker works and nothing else happens, a line is due after so many intervals.
_LONGEST_SILENCE = 6
_RATE_SECONDS = 10.0
_TERMINALS_WITHOUT_CURSOR = {"", "dumb", "unknown"}


def shows_live(
    errors: TextIO | None, output: TextIO | None, environment: Mapping[str, str]
) -> bool:
    """Return whether a live display can be shown on `errors`.

    It needs a terminal that can move its cursor, which messages on `output` do not go to.
    """
    can_move = environment.get("TERM", "") not in _TERMINALS_WITHOUT_CURSOR
    return can_move and _is_terminal(errors) and not _is_terminal(output)


class Progress:
    """Shows what `facts` say, as long as it is entered; `tick` is to be called often."""

    def __init__(  # noqa: PLR0913 - what is shown, and where
        self,
        facts: RunFacts,
        *,
        logger: logging.Logger,
        calls: Counter[str],
        call_limit: int | None,
        slots: int,
        stream: TextIO | None,
        interval: float = 10,
    ) -> None:
        """Prepare to show.

        Args:
            facts: of the run.
            logger: for lines, where no live display is possible.
            calls: requests made to Looker so far, by operation.
            call_limit: the most that are allowed, if there is a limit.
            slots: tasks that may run in Looker at once.
            stream: standard error; None when the process has none.
            interval: seconds between lines.
        """
        self._facts = facts
        self._logger = logger
        self._calls = calls
        self._call_limit = call_limit
        self._slots = slots
        self._stream = stream
        self._interval = interval
        self._live: LiveDisplay | None = None
        self._due_at = facts.started_at + interval
        self._told_at = facts.started_at
        self._changes_told = facts.changes
        self._rows: deque[tuple[float, int]] = deque([(facts.started_at, facts.row_count)])

    def __enter__(self) -> Self:
        """Show the live display, where there is a terminal for it."""
        if self._stream is not None and shows_live(self._stream, sys.stdout, os.environ):
            # A run that shows nothing need not wait for it.
            from tap_looker_tasks.watch.progress import LiveDisplay  # noqa: PLC0415

            live = LiveDisplay(self._facts, self._stream)
            # A terminal that went away ends no run.
            with suppress(OSError, ValueError):
                live.start()
                self._live = live
                self._due_at = self._facts.started_at
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Take the live display away; log lines stay."""
        self._stop_live()

    def tick(self, now: float) -> None:
        """Show what is new at `now`, in epoch seconds, if it is time to."""
        if now < self._due_at:
            return
        self._note_rows(now)
        if self._live is None:
            self._due_at = now + self._interval
            self._log_line(now)
        else:
            self._due_at = now + _SECONDS_BETWEEN_FRAMES
            self._show_frame(self._live, now)

    def describe(self, now: float) -> str:
        """Return one line of what the run does at `now`, in epoch seconds."""
        return ", ".join([self.describe_tasks(), self.describe_flow(now)])

    def describe_tasks(self) -> str:
        """Return how many tasks are where."""
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
        limit = "" if self._call_limit is None else f" of {self._call_limit:,}"
        parts = [
            format_count(facts.row_count, "row"),
            format_bytes(size) if size else "",
            f"{self._rate(now):,.0f} rows/s" if facts.row_count else "",
            f"{format_count(self._calls.total(), 'API call')}{limit}",
            self._describe_time_left(now),
        ]
        return ", ".join(filter(None, parts))

    def _describe_time_left(self, now: float) -> str:
        left = self._facts.time_left(now, self._slots)
        return "" if left is None else f"about {format_duration(left)} left"

    def _log_line(self, now: float) -> None:
        is_silent = self._facts.changes == self._changes_told
        if is_silent and now - self._told_at < self._interval * _LONGEST_SILENCE:
            return
        self._changes_told, self._told_at = self._facts.changes, now
        # Handlers of a closed standard error may fail.
        with suppress(OSError, ValueError):
            self._logger.info("%s", self.describe(now))

    def _show_frame(self, live: LiveDisplay, now: float) -> None:
        try:
            live.show(now, self.describe_tasks(), self.describe_flow(now))
        except (OSError, ValueError):
            self._stop_live()

    def _stop_live(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            with suppress(OSError, ValueError):
                live.stop()

    def _note_rows(self, now: float) -> None:
        self._rows.append((now, self._facts.row_count))
        while len(self._rows) > 1 and self._rows[1][0] <= now - _RATE_SECONDS:
            self._rows.popleft()

    def _rate(self, now: float) -> float:
        """Return the rows delivered a second of late."""
        begin, before = self._rows[0]
        return (self._facts.row_count - before) / (now - begin) if now > begin else 0.0


def _is_terminal(stream: TextIO | None) -> bool:
    # One that is closed raises.
    with suppress(OSError, ValueError):
        return stream is not None and stream.isatty()
    return False


# The live display on a terminal, drawn by rich; log lines go on above it.

_TASKS_SHOWN = 5
_NARROW = 60
_LONGEST_TITLE = 60
_STATE_WIDTH = len("delivering")
_GAP = "  "


class _Console(Console):
    """A console that tells of a broken pipe as of any other failure; rich would end the run."""

    @override
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class LiveDisplay:
    """Draws the run's facts at the bottom of a terminal, over and over."""

    def __init__(self, facts: RunFacts, stream: TextIO) -> None:
        """Draw on `stream`, which is a terminal; rich honours `NO_COLOR`."""
        self._facts = facts
        self._stream = stream
        self._console = _Console(file=stream, highlight=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
        )
        self._undo = ExitStack()

    def start(self) -> None:
        """Take over the terminal's last lines; handlers of logs write above them.

        Raises:
            OSError: the terminal cannot be written to.
        """
        self._live.start()
        self._undo.callback(self._live.stop)
        # It has what handlers use of a text stream.
        proxy: Any = FileProxy(self._console, self._stream)
        for handler in _handlers_of(self._stream):
            before = handler.setStream(proxy)
            if before is not None:
                self._undo.callback(handler.setStream, before)

    def stop(self) -> None:
        """Give the terminal back, without the display.

        Raises:
            OSError: the terminal cannot be written to.
        """
        self._undo.close()

    def show(self, now: float, tasks: str, flow: str) -> None:
        """Draw at `now`, in epoch seconds, with one line of where tasks are and one of the flow.

        Raises:
            OSError: the terminal cannot be written to.
        """
        self._live.update(Group(*self._parts(now, tasks, flow)), refresh=True)

    def _parts(self, now: float, tasks: str, flow: str) -> list[RenderableType]:
        parts: list[RenderableType] = [self._bar(now), Text(tasks), Text(flow, style="dim")]
        if self._console.width >= _NARROW:
            parts += _align(self._tasks_at_work(now), self._console.width)
        return parts

    def _bar(self, now: float) -> RenderableType:
        total = self._facts.total
        done = total - self._facts.count(*PHASES)
        elapsed = format_duration(now - self._facts.started_at)
        width = max(1, self._console.width - len(elapsed) - 1)
        bar = ProgressBar(total=max(total, 1), completed=done, width=width)
        return _InOneLine(bar, Text(f" {elapsed}", style="bold"))

    def _tasks_at_work(self, now: float) -> list[_Row]:
        """Return what is being delivered, and what Looker works on for longest."""
        rows = [
            _Row(_title(task), "delivering", "cyan", f"{task.row_count:,} rows")
            for task in islice(self._facts.in_stage(Stage.DELIVERING), 1)
        ]
        running = self._facts.in_stage(Stage.RUNNING)
        shown = _TASKS_SHOWN - len(rows)
        rows += [
            _Row(_title(task), "running", "yellow", self._describe_runtime(task, now))
            for task in islice(running, shown)
        ]
        if len(running) > shown:
            rows.append(_Row(Text(f"and {len(running) - shown:,} more in Looker", style="dim")))
        return rows

    def _describe_runtime(self, task: TaskFacts, now: float) -> str:
        expected = self._facts.expected_seconds(task)
        before = f", {format_duration(expected)} in the last run" if expected else ""
        return f"{format_duration(now - (task.running_at or now))}{before}"


class _InOneLine:
    """Renders one thing beside another, which a table would do at several times the cost."""

    def __init__(self, first: ProgressBar, second: Text) -> None:
        self.first = first
        self.second = second

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self.first, options)
        yield self.second


class _Row(NamedTuple):
    """What is shown of a task, in three columns; without a state, a line of its own."""

    title: Text
    state: str = ""
    style: str = ""
    figure: str = ""


def _align(rows: Sequence[_Row], width: int) -> Iterator[Text]:
    """Yield one line for each row, whose title gives way where there is too little room."""
    longest = max((row.title.cell_len for row in rows), default=0)
    taken = max((len(row.figure) for row in rows), default=0) + _STATE_WIDTH + 2 * len(_GAP)
    for row in rows:
        if not row.state:
            yield row.title
            continue
        title = row.title.copy()
        title.truncate(max(1, min(longest, width - taken)), overflow="ellipsis", pad=True)
        state = (row.state.ljust(_STATE_WIDTH), row.style)
        yield Text.assemble(title, _GAP, state, _GAP, row.figure, no_wrap=True)


def _title(task: TaskFacts) -> Text:
    return Text(shorten(task.title, _LONGEST_TITLE))


def _handlers_of(stream: TextIO) -> list[logging.StreamHandler[TextIO]]:
    """Return the handlers that write log lines to the stream."""
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    return [
        handler
        for logger in loggers
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is stream
    ]
