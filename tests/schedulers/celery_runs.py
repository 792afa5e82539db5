"""Runs of the DAG by several workers, with queries that take a while in Looker."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from demo.application import CREDENTIAL
from demo.postgres import running_postgres
from looker_simulator.builtin import BUILTIN
from looker_simulator.content import query_key
from looker_simulator.simulator import Simulator, SimulatorOptions
from tap_looker_tasks.config import share_queries
from tests.schedulers.celery_airflow import celery_airflow
from tests.warehouses.environments import PROJECT
from tests.warehouses.reading import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from looker_simulator.engine import Database
    from tests.schedulers.celery_airflow import CeleryAirflow

_SCHEMA = "looker"
_OUTCOMES = "query_task_results"
_AGE_HEARTBEATS = "update runs set last_heartbeat_at = last_heartbeat_at - interval '5 minutes'"
_ROWS = 16  # of the query that all of them run


@dataclass(frozen=True)
class Work:
    """What there is to do.

    Attributes:
        shards: that share it, a worker for each.
        queries: how many.
        seconds: what each takes in Looker; the queries of a shard take these in turn.
        at_once: of each shard.
    """

    shards: int
    queries: int = 48
    seconds: Sequence[float] = (20.0,)
    at_once: int = 4

    @property
    def names(self) -> list[str]:
        """Name the queries."""
        return [f"airlines_{n}" for n in range(self.queries)]

    def seconds_by_name(self) -> dict[str, float]:
        """Return what each query takes in Looker."""
        shards = share_queries(self.names, self.shards)
        turns = [cycle(self.seconds) for _ in range(self.shards)]
        return {name: next(turns[shards[name]]) for name in self.names}


@dataclass(frozen=True)
class Stage:
    """All that takes part in a run.

    Attributes:
        work: what there is to do.
        airflow: with its workers.
        simulator: instead of Looker.
    """

    work: Work
    airflow: CeleryAirflow
    simulator: Simulator
    _warehouse: Warehouse

    def launched(self) -> int:
        """Return how many queries were launched so far."""
        return self.simulator.count("create_query_task")

    def delivered(self) -> int:
        """Return how many tables hold all rows, each once, beside those marked as deleted."""
        tables = (self._warehouse.rows(_SCHEMA, name) for name in self.work.names)
        return sum([row["_sdc_deleted_at"] for row in rows].count(None) == _ROWS for rows in tables)

    def delivered_twice(self) -> int:
        """Return how many queries have the records of two tasks."""
        names = Counter(row["query_name"] for row in self._warehouse.rows(_SCHEMA, _OUTCOMES))
        return sum(count > 1 for count in names.values())

    def delivered_in_state(self, run: str, shard: int) -> int:
        """Return how many queries Meltano's state of a shard names as delivered in a run."""
        state_id = f"looker-to-postgres-shard-{shard}-of-{self.work.shards}"
        states = "select partial_state, completed_state from state where state_id = %s"
        try:
            found = self.airflow.execute("meltano", states, state_id)
        except psycopg.errors.UndefinedTable:  # Meltano has not begun
            return 0
        return max((str(part).count(run) for row in found for part in row), default=0)

    def age_heartbeats(self) -> None:
        """Let Meltano's last signs of life be of five minutes ago."""
        self.airflow.execute("meltano", _AGE_HEARTBEATS)


@contextmanager
def stage(
    folder: Path,
    database: Database,
    work: Work,
    *,
    workers: int | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """Start Looker, a warehouse, and Airflow with a worker for each shard unless told otherwise."""
    first = len(BUILTIN.content.queries) + 1
    latency = {str(first + n): s for n, s in enumerate(work.seconds_by_name().values())}
    options = SimulatorOptions(query_latency=latency, concurrency=work.shards * work.at_once)
    with Simulator(options, database=database) as simulator, running_postgres() as postgres:
        ids = {name: _create_query(simulator, n) for n, name in enumerate(work.names)}
        assert {query_key(id_) for id_ in ids.values()} == latency.keys()
        known = {
            **_settings(simulator, work, ids),
            "TARGET_POSTGRES_SQLALCHEMY_URL": postgres.sqlalchemy_url,
            **(settings or {}),
        }
        started = celery_airflow(folder, postgres.url, known, workers or work.shards)
        with started as airflow:
            yield Stage(work, airflow, simulator, Warehouse(postgres.sqlalchemy_url))


def _create_query(simulator: Simulator, number: int) -> str:
    """Store a query that only its limit tells from the others."""
    # With another time zone, the tap would create a copy.
    own = {"limit": str(_ROWS + number), "query_timezone": "UTC"}
    return simulator.create_query({**BUILTIN.content.queries["1"], **own})


def _settings(simulator: Simulator, work: Work, ids: Mapping[str, str]) -> dict[str, str]:
    queries = [{"name": name, "query_id": ids[name]} for name in work.names]
    return {
        "LOOKER_SHARDS": str(work.shards),
        "LOOKER_QUERIES_AT_ONCE": str(work.shards * work.at_once),
        "MELTANO_PROJECT_ROOT": str(PROJECT),
        "NO_PROXY": "127.0.0.1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TAP_LOOKER_TASKS_BASE_URL": simulator.base_url,
        "TAP_LOOKER_TASKS_CLIENT_ID": CREDENTIAL,
        "TAP_LOOKER_TASKS_CLIENT_SECRET": CREDENTIAL,
        "TAP_LOOKER_TASKS_QUERIES": json.dumps(queries),
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": _SCHEMA,
    }
