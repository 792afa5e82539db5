"""Runs as recorded, with invented moments."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tap_looker_tasks.tasks import LaunchedTask
from tap_looker_tasks.watch.facts import RunFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_looker_tasks.watch.progress import Progress

START = 1_400_000_000.0
CALLS = Counter({"query_task_multi_results": 40, "create_query_task": 3, "login": 1})


@contextmanager
def started(progress: Progress) -> Iterator[Progress]:
    progress.start()
    try:
        yield progress
    finally:
        progress.stop()


def log_half_a_run() -> RunFacts:
    """Two of three slots are in use: one query is being delivered, one waits, one runs."""
    facts = RunFacts(START, CALLS, slots=10)
    facts.expect("orders", 60)
    facts.expect("users", 30)
    for name in ("orders", "users", "events"):
        facts.queued(name, START)
    facts.launched(LaunchedTask("task-orders", "orders", "101"), START + 1)
    facts.launched(LaunchedTask("task-events", "events", "103"), START + 2)
    facts.followed("task-external", START + 2)
    facts.finished("task-external", "complete", START + 5)
    facts.collected("task-external", 4_000, START + 6)
    facts.delivering("task-external", START + 8)
    facts.rows("task-external", 250, 2_000, START + 9)
    return facts


def log_a_run() -> RunFacts:
    """One delivered, one lost and launched again, one failed, one not launched, one left."""
    facts = log_half_a_run()
    facts.rows("task-external", 250, 2_000, START + 10)
    facts.delivered("task-external", "complete", 500, None, 2.5, START + 12)
    facts.launched(LaunchedTask("task-orders-2", "orders", "101", 2), START + 20)
    facts.finished("task-orders-2", "error", START + 50)
    facts.collected("task-orders-2", 100, START + 50)
    message = 'SQL Error: column "a" does\nnot exist </script><script>alert(1)</script>'
    facts.delivered("task-orders-2", "error", None, message, None, START + 51)
    facts.not_launched("users", "users: Looker refused it: no such query", START + 52)
    facts.left("task-events", "running", START + 60)
    facts.ended(1, "2 query tasks did not complete", START + 61)
    return facts
