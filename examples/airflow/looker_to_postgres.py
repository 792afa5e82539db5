"""Load Looker queries into PostgreSQL, shared between as many workers as there are shards.

Each shard is a separate task, with a separate state in Meltano and a process that follows and
launches its share of the queries. The DAG's run ID is in the tap's log, summary and report. The
pool `looker` keeps all shards together within the number of queries that Looker runs concurrently
for a user, 15 by default:

    airflow pools set looker 15 "Concurrent queries of one Looker user"

Workers need this project (or one with the same plugins), its `meltano` in PATH, a system database
or state backend that all of them reach (MELTANO_DATABASE_URI, MELTANO_STATE_BACKEND_URI), and the
settings in TAP_LOOKER_TASKS_... and TARGET_POSTGRES_.... If LOOKER_ALERT_URL is set, a task that
failed for the last time is posted there as `{"text": ...}`, which Slack and others accept.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
from datetime import timedelta
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING
from urllib.request import Request, urlopen

import pendulum
from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context

SHARDS = int(os.environ.get("LOOKER_SHARDS", "4"))
POOL_SLOTS = int(os.environ.get("LOOKER_QUERIES_AT_ONCE", "15")) // SHARDS
# Meltano locks the state of a killed run for 5 minutes, and rejects another run meanwhile: 60, 120
# and 240 s outlast that, even if Airflow notices immediately.
RETRIES = 3
RETRY_DELAY = timedelta(seconds=float(os.environ.get("LOOKER_RETRY_SECONDS", "60")))
# A Meltano that hangs would keep its slots of the pool. Airflow ends it by SIGTERM.
TIMEOUT = timedelta(minutes=float(os.environ.get("LOOKER_TIMEOUT_MINUTES", "120")))
# The tap's exit code for wrong settings, state or credentials.
WRONG_CONFIGURATION = 78


def announce_failure(context: Context) -> None:
    """Log, and post to LOOKER_ALERT_URL if it is set, which task failed and where its log is."""
    instance = context["task_instance"]
    shard = f" {instance.map_index}" if instance.map_index >= 0 else ""
    message = (
        f"{instance.dag_id}, run {context['run_id']}: {instance.task_id}{shard} failed: "
        f"{context.get('exception')}. Log: {instance.log_url}"
    )
    logging.getLogger(__name__).error(message)
    if url := os.environ.get("LOOKER_ALERT_URL"):
        body = json.dumps({"text": message}).encode()
        with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=30):  # noqa: S310 - yours
            pass


@dag(
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,  # a shard's state is for one run at a time
    tags=["looker", "meltano"],
    doc_md=__doc__,
    default_args={
        "execution_timeout": TIMEOUT,
        "on_failure_callback": announce_failure,
        "retries": RETRIES,
        "retry_delay": RETRY_DELAY,
        "retry_exponential_backoff": 2,
    },
)
def looker_to_postgres() -> None:
    """Create the tables, then load all shards, each on any free worker."""

    @task
    def make_tables() -> None:
        """Send the target schemas without a record: shards would race to create tables."""
        # One after the other: two concurrent processes cannot set up Meltano's database.
        with TemporaryFile() as schemas:
            _run_meltano("tap-looker-tasks", "--test=schema", stdout=schemas)
            schemas.seek(0)
            _run_meltano("target-postgres", stdin=schemas)

    @task
    def plan() -> list[int]:
        return list(range(SHARDS))

    # The tap ends with 1 when a query failed, after all others are delivered. A retry has the same
    # run ID: it resumes what the shard's state has in flight, and runs only those queries again
    # that this run has not delivered. Airflow kills with SIGTERM: the tap then cancels what it
    # launched.
    @task.bash(
        append_env=True,
        env={
            "TAP_LOOKER_TASKS_RUN_ID": "{{ run_id }}",
            "TAP_LOOKER_TASKS_SHARD_COUNT": str(SHARDS),
            "TAP_LOOKER_TASKS_MAX_CONCURRENT_TASKS": str(max(1, POOL_SLOTS)),
        },
        pool="looker",
        pool_slots=max(1, POOL_SLOTS),
        map_index_template="shard {{ task.op_kwargs['shard'] }}",
    )
    def load(shard: int) -> str:
        # `meltano el` ends with 1, so a retry checks the configuration.
        if get_current_context()["ti"].try_number > 1:
            _run_meltano("tap-looker-tasks", "--test=schema", stdout=subprocess.DEVNULL)
        return (
            f"TAP_LOOKER_TASKS_SHARD_INDEX={shard} exec meltano el tap-looker-tasks target-postgres"
            f" --state-id=looker-to-postgres-shard-{shard}-of-{SHARDS}"
        )

    make_tables() >> load.expand(shard=plan())


def _run_meltano(
    *arguments: str, stdin: IO[bytes] | None = None, stdout: IO[bytes] | int | None = None
) -> None:
    """Invoke a plugin.

    Raises:
        AirflowFailException: If another try would also fail.
        AirflowException: If it failed otherwise.
    """
    command = ["meltano", "invoke", *arguments]
    code = subprocess.run(command, stdin=stdin, stdout=stdout, check=False).returncode
    if code:
        failure = AirflowFailException if code == WRONG_CONFIGURATION else AirflowException
        message = f"{' '.join(command)} ended with {code}; see its log"
        raise failure(message)


looker_to_postgres()
