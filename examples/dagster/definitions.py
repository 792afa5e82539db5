"""Dagster: an asset for each query, partitioned by shard.

One partition is one process of the tap, which runs its share of the selected queries together; a
query is complete when all its partitions are materialized. `meltano` must be in PATH, and the
settings of the tap and the target in TAP_LOOKER_TASKS_... and TARGET_POSTGRES_....

    dagster asset materialize -f definitions.py --select looker_tables
    dagster asset materialize -f definitions.py --select 'airlines,orders' --partition 0

`dagster dev -f definitions.py` serves the same with a schedule: every hour `looker_tables`, and, by
the sensor, all shards when that is done. Turn on both.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, BinaryIO

import dagster as dg

SHARDS = int(os.environ.get("LOOKER_SHARDS", "4"))
QUERIES = [query["name"] for query in json.loads(os.environ["TAP_LOOKER_TASKS_QUERIES"])]
# Meltano locks the state of a killed run for 5 minutes, and rejects another run meanwhile: these
# delays outlast that.
RETRY = dg.RetryPolicy(
    max_retries=3,
    delay=float(os.environ.get("LOOKER_RETRY_SECONDS", "60")),
    backoff=dg.Backoff.EXPONENTIAL,
)
# The tap's exit code for wrong settings, state or credentials.
WRONG_CONFIGURATION = 78
_SHARD_NUMBERS = dg.StaticPartitionsDefinition([str(number) for number in range(SHARDS)])


@dg.asset(retry_policy=RETRY)
def looker_tables() -> None:
    """Make the tables by schemas without a record: shards would race to create them."""
    with TemporaryFile() as schemas:
        _run_meltano("invoke", "tap-looker-tasks", "--test=schema", output=schemas)
        schemas.seek(0)
        _run_meltano("invoke", "target-postgres", source=schemas)


@dg.multi_asset(
    specs=[dg.AssetSpec(name, deps=[looker_tables]) for name in QUERIES],
    partitions_def=_SHARD_NUMBERS,
    can_subset=True,
    retry_policy=RETRY,
    # `dagster instance concurrency set looker 2` limits concurrent shards to two.
    pool="looker",
)
def looker_queries(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    """Run the shard's share of the selected queries, with a separate state."""
    shard = context.partition_key
    names = sorted(key.to_user_string() for key in context.selected_asset_keys)
    selected = (f"--select={name}.*" for name in (*names, "query_task_results"))
    with TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        _run_meltano(
            *("el", "tap-looker-tasks", "target-postgres", *selected),
            f"--state-id=looker-to-postgres-shard-{shard}-of-{SHARDS}",
            settings={
                # A retry, or a run from where another failed, runs no query again that is
                # delivered.
                "TAP_LOOKER_TASKS_RUN_ID": context.run.root_run_id or context.run_id,
                "TAP_LOOKER_TASKS_SHARD_COUNT": str(SHARDS),
                "TAP_LOOKER_TASKS_SHARD_INDEX": shard,
                "TAP_LOOKER_TASKS_SUMMARY_PATH": str(summary),
            },
        )
        figures = json.loads(summary.read_bytes())
    context.log.info("%s API calls of Looker", figures["api_calls"])
    for name in names:
        yield dg.MaterializeResult(asset_key=name, metadata=_describe(name, figures))


tables_job = dg.define_asset_job("looker_tables_job", selection=[looker_tables])
shards_job = dg.define_asset_job(
    "looker_shards_job", selection=[looker_queries], partitions_def=_SHARD_NUMBERS
)
hourly = dg.ScheduleDefinition("looker_hourly", job=tables_job, cron_schedule="7 * * * *")


@dg.asset_sensor(asset_key=looker_tables.key, job=shards_job)
def looker_shards(
    context: dg.SensorEvaluationContext,  # noqa: ARG001 - Dagster's interface
    asset_event: dg.EventLogEntry,
) -> Iterator[dg.RunRequest]:
    """Run every shard, each time the tables have been created."""
    for shard in _SHARD_NUMBERS.get_partition_keys():
        yield dg.RunRequest(run_key=f"{asset_event.run_id}-{shard}", partition_key=shard)


def _describe(name: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a query; they are empty in the shards that do not have it."""
    of_query = [query for query in figures["queries"] if query["name"] == name]
    return {
        "dagster/partition_row_count": sum(query["row_count"] or 0 for query in of_query),
        "looker_seconds": sum(query["runtime_seconds"] or 0.0 for query in of_query),
        "query_tasks": [query["query_task_id"] for query in of_query],
    }


def _run_meltano(
    *arguments: str,
    source: BinaryIO | None = None,
    output: BinaryIO | None = None,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Run Meltano; its log is the step's log.

    Raises:
        Failure: If it ended with another exit code than 0.
    """
    done = subprocess.run(
        ["meltano", *arguments],  # noqa: S607 - the one in PATH
        stdin=source,
        stdout=output,
        env={**os.environ, **(settings or {})},
        check=False,
    )
    if code := done.returncode:
        description = f"meltano {arguments[0]} ended with {code}; see its log"
        if arguments[0] == "el":  # hides the tap's exit code
            command = ["meltano", "invoke", "tap-looker-tasks", "--test=schema"]
            code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
        raise dg.Failure(description, allow_retries=code != WRONG_CONFIGURATION)


definitions = dg.Definitions(
    assets=[looker_tables, looker_queries],
    jobs=[tables_job, shards_job],
    schedules=[hourly],
    sensors=[looker_shards],
)
