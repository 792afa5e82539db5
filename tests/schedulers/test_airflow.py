"""The DAG of `examples/airflow`, run by Airflow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.singer import stored_id
from tests.warehouses.environments import PROJECT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from looker_simulator.simulator import Simulator
    from tests.warehouses.reading import Warehouse

pytestmark = [pytest.mark.slow, pytest.mark.schedulers]
_SECONDS = 480
_DAG = PROJECT / "examples" / "airflow" / "looker_to_postgres.py"
_MELTANO_FORGETS_SECONDS = 300
_DELAYS = """
import runpy, sys
load = runpy.run_path(sys.argv[1])["looker_to_postgres"]().get_task("load")
factor, delay = load.retry_exponential_backoff, load.retry_delay.total_seconds()
print(sum(delay * factor**number for number in range(load.retries)))
"""
_QUERIES = [{"name": f"airlines_{n}", "query_id": stored_id(1)} for n in range(4)]


class Airflow:
    """Airflow in a separate folder, with the examples as its DAGs."""

    def __init__(self, home: Path, settings: Mapping[str, str]) -> None:
        self._bin = environment("airflow")
        self._environment = {
            **os.environ,
            **settings,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "examples" / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "false",
            "LOOKER_SHARDS": "2",
            "LOOKER_RETRY_SECONDS": "1",
            # Bash finds `meltano` there; Airflow itself is called by its path.
            "PATH": f"{settings['PATH']}{os.pathsep}{self._bin}",
        }
        self("db", "migrate")
        self("pools", "set", "looker", "4", "Concurrent queries of one Looker user")

    def __call__(self, *arguments: str, exit_code: int = 0, **more: str) -> str:
        done = subprocess.run(
            [self._bin / "airflow", *arguments],
            cwd=PROJECT,
            env=self._environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == exit_code, done.stdout[-5000:]
        return done.stdout


@pytest.fixture
def alerts() -> Iterator[list[str]]:
    """Yield an address, and then the texts that are posted to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(json.loads(body)["text"])
            self.send_response(204)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = [f"http://127.0.0.1:{server.server_port}/"]
        Thread(target=server.serve_forever, daemon=True).start()
        yield received
        server.shutdown()


@pytest.fixture
def airflow(settings: dict[str, str], tmp_path: Path) -> Airflow:
    queries = {"TAP_LOOKER_TASKS_QUERIES": json.dumps(_QUERIES)}
    schema = {"TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": tmp_path.name}
    return Airflow(tmp_path / "airflow", {**settings, **queries, **schema})


def test_shards_load_one_warehouse_and_keep_states_of_their_own(
    airflow: Airflow, simulator: Simulator, warehouse: Warehouse, tmp_path: Path
) -> None:
    log = airflow("dags", "test", "looker_to_postgres")

    assert "state=success" in log, log[-5000:]
    for query in _QUERIES:
        assert len(warehouse.rows(tmp_path.name, query["name"])) == 16
    # No query was run by both.
    assert simulator.count("create_query_task") == len(_QUERIES)


def test_a_wrong_secret_is_tried_once_and_announced(
    airflow: Airflow, simulator: Simulator, alerts: list[str]
) -> None:
    log = airflow(
        *("dags", "test", "looker_to_postgres"),
        exit_code=1,
        TAP_LOOKER_TASKS_CLIENT_SECRET="wrong",
        LOOKER_ALERT_URL=alerts[0],
    )

    assert "state=failed" in log, log[-5000:]
    assert simulator.count("login") == 1
    (shown,) = alerts[1:]
    assert "make_tables" in shown
    assert "ended with 78" in shown


def test_a_secret_that_is_revoked_during_the_run_ends_the_retries(
    airflow: Airflow, settings: dict[str, str], simulator: Simulator, tmp_path: Path
) -> None:
    command = shutil.which("meltano", path=settings["PATH"])
    revoked = tmp_path / "revoked"
    wrapper = tmp_path / "bin" / "meltano"
    wrapper.parent.mkdir()
    wrapper.write_text(
        f'#!/bin/sh\n[ "$1" = el ] && touch {revoked}\n'
        f"[ -e {revoked} ] && export TAP_LOOKER_TASKS_CLIENT_SECRET=wrong\n"
        f'exec {command} "$@"\n'
    )
    wrapper.chmod(0o755)
    log = airflow(
        *("dags", "test", "looker_to_postgres"),
        exit_code=1,
        LOOKER_SHARDS="1",
        PATH=f"{wrapper.parent}{os.pathsep}{settings['PATH']}",
    )

    assert "ended with 78" in log, log[-5000:]
    # Of the tables, of the shard, and of the retry that ends it.
    assert simulator.count("login") == 3


def test_retries_outlast_the_hold_of_a_killed_meltano_on_its_state(tmp_path: Path) -> None:
    # An executor may notice at once that a worker is gone.
    done = subprocess.run(
        [environment("airflow") / "python", "-c", _DELAYS, _DAG],
        env={"AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout.split()[-1]) > _MELTANO_FORGETS_SECONDS
