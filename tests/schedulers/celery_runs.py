"""Runs of the DAG by several workers, with queries that take a while in Looker."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from demo.application import CREDENTIAL
from demo.postgres import running_postgres
from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.schedulers.celery_airflow import celery_airflow
from tests.singer import stored_id
from tests.warehouses.environments import PROJECT
from tests.warehouses.reading import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from looker_simulator.engine import Database
    from tests.schedulers.celery_airflow import CeleryAirflow

_SCHEMA = "looker"
_AGE_HEARTBEATS = "update runs set last_heartbeat_at = last_heartbeat_at - interval '5 minutes'"
_ROWS = 16  # of the query that all of them run


@dataclass(frozen=True)
class Work:
    """What there is to do.

    Attributes:
        shards: that share it, a worker for each.
        queries: how many.
        seconds: what each takes in Looker.
        at_once: of each shard.
    """

    shards: int
    queries: int = 48
    seconds: float = 20.0
    at_once: int = 4

    @property
    def names(self) -> list[str]:
        """Name the queries."""
        return [f"airlines_{n}" for n in range(self.queries)]


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
    options = SimulatorOptions(latency_seconds=work.seconds, concurrency=work.shards * work.at_once)
    with Simulator(options, database=database) as simulator, running_postgres() as postgres:
        known = {
            **_settings(simulator, work),
            "TARGET_POSTGRES_SQLALCHEMY_URL": postgres.sqlalchemy_url,
            **(settings or {}),
        }
        started = celery_airflow(folder, postgres.url, known, workers or work.shards)
        with started as airflow:
            yield Stage(work, airflow, simulator, Warehouse(postgres.sqlalchemy_url))


def _settings(simulator: Simulator, work: Work) -> dict[str, str]:
    queries = [{"name": name, "query_id": stored_id(1)} for name in work.names]
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
