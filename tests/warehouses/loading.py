"""The tap and real targets, run as the programs they are, one after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.payloads import query_task_id
from bench.stub import Stub, serving
from tests.warehouses.every_type import STREAM, TIMEZONE, Table, query, write_responses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROJECT = Path(__file__).parent.parent.parent
EXTERNAL_TASK = query_task_id(1_000)
_TAP = [sys.executable, "-m", "tap_looker_tasks"]
_SECONDS = 240


def meltano_loader(name: str) -> str:
    """Return the command of a target that Meltano installed for this project."""
    command = PROJECT / ".meltano" / "loaders" / name / "venv" / "bin" / name
    assert command.exists(), f"{name} is not installed: make setup"
    return str(command)


def run(
    command: Sequence[str],
    *,
    read: Path | None = None,
    write: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program that has to succeed; return what it logged."""
    with (
        (read or Path(os.devnull)).open("rb") as source,
        (write or Path(os.devnull)).open("wb") as output,
    ):
        done = subprocess.run(
            command,
            cwd=PROJECT,
            stdin=source,
            stdout=output,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(PROJECT), **(environment or {})},
            timeout=_SECONDS,
            check=False,
        )
    log = done.stderr.decode()
    assert done.returncode == 0, log[-3000:]
    return log


def extract(
    table: Table,
    folder: Path,
    *,
    tap: Sequence[str] = tuple(_TAP),
    environment: Mapping[str, str] | None = None,
    tasks_before: int = 0,
    declared: Mapping[str, Mapping[str, object]] | None = None,
    **config: Any,
) -> Path:
    """Run the tap over the table, all streams selected; return the file of its messages.

    `tasks_before` is how many query tasks others had created, so that runs have tasks of their own;
    `declared` is what the catalog says of columns in place of the tap.
    """
    folder.mkdir()
    write_responses(table, folder / "answers")
    stub = Stub.of(folder / "answers", calls=Counter(query_tasks=tasks_before))
    with serving(stub) as base_url:
        settings = {
            "base_url": base_url,
            "client_id": "stub",
            "client_secret": "stub",
            "query_timezone": TIMEZONE,
            "queries": [query()],
            "query_task_ids": [EXTERNAL_TASK],
            "poll_interval_seconds": 0.02,
            **config,
        }
        options = ["--config", write_json(folder / "config.json", settings)]
        catalog = folder / "catalog.json"
        run([*tap, *options, "--discover"], write=catalog, environment=environment)
        _edit_catalog(catalog, declared or {})
        messages = folder / "messages.jsonl"
        command = [*tap, *options, "--catalog", str(catalog)]
        run(command, write=messages, environment=environment)
    return messages


def load(
    target: str,
    messages: Path,
    environment: Mapping[str, str] | None = None,
    **config: Any,
) -> str:
    """Run a target over messages; return what it logged."""
    written = write_json(messages.with_name(f"{Path(target).name}.json"), config)
    return run([target, "--config", written], read=messages, environment=environment)


def write_json(path: Path, content: object) -> str:
    """Write a file of JSON; return its path."""
    path.write_text(json.dumps(content))
    return str(path)


def _edit_catalog(path: Path, declared: Mapping[str, Mapping[str, object]]) -> None:
    catalog = json.loads(path.read_text())
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = True
        if stream["tap_stream_id"] == STREAM:
            stream["schema"]["properties"] |= declared
    write_json(path, catalog)


def unpack_rows(table: Table) -> Iterator[dict[str, Any]]:
    """Yield the rows as `query_task_results` and `query_task_rows` hold them: values only."""
    for row in table.rows:
        yield {
            field: cell["value"]
            if "value" in cell
            else {region: there["value"] for region, there in cell.items()}
            for field, cell in row.items()
        }
