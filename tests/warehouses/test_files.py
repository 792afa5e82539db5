"""Every type of column in files: JSON lines and CSV."""

from __future__ import annotations

import csv
import re
import sys
from ast import literal_eval
from typing import TYPE_CHECKING

import pytest

from tests.warehouses.environments import warehouse_command
from tests.warehouses.every_type import COLUMNS, STREAM, Table, compare
from tests.warehouses.loading import EXTERNAL_TASK, load, meltano_loader, unpack_rows
from tests.warehouses.reading import read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.warehouses.every_type import Kind

_DECIMAL = re.compile(r"Decimal\('([^']*)'\)")
# The target writes lists as Python does.
_READ: Mapping[Kind, Callable[[str], object]] = {
    "json": lambda text: literal_eval(_DECIMAL.sub(r"\1", text))
}


@pytest.mark.slow
def test_every_type_lands_in_json_lines(small: Table, small_messages: Path, tmp_path: Path) -> None:
    target = meltano_loader("target-jsonl")
    load(target, small_messages, destination_path=str(tmp_path), do_timestamp_file=False)

    assert compare(small.records, read_lines(tmp_path / f"{STREAM}.jsonl")) == []
    unpacked = [*unpack_rows(small)]
    results = {
        record["query_task_id"]: record["data"]
        for record in read_lines(tmp_path / "query_task_results.jsonl")
    }
    assert results[EXTERNAL_TASK] == {"rows": unpacked}
    rows = read_lines(tmp_path / "query_task_rows.jsonl")
    assert [record["row"] for record in rows] == unpacked


@pytest.mark.slow
@pytest.mark.warehouses
def test_every_type_lands_in_csv(small: Table, small_messages: Path, tmp_path: Path) -> None:
    load(warehouse_command("target-csv"), small_messages, output_path=str(tmp_path))

    csv.field_size_limit(sys.maxsize)
    with (tmp_path / f"{STREAM}.csv").open(newline="") as file:
        rows = [*map(_read_values, csv.DictReader(file))]
    # CSV has one way to write null and the empty text.
    expected = [
        {name: None if value == "" else value for name, value in record.items()}
        for record in small.records
    ]
    assert compare(expected, rows) == []


def _read_values(row: dict[str, str]) -> dict[str, object]:
    return {
        column.name: _READ.get(column.kind, str)(row[column.name]) if row[column.name] else None
        for column in COLUMNS
    }
