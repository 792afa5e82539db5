"""Rows one by one, selection, and what the SDK makes of records on their way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]


def discovered(tap: Tap) -> dict[str, Any]:
    run = tap("--discover")
    assert run.exit_code == 0
    catalog: dict[str, Any] = json.loads(run.output)
    return catalog


def select(catalog: dict[str, Any], stream: str, *breadcrumb: str, selected: bool) -> None:
    (entry,) = (s for s in catalog["streams"] if s["tap_stream_id"] == stream)
    for item in entry["metadata"]:
        if item["breadcrumb"] == list(breadcrumb):
            item["metadata"]["selected"] = selected


def with_rows(tap: Tap) -> dict[str, Any]:
    catalog = discovered(tap)
    select(catalog, "query_task_rows", selected=True)
    return catalog


def test_rows_are_not_delivered_one_by_one_unless_selected(simulator: Simulator, tap: Tap) -> None:
    run = tap(query_task_ids=[simulator.create_task("1", "json")])
    assert run.records("query_task_rows") == []
    assert [message["stream"] for message in run.of("SCHEMA")] == ["query_task_results"]


@pytest.mark.parametrize("result_format", ["json_detail", "json_bi", "json"])
def test_rows_arrive_one_by_one(simulator: Simulator, tap: Tap, result_format: str) -> None:
    id_ = simulator.create_task("1", result_format)
    run = tap(query_task_ids=[id_], catalog=with_rows(tap))
    rows = run.records("query_task_rows")
    assert [row["row"] for row in rows] == run.only()["data"]["rows"]
    assert [row["row_number"] for row in rows] == list(range(1, len(rows) + 1))
    assert {row["query_task_id"] for row in rows} == {id_}


def test_the_schema_comes_before_its_records_and_only_once(simulator: Simulator, tap: Tap) -> None:
    ids = [simulator.create_task("1", "json") for _ in range(3)]
    run = tap(query_task_ids=ids, catalog=with_rows(tap))
    seen: list[str] = []
    for message in run.messages:
        if message["type"] == "SCHEMA":
            seen.append(message["stream"])
        elif message["type"] == "RECORD":
            assert message["stream"] in seen
    assert sorted(seen) == ["query_task_results", "query_task_rows"]
    assert {record["query_task_id"] for record in run.records("query_task_rows")} == {*ids}


def test_a_task_is_kept_after_its_last_row(simulator: Simulator, tap: Tap) -> None:
    ids = [simulator.create_task("1", "json") for _ in range(3)]
    run = tap(query_task_ids=ids, catalog=with_rows(tap))
    delivered: set[str] = set()
    for message in run.messages:
        if message["type"] == "RECORD" and message["stream"] == "query_task_results":
            delivered.add(message["record"]["query_task_id"])
        elif message["type"] == "STATE":
            bookmark = message["value"].get("bookmarks", {}).get("query_task_results", {})
            assert set(bookmark.get("finished", {})) <= delivered
    assert set(run.bookmark["finished"]) == delivered == {*ids}


def test_outcomes_may_be_left_out(simulator: Simulator, tap: Tap) -> None:
    id_ = simulator.create_task("1", "json")
    catalog = with_rows(tap)
    select(catalog, "query_task_results", selected=False)
    run = tap(query_task_ids=[id_], catalog=catalog)
    assert run.records() == []
    assert len(run.records("query_task_rows")) > 10
    assert run.bookmark["finished"] == {id_: "complete"}


def test_data_may_be_left_out(simulator: Simulator, tap: Tap) -> None:
    catalog = discovered(tap)
    select(catalog, "query_task_results", "properties", "data", selected=False)
    run = tap(query_task_ids=[simulator.create_task("1", "json")], catalog=catalog)
    record = run.only()
    assert "data" not in record
    assert record["row_count"] > 10
    assert "data" not in run.schema()["properties"]


def test_no_schema_has_an_empty_properties_object(tap: Tap) -> None:
    def check(schema: object) -> None:
        if isinstance(schema, dict):
            assert schema.get("properties") != {}
            list(map(check, schema.values()))
        elif isinstance(schema, list):
            list(map(check, schema))

    check(discovered(tap))
    run = tap(query_task_ids=[], catalog=with_rows(tap))
    list(map(check, run.of("SCHEMA")))


def test_stream_maps_see_decoded_values(simulator: Simulator, tap: Tap) -> None:
    maps = {"query_task_results": {"first": "data['rows'][0]['flights.carrier']"}}
    run = tap(query_task_ids=[simulator.create_task("1", "json")], stream_maps=maps)
    assert run.exit_code == 0
    record = run.only()
    assert record["first"] == "UA"


def test_records_may_be_flattened(simulator: Simulator, tap: Tap) -> None:
    id_ = simulator.create_task("1", "json_detail")
    run = tap(query_task_ids=[id_], flattening_enabled=True, flattening_max_depth=1)
    record = run.only()
    assert record["query_task_id"] == id_
    assert isinstance(record["data"], str | dict)


def test_outcomes_are_records_also_with_batch_files(
    simulator: Simulator, tap: Tap, tmp_path: Path
) -> None:
    # State keeps each once it is launched.
    batch_config = {"encoding": {"format": "jsonl"}, "storage": {"root": tmp_path.as_uri()}}
    run = tap(query_task_ids=[simulator.create_task("1", "json")], batch_config=batch_config)
    assert run.of("BATCH") == []
    assert len(run.only()["data"]["rows"]) == run.only()["row_count"]


def test_a_test_run_delivers_one_record_of_each_stream(simulator: Simulator, tap: Tap) -> None:
    ids = [simulator.create_task("1", "json") for _ in range(3)]
    run = tap("--test", query_task_ids=ids)
    assert run.exit_code == 0
    assert {message["stream"] for message in run.of("SCHEMA")} == {"query_task_results"}
    assert len(run.records()) == 1


@pytest.mark.parametrize("kept", [set(), {"query_task_id"}, {"query_task_id", "status"}])
def test_a_run_needs_no_column_of_what_it_delivers(
    simulator: Simulator, tap: Tap, kept: set[str]
) -> None:
    given, failed = simulator.create_task("1", "json"), simulator.create_task("5", "json")
    config: dict[str, Any] = {
        "query_task_ids": [given, failed],
        "queries": [{"name": "q", "query_id": 1}],
    }
    catalog = json.loads(tap("--discover", **config).output)
    for stream in catalog["streams"]:
        for item in stream["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = True
            elif item["breadcrumb"][-1] not in kept:
                # Catalogs of other makers may leave it out, of keys as well.
                item["metadata"].pop("inclusion")
                item["metadata"]["selected"] = False
    run = tap(catalog=catalog, **config)
    assert run.exit_code == 1
    assert f"1 query task did not complete: {failed} (error" in run.error
    assert [{*record} for record in run.records()] == [kept] * 3
    assert run.records("q") == [{}] * 16
    assert [{*record} for record in run.records("query_task_rows")] == [kept - {"status"}] * 16
    assert run.bookmark["finished"] == {given: "complete", failed: "error"}
    assert run.bookmark["in_flight"] == {}
