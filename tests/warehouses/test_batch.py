"""BATCH files through S3 into PostgreSQL: JSON lines and Parquet."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.warehouses.environments import environment, warehouse_command
from tests.warehouses.every_type import ONE_SCALE, STREAM, compare, draw_table
from tests.warehouses.loading import extract, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.warehouses.reading import Warehouse

pytestmark = [pytest.mark.slow, pytest.mark.warehouses]
_BUCKET = "batches"
_START_SECONDS = 60


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Serve S3; give the environment in which programs find it."""
    with _running_moto(tmp_path_factory.mktemp("moto") / "log") as url:
        requests.put(f"{url}/{_BUCKET}", timeout=10).raise_for_status()
        yield {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url,
            "NO_PROXY": "127.0.0.1",
        }


@contextmanager
def _running_moto(log: Path) -> Iterator[str]:
    with log.open("w") as output:
        server = subprocess.Popen(
            [warehouse_command("moto_server"), "-H", "127.0.0.1", "-p", "0"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _url_in(log)
    finally:
        server.terminate()
        server.wait()


def _url_in(log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        for word in log.read_text().split():
            if word.startswith("http://127.0.0.1:"):
                return word
        time.sleep(0.05)
    pytest.fail(f"moto_server did not start: {log.read_text()}")


def test_numbers_that_parquet_cannot_hold_together_end_the_run_in_one_line(tmp_path: Path) -> None:
    storage = {"root": (tmp_path / "files").as_uri()}
    with pytest.raises(AssertionError, match="cannot be written as parquet: ") as failed:
        extract(
            draw_table(5_000),
            tmp_path / "run",
            tap=[str(environment("warehouses") / "python"), "-m", "tap_looker_tasks"],
            query_task_ids=[],
            batch_config={"encoding": {"format": "parquet"}, "storage": storage},
        )
    assert "Traceback" not in str(failed.value)


@pytest.mark.parametrize(
    "encoding", [{"format": "jsonl", "compression": "gzip"}, {"format": "parquet"}]
)
def test_every_type_lands_through_files_in_s3(
    s3: dict[str, str],
    warehouse: Warehouse,
    tmp_path: Path,
    encoding: dict[str, str],
) -> None:
    # Arrow settles on a scale for each column.
    table = draw_table(5_000, numbers=ONE_SCALE)
    storage: dict[str, Any] = {"root": f"s3://{_BUCKET}/{encoding['format']}", "prefix": "b-"}
    messages = extract(
        table,
        tmp_path / "run",
        tap=[str(environment("warehouses") / "python"), "-m", "tap_looker_tasks"],
        environment=s3,
        query_task_ids=[],
        batch_config={"encoding": encoding, "storage": storage},
    )
    schema = f"batch_{encoding['format']}"
    load(
        warehouse_command("target-postgres"),
        messages,
        s3,
        sqlalchemy_url=warehouse.sqlalchemy_url,
        default_target_schema=schema,
        hard_delete=True,
    )

    types = {json.loads(line)["type"] for line in messages.read_text().splitlines()}
    assert "BATCH" in types
    assert compare(table.records, warehouse.rows(schema, STREAM)) == []
