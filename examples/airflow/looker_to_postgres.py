"""An Airflow 3 DAG: the tap's work, shared between as many workers as there are shards.

Each shard is a task of its own, with a state of its own in Meltano and a process that follows and
launches its share of the queries. A pool called `looker` keeps all of them together below the
number of queries that Looker runs at once for a user, 15 unless its administrator says otherwise:

    airflow pools set looker 15 "Queries at once of one Looker user"

Workers need this project (or one with the same plugins), its `meltano` in PATH, a system database
or state backend that all of them reach (MELTANO_DATABASE_URI, MELTANO_STATE_BACKEND_URI), and the
settings in TAP_LOOKER_TASKS_... and TARGET_POSTGRES_....
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.sdk import dag, task

SHARDS = int(os.environ.get("LOOKER_SHARDS", "4"))
POOL_SLOTS = int(os.environ.get("LOOKER_QUERIES_AT_ONCE", "15")) // SHARDS
# Meltano keeps the state id of a run that was killed for 5 minutes more, and refuses another run
# meanwhile: 60, 120 and 240 s outlast that, however soon Airflow notices.
RETRIES = 3
RETRY_DELAY = timedelta(seconds=float(os.environ.get("LOOKER_RETRY_SECONDS", "60")))


@dag(
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,  # a shard's state is for one run at a time
    default_args={
        "retries": RETRIES,
        "retry_delay": RETRY_DELAY,
        "retry_exponential_backoff": 2,
    },
)
def looker_to_postgres() -> None:
    """Make the tables, then load all shards, each on whatever worker is free."""

    @task.bash
    def make_tables() -> str:
        """Send the target schemas without a record: shards would race to create tables."""
        # One after the other: two processes at once cannot set up Meltano's database.
        return (
            "set -e; schemas=$(mktemp); trap 'rm $schemas' EXIT; "
            "meltano invoke tap-looker-tasks --test=schema > $schemas; "
            "meltano invoke target-postgres < $schemas"
        )

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
        return (
            f"TAP_LOOKER_TASKS_SHARD_INDEX={shard} exec meltano el tap-looker-tasks target-postgres"
            f" --state-id=looker-to-postgres-shard-{shard}-of-{SHARDS}"
        )

    make_tables() >> load.expand(shard=plan())


looker_to_postgres()
