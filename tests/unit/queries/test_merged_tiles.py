"""Tiles of merged results, tiles with settings, and the names of their streams."""

from __future__ import annotations

from typing import Any

import pytest

from tap_looker_tasks.config.entries import DashboardConfig, TileConfig
from tap_looker_tasks.queries.tiles import merge_ids, name_filters, name_from_title, tile_queries

MERGED = {
    "m": {
        "source_queries": [
            {"name": "orders", "query_id": 7},
            {
                "name": "users",
                "query_slug": "abc",
                "merge_fields": [
                    {"source_field_name": "users.id", "field_name": "orders.user_id"},
                    {"source_field_name": "users.day", "field_name": "orders.day"},
                    *({"source_field_name": "users.x"}, {"field_name": "orders.y"}),
                ],
            },
        ]
    }
}


def listens(filter_name: str, field: str, **more: Any) -> dict[str, Any]:
    return {"listen": [{"dashboard_filter_name": filter_name, "field": field}], **more}


def dashboard(*elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"dashboard_elements": [*elements], **more}


def merged_tile(*filterables: dict[str, Any], **more: Any) -> dict[str, Any]:
    maker = {"merge_result_id": "m", "filterables": [*filterables]}
    return {"id": "4", "title": "Both", "result_maker": maker, **more}


def config(**more: Any) -> DashboardConfig:
    return DashboardConfig(**{"dashboard_id": 1, "name": "shop", **more})


def test_each_source_query_of_merged_results_is_a_stream() -> None:
    tile = merged_tile(
        listens("Day", "users.day", name="users"), listens("Day", "orders.day", name="orders")
    )
    found = tile_queries(config(filters={"Day": "today"}), dashboard(tile), "dashboards[0]", MERGED)
    assert found.problems == found.warnings == ()
    (note,) = found.notes
    assert note == (
        "dashboards[0]: tile 'Both' merges several queries, which are delivered as the streams "
        "shop_both_orders, shop_both_users (merged on users.id = orders.user_id and users.day = "
        "orders.day)"
    )
    orders, users = found.values
    assert (orders.name, orders.config.query_id, orders.config.query_slug) == (
        "shop_both_orders",
        "7",
        None,
    )
    assert (users.name, users.config.query_id, users.config.query_slug) == (
        "shop_both_users",
        None,
        "abc",
    )
    assert orders.tile_filters == {"orders.day": "today"}
    assert users.tile_filters == {"users.day": "today"}
    assert (orders.problem, users.problem) == (None, None)
    assert (orders.title, orders.tile_id) == ("Both orders", "4")
    assert orders.config_path == "dashboards[0]: tile 'Both orders'"
    assert orders.content_path == "/dashboards/1/tiles/4_orders?name=shop"
    assert orders.description == "Source query of the merged results 'Both'"
    assert users.description == (
        "Source query of the merged results 'Both' (merged on users.id = orders.user_id and "
        "users.day = orders.day)"
    )


def test_merged_results_are_known_by_two_keys() -> None:
    elements: list[dict[str, Any]] = [
        {"id": "1", "merge_result_id": "a"},
        {"id": "2", "result_maker": {"merge_result_id": "b"}},
        *({"id": "3", "query_id": 5}, {"id": "4", "merge_result_id": "a"}),
    ]
    assert merge_ids(dashboard(*elements)) == ("a", "b")


def test_filterables_without_names_count_by_their_order() -> None:
    tile = merged_tile(listens("Day", "orders.day"), listens("Day", "users.day"))
    found = tile_queries(config(filters={"Day": "today"}), dashboard(tile), "d", MERGED)
    assert [q.tile_filters for q in found.values] == [
        {"orders.day": "today"},
        {"users.day": "today"},
    ]


@pytest.mark.parametrize(("name", "is_clear"), [(None, False), ("orders", True)])
def test_filters_that_could_be_of_any_source_query_are_a_problem_of_each(
    name: str | None, *, is_clear: bool
) -> None:
    found = tile_queries(
        config(filters={"Day": "today"}),
        dashboard(merged_tile(listens("Day", "orders.day", name=name))),
        "d",
        MERGED,
    )
    assert [q.problem for q in found.values] == (
        [None, None]
        if is_clear
        else [
            "Looker does not say which dashboard filters apply to the source query "
            f"{source!r} of the merged results 'Both'"
            for source in ("orders", "users")
        ]
    )


