"""What is rejected as a query, and what is created and kept for one."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from tap_looker_tasks.config.entries import (
    ConfiguredQuery,
    DashboardConfig,
    ExploreConfig,
    QueryConfig,
    name_problems,
    problems,
    shard_of,
    share_queries,
)
from tap_looker_tasks.queries.body import (
    changed_copy,
    check_body,
    explore_body,
    fingerprint,
    requested_changes,
)
from tap_looker_tasks.queries.bookmark import (
    bookmark_filter,
    can_combine,
    from_bookmark,
    next_bookmark,
)
from tap_looker_tasks.queries.checks import field_problems, field_warnings
from tap_looker_tasks.queries.tiles import tile_queries
from tap_looker_tasks.records.column_types import (
    ANYTHING,
    DATE,
    DATE_TIME,
    INTEGER,
    LOCAL_DATE_TIME,
    NUMBER,
    STRING,
    YESNO,
    ColumnType,
)
from tap_looker_tasks.records.columns import Column, columns_of
from tap_looker_tasks.records.fields import ExploreField, KnownFields, fields_in_result
from tap_looker_tasks.results.json_text import as_object
from tap_looker_tasks.wording import Findings

KNOWN = {
    field.name: field
    for field in (
        ExploreField("orders.id", "number", category="dimension"),
        ExploreField("orders.created_date", "date_date", category="dimension"),
        ExploreField("orders.created_month", "date_month", category="dimension"),
        ExploreField("orders.created_year", "date_year", category="dimension"),
        ExploreField("orders.status", "string", category="dimension"),
        ExploreField("orders.count", "count", category="measure"),
        ExploreField("orders.period", "date", category="filter"),
    )
}
ALL = KnownFields(KNOWN)
STORED = {
    "id": "7",
    "can": {"run": True},
    "client_id": "client7",
    "slug": "slug7",
    "share_url": "https://looker.test/x/slug7",
    "expanded_share_url": "https://looker.test/explore/shop",
    "url": "/explore/shop/orders",
    "has_table_calculations": False,
    "model": "shop",
    "view": "orders",
    "fields": ["orders.id", "orders.created_date"],
    "filters": {"orders.status": "new"},
    "sorts": ["orders.id desc", "orders.created_date 0"],
    "limit": "500",
    "filter_config": {"orders.status": [{"type": "="}]},
    "vis_config": {"type": "table"},
    "query_timezone": "UTC",
    "pivots": None,
}


def config(**more: Any) -> QueryConfig:
    return QueryConfig(**{"name": "orders", "query_id": "7"} | more)


def column(kind: ColumnType, name: str = "orders.key") -> Column:
    return Column(name.replace(".", "__"), name, kind)


def test_config_is_read_as_json_has_it() -> None:
    found = msgspec.convert(
        {
            "name": "orders",
            "explore": {
                "model": "shop",
                "explore": "orders",
                "fields": ["orders.id"],
                "dynamic_fields": [{"table_calculation": "x"}],
            },
            "limit": -1,
        },
        QueryConfig,
    )
    assert found.explore is not None
    assert found.explore.fields == ("orders.id",)
    with pytest.raises(msgspec.ValidationError, match="unknown field `limits`"):
        msgspec.convert({"name": "orders", "limits": 1}, QueryConfig)
    dashboard = msgspec.convert({"dashboard_id": 1, "name": "d"}, DashboardConfig)
    assert dashboard.filters == {}


def test_everything_wrong_is_reported_together() -> None:
    explore = ExploreConfig(model="shop", explore="orders", fields=())
    found = problems(
        [
            config(),
            config(limit=0),
            config(name="Orders!", look_id=3),
            QueryConfig(name="query_task_rows"),
            config(name="b", query_id=None, explore=explore, limit=-2),
            config(name="c", limit=-1),
        ],
        [DashboardConfig(dashboard_id=1, name="1st"), DashboardConfig(dashboard_id=1, name="d")],
    )
    not_a_name = "is not a stream name (lowercase letters, digits and _, starting with a letter)"
    sources = "exactly one of url, query_id, query_slug, look_id, explore is needed"
    assert found == [
        "queries[1].name: orders is the name at queries[0].name already",
        f"queries[2].name: 'Orders!' {not_a_name}",
        "queries[3].name: query_task_rows is the name of one of the tap's streams; choose another",
        "queries[1].limit: expected 1 to 1,000,000,000, or -1 for all rows",
        f"queries[2]: {sources}; found query_id and look_id",
        f"queries[3]: {sources}; found none",
        "queries[4].limit: expected 1 to 1,000,000,000, or -1 for all rows",
        "queries[4].fields: a query needs at least one field",
        f"dashboards[0].name: '1st' {not_a_name}",
    ]
    assert problems([config()]) == []


@given(st.text(st.characters(codec="ascii"), max_size=5))
def test_a_name_is_rejected_or_a_name(name: str) -> None:
    is_name = name[:1].islower() and all(c.islower() or c.isdigit() or c == "_" for c in name)
    assert bool(name_problems([("here", name)])) != is_name


def test_fields_that_do_not_exist_are_named() -> None:
    explore = ExploreConfig(
        model="shop",
        explore="orders",
        fields=("orders.idd", "orders.count"),
        filters={"orders.statsu": "new", "orders.period": "7 days"},
    )
    wanted = config(
        query_id=None,
        explore=explore,
        filters={"nothing.like.it": "1"},
        primary_keys=("orders.count", "orders.id"),
        replication_key="orders.created_date",
    )
    every = ", ".join(KNOWN)
    assert field_problems("queries[3]", wanted, explore_body(explore, "UTC"), ALL, 63) == [
        "queries[3].fields: orders.idd is not a field of the Explore; did you mean orders.id?",
        "queries[3].filters: orders.statsu is not a field of the Explore; did you mean orders.status?",  # noqa: E501
        f"queries[3].filters: nothing.like.it is not a field of the Explore; there are {every}",
        "queries[3].primary_keys: orders.id is not a field of the query; did you mean orders.idd?",
        (
            "queries[3].replication_key: orders.created_date is not a field of the query; "
            "there are orders.idd, orders.count"
        ),
    ]


def test_where_the_explore_may_not_be_read_any_filter_may_be_one_of_its_fields() -> None:
    known = fields_in_result(["orders.id"], [])
    wanted = config(filters={"orders.anything": "1"}, primary_keys=("orders.gone",))
    assert field_problems("queries[0]", wanted, {"fields": ["orders.id"]}, known, 63) == [
        "queries[0].primary_keys: orders.gone is not a field of the query; there are orders.id"
    ]


def test_two_fields_of_one_column_are_rejected() -> None:
    names = ["a.b__c", "a__b.c"]
    known = {name: ExploreField(name, "string") for name in names}
    assert field_problems("queries[0]", config(), {"fields": names}, KnownFields(known), 63) == [
        "queries[0].fields: 'a.b__c' and 'a__b.c' would both be the column a__b__c"
    ]


def test_custom_fields_are_fields() -> None:
    dynamic_fields = [
        {"table_calculation": "share", "_type_hint": "number"},
        {"measure": "buyers", "type": "count_distinct"},
    ]
    body = {"fields": ["orders.id", "buyers"], "dynamic_fields": json.dumps(dynamic_fields)}
    wanted = config(filters={"buyers": ">1"}, primary_keys=("share",), replication_key="buyers")
    assert field_problems("queries[0]", wanted, body, ALL, 63) == []
    [problem] = field_problems("queries[0]", config(replication_key="share"), body, ALL, 63)
    assert problem == (
        "queries[0].replication_key: share is a number; choose a date, date-time or number of the "
        "database"
    )


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("orders.status", "is a string; choose"),
        ("orders.created_month", "is a date_month; choose"),
        ("orders.created_year", "is a date_year; choose"),
        ("orders.id", None),
        ("orders.created_date", None),
    ],
)
def test_a_replication_key_can_be_filtered(key: str, hint: str | None) -> None:
    found = field_problems("queries[0]", config(replication_key=key), {"fields": [key]}, ALL, 63)
    assert bool(found) == bool(hint)
    assert hint is None or f"queries[0].replication_key: {key} {hint}" in found[0]


def test_a_filter_that_leaves_no_room_for_a_bookmark_is_rejected() -> None:
    body = STORED | {"filters": {"orders.created_date": "7 days"}}
    wanted = config(replication_key="orders.created_date")
    [problem] = field_problems("queries[0]", wanted, body, ALL, 63)
    assert problem.startswith(
        "queries[0].replication_key: a bookmark cannot be combined with the filter '7 days'"
    )
    dropped = config(replication_key="orders.created_date", filters={"orders.created_date": ""})
    assert field_problems("queries[0]", dropped, body, ALL, 63) == []


def test_an_explore_query_is_written_in_lookers_words() -> None:
    explore = ExploreConfig(
        model="shop",
        explore="orders",
        fields=("orders.id", "orders.count"),
        pivots=("orders.id",),
        filters={"orders.status": "new"},
        dynamic_fields=({"table_calculation": "x", "expression": "1"},),
        column_limit=50,
    )
    body = explore_body(explore, "Europe/Vienna")
    assert body == {
        "model": "shop",
        "view": "orders",
        "fields": ["orders.id", "orders.count"],
        "pivots": ["orders.id"],
        "filters": {"orders.status": "new"},
        "column_limit": "50",
        "dynamic_fields": '[{"table_calculation":"x","expression":"1"}]',
        "query_timezone": "Europe/Vienna",
    }
    as_text = msgspec.structs.replace(explore, dynamic_fields=body["dynamic_fields"])
    assert explore_body(as_text, "Europe/Vienna") == body
    assert json.loads(json.dumps(body)) == body


@pytest.mark.parametrize(
    "configured",
    [config(), config(limit=500), config(filters={"orders.status": "new"})],
)
def test_a_query_that_is_as_configured_is_run_unchanged(configured: QueryConfig) -> None:
    assert changed_copy(STORED, requested_changes(STORED, configured, "UTC")) is None


def test_a_changed_copy_is_a_query_that_can_be_created() -> None:
    before = json.dumps(STORED)
    configured = config(limit=-1, filters={"orders.id": ">5"})
    changes = requested_changes(STORED, configured, "Asia/Tokyo")
    key = column(DATE, "orders.created_date")
    assert changed_copy(STORED, from_bookmark(changes, STORED, key, None, "Asia/Tokyo")) == {
        "model": "shop",
        "view": "orders",
        "fields": ["orders.id", "orders.created_date"],
        "filters": {"orders.status": "new", "orders.id": ">5"},
        "sorts": ["orders.created_date", "orders.id desc"],
        "limit": "-1",
        "filter_config": None,
        "vis_config": {"type": "table"},
        "query_timezone": "Asia/Tokyo",
        "pivots": None,
    }
    assert json.dumps(STORED) == before
    bare = {"model": "shop", "filters": None, "query_timezone": "UTC"}
    changes = requested_changes(bare, config(filters={"a.b": "1"}), "UTC")
    assert changed_copy(bare, changes) == bare | {"filters": {"a.b": "1"}, "filter_config": None}


def test_the_querys_own_filters_win_over_the_tiles() -> None:
    configured = config(limit=5, filters={"a.b": "1"})
    assert requested_changes({}, configured, "UTC", {"a.b": "2", "a.c": "3"}) == {
        "query_timezone": "UTC",
        "limit": "5",
        "filters": {"a.b": "1", "a.c": "3"},
    }


@pytest.mark.parametrize(
    ("kind", "bookmark", "existing", "expression"),
    [
        (NUMBER, 7, None, ">=7"),
        (NUMBER, "12345678901234567890.10", "", ">=12345678901234567890.10"),
        (NUMBER, Decimal("1E+3"), None, ">=1000"),
        (INTEGER, -3, "<= 100", "<= 100 AND >=-3"),
        (INTEGER, -3, ">= -20", ">=-3"),
        (INTEGER, -3, ">-3", ">-3"),
        (INTEGER, -3, "any value", ">=-3"),
        (DATE, "2026-01-31", None, "after 2026-01-31"),
        (DATE, "2026-01-31T23:00:00Z", None, "after 2026-02-01"),
        (DATE, "2026-01-31", "any time", "after 2026-01-31"),
        (DATE, "2026-01-31", "after 2026-02-03", "after 2026-02-03"),
        (DATE, "2026-01-31", "After 2026-01-03", "after 2026-01-31"),
        (DATE, "2026-01-31", "before 2026-03-01", "2026-01-31 to 2026-03-01"),
        (DATE, "2026-01-31", "2026-01-01 to 2026-03-01", "2026-01-31 to 2026-03-01"),
        (DATE, "2025-12-31", "2026-01-01 to 2026-03-01", "2026-01-01 to 2026-03-01"),
        (DATE, "2026-12-31", "2026-01-01 to 2026-03-01", "2026-03-01 to 2026-03-01"),
        (DATE_TIME, "2026-01-31T12:30:00.9+00:00", None, "after 2026-01-31 13:30:00"),
        (DATE_TIME, "2026-07-31T12:30:00+00:00", None, "after 2026-07-31 14:30:00"),
        (DATE_TIME, "2026-01-31", None, "after 2026-01-31"),
        (DATE_TIME, "2026-01-31T00:00:00", None, "after 2026-01-31 00:00:00"),
        (
            DATE_TIME,
            "2026-01-31T12:30:00Z",
            "before 2026-02-01",
            "2026-01-31 13:30:00 to 2026-02-01",
        ),
        # 02:30 comes twice that day.
        (DATE_TIME, "2026-10-25T01:30:00Z", None, "after 2026-10-25 01:30:00"),
        (LOCAL_DATE_TIME, "2026-01-31 12:30:00.123", None, "after 2026-01-31 12:30:00"),
        # A catalog may declare a key as text.
        (STRING, "2026-01-31 12:30:00", "before 2026-03-01", "2026-01-31 12:30:00 to 2026-03-01"),
        (STRING, "2026-01-31", None, "after 2026-01-31"),
        (STRING, "0", "<9", "<9 AND >=0"),
        (STRING, 12, None, ">=12"),
        (ANYTHING, "10.50", None, ">=10.50"),
    ],
)
def test_a_bookmark_is_a_filter_expression(
    kind: ColumnType, bookmark: object, existing: str | None, expression: str
) -> None:
    assert bookmark_filter(column(kind), bookmark, "Europe/Vienna", existing) == expression


@pytest.mark.parametrize(
    ("kind", "bookmark", "expression"),
    [
        (LOCAL_DATE_TIME, "2026-03-01 12:30:00", "after 2026-02-28 10:30:00"),
        (LOCAL_DATE_TIME, "2026-03-01 12:30:00 UTC", "after 2026-02-28 11:30:00"),
        (DATE, "2026-01-01", "after 2025-12-30"),
        (DATE, "0001-01-01", "after 0001-01-01"),
        (STRING, "7", ">=7"),
    ],
)
def test_a_field_in_another_time_zone_is_requested_from_26_hours_before(
    kind: ColumnType, bookmark: str, expression: str
) -> None:
    key = replace(column(kind), converts_time_zone=False)
    assert bookmark_filter(key, bookmark, "Europe/Vienna") == expression


@pytest.mark.parametrize(
    ("kind", "existing"),
    [
        *((NUMBER, "5, 6"), (NUMBER, ">5 AND <9"), (NUMBER, "NOT 5"), (NUMBER, "[1,9)")),
        *((DATE, "7 days"), (DATE, "2026-01-01"), (DATE, "null"), (DATE, "after 3 days ago")),
    ],
)
def test_a_bookmark_is_not_forced_upon_a_filter(kind: ColumnType, existing: str) -> None:
    assert not can_combine(existing, with_number=kind.is_number)
    with pytest.raises(ValueError, match="cannot be combined"):
        bookmark_filter(column(kind), 1, "UTC", existing)


@pytest.mark.parametrize(
    ("kind", "bookmark", "time_zone"),
    [
        *((NUMBER, "many", "UTC"), (DATE, "soon", "UTC")),
        *((DATE_TIME, "soon", "UTC"), (DATE_TIME, "2026-01-31T12:30:00Z", "nowhere")),
    ],
)
def test_a_bookmark_that_is_none_is_rejected(
    kind: ColumnType, bookmark: object, time_zone: str
) -> None:
    with pytest.raises(ValueError, match=r"not a |time zone"):
        bookmark_filter(column(kind), bookmark, time_zone)


def test_an_incremental_query_is_sorted_and_filtered_by_its_replication_key() -> None:
    key = column(DATE, "orders.created_date")
    first = from_bookmark({"limit": "9"}, STORED, key, None, "UTC")
    assert first == {"limit": "9", "sorts": ["orders.created_date", "orders.id desc"]}
    unsorted = STORED | {"sorts": ["__UNSORTED__"]}
    filters = {"orders.created_date": "before 2026-02-01"}
    later = from_bookmark({"filters": filters}, unsorted, key, "2026-01-31", "UTC")
    assert later == {
        "filters": {"orders.created_date": "2026-01-31 to 2026-02-01"},
        "sorts": ["orders.created_date"],
    }


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (INTEGER, [1, None, 12, 5], 12),
        (NUMBER, ["10.50", 9, Decimal("10.25"), "NaN", [1]], "10.50"),
        (NUMBER, [Decimal("0.1234567890123456789012345")], "0.1234567890123456789012345"),
        (DATE, [None, "2026-01-31", "2026-02-01", "soon", 5], "2026-02-01"),
        (
            DATE_TIME,
            [
                "2026-01-31T12:30:00+00:00",
                "2026-01-31T12:30:00.5+00:00",
                "2026-01-31T12:30:00.45+00:00",
                "2026-01-31 23:00:00",
            ],
            "2026-01-31T12:30:00.5+00:00",
        ),
        (LOCAL_DATE_TIME, ["2026-01-31 12:30:00", "later"], "2026-01-31 12:30:00"),
        (LOCAL_DATE_TIME, ["2026-01-31", "2026-02-01 10:00:00 UTC"], "2026-02-01 10:00:00 UTC"),
        (STRING, ["2026-03-01 23:30:00", "2026-03-02 00:30:00", "7"], "2026-03-02 00:30:00"),
        (STRING, ["9", None, "10", "new"], 10),
        (YESNO, [True, None, False], None),
        *((kind, [None], None) for kind in (NUMBER, DATE, DATE_TIME, LOCAL_DATE_TIME)),
    ],
)
def test_the_bookmark_is_the_greatest_value(
    kind: ColumnType, values: list[object], expected: object
) -> None:
    assert next_bookmark(column(kind), values) == expected


@given(st.lists(st.integers() | st.decimals(allow_nan=False, allow_infinity=False), min_size=1))
def test_no_row_from_the_bookmark_on_is_left_out(values: list[int | Decimal]) -> None:
    bookmark = json.loads(json.dumps(next_bookmark(column(NUMBER), values)))
    least = Decimal(bookmark_filter(column(NUMBER), bookmark, "UTC").removeprefix(">="))
    assert least == max(values)


LISTENS = {
    "filterables": [
        {"listen": [{"dashboard_filter_name": "Status", "field": "orders.status"}, {}]},
        {"listen": None},
    ]
}
FORMER_LISTENS = {"filterables": [{"listen": {"Status": "orders.status", "Day": "orders.day"}}]}
BODY = {"id": None, "model": "shop", "view": "orders", "fields": ["orders.id"]}
ELEMENTS: list[Any] = [
    {"id": "1", "title": "Orders, a Day", "query_id": 7, "query": STORED, "result_maker": LISTENS},
    {"id": "2", "title": "Linked", "look_id": 3, "result_maker": {"query_id": "8"}},
    {"id": "3", "title": None, "type": "text", "body_text": "Hello"},
    {"id": "4", "title": "Merged", "merge_result_id": "abc"},
    {"id": "5", "title": "SQL", "result_maker": {"query_id": None, "sql_query_id": "def"}},
    {"id": "6", "title": "orders a day!", "result_maker": {"query_id": "9", **FORMER_LISTENS}},
    {"id": "7", "title": "注文", "query_id": "10"},
    {"id": "8", "title": "Umsätze", "query_id": "11"},
    {"id": "9", "title": "Gone", "query_id": "12", "deleted": True},
    {"id": "10", "look_id": "4", "look": {"title": "Of a Look", "query": {"id": "13"}}},
    {"id": "11", "title": "Body", "query_id": None, "result_maker": {"query": BODY}},
    {"id": 12, "title": "Linked 2", "query_id": 14, "listen": {"Status": "orders.status"}},
    {"id": "13", "title": "Empty", "result_maker": {"query": None, "filterables": [1]}},
    *("nonsense", {"id": [], "title": 5, "result_maker": "x", "look": 1, "query": []}),
]
FILTERS = [
    {"name": "Status", "default_value": "new"},
    {"name": "Day", "default_value": "7 days"},
    {"name": "Nothing", "default_value": ""},
    *({"name": "None"}, {"default_value": "x"}, "nonsense"),
]
DASHBOARD = {"dashboard_elements": ELEMENTS, "dashboard_filters": FILTERS}


def find_tiles(dashboard: object, **filters: str) -> Findings[ConfiguredQuery]:
    config = DashboardConfig(dashboard_id=1, name="shop", filters=filters)
    return tile_queries(config, as_object(dashboard), "dashboards[0]")


def test_tiles_are_what_can_run() -> None:
    found = find_tiles(DASHBOARD, Status="old")
    assert [
        (q.name, q.config.query_id, q.config.look_id, dict(q.tile_filters)) for q in found.values
    ] == [
        ("shop_orders_a_day_1", "7", None, {"orders.status": "old"}),
        ("shop_linked", None, "3", {}),
        ("shop_orders_a_day_6", "9", None, {"orders.status": "old", "orders.day": "7 days"}),
        ("shop_tile_7", "10", None, {}),
        ("shop_umsatze", "11", None, {}),
        ("shop_of_a_look", None, "4", {}),
        ("shop_body", None, None, {}),
        ("shop_linked_2", "14", None, {"orders.status": "old"}),
    ]
    assert found.values[0].tile_body is STORED
    assert found.values[1].tile_body is None
    assert found.values[5].tile_body == {"id": "13"}
    assert found.values[6].tile_body == BODY
    merged, *others = found.warnings
    assert merged == (
        "dashboards[0]: tile 'Merged' merges several queries, which cannot be read, so it cannot "
        "run"
    )
    assert others == [
        "dashboards[0]: tile 'SQL' is an SQL Runner query, so it cannot run",
        "dashboards[0]: tile 'Empty' has no query, so it cannot run",
    ]
    assert found.problems == ()
    assert find_tiles({"dashboard_elements": 5, "dashboard_filters": {}}) == Findings()


@pytest.mark.parametrize(("given", "expected"), [({}, "new"), ({"Status": ""}, "")])
def test_the_dashboards_default_values_apply(given: dict[str, str], expected: str) -> None:
    assert find_tiles(DASHBOARD, **given).values[0].tile_filters == {"orders.status": expected}


@given(st.permutations([("1", "Sales"), ("2", "Sales"), ("3", "Sales 1"), ("4", "Other")]))
def test_the_order_of_tiles_names_no_stream(tiles: list[tuple[str, str]]) -> None:
    elements = [{"id": id_, "title": title, "query_id": id_} for id_, title in tiles]
    found = find_tiles({"dashboard_elements": elements}).values
    assert {query.config.query_id: query.name for query in found} == {
        "1": "shop_sales_1_1",
        "2": "shop_sales_2",
        "3": "shop_sales_1_3",
        "4": "shop_other",
    }


def test_a_dashboard_filter_that_nothing_listens_to_is_rejected() -> None:
    [problem] = find_tiles(DASHBOARD, status="new").problems
    assert problem == (
        "dashboards[0].filters: status is not a dashboard filter that a tile listens to; "
        "did you mean Status?"
    )


@pytest.mark.parametrize(
    "more",
    [
        *({"fields": "orders.id"}, {"fields": [1]}, {"pivots": {}}, {"sorts": [None]}),
        *({"filters": ["x"]}, {"dynamic_fields": []}, {"limit": "many"}, {"limit": 1.5}),
        *({"model": None}, {"view": 7}),
    ],
)
def test_a_body_of_another_shape_is_rejected(more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a query in Looker's format") as raised:
        check_body(STORED | more)
    assert "\n" not in str(raised.value)


def test_a_body_that_is_not_stored_yet_can_be_created() -> None:
    assert check_body(BODY) == {"model": "shop", "view": "orders", "fields": ["orders.id"]}
    assert check_body(STORED) is STORED


def test_the_keys_of_a_pivoted_query_need_its_pivots() -> None:
    body = {"fields": ["orders.id", "orders.status"], "pivots": ["orders.status"]}
    [problem] = field_problems("queries[0]", config(primary_keys=("orders.id",)), body, ALL, 63)
    assert problem.startswith("queries[0].primary_keys: the query is pivoted")
    assert "only with orders.status do keys" in problem
    keys = ("orders.id", "orders.status")
    assert field_problems("queries[0]", config(primary_keys=keys), body, ALL, 63) == []


def test_what_to_know_of_columns_is_reported() -> None:
    fields = {
        name: ExploreField(name, "date_time", converts_time_zone=False)
        for name in ("k.at", "k.Total", "k.total", "k." + 70 * "x")
    }
    columns = columns_of(fields, {"fields": [*fields]}, 63)
    wanted = config(replication_key="k.at")
    case, length, margin = field_warnings("queries[0]", wanted, columns, 63)
    assert case.startswith("queries[0].fields: 'k.Total' and 'k.total' would be columns whose")
    assert "more than 63 bytes (max_name_length)" in length
    assert margin.startswith("queries[0].replication_key: k.at is in the database's time zone")
    keyed = config(replication_key="k.at", primary_keys=("k.at",))
    assert field_warnings("queries[0]", keyed, columns[:1], 63) == []


def test_a_fingerprint_is_that_of_the_rows() -> None:
    same = {
        **{key: value for key, value in reversed(STORED.items()) if key != "pivots"},
        "id": "8",
        "slug": "x",
        "vis_config": None,
        "limit": 500,
        "total": False,
    }
    assert fingerprint(same) == fingerprint(STORED)
    assert fingerprint(STORED | {"limit": "501"}) != fingerprint(STORED)
    assert fingerprint(STORED | {"fields": ["orders.created_date", "orders.id"]}) != (
        fingerprint(STORED)
    )


@given(st.text(), st.integers(1, 50))
def test_everything_is_in_exactly_one_shard(text: str, shard_count: int) -> None:
    assert shard_of(text, shard_count) in range(shard_count)
    assert shard_of(text, 1) == 0


NAMES = st.sets(st.text(st.characters(codec="ascii"), max_size=9), min_size=1)


@given(NAMES, st.integers(1, 9))
def test_queries_are_spread_evenly_in_any_order(names: set[str], shard_count: int) -> None:
    shards = share_queries(names, shard_count)
    assert shards.keys() == names
    sizes = [[*shards.values()].count(shard) for shard in range(shard_count)]
    assert max(sizes) - min(sizes) <= 1
    assert share_queries(sorted(names, reverse=True), shard_count) == shards


def test_a_query_more_moves_few_of_the_others() -> None:
    names = [f"query_{n}" for n in range(80)]
    before, after = share_queries(names, 4), share_queries([*names, "new"], 4)
    assert sum(before[name] != after[name] for name in names) < 8
    assert share_queries(["orders", "users", "visits"], 2) == {"orders": 0, "users": 1, "visits": 0}


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    # printf '{"limit":"5"}' | sha256sum
    assert fingerprint({"limit": 5}) == (
        "900b376fcb916bf66729ad512b5a5de1fb58b84089e46a1ce3ffb2954a90fc08"
    )


def test_shards_are_the_same_everywhere_and_of_like_size() -> None:
    assert [shard_of(name, 7) for name in ("orders", "users", "visits")] == [6, 2, 4]
    sizes = [0] * 4
    for n in range(4000):
        sizes[shard_of(str(n), 4)] += 1
    assert min(sizes) > 900
