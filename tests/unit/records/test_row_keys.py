"""`_row_key`: the same for the same row, and different for different rows."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from tap_looker_tasks.config import QueryConfig
from tap_looker_tasks.queries import field_problems
from tap_looker_tasks.records.columns import columns_of, stream_schema
from tap_looker_tasks.records.fields import ExploreField, KnownFields
from tap_looker_tasks.records.keys import RowKeys, describe_row_key, row_keys_of
from tap_looker_tasks.results.result import Field, Result

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE, AMOUNT = "orders.state", "orders.amount"


def keys_of(*rows: Mapping[str, Any], **are_numbers: bool) -> list[str]:
    names = {STATE: False, AMOUNT: True} if not are_numbers else dict(are_numbers)
    keys = RowKeys(names)
    return keys.compute([[row.get(name) for row in rows] for name in keys.fields], len(rows))


def key_of(state: object, amount: object) -> str:
    (key,) = keys_of({STATE: state, AMOUNT: amount})
    return key


def test_keys_are_those_of_every_other_release() -> None:
    # Changed keys would make every row of every table a new one.
    assert keys_of(
        {STATE: "CA", AMOUNT: 1},
        {STATE: None, AMOUNT: Decimal("2.50")},
        {STATE: 'Zürich "🍎"\n', AMOUNT: None},
    ) == [
        "347856a155288529a0ffc9388f677a9f",
        "7632e62bfafdc1219754609b8a1367a2",
        "c4626520b802b05a4d32563c930216df",
    ]
    assert RowKeys({}).compute([], 2) == ["80e6970942141f21a7d6a718a5caed7b"] * 2


@pytest.mark.parametrize(
    "spellings",
    [
        [1, Decimal("1.0"), "1", "1.00", Decimal("1E+0"), 1.0],
        [100, Decimal("1E+2"), "100.0"],
        [0, Decimal("-0.0"), "0"],
        [Decimal("2.50"), "2.5", 2.5],
        [10**30, str(10**30), Decimal(10**30)],
        [None],
    ],
)
def test_a_number_has_one_spelling(spellings: list[object]) -> None:
    assert len({key_of("CA", spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize("spellings", [[True, "Yes"], [False, "No"], [5, "5"]])
def test_a_format_may_write_a_value_as_text(spellings: list[object]) -> None:
    assert len({key_of(spelling, 1) for spelling in spellings}) == 1


VALUES = st.none() | st.text(max_size=4)
NUMBERS = st.none() | st.integers() | st.decimals(-1000, 1000, places=2)


@given(st.lists(st.tuples(VALUES, NUMBERS), unique=True, max_size=20))
def test_different_rows_have_different_keys(rows: list[tuple[str | None, Any]]) -> None:
    keys = keys_of(*({STATE: state, AMOUNT: amount} for state, amount in rows))
    assert all(len(key) == 32 and int(key, 16) >= 0 for key in keys)
    assert len({*keys}) == len({*rows})


@given(st.permutations([STATE, AMOUNT, "orders.id"]), VALUES, NUMBERS)
def test_neither_order_nor_batches_matter(
    names: list[str], state: str | None, amount: Decimal | None
) -> None:
    row = {STATE: state, AMOUNT: amount, "orders.id": Decimal(1)}
    other = {STATE: "x", AMOUNT: amount, "orders.id": Decimal(1)}
    are_numbers = {name: name != STATE for name in names}
    (key,) = keys_of(row, **are_numbers)
    in_order = {name: are_numbers[name] for name in sorted(are_numbers)}
    assert keys_of(other, row, **in_order)[1] == key


def test_names_and_places_of_nulls_count() -> None:
    rows: list[Mapping[str, Any]] = [
        {"a": None, "b": "x"},
        {"a": "x", "b": None},
        {"a": "x", "b": ""},
    ]
    keys = keys_of(*rows, a=False, b=False)
    assert len({*keys, *keys_of(*rows, a=False, c=False)}) == 5


KNOWN = {
    field.name: field
    for field in (
        ExploreField(STATE, "string", category="dimension"),
        ExploreField(AMOUNT, "number", category="dimension"),
        ExploreField("orders.count", "count", category="measure"),
    )
}


def schema_of(dimensions: list[str]) -> dict[str, Any]:
    body = {"fields": [STATE, AMOUNT, "orders.count"]}
    return stream_schema(columns_of(KNOWN, body, 63), ["_row_key"], dimensions)


def test_a_catalog_names_what_keys_are_computed_from() -> None:
    schema = schema_of([AMOUNT, STATE])
    keys = row_keys_of(schema, Result("complete"))
    assert keys is not None
    assert keys.fields == (AMOUNT, STATE)
    # However the columns are declared by now.
    schema["properties"]["orders__amount"] = {"type": ["string", "null"]}
    fields = (
        Field(AMOUNT, None, "number", "dimension"),
        Field("orders.count", None, "count", "measure"),
        Field("orders.city", None, "string", "dimension"),
    )
    changed = row_keys_of(schema, Result("complete", fields=fields))
    assert changed is not None
    assert changed.fields == (AMOUNT, "orders.city")
    assert changed.compute([["1.0"], ["x"]], 1) == RowKeys(
        {AMOUNT: True, "orders.city": False}
    ).compute([[1], ["x"]], 1)


def test_a_catalog_without_it_is_rejected_or_has_no_keys() -> None:
    schema = schema_of([STATE])
    schema["properties"]["_row_key"]["description"] = "Key"
    with pytest.raises(ValueError, match="does not name its fields; discover again"):
        row_keys_of(schema, Result("complete"))
    del schema["properties"]["_row_key"]
    assert row_keys_of(schema, Result("complete")) is None


def test_any_name_is_described() -> None:
    names = ['a, "b"', "tab\there", "größe_µ"]
    described = describe_row_key(names)
    assert msgspec.json.decode(described.partition("from ")[2]) == names


def test_keys_take_a_small_part_of_reading() -> None:
    count = 100_000
    names = {f"orders.f{n}": n == 0 for n in range(4)}
    columns = [[*range(count)], *([f"text {n % 999}" for n in range(count)] for _ in range(3))]
    started = time.process_time()
    assert len({*RowKeys(names).compute(columns, count)}) == count
    # 0.15 s where nothing else runs: 1.5 microseconds a row.
    assert time.process_time() - started < 2


@pytest.mark.parametrize("category", [None, "filter"])
def test_auto_is_rejected_where_nothing_shows_what_rows_are_grouped_by(
    category: str | None,
) -> None:
    known = KnownFields({**KNOWN, STATE: ExploreField(STATE, "string", category=category)})
    body = {"fields": [STATE, "orders.count"]}
    query = QueryConfig(name="q", query_id=1, primary_keys="auto")
    (problem,) = field_problems("queries[0]", query, body, known, 63)
    assert problem == (
        f"queries[0].primary_keys: Looker does not report whether {STATE} is a dimension, so auto "
        "cannot be "
        "used; name the keys"
    )
    assert field_problems("queries[0]", query, body, KnownFields(KNOWN), 63) == []
