"""A run of many tasks that could have been, for looking at and for measuring."""

from __future__ import annotations

import random
from collections import Counter, deque

from tap_looker_tasks.tasks import LaunchedTask
from tap_looker_tasks.watch.facts import RunFacts
from tests.watch.shown import START

BASE_URL = "https://example.cloud.looker.com"
CONFIGURATION = {
    "base_url": BASE_URL,
    "query_timezone": "UTC",
    "max_concurrent_tasks": 10,
    "queries": [{"name": "orders_by_day", "look_id": 12, "primary_keys": ["orders.id"]}],
    "report_path": "reports/%Y-%m-%d.html",
}
_ERRORS = (
    (
        'SQL Error in query: relation "analytics.order_items_snapshot" does not exist\n'
        "LINE 14: LEFT JOIN analytics.order_items_snapshot AS snapshot ON ...\n"
        "HINT: Perhaps you meant to reference the table analytics.order_items."
    ),
    "The query was killed by an administrator",
    "Query execution failed: - Resources exceeded during query execution",
)
_SUBJECTS = ("orders", "customers", "sessions", "invoices", "stock", "shipments", "refunds")
_PERIODS = ("by_day", "by_week", "by_region", "by_channel", "snapshot", "top_accounts")


def log_big_run(count: int, *, slots: int = 10, seed: int = 7) -> RunFacts:
    """Follow `count` tasks, of which some fail and some are external."""
    chance = random.Random(seed)  # noqa: S311 - it makes up a picture, no secret
    calls = Counter(query_task_multi_results=812, create_query_task=300, login=1)
    facts = RunFacts(START, calls, call_limit=20_000, slots=slots)
    names = deque(
        f"{chance.choice(_SUBJECTS)}_{chance.choice(_PERIODS)}_{number}" for number in range(count)
    )
    for name in names:
        facts.queued(name, START)
    for number in range(count // 10):
        facts.followed(f"external-{number:05}", START + 0.5)
    ready = [(START + chance.uniform(1, 8), f"external-{n:05}") for n in range(count // 10)]
    free_at = [START + 1 + 0.1 * slot for slot in range(slots)]
    for number, name in enumerate(names):
        slot = free_at.index(min(free_at))
        id_ = f"{chance.getrandbits(128):032x}"
        facts.launched(
            LaunchedTask(id_, name, str(9_000 + number), share_url=f"/x/{id_[:8]}"), free_at[slot]
        )
        free_at[slot] += chance.lognormvariate(1, 0.9)
        ready.append((free_at[slot], id_))
    _deliver(facts, sorted(ready), chance)
    return facts


def _deliver(facts: RunFacts, ready: list[tuple[float, str]], chance: random.Random) -> None:
    """Write what is ready, one task after the other, as the target takes it."""
    now = START
    for finished_at, id_ in ready:
        has_failed = chance.random() < 0.02
        facts.finished(id_, "error" if has_failed else "complete", finished_at)
        rows = 0 if has_failed else int(chance.lognormvariate(7, 1.4))
        facts.collected(id_, 200 * rows + 900, finished_at + 0.05 + rows / 50_000)
        now = max(now, finished_at + 0.05 + rows / 50_000)
        facts.delivering(id_, now)
        facts.rows(id_, rows, 90 * rows, now)
        now += 0.01 + rows / 9_000
        error = chance.choice(_ERRORS) if has_failed else None
        status = "error" if has_failed else "complete"
        facts.delivered(id_, status, rows, error, chance.uniform(0.5, 9), now)
    failed = sum(task.error is not None for task in facts.tasks)
    facts.ended(int(failed > 0), f"{failed} query tasks did not complete" if failed else None, now)
