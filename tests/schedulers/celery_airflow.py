"""Airflow as deployed: a scheduler, and workers that get tasks from Celery and Redis."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
import requests

from tests.schedulers.processes import Program, free_port, running
from tests.warehouses.environments import PROJECT, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

DAG = "looker_to_postgres"
_START_SECONDS = 300
_REQUEST_SECONDS = 30
_PAUSE_SECONDS = 1.0
_DATABASES = ("airflow", "meltano")


@dataclass(frozen=True)
class TaskTry:
    """One try of a task.

    Attributes:
        task: its name, and its number among the mapped ones.
        number: from 1.
        state: Airflow's word for how it ended.
        started_at: when.
        ended_at: when; None while it runs.
    """

    task: str
    number: int
    state: str
    started_at: datetime
    ended_at: datetime | None


class CeleryAirflow:
    """Airflow with workers, and the examples as its DAGs.

    Attributes:
        workers: one process for each task at once.
    """

    def __init__(self, api: str, workers: list[Program], databases: Mapping[str, str]) -> None:
        self.workers = workers
        self._databases = databases
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy leads to this machine
        self._api = api

    def log_in(self) -> None:
        """Get a token; no one else reaches the server."""
        response = self._session.get(f"{self._api}/auth/token", timeout=_REQUEST_SECONDS)
        response.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {response.json()['access_token']}"

    def is_ready(self) -> bool:
        """Return whether the DAG can be run."""
        try:
            self._get("monitor/health")
        except requests.RequestException:
            return False
        self.log_in()
        known = self._get("dags")["dags"]
        return any(dag["dag_id"] == DAG for dag in known) and all(
            worker.wrote(" ready.") for worker in self.workers
        )

    def trigger(self) -> str:
        """Start a run; returns its id."""
        url = f"{self._api}/api/v2/dags/{DAG}/dagRuns"
        response = self._session.post(url, json={"logical_date": None}, timeout=_REQUEST_SECONDS)
        response.raise_for_status()
        id_: str = response.json()["dag_run_id"]
        return id_

    def wait(self, run: str, seconds: float) -> dict[str, Any]:
        """Return what Airflow says of a run once it is over.

        Raises:
            TimeoutError: If it is not.
        """
        about: dict[str, Any] = {}

        def is_over() -> bool:
            about.update(self._get(f"dags/{DAG}/dagRuns/{run}"))
            return about["state"] in {"success", "failed"}

        wait_until(is_over, seconds)
        return about

    def tries(self, run: str, task: str, shards: int) -> list[TaskTry]:
        """Return the tries of a mapped task, in the order in which they started."""
        tries = []
        for shard in range(shards):
            path = f"dags/{DAG}/dagRuns/{run}/taskInstances/{task}/{shard}/tries"
            tries += [
                _task_try(f"{task} {shard}", one) for one in self._get(path)["task_instances"]
            ]
        return sorted(tries, key=lambda one: one.started_at)

    def execute(self, database: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement behind the back of the programs that have a database; return its rows."""
        with psycopg.connect(self._databases[database], autocommit=True) as connection:
            ran = connection.execute(statement.encode(), values or None)
            return ran.fetchall() if ran.description else []

    def _get(self, path: str) -> dict[str, Any]:
        response = self._session.get(f"{self._api}/api/v2/{path}", timeout=_REQUEST_SECONDS)
        response.raise_for_status()
        body: dict[str, Any] = response.json()
        return body


def _task_try(task: str, one: Mapping[str, Any]) -> TaskTry:
    ended_at = one["end_date"] and datetime.fromisoformat(one["end_date"])
    started_at = datetime.fromisoformat(one["start_date"])
    return TaskTry(task, one["try_number"], one["state"], started_at, ended_at)


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Return when it is so.

    Raises:
        TimeoutError: If it is not, after these seconds.
    """
    latest = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > latest:
            msg = f"not so after {seconds} s"
            raise TimeoutError(msg)
        time.sleep(_PAUSE_SECONDS)


@contextmanager
def celery_airflow(
    folder: Path, postgres: str, settings: Mapping[str, str], workers: int
) -> Iterator[CeleryAirflow]:
    """Run Airflow's parts, with a number of workers, and its data in databases of this server."""
    folder.mkdir()
    databases = {name: _database(postgres, name) for name in _DATABASES}
    ports = {name: free_port() for name in ("redis", "api")}
    known = _environment(folder, databases, ports) | {**settings}
    commands = _commands(ports, workers)
    _prepare(known)
    with ExitStack() as parts:
        started = {
            name: parts.enter_context(running(command, known, folder / f"{name}.log"))
            for name, command in commands.items()
        }
        at_work = [program for name, program in started.items() if name.startswith("worker-")]
        airflow = CeleryAirflow(f"http://127.0.0.1:{ports['api']}", at_work, databases)
        wait_until(airflow.is_ready, _START_SECONDS)
        yield airflow


def _prepare(known: Mapping[str, str]) -> None:
    airflow, slots = environment("airflow") / "airflow", known["LOOKER_QUERIES_AT_ONCE"]
    for command in (("db", "migrate"), ("pools", "set", "looker", slots, "of one Looker user")):
        subprocess.run([airflow, *command], cwd=PROJECT, env=known, check=True, capture_output=True)


def _commands(ports: Mapping[str, int], workers: int) -> dict[str, list[str]]:
    airflow = str(environment("airflow") / "airflow")
    redis, api = (("--port", str(ports[name])) for name in ("redis", "api"))
    worker = [airflow, "celery", "worker", "--concurrency", "1", "--skip-serve-logs"]
    return {
        "redis": ["redis-server", "--bind", "127.0.0.1", *redis, "--save", ""],
        "api-server": [airflow, "api-server", "--host", "127.0.0.1", *api, "--workers", "1"],
        "scheduler": [airflow, "scheduler"],
        "dag-processor": [airflow, "dag-processor"],
        **{f"worker-{n}": [*worker, "--celery-hostname", f"worker-{n}"] for n in range(workers)},
    }


def _database(postgres: str, name: str) -> str:
    """Make an empty database; returns its address."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)".encode())
        connection.execute(f"create database {name}".encode())
    return postgres.replace("/postgres?", f"/{name}?", 1)


def _environment(
    folder: Path, databases: Mapping[str, str], ports: Mapping[str, int]
) -> dict[str, str]:
    def driven(name: str, driver: str) -> str:
        return databases[name].replace("postgresql:", f"postgresql+{driver}:", 1)

    api = f"http://127.0.0.1:{ports['api']}"
    return {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__API__BASE_URL": api,
        "AIRFLOW__API__SECRET_KEY": "of a test",
        "AIRFLOW__API_AUTH__JWT_SECRET": "of a test" * 8,
        "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{ports['redis']}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{driven('airflow', 'psycopg2')}",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "examples" / "airflow"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{api}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "true",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": driven("airflow", "psycopg2"),
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "false",  # runs when it is asked to
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "false",
        "MELTANO_DATABASE_URI": driven("meltano", "psycopg"),
    }
