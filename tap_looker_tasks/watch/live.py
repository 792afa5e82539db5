"""The live display on a terminal, drawn by rich; log lines go on above it."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console, Group
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from tap_looker_tasks.watch.facts import PHASES, Stage
from tap_looker_tasks.watch.figures import format_duration, shorten

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tap_looker_tasks.watch.facts import RunFacts, TaskFacts

_TASKS_SHOWN = 5
_NARROW = 60
_LONGEST_TITLE = 60


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
            parts.append(self._tasks_at_work(now))
        return parts

    def _bar(self, now: float) -> RenderableType:
        total = self._facts.total
        done = total - self._facts.count(*PHASES)
        elapsed = Text(format_duration(now - self._facts.started_at), style="bold")
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_row(ProgressBar(total=max(total, 1), completed=done), elapsed)
        return grid

    def _tasks_at_work(self, now: float) -> Table:
        """Return what is being delivered, and what Looker works on for longest."""
        grid = Table.grid(padding=(0, 2))
        delivering = [*islice(self._facts.in_stage(Stage.DELIVERING), 1)]
        for task in delivering:
            grid.add_row(_title(task), Text("delivering", "cyan"), f"{task.row_count:,} rows")
        running = self._facts.in_stage(Stage.RUNNING)
        shown = _TASKS_SHOWN - len(delivering)
        for task in islice(running, shown):
            grid.add_row(_title(task), Text("running", "yellow"), self._describe_runtime(task, now))
        if len(running) > shown:
            grid.add_row(Text(f"and {len(running) - shown:,} more in Looker", style="dim"))
        return grid

    def _describe_runtime(self, task: TaskFacts, now: float) -> str:
        expected = self._facts.expected_seconds(task)
        before = f", {format_duration(expected)} in the last run" if expected else ""
        return f"{format_duration(now - (task.running_at or now))}{before}"


def _title(task: TaskFacts) -> Text:
    return Text(shorten(task.title, _LONGEST_TITLE), no_wrap=True, overflow="ellipsis")


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
