"""dbt reads the sources that `--dbt-sources` writes."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.warehouses.environments import environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.singer import Run

pytestmark = pytest.mark.warehouses

PROJECT = """\
name: loaded
version: '1.0'
profile: loaded
flags: {send_anonymous_usage_stats: false}
"""
PROFILE = """\
loaded:
  target: dev
  outputs:
    dev: {type: postgres, host: localhost, port: 5432, user: me, pass: me, dbname: me, schema: dbt}
"""
ORDERS: dict[str, Any] = {
    "model": "shop",
    "explore": "orders",
    "fields": ["orders.id", "orders.created_time", "orders.address", "orders.count"],
}


def test_dbt_parses_the_sources(tap: Callable[..., Run], tmp_path: Path) -> None:
    queries = [
        {
            "name": "orders",
            "explore": ORDERS,
            "primary_keys": ["orders.id"],
            "replication_key": "orders.created_time",
        },
        {"name": "airlines", "look_id": 1},
    ]
    project = tmp_path / "dbt"
    (project / "models").mkdir(parents=True)
    (project / "dbt_project.yml").write_text(PROJECT)
    (project / "profiles.yml").write_text(PROFILE)
    run = tap("--dbt-sources", queries=queries)
    (project / "models" / "sources.yml").write_bytes(run.output)
    model = "select orders__id from {{ source('looker', 'orders') }}"
    (project / "models" / "latest.sql").write_text(model)
    command = [str(environment("dbt") / "dbt"), "parse", "--profiles-dir", "."]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout
    manifest = json.loads((project / "target" / "manifest.json").read_text())
    sources = {source["name"]: source for source in manifest["sources"].values()}
    assert {*sources} == {"orders", "airlines", "query_task_results"}
    assert sources["orders"]["loaded_at_field"] == "orders__created_time"
    column = sources["orders"]["columns"]["orders__id"]
    assert (column["data_type"], column["description"][:9]) == ("bigint", "Orders Id")
    tests = {node.split(".")[2] for node in manifest["nodes"] if node.startswith("test.")}
    assert {
        "source_unique_looker_orders_orders__id",
        "source_not_null_looker_orders_orders__id",
        "source_not_null_looker_airlines__row_number",
    } <= tests
