"""Puts ledger, board, launcher and collector together for one run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

from tap_looker_tasks.errors import RequestRejectedError
from tap_looker_tasks.queries import Limits, configured_limits
from tap_looker_tasks.run.collector import Collector, RequestRunner
from tap_looker_tasks.tasks import FollowedTask, QueuedQuery, TaskBoard

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping, Sequence

    from tap_looker_tasks.config import ConfiguredQuery, Settings
    from tap_looker_tasks.launching import Launcher, QueryState
    from tap_looker_tasks.looker import Clock, LookerClient
    from tap_looker_tasks.store import ResultStore
    from tap_looker_tasks.tasks import LaunchedTask, Ledger, QueryTask


@dataclass(frozen=True, kw_only=True)
class ActiveRun:
    """Query tasks being followed and launched.

    Attributes:
        ledger: what state remembers of them.
        launcher: creates them.
        collector: collects what they bring.
        tasks: those that exist already.
        queued: the queries to launch, in order.
        runtimes: how many seconds each query took when it was last run, as far as known.
        pages: address of each query in Looker, from its root, as far as known.
    """

    ledger: Ledger
    launcher: Launcher
    collector: Collector
    tasks: Sequence[QueryTask]
    queued: Sequence[str]
    runtimes: Mapping[str, float | None]
    pages: Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What following query tasks takes.

    Attributes:
        settings: of the tap.
        ledger: what state remembers of query tasks.
        launcher: creates tasks.
        queries: those to launch, by name.
        remembered: what state remembers of them, by name.
        client: asks Looker.
        answers: keeps what Looker sent until it is delivered.
        clock: tells the time.
        logger: for what users should know.
    """

    settings: Settings
    ledger: Ledger
    launcher: Launcher
    queries: Mapping[str, ConfiguredQuery]
    remembered: Mapping[str, QueryState]
    client: LookerClient
    answers: ResultStore
    clock: Clock
    logger: logging.Logger


def start_run(parts: RunContext) -> ActiveRun:
    """Build what follows external tasks and those in flight, and launches the rest.

    Raises:
        RequestError: a Look whose query is in flight could not be asked for.
    """
    resumed = _resume(parts)
    timeout = parts.settings.sync_timeout_seconds
    stop_at = inf if timeout is None else parts.clock.now() + timeout
    in_flight = {task.query_name for task in resumed}
    queued = [name for name in longest_first(parts.remembered) if name not in in_flight]
    tasks = [*parts.ledger.tasks_to_follow(), *map(FollowedTask, resumed)]
    board = TaskBoard(
        parts.settings,
        tasks=tasks,
        queries=map(QueuedQuery, queued),
        abandoned=parts.ledger.tasks_to_cancel(),
        stop_at=stop_at,
    )
    collector = Collector(
        board,
        RequestRunner(parts.client, parts.launcher, parts.answers),
        parts.client,
        parts.answers,
        clock=parts.clock,
        logger=parts.logger,
        deliver_until=stop_at,
    )
    return ActiveRun(
        ledger=parts.ledger,
        launcher=parts.launcher,
        collector=collector,
        tasks=[task.task for task in tasks],
        queued=queued,
        runtimes={name: query.runtime for name, query in parts.remembered.items()},
        pages={name: query.page for name, query in parts.queries.items()},
    )


def longest_first(remembered: Mapping[str, QueryState]) -> list[str]:
    """Order queries: those never run in the order configured, then the longest first."""

    def shortness(query_name: str) -> float:
        runtime = remembered[query_name].runtime
        return -inf if runtime is None else -runtime

    return sorted(remembered, key=shortness)


def _resume(parts: RunContext) -> list[LaunchedTask]:
    fingerprints: dict[str, str] = {}
    for name in parts.ledger.names_in_flight():
        if name in parts.queries:
            try:
                fingerprints[name] = parts.launcher.fingerprint(name)
            except (RequestRejectedError, ValueError) as error:
                parts.logger.warning("%s: %s", name, error)
    return [
        replace(task, limits=_limits_of(task, parts.queries[task.query_name]))
        for task in parts.ledger.resume(fingerprints)
    ]


def _limits_of(task: LaunchedTask, query: ConfiguredQuery) -> Limits:
    return task.unmarked_limits.or_else(configured_limits(query.config))
