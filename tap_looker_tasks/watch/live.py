"""The live display on a terminal, drawn by rich below the log lines."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any, NamedTuple, TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text
from typing_extensions import override

from tap_looker_tasks.watch.facts import PHASES, RunFacts, Stage, TaskFacts
from tap_looker_tasks.watch.summary import format_duration, shorten

_TASKS_SHOWN = 5
_NARROW = 60
_MAX_TITLE = 60
_STATE_WIDTH = len("delivering")
_GAP = "  "


class _Console(Console):
    """A console that raises a broken pipe like any other failure; rich would end the run."""

    @override
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class LiveDisplay:
    """Draws the run's facts at the bottom of a terminal, repeatedly."""

    def __init__(self, facts: RunFacts, stream: TextIO) -> None:
        """Draw on `stream`, which is a terminal; rich honors `NO_COLOR`."""
        self._facts = facts
        self._stream = stream
        self._console = _Console(file=stream, highlight=False)
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False
        )
        self._undo = ExitStack()

    def start(self) -> None:
        """Start the display in the terminal's last lines; log lines appear above it.

        Raises:
            OSError: If the terminal cannot be written to.
        """
        self._live.start()
        self._undo.callback(self._live.stop)
        # It has the methods of a text stream that handlers use.
        proxy: Any = FileProxy(self._console, self._stream)
        for handler in _handlers_of(self._stream):
            before = handler.setStream(proxy)
            if before is not None:
                self._undo.callback(handler.setStream, before)

    def stop(self) -> None:
        """Stop and remove the display.

        Raises:
            OSError: If the terminal cannot be written to.
        """
        self._undo.close()

    def show(self, now: float, tasks: str, flow: str) -> None:
        """Draw at `now`, in epoch seconds; `tasks` and `flow` are one line of text each.

        Raises:
            OSError: If the terminal cannot be written to.
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
        """Return the tasks being delivered, and those that Looker has worked on longest."""
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
    """Renders one item beside another; a table would take several times as long."""

    def __init__(self, first: ProgressBar, second: Text) -> None:
        self.first = first
        self.second = second

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self.first, options)
        yield self.second


class _Row(NamedTuple):
    """A task in the display, in three columns; without a state, a line of text."""

    title: Text
    state: str = ""
    style: str = ""
    figure: str = ""


def _align(rows: Sequence[_Row], width: int) -> Iterator[Text]:
    """Yield one line for each row; titles are shortened if there is too little room."""
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
    return Text(shorten(task.title, _MAX_TITLE))


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
