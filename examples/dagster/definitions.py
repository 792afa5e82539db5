"""Dagster: an asset for each query, partitioned by shard.

One partition is one process of the tap, which runs its share of the selected queries together; a
query is whole when all its partitions are materialized. `meltano` must be in PATH, and the settings
of the tap and the target in TAP_LOOKER_TASKS_... and TARGET_POSTGRES_....

    dagster asset materialize -f definitions.py --select '*' --partition 0
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from tempfile import TemporaryFile
from typing import BinaryIO

import dagster as dg

SHARDS = int(os.environ.get("LOOKER_SHARDS", "4"))
QUERIES = [query["name"] for query in json.loads(os.environ["TAP_LOOKER_TASKS_QUERIES"])]
# Meltano keeps the state id of a run that was killed for 5 minutes more, and refuses another run
# meanwhile: these delays outlast that.
RETRY = dg.RetryPolicy(
    max_retries=3,
    delay=float(os.environ.get("LOOKER_RETRY_SECONDS", "60")),
    backoff=dg.Backoff.EXPONENTIAL,
)
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
    # `dagster instance concurrency set looker 2`: so many shards at once ask Looker.
    pool="looker",
)
def looker_queries(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    """Run the shard's share of the selected queries, with a state of its own."""
    shard = context.partition_key
    names = sorted(key.to_user_string() for key in context.selected_asset_keys)
    selected = (f"--select={name}.*" for name in (*names, "query_task_results"))
    _run_meltano(
        *("el", "tap-looker-tasks", "target-postgres", *selected),
        f"--state-id=looker-to-postgres-shard-{shard}-of-{SHARDS}",
        settings={
            # A retry, or a run from where another failed, runs no query again that is delivered.
            "TAP_LOOKER_TASKS_RUN_ID": context.run.root_run_id or context.run_id,
            "TAP_LOOKER_TASKS_SHARD_COUNT": str(SHARDS),
            "TAP_LOOKER_TASKS_SHARD_INDEX": shard,
        },
    )
    for name in names:
        yield dg.MaterializeResult(asset_key=name)


def _run_meltano(
    *arguments: str,
    source: BinaryIO | None = None,
    output: BinaryIO | None = None,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Run Meltano; its log is the step's log.

    Raises:
        Failure: it ended with another exit code than 0.
    """
    done = subprocess.run(
        ["meltano", *arguments],  # noqa: S607 - the one in PATH
        stdin=source,
        stdout=output,
        env={**os.environ, **(settings or {})},
        check=False,
    )
    if done.returncode:
        description = f"meltano {arguments[0]} ended with {done.returncode}; its log tells why"
        raise dg.Failure(description)


definitions = dg.Definitions(assets=[looker_tables, looker_queries])
