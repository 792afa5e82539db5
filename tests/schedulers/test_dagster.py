"""The definitions of `examples/dagster`, run by Dagster."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.singer import stored_id
from tests.warehouses.environments import PROJECT, environment

if TYPE_CHECKING:
    from pathlib import Path

    from looker_simulator.simulator import Simulator
    from tests.warehouses.reading import Warehouse

_SECONDS = 480
_DEFINITIONS = "examples/dagster/definitions.py"
_QUERIES = [{"name": f"airlines_{n}", "query_id": stored_id(1)} for n in range(3)]
# What Dagster knows afterwards: the runs that the sensor requests, and the figures of a query.
_INSPECT = """
import json, runpy, sys
import dagster as dg
known = runpy.run_path(sys.argv[1])
with dg.DagsterInstance.get() as instance:
    context = dg.build_sensor_context(instance=instance, definitions=known["definitions"])
    tick = known["looker_shards"].evaluate_tick(context)
    (figures,) = [
        materialization.metadata["dagster/partition_row_count"].value
        for record in instance.fetch_materializations(dg.AssetKey("airlines_0"), limit=9).records
        if (materialization := record.asset_materialization).metadata["query_tasks"].value
    ]
    print(json.dumps([[r.partition_key for r in tick.run_requests], figures]))
"""


@pytest.mark.slow
@pytest.mark.schedulers
def test_a_query_is_complete_when_all_partitions_are_materialized(
    settings: dict[str, str], simulator: Simulator, warehouse: Warehouse, tmp_path: Path
) -> None:
    schema = tmp_path.name
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")

    def run(command: str, *options: str, exit_code: int = 0, **more: str) -> str:
        done = subprocess.run(
            [environment("dagster") / command, *options],
            cwd=PROJECT,
            env={
                **os.environ,
                **settings,
                "DAGSTER_HOME": str(tmp_path),
                "LOOKER_RETRY_SECONDS": "1",
                "LOOKER_SHARDS": "2",
                "TAP_LOOKER_TASKS_QUERIES": json.dumps(_QUERIES),
                "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": schema,
                **more,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == exit_code, done.stdout[-5000:]
        return done.stdout

    def materialize(*options: str, exit_code: int = 0, **more: str) -> None:
        command = ("dagster", "asset", "materialize", "-f", _DEFINITIONS)
        run(*command, *options, exit_code=exit_code, **more)

    materialize("--select", "looker_tables")
    assert warehouse.rows(schema, "airlines_0") == []
    for shard in ("0", "1"):
        materialize("--select", "airlines_0,airlines_1", "--partition", shard)

    assert [len(warehouse.rows(schema, query["name"])) for query in _QUERIES] == [16, 16, 0]
    assert simulator.count("create_query_task") == 2
    found = run("python", "-c", _INSPECT, _DEFINITIONS).splitlines()[-1]
    assert json.loads(found) == [["0", "1"], 16]

    logins = simulator.count("login")
    materialize(*("--select", "looker_tables"), exit_code=1, TAP_LOOKER_TASKS_CLIENT_SECRET="wrong")
    assert simulator.count("login") == logins + 1
    selected = ("--select", "airlines_0", "--partition", "0")
    materialize(*selected, exit_code=1, TAP_LOOKER_TASKS_CLIENT_SECRET="wrong")
    # Of the shard, and of the check that says why: it is not tried again.
    assert simulator.count("login") == logins + 3
