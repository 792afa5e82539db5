"""Runs ended anywhere, damaged answers and metadata, incremental histories, a run with faults."""

from __future__ import annotations

import argparse
import io
import itertools
import sys
import tempfile
import time
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING

from demo.postgres import running_postgres
from looker_simulator.engine import load_database
from tests.chaos.histories import load_histories
from tests.chaos.interrupts import run_interrupted
from tests.chaos.kills import run_kills
from tests.chaos.metadata import run_damaged
from tests.chaos.postgres import PostgresWarehouse
from tests.chaos.responses import read_damaged
from tests.chaos.soak import Size, run_soak
from tests.chaos.stops import run_stopped
from tests.chaos.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from looker_simulator.engine import Database


def main() -> int:
    """Run all, print a table of each; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=400, help="runs to end (400)")
    parser.add_argument("--interrupts", type=int, default=200, help="each at another line (200)")
    parser.add_argument("--tasks", type=int, default=20_000, help="of the long run (20000)")
    parser.add_argument("--rows", type=int, default=100, help="of each of its tasks (100)")
    parser.add_argument("--answers", type=int, default=100_000, help="to damage (100000)")
    parser.add_argument("--runs", type=int, default=1_000, help="against damaged metadata (1000)")
    parser.add_argument("--histories", type=int, default=10_000, help="of tables (10000)")
    parser.add_argument("--stop", type=float, default=60, help="seconds without a reader (60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--postgres", action="store_true", help="load what ended runs wrote by target-postgres"
    )
    given = parser.parse_args()
    problems, started_at = [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for title, lines, found in _run_all(given, Path(folder), load_database()):
            _print(title, lines, started_at)
            problems += found
            started_at = time.monotonic()
    sys.stdout.write("\n".join(["broken guarantees:", *(problems or ["none"])]) + "\n")
    return int(bool(problems))


def _run_all(
    given: argparse.Namespace, folder: Path, database: Database
) -> Iterator[tuple[str, Iterable[str], list[str]]]:
    """Yield title, table and broken promises of each experiment."""
    seed, named = given.seed, f", seed {given.seed}"
    if given.kills:
        with _warehouses(folder, is_postgres=given.postgres) as new_warehouse:
            tally = run_kills(folder, database, given.kills, seed, new_warehouse)
        yield f"kills{named}", tally.lines(), tally.found()
    if given.interrupts:
        # What these runs log is looked at, not shown.
        with redirect_stderr(io.StringIO()):
            ended = run_interrupted(folder, database, given.interrupts, seed)
        yield f"interrupts{named}", ended.shown(), ended.problems
    if given.answers:
        reading = read_damaged(folder, given.answers, seed)
        yield f"malformed responses{named}", reading.shown(), reading.problems
    if given.runs:
        with redirect_stderr(io.StringIO()):
            damages = run_damaged(folder, database, given.runs, seed)
        yield f"runs with damaged metadata{named}", damages.shown(), damages.problems
    if given.histories:
        loads = load_histories(given.histories, seed)
        yield f"incremental histories{named}", loads.shown(), loads.problems
    if given.stop:
        stop = run_stopped(folder, database, slots=5, queries=80, seconds=given.stop, latency=6.0)
        yield "a target that stops reading", stop.shown(), stop.found()
    if given.tasks:
        size = Size(given.tasks, given.rows, seed)
        soak = run_soak(folder, database, size)
        yield f"soak{named}", soak.lines(), soak.found(size)


@contextmanager
def _warehouses(folder: Path, *, is_postgres: bool) -> Iterator[Callable[[], Any]]:
    """Give what makes an empty warehouse."""
    if not is_postgres:
        yield Warehouse
        return
    numbers = itertools.count()
    with running_postgres() as postgres:
        yield lambda: PostgresWarehouse(postgres, f"kills_{next(numbers)}", folder)


def _print(title: str, lines: Iterable[str], started_at: float) -> None:
    text = "\n  ".join([f"{title} ({time.monotonic() - started_at:.0f} s)", *lines])
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
