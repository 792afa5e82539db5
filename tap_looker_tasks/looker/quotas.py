"""Looker's metering: the kind of each operation, the allowance of each edition, and estimates.

Looker (Google Cloud core) sells calls by the month, of two kinds. Calls that get results or serve
query pipelines are query-based, and calls about content and users are administrative. Login and
logout are not metered. <https://docs.cloud.google.com/looker/docs/looker-core-overview>
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from types import MappingProxyType
from typing import NamedTuple

from typing_extensions import override

QUERY_BASED = frozenset(
    {
        *("create_query", "create_query_task", "kill_query", "query_sql", "query_task_results"),
        *("query_task_multi_results", "run_query"),
    }
)
UNMETERED = frozenset({"login", "logout"})
"""All other operations are administrative."""

EDITIONS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"Standard": (1_000, 1_000), "Enterprise": (100_000, 10_000), "Embed": (500_000, 100_000)}
)
"""Calls that each edition allows in a month: query-based and administrative ones."""

RUNS_A_MONTH: Mapping[str, int] = MappingProxyType({"every hour": 730, "every day": 31})


class MeteredCalls(NamedTuple):
    """Calls of a run that Looker meters.

    Attributes:
        query_based: Number of query-based calls.
        administrative: Number of administrative calls.
    """

    query_based: int
    administrative: int

    @classmethod
    def of(cls, calls: Mapping[str, int]) -> MeteredCalls:
        """Count the metered calls among calls by operation."""
        metered = {name: count for name, count in calls.items() if name not in UNMETERED}
        query_based = sum(count for name, count in metered.items() if name in QUERY_BASED)
        return cls(query_based, sum(metered.values()) - query_based)

    def times(self, runs: int) -> MeteredCalls:
        """Return the calls of `runs` runs."""
        return MeteredCalls(self.query_based * runs, self.administrative * runs)

    def edition(self) -> str | None:
        """Return the smallest edition whose allowance suffices; None if no edition's does."""
        fitting = (
            name
            for name, (queries, others) in EDITIONS.items()
            if self.query_based <= queries and self.administrative <= others
        )
        return next(fitting, None)

    @override
    def __str__(self) -> str:
        """Return the calls in words."""
        return f"{self.query_based:,} query-based, {self.administrative:,} administrative"


class Estimate(NamedTuple):
    """Estimated calls of a run.

    Attributes:
        first: Calls of a run without state and catalog.
        later: Calls of a run with both.
        fewest: Query-based calls of a first run whose results all come from Looker's cache.
    """

    first: MeteredCalls
    later: MeteredCalls
    fewest: int

    def describe_month(self) -> str:
        """Describe the calls of later runs in a month, and the edition that they need."""
        parts = []
        for schedule, runs in RUNS_A_MONTH.items():
            month = self.later.times(runs)
            edition = month.edition()
            fits = f"within {edition}" if edition else "more than any edition allows"
            parts.append(f"{schedule}: {month} a month, {fits}")
        return "; ".join(parts)


def estimate_calls(  # noqa: PLR0913 - all that calls depend on
    queries: int,
    external_tasks: int,
    *,
    lookups: int = 0,
    stored: int = 0,
    slots: int,
    batch_size: int,
    is_sparing: bool,
) -> Estimate:
    """Estimate the calls of a run.

    Polls are those of the simulated loads that the schedule of polls is tested with, whose queries
    take about 20 seconds: some until the last queries end, and more for each time that queries wait
    for slots. Queries of 2 s take fewer, those of five minutes two to four times as many.

    Args:
        queries: Number of queries to launch.
        external_tasks: Number of tasks to follow; each request for them is counted once.
        lookups: Number of Looks, dashboards and merged results, which each run looks up, since
            users change them.
        stored: Number of queries that each run stores, since their bookmarks change.
        slots: Number of queries that run concurrently.
        batch_size: Number of tasks polled in one request.
        is_sparing: Whether polls are as few as possible.
    """
    waits = max(queries - 1, 0) // slots
    if is_sparing:
        first, later = 6 + 4 * waits, 5 + 3 * waits
    else:
        first, later = 40 + 11 * waits if waits else 20, 9 + 7 * waits
    follows = ceil(external_tasks / batch_size)
    polls_first = follows + (first if queries else 0)
    polls_later = follows + (later if queries else 0)
    # A query may have to be looked up, with its Explore, and stored.
    return Estimate(
        MeteredCalls(2 * queries + polls_first, 2 * queries),
        MeteredCalls(queries + stored + polls_later, lookups),
        queries + follows + (waits + 1 if queries else 0),
    )
