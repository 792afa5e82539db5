"""How long the DAG takes with shards on workers of their own, and what a lost worker costs."""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from looker_simulator.engine import load_database
from tests.schedulers.celery_loss import lose_worker
from tests.schedulers.celery_runs import Work, stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from looker_simulator.engine import Database

_LATEST_SECONDS = 1200.0


class Figures(NamedTuple):
    """What a run took, in seconds."""

    run: float
    load: float


def main() -> int:
    """Run the DAG with each number of shards; print a line for each."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.schedulers.celery_figures", description=__doc__
    )
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--queries", type=int, default=48, help="to run (48)")
    parser.add_argument(
        "--seconds", type=float, nargs="+", default=[20], help="that each takes, in turn (20)"
    )
    parser.add_argument("--at-once", type=int, default=4, help="queries of a shard at once (4)")
    parser.add_argument("--lose-worker", action="store_true", help="once, of the most shards")
    given = parser.parse_args()
    works = [Work(n, given.queries, given.seconds, given.at_once) for n in given.shards]
    database = load_database()
    if given.lose_worker:
        _lose(database, max(works, key=lambda work: work.shards))
    else:
        _compare(database, works)
    database.close()
    return 0


def _compare(database: Database, works: Sequence[Work]) -> None:
    print_line("shards  at once  run (s)  load (s)  of one process")
    first: Figures | None = None
    for work in works:
        figures = measure(database, work)
        first = first or figures
        at_once, share = work.at_once * work.shards, figures.run / first.run
        print_line(
            f"{work.shards:6} {at_once:8} {figures.run:8.0f} {figures.load:9.0f} {share:15.2f}"
        )


def _lose(database: Database, work: Work) -> None:
    """Kill the worker of a half delivered shard; Airflow is as patient as deployed."""
    with (
        tempfile.TemporaryDirectory() as folder,
        stage(Path(folder, "airflow"), database, work) as at,
    ):
        loss = lose_worker(at, _LATEST_SECONDS)
    for line in loss.lines():
        print_line(line)


def measure(database: Database, work: Work) -> Figures:
    """Run the DAG once, a worker for each shard.

    Raises:
        RuntimeError: If not everything was delivered, once.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        stage(Path(folder, "airflow"), database, work) as at,
    ):
        run = at.airflow.trigger()
        about = at.airflow.wait(run, _LATEST_SECONDS)
        tries = at.airflow.tries(run, "load", work.shards)
        done = about["state"], at.launched(), at.delivered()
    if done != ("success", work.queries, work.queries):
        msg = f"{done}: {tries}"
        raise RuntimeError(msg)
    queued_at, ended_at = (datetime.fromisoformat(about[key]) for key in ("queued_at", "end_date"))
    load = max(one.ended_at or one.started_at for one in tries) - tries[0].started_at
    return Figures((ended_at - queued_at).total_seconds(), load.total_seconds())


def print_line(line: str) -> None:
    """Print a line now."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
