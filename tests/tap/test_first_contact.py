"""From addresses in the browser to tables: names from titles, keys, tiles, merged results."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

FORMATS = ["json_detail", "json_bi"]
BY_CATEGORY = {
    "name": "q",
    "explore": {
        "model": "shop",
        "explore": "orders",
        "fields": ["orders.category", "orders.customer", "orders.count"],
        "sorts": ["orders.category"],
    },
    "primary_keys": "auto",
}


def discovered(tap: Tap, **config: object) -> dict[str, Any]:
    run = tap("--discover", **config)
    assert run.exit_code == 0, run.log
    catalog: dict[str, Any] = json.loads(run.output)
    return catalog


def streams_of(catalog: dict[str, Any]) -> list[str]:
    names = [stream["tap_stream_id"] for stream in catalog["streams"]]
    return sorted(name for name in names if not name.startswith("query_task_"))


def rows_of(run: Run, stream: str = "q") -> list[dict[str, Any]]:
    assert run.exit_code == 0, run.log
    return run.records(stream)


@pytest.mark.parametrize(
    ("url", "columns"),
    [
        ("/looks/5", {"orders__state", "orders__count", "share"}),
        ("/x/slug17", {"orders__city", "orders__count"}),
        ("/explore/shop/orders?qid=slug17", {"orders__city", "orders__count"}),
        (
            "/explore/shop/orders?fields=orders.state,orders.count&f[orders.state]=CA,NY&limit=1",
            {"orders__state", "orders__count"},
        ),
    ],
)
def test_each_address_of_a_query_becomes_its_rows(
    simulator: Simulator, tap: Tap, url: str, columns: set[str]
) -> None:
    rows = rows_of(tap(queries=[{"name": "q", "url": simulator.base_url + url}]))
    assert {name for name in rows[0] if not name.startswith("_")} == columns
    assert len(rows) == (1 if "limit" in url else 3)


def test_a_long_address_runs_in_its_own_time_zone(tap: Tap) -> None:
    url = "/explore/shop/orders?fields=orders.created_time,orders.created_date&limit=1"
    zone = "&query_timezone=America/Los_Angeles&sorts=orders.created_time"
    (here,) = rows_of(tap(queries=[{"name": "q", "url": url + "&sorts=orders.created_time"}]))
    for result_format in FORMATS:
        there = tap(queries=[{"name": "q", "url": url + zone}], result_format=result_format)
        (row,) = rows_of(there)
        assert row["orders__created_time"] == here["orders__created_time"]
        assert row["orders__created_date"] < here["orders__created_date"]


def test_a_dashboard_address_has_its_filters(simulator: Simulator, tap: Tap) -> None:
    url = f"{simulator.base_url}/embed/dashboards-next/shop::overview?State=NY&theme=dark"
    run = tap(dashboards=[{"name": "d", "url": url}])
    assert [row["orders__city"] for row in rows_of(run, "d_by_city")] == ["New York"]


def test_an_address_may_have_filters_that_no_tile_listens_to(
    simulator: Simulator, tap: Tap
) -> None:
    filters = [{"name": name, "title": name, "default_value": ""} for name in ("State", "Unused")]
    listen = [{"dashboard_filter_name": "State", "field": "orders.state"}]
    tile = {
        "id": "1",
        "title": "By state",
        "query_id": "11",
        "result_maker": {"query_id": "11", "filterables": [{"listen": listen}]},
    }
    board = {"title": "F", "dashboard_filters": filters, "dashboard_elements": [tile]}
    simulator.add_dashboard("61", board)
    run = tap(dashboards=[{"name": "d", "url": "/dashboards/61?State=CA&Unused=x"}])
    assert [row["orders__state"] for row in rows_of(run, "d_by_state")] == ["CA"]
    unknown = tap(dashboards=[{"name": "d", "url": "/dashboards/61?State=CA&Stat=x"}])
    assert unknown.exit_code == 78
    assert unknown.error.startswith("dashboards[0].filters: Stat is not a dashboard filter")


def test_a_title_names_a_stream_and_a_catalog_keeps_the_name(
    simulator: Simulator, tap: Tap
) -> None:
    config = {
        "queries": [{"url": "/looks/5"}],
        "dashboards": [{"url": "/dashboards/shop::overview"}],
    }
    names = ["orders_by_state", "orders_from_a_lookml_dashboard_by_city"]
    catalog = discovered(tap, **config)
    assert [name for name in names if name in streams_of(catalog)] == names
    simulator.add_look("5", "Renamed", "11")
    board = {"title": "New", "dashboard_filters": [], "dashboard_elements": []}
    old = {"id": "31", "title": "Cities", "query_id": "17"}
    simulator.add_dashboard("shop::overview", {**board, "dashboard_elements": [old]})
    # Without a catalog, as discovery is repeated, the title counts.
    assert streams_of(discovered(tap, **config)) == ["new_cities", "renamed"]
    simulator.clear_calls()
    run = tap(**config, catalog=catalog)
    assert [len(rows_of(run, name)) for name in names] == [3, 3]
    bookmarks = run.state["bookmarks"]
    assert {*names} <= {*bookmarks}


def test_a_title_that_is_another_name_ends_in_the_id(simulator: Simulator, tap: Tap) -> None:
    simulator.add_look("6", "Orders by state!", "11")
    simulator.add_look("7", "日本", "11")
    simulator.add_look("8", "2024", "11")
    queries = [{"url": f"/looks/{n}"} for n in (5, 6, 7, 8)]
    assert streams_of(discovered(tap, queries=queries)) == [
        "look_2024",
        "look_7",
        "orders_by_state_5",
        "orders_by_state_6",
    ]


def test_content_that_is_not_there_is_named_by_its_address(tap: Tap) -> None:
    run = tap(queries=[{"url": "/looks/77"}], dashboards=[{"url": "/dashboards/77"}])
    assert run.exit_code == 1
    assert "queries[0].url: there is no Look 77" in run.log
    assert "dashboards[0].url: there is no dashboard 77" in run.log
    assert len(run.records()) == 2


# Keys computed from dimensions


@pytest.mark.parametrize("result_format", FORMATS)
def test_the_same_row_has_the_same_key_in_every_run_and_format(
    tap: Tap, result_format: str
) -> None:
    first = tap(queries=[BY_CATEGORY])
    second = tap(queries=[BY_CATEGORY], result_format=result_format, state=first.state)
    rows = rows_of(first)
    assert first.schema("q")["required"] == ["_row_key"]
    (message,) = (m for m in first.of("SCHEMA") if m["stream"] == "q")
    assert message["key_properties"] == ["_row_key"]
    assert any(row["orders__category"] is None for row in rows)
    keys = [row["_row_key"] for row in rows]
    assert len({*keys}) == len(rows) == 20
    assert {row["_row_key"]: row["orders__count"] for row in rows_of(second)} == dict(
        zip(keys, (row["orders__count"] for row in rows), strict=True)
    )
    assert "primary_keys" not in first.log


@pytest.mark.parametrize("result_format", FORMATS)
def test_pivots_are_part_of_the_key_and_measures_are_not(tap: Tap, result_format: str) -> None:
    query = {"name": "q", "query_id": "16", "primary_keys": "auto"}
    pivoted = rows_of(tap(queries=[query], result_format=result_format))
    flat_query = {
        "name": "q",
        "explore": {
            "model": "shop",
            "explore": "orders",
            "fields": ["orders.customer", "orders.state", "orders.total_items"],
        },
        "primary_keys": "auto",
    }
    flat = {
        (r["orders__state"], r["orders__customer"]): r["_row_key"]
        for r in rows_of(tap(queries=[flat_query]))
    }
    assert len(pivoted) == 6
    for row in pivoted:
        assert flat[row["orders__state"], row["orders__customer"]] == row["_row_key"]


def test_a_key_outlives_the_catalog_and_what_it_deselects(tap: Tap) -> None:
    catalog = discovered(tap, queries=[BY_CATEGORY])
    keys = [row["_row_key"] for row in rows_of(tap(queries=[BY_CATEGORY]))]
    (entry,) = (s for s in catalog["streams"] if s["tap_stream_id"] == "q")
    for found in entry["metadata"]:
        if found["breadcrumb"] == ["properties", "orders__category"]:
            found["metadata"]["selected"] = False
    run = tap(queries=[BY_CATEGORY], catalog=catalog)
    assert sorted(row["_row_key"] for row in rows_of(run)) == sorted(keys)
    assert "orders__category" not in rows_of(run)[0]


def test_decimals_do_not_change_keys(tap: Tap) -> None:
    query = {
        "name": "q",
        "explore": {
            "model": "shop",
            "explore": "orders",
            "fields": ["orders.amount", "orders.count"],
        },
        "primary_keys": "auto",
    }
    plain = rows_of(tap(queries=[query]))
    exact = rows_of(tap(queries=[{**query, "decimals": {"precision": 38, "scale": 9}}]))
    assert [row["_row_key"] for row in plain] == [row["_row_key"] for row in exact]
    assert isinstance(plain[0]["orders__amount"], Decimal | int)


def test_auto_works_where_only_a_result_describes_fields(tap: Tap) -> None:
    rows = rows_of(tap(queries=[{"name": "q", "query_id": "14", "primary_keys": "auto"}]))
    assert len({row["_row_key"] for row in rows}) == len(rows) == 4


# Tiles


def test_tiles_are_configured_one_by_one(tap: Tap) -> None:
    tiles = [
        {"id": 12, "name": "orders", "limit": 2, "primary_keys": ["orders.id"]},
        {"title": "Secret", "skip": True},
        {"title": "Never saved", "primary_keys": []},
        {"id": "11", "limit": -1},
    ]
    board = {"dashboard_id": 2, "name": "d", "limit": 3, "primary_keys": "auto", "tiles": tiles}
    run = tap(dashboards=[board])
    assert run.exit_code == 0, run.log
    keys = {m["stream"]: m["key_properties"] for m in run.of("SCHEMA")}
    assert keys["d_orders"] == ["orders__id"]
    assert len(run.records("d_orders")) == 2
    assert keys["d_never_saved"] == ["_query_task_id", "_row_number"]
    assert len(run.records("d_never_saved")) == 3
    assert keys["d_new_tile"] == keys["d_merged_by_state"] == ["_row_key"]
    assert "d_secret" not in keys


def test_a_tile_is_loaded_incrementally(tap: Tap) -> None:
    tile = {"id": 12, "primary_keys": ["orders.id"], "replication_key": "orders.created_time"}
    board = {"dashboard_id": 2, "name": "d", "tiles": [tile]}
    first = tap(dashboards=[board])
    second = tap(dashboards=[board], state=first.state)
    assert first.state["bookmarks"]["d_new_tile_12"]["replication_key"] == "orders__created_time"
    assert len(rows_of(first, "d_new_tile_12")) == 80
    assert len(rows_of(second, "d_new_tile_12")) == 1


@pytest.mark.parametrize(
    ("tile", "message"),
    [
        (
            {"title": "Secrets"},
            "dashboards[0].tiles[0]: the dashboard has no tile 'Secrets'; did you mean Secret?",
        ),
        ({"id": 99}, "dashboards[0].tiles[0]: the dashboard has no tile 99"),
        (
            {"title": "New Tile"},
            "dashboards[0].tiles[0]: tile 'New Tile' could be 11 or 12; give its id",
        ),
    ],
)
def test_a_tile_that_is_not_there_is_named(tap: Tap, tile: dict[str, Any], message: str) -> None:
    run = tap(dashboards=[{"dashboard_id": 2, "name": "d", "tiles": [tile]}])
    assert run.exit_code == 78
    assert run.error == message


# Merged results


def merged_board(
    simulator: Simulator, filterables: Sequence[Mapping[str, Any]] | None = None
) -> None:
    listening = filterables or [filterable("By state", "orders.state")]
    maker = {"merge_result_id": "ghi", "filterables": listening}
    filters = [{"name": "State", "title": "State", "default_value": "CA"}]
    tile = {"id": "1", "title": "Both", "result_maker": maker}
    board = {"title": "M", "dashboard_filters": filters, "dashboard_elements": [tile]}
    simulator.add_dashboard("60", board)


def test_source_queries_of_merged_results_become_streams(simulator: Simulator, tap: Tap) -> None:
    merged_board(simulator)
    run = tap(dashboards=[{"dashboard_id": "60", "name": "d"}])
    by_state, by_both = "d_both_by_state", "d_both_by_state_and_customer"
    assert [row["orders__state"] for row in rows_of(run, by_state)] == ["CA"]
    assert {row["orders__state"] for row in rows_of(run, by_both)} == {"CA", "NY", "TX"}
    assert (
        f"dashboards[0]: tile 'Both' merges several queries, which are delivered as the streams "
        f"{by_state}, {by_both} (merged on orders.state = orders.state)"
    ) in run.log
    assert run.schema(by_both)["description"] == (
        "Source query of the merged results 'Both' (merged on orders.state = orders.state)"
    )
    assert run.schema(by_both)["title"] == "Both By state and customer"
    assert {outcome["dashboard_id"] for outcome in run.records()} == {"60"}


def filterable(name: str, field: str) -> dict[str, Any]:
    return {"name": name, "listen": [{"dashboard_filter_name": "State", "field": field}]}


@pytest.mark.parametrize(
    "filterables",
    [
        # Without names, or with the same ones, the order of the source queries counts.
        [filterable("", "orders.state"), {"name": ""}],
        [filterable("Orders", "orders.state"), {"name": "Orders"}],
        [{"name": "By state and customer"}, filterable("By state", "orders.state")],
    ],
)
def test_each_source_query_has_the_filters_that_it_listens_to(
    simulator: Simulator, tap: Tap, filterables: list[dict[str, Any]]
) -> None:
    merged_board(simulator, filterables)
    run = tap(dashboards=[{"dashboard_id": "60", "name": "d"}])
    assert [row["orders__state"] for row in rows_of(run, "d_both_by_state")] == ["CA"]
    both = rows_of(run, "d_both_by_state_and_customer")
    assert {row["orders__state"] for row in both} == {"CA", "NY", "TX"}


def test_a_source_query_does_not_run_without_filters_that_may_be_its_own(
    simulator: Simulator, tap: Tap
) -> None:
    merged_board(simulator, [filterable("Another", "orders.state")])
    run = tap(dashboards=[{"dashboard_id": "60", "name": "d"}])
    assert run.exit_code == 1
    reason = (
        "Looker does not say which dashboard filters apply to the source query 'By state' of the "
        "merged results 'Both'"
    )
    assert reason in run.log
    assert [record["status"] for record in run.records()] == ["error", "error"]
    assert run.records("d_both_by_state") == []


def test_merged_results_that_cannot_be_read_are_named(simulator: Simulator, tap: Tap) -> None:
    merged_board(simulator)
    simulator.fault("not_found", operation="merge_query")
    run = tap(dashboards=[{"dashboard_id": "60", "name": "d"}])
    assert run.exit_code == 0
    assert (
        "dashboards[0]: tile 'Both' merges several queries, which cannot be read, so it cannot run"
    ) in run.log
    assert {m["stream"] for m in run.of("SCHEMA")} == {"query_task_results"}


# Nothing configured

NOTHING = (
    "nothing is configured to extract; set queries, dashboards, query_task_ids or "
    "query_task_ids_file, at the top level of the configuration"
)


def test_nothing_configured_names_what_to_set(tap: Tap) -> None:
    run = tap()
    assert run.exit_code == 0
    assert NOTHING in run.log
    assert {message["type"] for message in run.messages} <= {"SCHEMA", "STATE"}
    doctor = tap("--doctor")
    assert doctor.exit_code == 1
    assert NOTHING in " ".join(doctor.output.decode().split())


def test_a_file_without_ids_is_configured(tap: Tap, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("")
    run = tap(query_task_ids_file=str(ids))
    assert run.exit_code == 0
    assert NOTHING not in run.log
    assert tap("--doctor", query_task_ids_file=str(ids)).exit_code == 0
