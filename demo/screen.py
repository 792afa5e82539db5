"""Output of the demo, for users who see it for the first time."""

from __future__ import annotations

import time
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WIDTH = 110
_ID_SHOWN = 8
_STATUS_STYLES = {"complete": "green", "error": "red"}


class Screen:
    """Prints steps with the time they took, and tables."""

    def __init__(self, console: Console | None = None) -> None:
        """Take a console to print on; by default, standard output."""
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = _WIDTH

    @contextmanager
    def step(self, what: str) -> Iterator[list[str]]:
        """One line for a step that is done, with what is added to the list while it runs."""
        begun = time.monotonic()
        remarks: list[str] = []
        with self._console.status(what):
            yield remarks
        seconds = time.monotonic() - begun
        self._console.print(f"[green]✓[/] [dim]{seconds:5.1f} s[/]  {what}")
        for remark in remarks:
            self._console.print(f"           [dim]{escape(remark)}[/]", soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a paragraph."""
        self._console.print(f"\n{text}")

    def fail(self, text: str) -> None:
        """Print what went wrong."""
        self._console.print(f"[red]✗[/] {escape(text)}", soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print rows as they came from the database."""
        table = Table()
        for name, *values in zip(columns, *rows, strict=True):
            table.add_column(name, justify="right" if _are_numbers(values) else "left")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        self._console.print(table)


def short(query_task_id: str) -> str:
    """Return the start of an ID, which is enough to distinguish tasks on a screen."""
    return query_task_id[:_ID_SHOWN] + "…"


def _are_numbers(values: Sequence[object]) -> bool:
    return all(value is None or isinstance(value, int | float | Decimal) for value in values)


def _cell(value: object) -> str:
    text = "" if value is None else escape(str(value))
    style = _STATUS_STYLES.get(text)
    return f"[{style}]{text}[/]" if style else text
