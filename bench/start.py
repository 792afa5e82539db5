"""How long the tap takes to start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench.processes import PYTHON_OF_TAP, TAP, run
from bench.report import Line, Of, Series, at_most

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.arena import Arena

_ROUNDS = 7
_IMPORTS = "from singer_sdk import RESTStream, Tap, typing"


def start(arena: Arena) -> Iterator[Line]:
    """Start the tap, and import what every tap made with the SDK imports."""
    rounds = _ROUNDS if arena.scale >= 1 else arena.rounds
    with arena.folder() as folder:
        runs = replace(arena, rounds=rounds).in_turn(
            {
                "tap": lambda: run([TAP, "--version"], folder),
                "imports": lambda: run([PYTHON_OF_TAP, "-c", _IMPORTS], folder),
            }
        )
    tap, imports = (tuple(ended.seconds for ended in ended_runs) for ended_runs in runs.values())
    measured = Series("tap-looker-tasks --version", "s", tap)
    yield Line("start", measured, Series(_IMPORTS, "s", imports), at_most(1.2, Of.RATIO))
