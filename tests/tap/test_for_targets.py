"""Schemas and values that targets need: first keys, lengths of keys, decimals, names."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft4Validator, FormatChecker

from tap_looker_tasks.records.keys import name_columns

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

NUMBERS = {
    "name": "numbers",
    "explore": {
        "model": "flights_2013",
        "explore": "numbers",
        "fields": ["numbers.text", "numbers.decimal"],
        "sorts": ["numbers.text"],
    },
}
DATES: dict[str, Any] = {
    "name": "dates",
    "explore": {
        "model": "flights_2013",
        "explore": "flights",
        "fields": ["flights.departure_date", "flights.departure_time", "flights.count"],
        "filters": {"flights.departure_date": "2013-01-01"},
    },
}
DECIMALS = {"precision": 38, "scale": 10}


def discovered(tap: Tap, **config: Any) -> dict[str, Any]:
    run = tap("--discover", **config)
    assert run.exit_code == 0, run.log
    catalog: dict[str, Any] = json.loads(run.output)
    return catalog


FORMATS = FormatChecker(formats=())
FORMATS.checks("date", raises=ValueError)(lambda v: v is None or bool(date.fromisoformat(v)))


@FORMATS.checks("date-time", raises=ValueError)
def is_moment(value: object) -> bool:
    return value is None or datetime.fromisoformat(str(value)).tzinfo is not None


@pytest.mark.parametrize("more", [{}, {"decimals": DECIMALS}])
def test_every_record_is_valid_by_its_schema(
    simulator: Simulator, tap: Tap, more: dict[str, Any]
) -> None:
    tasks = [simulator.create_task("1", f) for f in ("json_detail", "json_bi", "json", "csv")]
    config = {"queries": [NUMBERS, DATES], "query_task_ids": tasks, **more}
    catalog = discovered(tap, **config)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = True
    run = tap(catalog=catalog, **config)
    assert run.exit_code == 0, run.log
    validators = {
        message["stream"]: Draft4Validator(message["schema"], format_checker=FORMATS)
        for message in run.of("SCHEMA")
    }
    seen = set()
    for message in run.of("RECORD"):
        validators[message["stream"]].validate(message["record"])
        seen.add(message["stream"])
    assert seen == {"numbers", "dates", "query_task_results", "query_task_rows"}


WAYS = pytest.mark.parametrize(
    "more",
    [
        {},
        {"stream_maps": {"*": {"added": "'x'"}}},
        {"flattening_enabled": True, "flattening_max_depth": 1},
    ],
    ids=["plain", "mapped", "flattened"],
)


@WAYS
def test_a_type_is_the_first_key_of_each_property(tap: Tap, more: dict[str, Any]) -> None:
    run = tap(queries=[NUMBERS], **more)
    assert len(run.of("SCHEMA")) == 2
    for message in run.of("SCHEMA"):
        for name, declared in message["schema"]["properties"].items():
            assert next(iter(declared)) in {"type", "anyOf"}, name


def test_text_that_the_tap_makes_has_a_length(tap: Tap) -> None:
    run = tap(queries=[NUMBERS])
    texts = run.schema()["properties"]
    for name in ("query_task_id", "status", "query_name", "query_id", "origin"):
        assert texts[name]["maxLength"] == 255
    assert "maxLength" not in texts["error_message"]
    assert run.schema("numbers")["properties"]["_query_task_id"]["maxLength"] == 255


def test_a_key_is_renamed_for_targets_that_move_a_leading_underscore(tap: Tap) -> None:
    maps = {"row_key": "_row_key", "_row_key": "__NULL__", "__key_properties__": ["row_key"]}
    run = tap(queries=[NUMBERS | {"primary_keys": "auto"}], stream_maps={"numbers": maps})
    assert run.exit_code == 0, run.log
    (schema,) = (message for message in run.of("SCHEMA") if message["stream"] == "numbers")
    assert schema["key_properties"] == ["row_key"]
    records = run.records("numbers")
    assert len({record["row_key"] for record in records}) == len(records) > 1
    assert not any("_row_key" in record for record in records)


@WAYS
def test_quotes_and_control_characters_reach_no_name(tap: Tap, more: dict[str, Any]) -> None:
    field = 'c"a\x01`\nb'
    calculation = {
        "table_calculation": field,
        "expression": "${flights.count} * 2",
        "_kind_hint": "measure",
        "_type_hint": "number",
    }
    explore = DATES["explore"] | {
        "fields": ["flights.carrier", "flights.count"],
        "dynamic_fields": [calculation],
    }
    keys = ["flights.carrier", field]
    query = {"name": "doubled", "explore": explore, "primary_keys": keys}
    run = tap(queries=[query], **more)
    assert run.exit_code == 0, run.log
    column = name_columns([field], 63)[field]
    (schema,) = (message for message in run.of("SCHEMA") if message["stream"] == "doubled")
    assert schema["key_properties"] == ["flights__carrier", column]
    records = run.records("doubled")
    assert [r[column] for r in records] == [2 * r["flights__count"] for r in records] != []
    for name in (column, *schema["schema"]["properties"], *records[0]):
        assert not set('"`\x01\n') & set(name)
    assert run.log.count(f"it becomes {column}") == 1

    for name in ('a"b', "a\nb"):
        rejected = tap(queries=[query | {"name": name}])
        assert rejected.exit_code == 78
        assert "is not a stream name" in rejected.error


@WAYS
@pytest.mark.parametrize("with_catalog", [False, True])
@pytest.mark.parametrize("per_query", [False, True])
def test_numbers_are_exact_decimals_if_configured(
    tap: Tap, more: dict[str, Any], *, per_query: bool, with_catalog: bool
) -> None:
    config: dict[str, Any] = {"queries": [NUMBERS], "decimals": DECIMALS, **more}
    if per_query:
        config |= {"queries": [NUMBERS | {"decimals": DECIMALS}], "decimals": {"scale": 2}}
    catalog = discovered(tap, **config) if with_catalog else None
    run = tap(**config, catalog=catalog)
    declared = run.schema("numbers")["properties"]["numbers__decimal"]
    assert declared["type"] == ["string", "null"]
    assert declared["format"] == "x-singer.decimal"
    assert (declared["precision"], declared["scale"]) == (38, 10)
    assert "x-sql-datatype-properties" not in declared
    values = [record["numbers__decimal"] for record in run.records("numbers")]
    plain = [record["numbers__decimal"] for record in tap(queries=[NUMBERS]).records("numbers")]
    assert values == [None if value is None else f"{value:f}" for value in plain]
    assert "cannot be read" not in run.log


@WAYS
def test_a_decimal_that_does_not_fit_is_delivered_in_full_and_named(
    tap: Tap, more: dict[str, Any]
) -> None:
    run = tap(queries=[NUMBERS], decimals={"precision": 3, "scale": 1}, **more)
    plain = [record["numbers__decimal"] for record in tap(queries=[NUMBERS]).records("numbers")]
    values = [record["numbers__decimal"] for record in run.records("numbers")]
    assert values == [None if value is None else str(value) for value in plain]
    assert "values that cannot be read as decimal(3,1)" in run.log


def test_a_decimal_of_a_catalog_needs_its_size(tap: Tap) -> None:
    catalog = discovered(tap, queries=[NUMBERS])
    (entry,) = (s for s in catalog["streams"] if s["tap_stream_id"] == "numbers")
    declared = entry["schema"]["properties"]["numbers__decimal"]
    declared |= {"type": ["string", "null"], "format": "x-singer.decimal"}
    rejected = tap(queries=[NUMBERS], catalog=catalog)
    assert rejected.exit_code != 0
    assert (
        "numbers: numbers__decimal: the format x-singer.decimal needs "
        '`type: [string, "null"]`, `precision` and `scale`, such as 38 and 9' in rejected.error
    )
    assert rejected.messages == []
    declared |= DECIMALS | {"type": ["number", "null"]}
    assert "needs `type: [string" in tap(queries=[NUMBERS], catalog=catalog).error
    declared |= {"type": ["string", "null"]}
    found = tap(queries=[NUMBERS], catalog=catalog).schema("numbers")
    assert found["properties"]["numbers__decimal"].items() >= DECIMALS.items()
    # A target that finds it among alternatives looks for no size beside it.
    hidden = {"anyOf": [{"type": "string", "format": "x-singer.decimal"}, {"type": "null"}]}
    entry["schema"]["properties"]["numbers__decimal"] = hidden
    assert "needs `type: [string" in tap(queries=[NUMBERS], catalog=catalog).error


@pytest.mark.parametrize(
    ("decimals", "reason"),
    [
        ({"precision": 2, "scale": 3}, "decimals.scale: 3 is more than the precision 2"),
        ({"precision": 0}, "decimals.precision:"),
        ({"digits": 3}, "decimals.digits: no such key"),
    ],
)
def test_impossible_decimals_are_rejected_before_any_request(
    simulator: Simulator, tap: Tap, decimals: dict[str, int], reason: str
) -> None:
    for path, config in (
        ("", {"decimals": decimals}),
        ("queries[0].", {"queries": [NUMBERS | {"decimals": decimals}]}),
    ):
        run = tap(**config)
        assert run.exit_code != 0
        assert run.error.startswith(path + reason)
    assert simulator.calls == []


def test_a_map_that_the_sdk_ignores_is_named(tap: Tap) -> None:
    maps = {"numbers": {"one": "'1'"}, "*": {"all": "'2'"}}
    run = tap(queries=[NUMBERS], stream_maps=maps)
    assert "stream_maps: 'numbers' has no effect on numbers, because '*' also matches" in run.log
    assert "one" not in run.schema("numbers")["properties"]
    alone = tap(queries=[NUMBERS], stream_maps={"numbers": {"one": "'1'"}})
    assert "has no effect" not in alone.log