def test_sources_without_names_are_numbered() -> None:
    merged = {"m": {"source_queries": [{"query_id": 7}, {"query_id": 8, "name": "注文"}]}}
    found = tile_queries(config(), dashboard(merged_tile()), "d", merged)
    assert [q.name for q in found.values] == ["shop_both_source_1", "shop_both_source"]
    assert [q.problem for q in found.values] == [None, None]


def test_settings_of_a_tile_replace_those_of_the_dashboard() -> None:
    elements = [{"id": str(n), "title": f"Tile {n}", "query_id": n} for n in range(1, 5)]
    tiles = (
        TileConfig(id="1", name="one", limit=5, primary_keys=("a.b",), replication_key="a.at"),
        TileConfig(title="Tile 2", primary_keys=()),
        TileConfig(id=3, skip=True),
    )
    given = config(tiles=tiles, limit=7, primary_keys="auto")
    one, two, four = tile_queries(given, dashboard(*elements), "d").values
    assert (one.name, one.config.limit, one.config.primary_keys, one.config.replication_key) == (
        *("shop_one", 5, ("a.b",)),
        "a.at",
    )
    assert one.content_path is None
    assert (two.config.limit, two.config.primary_keys) == (7, ())
    assert (four.name, four.config.primary_keys, four.config.replication_key) == (
        *("shop_tile_4", "auto"),
        None,
    )


def test_settings_of_no_tile_or_of_several_are_problems() -> None:
    elements = [{"id": str(n), "title": "Sales", "query_id": n} for n in (1, 2)]
    tiles = (TileConfig(title="Sales"), TileConfig(title="Sale"), TileConfig(id=9))
    found = tile_queries(config(tiles=tiles), dashboard(*elements), "dashboards[0]")
    assert found.problems == (
        "dashboards[0].tiles[0]: tile 'Sales' could be 1 or 2; give its id",
        "dashboards[0].tiles[1]: the dashboard has no tile 'Sale'; did you mean Sales?",
        "dashboards[0].tiles[2]: the dashboard has no tile 9",
    )


def test_problems_of_tiles_and_of_filters_are_reported_together() -> None:
    tile = {"id": "1", "query_id": 1, **listens("Status", "a.b")}
    given = config(tiles=(TileConfig(id=9),), filters={"Xyz": "1"})
    found = tile_queries(given, dashboard(tile), "d")
    assert found.problems == (
        "d.tiles[0]: the dashboard has no tile 9",
        "d.filters: Xyz is not a dashboard filter that a tile listens to; there are Status",
    )
    named = config(url="https://l/dashboards/1", filters={"Xyz": "1"})
    filters = {"dashboard_filters": [{"name": "Xyz"}]}
    assert tile_queries(named, dashboard(tile, **filters), "d").problems == ()


@pytest.mark.parametrize(
    ("name", "title", "prefix"),
    [("shop", "Sales", "shop"), (None, "Über uns!", "uber_uns"), (None, None, "dashboard_1")],
)
def test_streams_are_named_after_the_dashboard(
    name: str | None, title: str | None, prefix: str
) -> None:
    found = tile_queries(
        config(name=name), dashboard({"id": None, "query_id": 1}, title=title), "d"
    )
    (query,) = found.values
    assert query.name == f"{prefix}_tile_unknown"
    assert query.dashboard_id == "1"


def test_names_start_with_a_letter() -> None:
    assert name_from_title("Sales", "look", "5") == "sales"
    assert name_from_title("2024 sales", "look", "5") == "look_2024_sales"
    assert name_from_title("注文", "look", "5/a") == "look_5_a"


def test_filters_may_be_named_by_title_if_it_is_clear() -> None:
    filters = [
        {"name": "status", "title": "Status"},
        *({"name": "day", "title": "Day"}, {"name": "other", "title": "Day"}),
        {"name": "kind", "title": "status"},
    ]
    given = config(filters={"Status": "a", "Day": "b", "status": "c", "None": "d"})
    renamed = name_filters(given, {"dashboard_filters": filters})
    assert renamed.filters == {"status": "c", "Day": "b", "None": "d"}


def test_listeners_of_another_shape_are_skipped() -> None:
    odd = [{"dashboard_filter_name": "Day"}, {"field": "a.b"}, {"dashboard_filter_name": 5}, "x"]
    tile = {"id": "1", "query_id": 1, "listen": odd, "title": "T"}
    found = tile_queries(config(), dashboard(tile), "d")
    assert found.values[0].tile_filters == {}
    assert found.problems == ()
