"""Plays half a run with progress on standard error, as the process of a tap would show it."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, NoReturn

from tap_looker_tasks.watch.progress import Progress
from tests.watch.shown import START, log_half_a_run, started

if TYPE_CHECKING:
    from tap_looker_tasks.watch.facts import RunFacts


def play(progress: Progress, facts: RunFacts, logger: logging.Logger) -> None:
    progress.tick(START + 9)
    logger.warning("orders: a line of the log while it is shown")
    facts.rows("task-external", 100_000, 900_000, START + 10)
    progress.tick(START + 10)
    progress.tick(START + 20.5)


def main() -> None:
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(message)s", level="INFO")
    logger = logging.getLogger("tap-looker-tasks")
    facts = log_half_a_run()
    facts.call_limit = 1_000
    with started(Progress(facts, logger, sys.stderr)) as progress:
        if "close" in sys.argv:
            # Whoever else logs has that to themselves.
            logger.setLevel("ERROR")
            sys.stderr.close()
        play(progress, facts, logger)
        if "fail" in sys.argv:
            fail()
    sys.stdout.write("end reached\n")


def fail() -> NoReturn:
    msg = "broken off"
    raise SystemExit(msg)


if __name__ == "__main__":
    main()
