"""Every type of column in PostgreSQL, through target-postgres, in each of its ways to load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.warehouses.every_type import COLUMNS, STREAM, Table, compare, draw_table, query
from tests.warehouses.loading import EXTERNAL_TASK, extract, load, meltano_loader, unpack_rows
from tests.warehouses.reading import read_json

if TYPE_CHECKING:
    from pathlib import Path

    from tests.warehouses.reading import Warehouse

_TYPES = {
    "text": "text",
    "number": "numeric",
    "integer": "bigint",
    "yesno": "boolean",
    "date": "date",
    "moment": "timestamp without time zone",
    "json": "jsonb",
}


_LONG_NUMBERS = {"every__thirty_digits:", "every__bits54:"}


@pytest.fixture
def schema(request: pytest.FixtureRequest) -> str:
    return str(request.node.name).removeprefix("test_").partition("[")[0][:60]


def load_postgres(warehouse: Warehouse, schema: str, messages: Path, **config: Any) -> str:
    return load(
        meltano_loader("target-postgres"),
        messages,
        sqlalchemy_url=warehouse.sqlalchemy_url,
        default_target_schema=schema,
        **config,
    )


@pytest.mark.slow
def test_every_type_lands_by_upsert(
    warehouse: Warehouse, schema: str, small: Table, small_messages: Path
) -> None:
    load_postgres(warehouse, schema, small_messages, load_method="upsert")

    assert compare(small.records, warehouse.rows(schema, STREAM)) == []
    types = warehouse.types(schema, STREAM)
    expected = {column.name: _TYPES[column.kind] for column in COLUMNS}
    assert {name: types[name] for name in expected} == expected

    (result,) = [
        row
        for row in warehouse.rows(schema, "query_task_results")
        if row["query_task_id"] == EXTERNAL_TASK
    ]
    unpacked = [*unpack_rows(small)]
    assert result["status"] == "complete"
    assert result["data"] == {"rows": unpacked}
    rows = warehouse.rows(schema, "query_task_rows")
    by_number = {row["row_number"]: row["row"] for row in rows}
    assert [by_number[number + 1] for number in range(len(unpacked))] == unpacked


@pytest.fixture(scope="module")
def shorter(tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, Path]:
    """Other values for fewer rows, as a query returns them the next day."""
    table = draw_table(40, seed=1)
    return table, extract(table, tmp_path_factory.mktemp("shorter") / "run")


@pytest.mark.slow
@pytest.mark.warehouses
@pytest.mark.parametrize("use_copy", [False, True])
def test_ten_thousand_records_land_cell_by_cell(
    warehouse: Warehouse, schema: str, large: Table, large_messages: Path, *, use_copy: bool
) -> None:
    schema = f"{schema}_{use_copy}"
    load_postgres(warehouse, schema, large_messages, use_copy=use_copy)

    differences = compare(large.records, warehouse.rows(schema, STREAM))
    # COPY takes numbers that are no integers through floats, of 53 bits.
    assert [d for d in differences if not (use_copy and d.split()[2] in _LONG_NUMBERS)] == []


@pytest.mark.slow
@pytest.mark.warehouses
def test_without_keys_another_run_appends(
    warehouse: Warehouse, schema: str, small: Table, tmp_path: Path
) -> None:
    for number in range(2):
        folder = tmp_path / str(number)
        keyless = [query(primary_keys=[])]
        messages = extract(small, folder, queries=keyless, tasks_before=number)
        load_postgres(warehouse, schema, messages, activate_version=False)

    assert len(warehouse.rows(schema, STREAM)) == 2 * len(small.records)


@pytest.mark.slow
def test_with_computed_keys_another_run_doubles_nothing(
    warehouse: Warehouse, schema: str, small: Table, tmp_path: Path
) -> None:
    keys = []
    for number in range(2):
        folder = tmp_path / str(number)
        keyed = [query(primary_keys="auto")]
        messages = extract(small, folder, queries=keyed, tasks_before=number)
        load_postgres(warehouse, schema, messages, activate_version=False)
        keys.append(sorted(row["_row_key"] for row in warehouse.rows(schema, STREAM)))

    assert keys[0] == keys[1]
    assert len({*keys[0]}) == len(small.records)


@pytest.mark.slow
@pytest.mark.warehouses
@pytest.mark.parametrize("hard_delete", [False, True])
def test_another_run_replaces_rows_and_removes_those_that_are_gone(
    warehouse: Warehouse,
    schema: str,
    small_messages: Path,
    shorter: tuple[Table, Path],
    *,
    hard_delete: bool,
) -> None:
    schema = f"{schema[:40]}_{hard_delete}"
    table, messages = shorter
    for loaded in (small_messages, messages):
        load_postgres(warehouse, schema, loaded, hard_delete=hard_delete)

    rows = warehouse.rows(schema, STREAM)
    gone = [row for row in rows if row["_sdc_deleted_at"]]
    assert compare(table.records, [row for row in rows if not row["_sdc_deleted_at"]]) == []
    assert len(gone) == (0 if hard_delete else 40)


@pytest.mark.slow
@pytest.mark.warehouses
def test_flattened_streams_land_with_the_same_values(
    warehouse: Warehouse, schema: str, small: Table, tmp_path: Path
) -> None:
    messages = extract(small, tmp_path / "run", flattening_enabled=True, flattening_max_depth=2)
    load_postgres(warehouse, schema, messages)

    rows = warehouse.rows(schema, STREAM)
    # Flattening writes arrays as JSON text.
    for row in rows:
        row |= {name: read_json(row[name] or "null") for name in ("every__place", "every__tags")}
    assert compare(small.records, rows) == []
