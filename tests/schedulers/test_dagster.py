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
_QUERIES = [{"name": f"airlines_{n}", "query_id": stored_id(1)} for n in range(3)]


@pytest.mark.slow
@pytest.mark.schedulers
def test_a_query_is_whole_when_all_partitions_are_materialized(
    settings: dict[str, str], simulator: Simulator, warehouse: Warehouse, tmp_path: Path
) -> None:
    schema = tmp_path.name
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")

    def materialize(*options: str) -> None:
        done = subprocess.run(
            [
                environment("dagster") / "dagster",
                *("asset", "materialize", "-f", "examples/dagster/definitions.py", *options),
            ],
            cwd=PROJECT,
            env={
                **os.environ,
                **settings,
                "DAGSTER_HOME": str(tmp_path),
                "LOOKER_SHARDS": "2",
                "TAP_LOOKER_TASKS_QUERIES": json.dumps(_QUERIES),
                "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": schema,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:]

    materialize("--select", "looker_tables")
    assert warehouse.rows(schema, "airlines_0") == []
    for shard in ("0", "1"):
        materialize("--select", "airlines_0,airlines_1", "--partition", shard)

    assert [len(warehouse.rows(schema, query["name"])) for query in _QUERIES] == [16, 16, 0]
    assert simulator.count("create_query_task") == 2
