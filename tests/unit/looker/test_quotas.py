"""What Looker meters, and what a run will cost."""

from __future__ import annotations

import inspect

import pytest

from tap_looker_tasks.looker import LookerClient, MeteredCalls, estimate_calls
from tap_looker_tasks.looker.quotas import QUERY_BASED, UNMETERED
from tap_looker_tasks.queries import RunTime
from tests.unit.tasks.test_schedule import SimulatedLooker

_NO_OPERATIONS = {"abort", "close", "calls"}


def test_every_kind_is_that_of_an_operation_of_the_client() -> None:
    operations = {name for name, _ in inspect.getmembers(LookerClient) if not name.startswith("_")}
    assert operations | {"login"} >= QUERY_BASED | UNMETERED
    administrative = operations - _NO_OPERATIONS - QUERY_BASED - UNMETERED
    # What gets no result and is part of no query pipeline.
    assert {"look", "dashboard", "query", "lookml_model_explore", "me"} <= administrative
    assert not any("task" in name or name.startswith("run") for name in administrative)


def test_calls_are_counted_by_kind() -> None:
    calls = {"login": 1, "logout": 1, "query": 2, "create_query_task": 3, "create_query": 4}
    assert MeteredCalls.of(calls) == (7, 2)
    assert str(MeteredCalls(1234, 5)) == "1,234 query-based, 5 administrative"


@pytest.mark.parametrize(
    ("query_based", "administrative", "edition"),
    [
        (1_000, 1_000, "Standard"),
        (1_001, 0, "Enterprise"),
        (0, 10_001, "Embed"),
        (500_000, 100_000, "Embed"),
        (500_001, 0, None),
    ],
)
def test_the_smallest_edition_that_allows_that_many_calls_is_named(
    query_based: int, administrative: int, edition: str | None
) -> None:
    assert MeteredCalls(query_based, administrative).edition() == edition


def test_calls_above_all_allowances_are_named() -> None:
    estimate = estimate_calls(2000, 0, slots=10, batch_size=50, is_sparing=False)
    assert "every hour: 2,483,460 query-based" in estimate.describe_month()
    assert "more than any edition allows" in estimate.describe_month()


@pytest.mark.parametrize("polling", ["prompt", "sparing"])
@pytest.mark.parametrize("slots", [4, 10])
@pytest.mark.parametrize("queries", [10, 30, 60])
def test_estimates_are_near_what_simulated_runs_take(
    queries: int, slots: int, polling: str
) -> None:
    estimate = estimate_calls(
        queries, 0, slots=slots, batch_size=50, is_sparing=polling == "sparing"
    )
    first, later = estimate.first.query_based - 2 * queries, estimate.later.query_based - queries
    seen_first, seen_later = _simulate_polls(queries, 20, slots, polling)
    assert seen_first == pytest.approx(first, rel=0.3)
    assert seen_later == pytest.approx(later, rel=0.3)
    short_first, short_later = _simulate_polls(queries, 2, slots, polling)
    assert short_first <= first
    assert short_later <= later


def _simulate_polls(queries: int, seconds: float, slots: int, polling: str) -> tuple[int, int]:
    """Return the polls of a first run and of a later one."""
    run_times = [seconds * (0.5 + n / queries) for n in range(queries, 0, -1)]
    memories = [None] * queries, [RunTime(each) for each in run_times]
    first, later = (
        SimulatedLooker(
            run_times, 0.1, memories=known, polling=polling, max_concurrent_tasks=slots
        ).pace()
        for known in memories
    )
    return first.polls, later.polls
