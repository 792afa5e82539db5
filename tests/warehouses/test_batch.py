"""Files in S3: BATCH into PostgreSQL, JSON lines and Parquet, and a target that writes there."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.warehouses.environments import environment, warehouse_command
from tests.warehouses.every_type import ONE_SCALE, STREAM, compare, draw_table, query
from tests.warehouses.loading import extract, load, run
from tests.warehouses.reading import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.warehouses.reading import Warehouse

pytestmark = [pytest.mark.slow, pytest.mark.warehouses]
_BUCKET = "batches"
_START_SECONDS = 60
_DOWNLOAD = "import boto3, sys; boto3.client('s3').download_file(*sys.argv[1:])"


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


def test_every_type_lands_in_json_lines_in_s3(s3: dict[str, str], tmp_path: Path) -> None:
    table = draw_table(60, numbers=("12345678901234567890.123456789", "7"))
    declared = query(decimals={"precision": 38, "scale": 9})
    load(
        str(environment("targets/s3-jsonl") / "target-s3-jsonl"),
        extract(table, tmp_path / "run", queries=[declared]),
        s3,
        s3_bucket=_BUCKET,
        path_template="lines/{stream}.jsonl",
        aws_endpoint_url=s3["AWS_ENDPOINT_URL"],
        work_dir=str(tmp_path),
    )
    lines = tmp_path / "lines.jsonl"
    download = [warehouse_command("python"), "-c", _DOWNLOAD, _BUCKET, f"lines/{STREAM}.jsonl"]
    run([*download, str(lines)], environment=s3)
    assert compare(table.records, read_lines(lines)) == []
