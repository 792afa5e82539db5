"""What was measured, beside what it is compared with and the goal: as a table and as JSON."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.table import Table
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Of(Enum):
    """What a goal is set for."""

    VALUE = "value"
    RATIO = "ratio"
    SPEED = "speed"


@dataclass(frozen=True, slots=True)
class Series:
    """What the rounds gave.

    Attributes:
        what: one phrase.
        unit: of the values.
        values: one a round.
    """

    what: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float | None:
        """The middle one of the values; None without any."""
        return median(self.values) if self.values else None

    @override
    def __str__(self) -> str:
        """Show the median."""
        return "" if self.median is None else f"{_number(self.median)} {self.unit}"


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be reached.

    Attributes:
        of: the figure it is set for.
        limit: the least or greatest figure that will do; None when it only explains another.
        is_least: whether it is the least.
    """

    of: Of
    limit: float | None
    is_least: bool = False

    def without_limit(self) -> Goal:
        """Compare the same way, without having to reach anything."""
        return Goal(self.of, None, self.is_least)

    def is_reached_by(self, figure: float) -> bool | None:
        """Return whether a figure will do; None without a limit."""
        if self.limit is None:
            return None
        return bool((operator.ge if self.is_least else operator.le)(figure, self.limit))

    @override
    def __str__(self) -> str:
        """Show it shortly; nothing without a limit."""
        if self.limit is None:
            return ""
        unit = {Of.VALUE: "", Of.RATIO: " x", Of.SPEED: " x as fast"}[self.of]
        return f"{'≥' if self.is_least else '≤'} {self.limit:g}{unit}"


def at_most(limit: float, of: Of = Of.VALUE) -> Goal:
    """Set an upper limit."""
    return Goal(of, limit)


def times_as_fast(limit: float) -> Goal:
    """Set the least speed, in speeds of the comparison."""
    return Goal(Of.SPEED, limit, is_least=True)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    Attributes:
        measure: its name.
        measured: of the tap.
        comparison: of what it is compared with.
        goal: None where the figures only explain another line's.
        note: what one must know to read it.
    """

    measure: str
    measured: Series
    comparison: Series | None = None
    goal: Goal | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The medians' ratio; above 1 is faster where the goal is a speed."""
        tap = self.measured.median
        other = None if self.comparison is None else self.comparison.median
        if tap is None or other is None:
            return None
        is_speed = self.goal is not None and self.goal.of is Of.SPEED
        return other / tap if is_speed else tap / other

    @property
    def is_reached(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        figure = self.measured.median if self.goal.of is Of.VALUE else self.ratio
        return None if figure is None else self.goal.is_reached_by(figure)


def table(lines: Iterable[Line]) -> Table:
    """Show lines to people."""
    shown = Table()
    for title, justify in _COLUMNS:
        shown.add_column(title, justify="right" if justify else "left")
    for line in lines:
        ratio = "" if line.ratio is None else _number(line.ratio)
        reached = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[line.is_reached]
        shown.add_row(
            line.measure,
            line.measured.what,
            str(line.measured),
            line.comparison.what if line.comparison else line.note,
            str(line.comparison or ""),
            ratio,
            str(line.goal or ""),
            reached,
        )
    return shown


_COLUMNS = (
    ("measure", False),
    ("measured", False),
    ("median", True),
    ("compared with", False),
    ("median", True),
    ("ratio", True),
    ("goal", True),
    ("reached", False),
)


def as_json(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Describe lines with all that the rounds gave."""
    return [
        {
            "measure": line.measure,
            "measured": _as_json(line.measured),
            "comparison": line.comparison and _as_json(line.comparison),
            "ratio": line.ratio,
            "goal": line.goal and {"text": str(line.goal), "limit": line.goal.limit},
            "reached": line.is_reached,
            "note": line.note,
        }
        for line in lines
    ]


def _as_json(series: Series) -> dict[str, Any]:
    return {
        "what": series.what,
        "unit": series.unit,
        "median": series.median,
        "values": [*series.values],
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits
