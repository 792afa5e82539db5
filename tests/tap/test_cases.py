"""What people met with real instances, each with its cousins, against the simulator's shop."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from looker_sdk import models40

from tests.simulator.official_client import client_of
from tests.singer import leave_running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

NEW_YORK = {"query_timezone": "America/New_York"}
FORMATS = ["json_detail", "json_bi"]


def explore(*fields: str, explore: str = "orders", **more: object) -> dict[str, Any]:
    return {"model": "shop", "explore": explore, "fields": [*fields], **more}


def query(**more: object) -> dict[str, Any]:
    return {"name": "q", **more}


def catalog_of(tap: Tap, **config: object) -> dict[str, Any]:
    run = tap("--discover", **config)
    assert run.exit_code == 0, run.log
    catalog: dict[str, Any] = json.loads(run.output)
    return catalog


def entry_of(catalog: Mapping[str, Any], stream: str = "q") -> dict[str, Any]:
    (entry,) = (s for s in catalog["streams"] if s["tap_stream_id"] == stream)
    return dict(entry)


def rows_of(run: Run, stream: str = "q") -> list[dict[str, Any]]:
    assert run.exit_code == 0, run.log
    assert "Traceback" not in run.log
    return run.records(stream)


@pytest.mark.parametrize("result_format", FORMATS)
@pytest.mark.parametrize("source", [{"query_id": "11"}, {"look_id": "5"}])
def test_table_calculations_are_computed(
    tap: Tap, source: dict[str, object], result_format: str
) -> None:
    queries = [query(**source)]
    catalog = catalog_of(tap, queries=queries, result_format=result_format)
    first = tap(queries=queries, catalog=catalog, result_format=result_format)
    shares = [row["share"] for row in rows_of(first)]
    assert len(shares) == 3
    assert sum(shares) == pytest.approx(1)
    # What state keeps of the query does not lose them.
    again = tap(queries=queries, catalog=catalog, state=first.state, result_format=result_format)
    assert [row["share"] for row in rows_of(again)] == shares


@pytest.mark.parametrize(
    "source",
    [
        {"query_id": "12", "filters": {"orders.unit": "month"}},
        {
            "explore": explore(
                "orders.period", "orders.count", "orders.recent", sorts=["orders.period"]
            ),
            "filters": {
                "orders.unit": "month",
                "orders.recently": "after 2026-04-01",
                "orders.bought_by": "Ada,Grace",
            },
        },
    ],
)
def test_parameters_and_filter_only_fields_can_be_filtered(
    tap: Tap, source: dict[str, object]
) -> None:
    rows = rows_of(tap(queries=[query(**source)]))
    assert [row["orders__period"] for row in rows] == ["2026-03-01", "2026-04-01", "2026-05-01"]
    assert rows[0]["orders__recent"] == 0 < rows[1]["orders__recent"]
    assert sum(row["orders__count"] for row in rows) == 120


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Tokyo"])
def test_a_bookmark_on_a_field_that_is_not_converted_skips_no_row(tap: Tap, zone: str) -> None:
    keyed = query(
        explore=explore("orders.id", "orders.shipped_time"),
        replication_key="orders.shipped_time",
        primary_keys=["orders.id"],
    )
    catalog = catalog_of(tap, queries=[keyed], query_timezone=zone)
    first = tap(queries=[keyed | {"limit": 100}], catalog=catalog, query_timezone=zone)
    times = [row["orders__shipped_time"] for row in rows_of(first)]
    assert times[0] == "2026-03-01 19:00:00"
    assert first.state["bookmarks"]["q"]["replication_key_value"] == times[-1] == max(times)
    second = tap(queries=[keyed], catalog=catalog, state=first.state, query_timezone=zone)
    later = rows_of(second)
    assert {row["orders__id"] for row in rows_of(first) + later} == {*range(1, 241)}
    # A day more than new rows, not everything again.
    assert 140 < len(later) < 150


@pytest.mark.parametrize(
    "declared",
    [{"type": ["string", "null"]}, {"type": "string"}, {"anyOf": [{"type": "integer"}]}],
)
def test_a_bookmark_moves_with_any_catalog_entry_of_its_key(tap: Tap, declared: object) -> None:
    keyed = query(explore=explore("orders.id"), replication_key="orders.id", limit=12)
    catalog = catalog_of(tap, queries=[keyed])
    properties = entry_of(catalog)["schema"]["properties"]
    properties["orders__id"] = declared
    run = tap(queries=[keyed], catalog=catalog)
    assert rows_of(run)[-1]["orders__id"] in {"12", 12}
    assert run.state["bookmarks"]["q"]["replication_key_value"] == 12
    again = rows_of(tap(queries=[keyed], catalog=catalog, state=run.state))
    assert [int(row["orders__id"]) for row in again] == [*range(12, 24)]


@pytest.mark.parametrize("source", [{"query_id": "14"}, {"look_id": "4"}])
def test_an_explore_that_is_not_there_for_the_user_is_probed(
    tap: Tap, source: dict[str, object]
) -> None:
    run = tap(queries=[query(**source)])
    assert len(rows_of(run)) == 4
    assert run.schema("q")["properties"]["orders__total_amount"]["type"] == ["number", "null"]
    assert "the fields of Explore shop/secrets cannot be read" in run.log


def test_an_explore_that_is_nowhere_is_an_error(tap: Tap) -> None:
    run = tap(queries=[query(explore=explore("orders.id", explore="nowhere"))])
    assert run.error.startswith("queries[0].explore: the Explore shop/nowhere cannot be read")
    assert "\n" not in run.error


@pytest.mark.parametrize(
    ("dashboard_id", "filters", "states"),
    [
        ("2", {}, {"CA"}),
        ("2", {"State": "NY"}, {"NY"}),
        ("2", {"State": ""}, {"CA", "NY", "TX"}),
        ("3", {}, {"NY"}),
    ],
)
def test_a_dashboard_shows_what_people_see(
    tap: Tap, dashboard_id: str, filters: dict[str, str], states: set[str]
) -> None:
    board = {"dashboard_id": dashboard_id, "name": "d", "filters": filters}
    run = tap(dashboards=[board])
    name = "d_new_tile_11" if dashboard_id == "2" else "d_by_state"
    assert {row["orders__state"] for row in rows_of(run, name)} == states


def test_tiles_without_a_stored_query_are_created_and_none_is_dropped_silently(tap: Tap) -> None:
    run = tap(dashboards=[{"dashboard_id": "2", "name": "d"}])
    assert len(rows_of(run, "d_never_saved")) == 4
    with_null = tap(dashboards=[{"dashboard_id": "3", "name": "d"}])
    assert len(rows_of(with_null, "d_never_saved")) == 4
    assert {*entry_names(run)} >= {"d_new_tile_11", "d_new_tile_12", "d_by_a_unit", "d_secret"}
    assert "tile 'Merged' merges several queries" in run.log
    lookml = tap(dashboards=[{"dashboard_id": "shop::overview", "name": "o"}])
    assert len(rows_of(lookml, "o_by_city")) == 1


def entry_names(run: Run) -> list[str]:
    return [message["stream"] for message in run.of("SCHEMA")]


def test_the_order_of_tiles_swaps_no_streams(simulator: Simulator, tap: Tap) -> None:
    tiles = [
        {"id": id_, "title": "Sales", "query_id": query_id}
        for id_, query_id in (("1", "11"), ("2", "17"))
    ]
    found = []
    for elements in (tiles, tiles[::-1]):
        board = {"title": "B", "dashboard_filters": [], "dashboard_elements": elements}
        simulator.add_dashboard("50", board)
        run = tap(dashboards=[{"dashboard_id": "50", "name": "b"}])
        found.append((rows_of(run, "b_sales_1")[0].keys(), rows_of(run, "b_sales_2")[0].keys()))
    assert found[0] == found[1]
    assert "share" in found[0][0]


@pytest.mark.parametrize("result_format", FORMATS)
def test_results_that_name_no_fields_have_their_columns(
    simulator: Simulator, tap: Tap, result_format: str
) -> None:
    queries = [query(query_id="11")]
    catalog = catalog_of(tap, queries=queries)
    simulator.fault("no_fields", times=None)
    run = tap(queries=queries, catalog=catalog, result_format=result_format)
    columns = ["orders__state", "orders__count", "share"]
    assert [[*row][2:] for row in rows_of(run)] == [columns] * 3
    assert [m["stream"] for m in run.of("ACTIVATE_VERSION")] == ["q"]
    entry_of(catalog)["schema"]["properties"]["orders__lost"] = {"type": ["string", "null"]}
    lost = tap(queries=queries, catalog=catalog, result_format=result_format)
    assert len(rows_of(lost)) == 3
    assert "orders__lost is no longer in the result" in lost.log
    assert lost.of("ACTIVATE_VERSION") == []


LIMITS = ["column_limit", "limit"]


def create_limited(simulator: Simulator, limit: str) -> str:
    """Create a query of two dimensions, one of them a pivot, that more than a limit allows."""
    looker = client_of(simulator)
    customers = models40.WriteQuery(
        model="shop",
        view="orders",
        fields=["orders.state", "orders.count", "orders.customer"],
        pivots=["orders.customer"],
    )
    setattr(customers, limit, "2")
    created = looker.create_query(customers)
    assert created.id
    return created.id


@pytest.mark.parametrize("result_format", FORMATS)
@pytest.mark.parametrize("limit", LIMITS)
def test_a_result_as_wide_or_long_as_its_limit_is_reported_in_every_run(
    simulator: Simulator, tap: Tap, limit: str, result_format: str
) -> None:
    config: dict[str, Any] = {
        "queries": [query(query_id=create_limited(simulator, limit))],
        "result_format": result_format,
    }
    catalog = catalog_of(tap, **config)
    first = tap(catalog=catalog, **config)
    # An unchanged query is not requested once more, and not each format says it is cut off.
    second = tap(catalog=catalog, state=first.state, **config)
    for run in (first, second):
        assert rows_of(run)
        assert run.only()["truncated"] is True
        assert f"change `{limit}` of the query at queries[0]" in run.log
        assert run.of("ACTIVATE_VERSION") == []


@pytest.mark.parametrize("result_format", FORMATS)
@pytest.mark.parametrize("limit", LIMITS)
def test_a_task_of_an_earlier_run_is_known_to_be_cut_off(
    simulator: Simulator, tap: Tap, limit: str, result_format: str
) -> None:
    config: dict[str, Any] = {
        "queries": [query(query_id=create_limited(simulator, limit))],
        "result_format": result_format,
    }
    config["catalog"] = catalog_of(tap, **config)
    first = leave_running(tap, simulator, **config)
    assert first.only()["finished_at"] is None
    second = tap(state=first.state, **config)
    assert len(simulator.tasks()) == 1
    assert rows_of(second)
    assert second.only()["truncated"] is True
    assert f"change `{limit}` of the query at queries[0]" in second.log


@pytest.mark.parametrize("flag", ["columns_truncated", "columns_truncated_text"])
def test_pivots_that_looker_reports_as_cut_off_are_reported(
    simulator: Simulator, tap: Tap, flag: str
) -> None:
    simulator.fault(flag, times=None)
    run = tap(queries=[query(query_id="17")], result_format="json_bi")
    assert run.only()["truncated"] is True
    assert "change `column_limit` of the query at queries[0]" in run.log
    assert run.of("ACTIVATE_VERSION") == []


@pytest.mark.parametrize("where", ["entry", "metadata"])
def test_a_catalog_of_full_tables_has_everything(tap: Tap, where: str) -> None:
    keyed = query(
        explore=explore(
            "orders.id",
            sorts=["orders.id"],
        ),
        replication_key="orders.id",
        primary_keys=["orders.id"],
        limit=-1,
    )
    catalog = catalog_of(tap, queries=[keyed])
    first = tap(queries=[keyed], catalog=catalog)
    assert len(rows_of(first)) == 240
    entry = next(s for s in catalog["streams"] if s["tap_stream_id"] == "q")
    if where == "entry":
        entry["replication_method"] = "FULL_TABLE"
    else:
        root = next(m["metadata"] for m in entry["metadata"] if m["breadcrumb"] == [])
        root["replication-method"] = "FULL_TABLE"
    second = tap(queries=[keyed], catalog=catalog, state=first.state)
    assert len(rows_of(second)) == 240
    assert [m["stream"] for m in second.of("ACTIVATE_VERSION")] == ["q"]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        (
            {"replication_method": "LOG_BASED"},
            (
                "catalog: q: LOG_BASED is not a replication method of this tap; discover again, or "
                "change queries[0]"
            ),
        ),
        ({"replication_method": "INCREMENTAL"}, "its replication key is none, that of queries[0]"),
        ({"replication_key": "orders__state"}, "its replication key is orders__state, that of"),
        ({"key_properties": ["orders__gone"]}, "its schema has no property orders__gone"),
        (
            {"schema": {"properties": {"orders__city": {"title": "x"}}}},
            "its schema has no type for orders__city",
        ),
        ({"schema": {}}, "its schema has no property _query_task_id, which is a key property"),
        ({"schema": []}, "schema: expected `object`"),
        ({"schema": {"properties": {"x": True}}}, "schema.properties"),
    ],
)
def test_a_catalog_that_cannot_be_obeyed_is_rejected(
    tap: Tap, changes: dict[str, object], shown: str
) -> None:
    queries = [query(query_id="17")]
    catalog = catalog_of(tap, queries=queries)
    for entry in catalog["streams"]:
        if entry["tap_stream_id"] == "q":
            entry.pop("replication_method", None)
            entry.update(changes)
    run = tap(queries=queries, catalog=catalog)
    assert run.exit_code == 78
    assert shown in run.log
    assert "Traceback" not in run.log


def test_raw_and_unconverted_times_stay_as_they_are_and_objects_become_text(tap: Tap) -> None:
    run = tap(queries=[query(query_id="13")], **NEW_YORK)
    row = next(row for row in rows_of(run) if row["orders__id"] == 1)
    assert row["orders__created_raw"].startswith("2026-03-01 07:30:00")
    assert row["orders__created_time"] == "2026-03-01T07:30:00+00:00"
    assert row["orders__shipped_time"] == "2026-03-01 19:00:00"
    assert row["orders__due_raw"] == row["orders__due_date"] == "2026-03-03"
    address = json.loads(row["orders__address"])
    assert address == {"street": '1 Main St, "Rear"', "zip": "00001"}
    assert "unreadable" not in run.log
    assert "cannot be read" not in run.log
    properties = run.schema("q")["properties"]
    assert properties["orders__due_raw"]["format"] == "date"
    assert "format" not in properties["orders__created_raw"]


def test_names_that_targets_treat_as_one_are_made_distinct_and_said(tap: Tap) -> None:
    long = f"odd_names.{'a_very_long_name_' * 4}"
    fields = ["odd_names.Total", "odd_names.total", f"{long}first", f"{long}second"]
    run = tap(queries=[query(explore=explore(*fields, explore="odd_names"), limit=3)])
    names = [name for name in run.schema("q")["properties"] if not name.startswith("_")]
    assert len({name.lower()[:63] for name in names}) == 4
    assert [*rows_of(run)[0]][2:] == names
    assert all(row[name] is not None for row in rows_of(run) for name in names)
    assert "'odd_names.Total' and 'odd_names.total' would be columns whose names differ" in run.log
    assert "more than 63 bytes (max_name_length)" in run.log


@pytest.mark.parametrize("query_id", ["15", "17", "23"])
def test_odd_names_and_no_custom_fields_are_no_obstacle(tap: Tap, query_id: str) -> None:
    run = tap(queries=[query(query_id=query_id)])
    declared = [name for name in run.schema("q")["properties"] if not name.startswith("_")]
    rows = rows_of(run)
    assert rows
    assert all([*row][2:] == declared for row in rows)


def test_types_that_a_catalog_chose_are_delivered(tap: Tap) -> None:
    queries = [query(query_id="13", primary_keys=["orders.id"])]
    catalog = catalog_of(tap, queries=queries)
    properties = entry_of(catalog)["schema"]["properties"]
    assert properties["orders__id"]["type"] == ["integer", "null"]
    properties["orders__id"] = {"type": ["string"]}
    properties["orders__amount"] = {"type": ["string", "null"]}
    row = rows_of(tap(queries=queries, catalog=catalog))[0]
    assert isinstance(row["orders__id"], str)
    assert Decimal(row["orders__amount"]) > 0


def test_a_column_that_the_catalog_lacks_is_reported(tap: Tap) -> None:
    queries = [query(query_id="17")]
    catalog = catalog_of(tap, queries=queries)
    del entry_of(catalog)["schema"]["properties"]["orders__count"]
    run = tap(queries=queries, catalog=catalog)
    assert [*rows_of(run)[0]][2:] == ["orders__city"]
    assert run.log.count("orders.count is in the result, but not in the catalog: discover") == 1


def test_keys_that_do_not_distinguish_rows_are_counted(tap: Tap) -> None:
    keyed = query(
        explore=explore("orders.category", "orders.state", "orders.count"),
        primary_keys=["orders.category"],
    )
    run = tap(queries=[keyed])
    rows = rows_of(run)
    categories = [row["orders__category"] for row in rows]
    repeats = len(categories) - len(set(categories))
    assert f"orders__category is null in {categories.count(None)} rows" in run.log
    assert f"{repeats} rows repeat the values of orders__category" in run.log


def test_shards_take_an_even_share_each_and_look_up_nothing_else(
    simulator: Simulator, tap: Tap
) -> None:
    queries = [{"name": f"q{n}", "query_id": str(n)} for n in (1, 2, 4, 11, 17)]
    shares = []
    for shard in range(4):
        simulator.clear_calls()
        catalog = catalog_of(tap, queries=queries, shard_count=4, shard_index=shard)
        shares.append({s["tap_stream_id"] for s in catalog["streams"]} - OUTCOMES)
        assert simulator.count("query") == len(shares[-1])
    assert sorted(map(len, shares)) == [1, 1, 1, 2]
    assert set().union(*shares) == {q["name"] for q in queries}


OUTCOMES = {"query_task_results", "query_task_rows"}
