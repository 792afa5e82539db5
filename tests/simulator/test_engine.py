"""Queries of the simulator, against independent SQL and by their shape."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from looker_simulator import formats
from looker_simulator.engine import Database, QueryFailedError
from looker_simulator.filters import Filter, FilterError

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

NOON = datetime(2013, 7, 17, 12, tzinfo=UTC)
RESULT_FORMATS = ["json_detail", "json_bi", "json", "csv", "txt", "html", "md", "sql"]


@pytest.fixture(scope="module")
def database(connection: duckdb.DuckDBPyConnection) -> Database:
    return Database(connection, now=lambda: NOON)


def body(*fields: str, view: str = "flights", **more: object) -> dict[str, Any]:
    return {"model": "flights_2013", "view": view, "fields": [*fields], **more}


def payload(database: Database, query: dict[str, Any], result_format: str) -> Any:  # noqa: ANN401 - JSON
    response = database.run(query)
    shown = formats.build_payload(
        response, result_format, query_task_id="id", runtime_seconds=0.5, ran_at=NOON
    )
    return json.loads(formats.encode(shown), parse_float=Decimal)


FILTERS = [
    ("flights.carrier", "UA", "carrier = 'UA'"),
    ("flights.carrier", "UA,DL", "carrier in ('UA', 'DL')"),
    ("flights.carrier", "-UA,-DL", "carrier not in ('UA', 'DL')"),
    ("flights.carrier", "U%", "carrier like 'U%'"),
    ("flights.carrier", "-U%", "carrier not like 'U%'"),
    ("flights.carrier", "%A", "carrier like '%A'"),
    ("flights.carrier", '"UA"', "carrier = 'UA'"),
    ("flights.carrier", "U^A", "carrier = 'UA'"),
    ("flights.carrier", "", "true"),
    ("flights.tail_number", "NULL", "tailnum is null"),
    ("flights.tail_number", "EMPTY", "tailnum is null or tailnum = ''"),
    ("flights.tail_number", "-NULL", "tailnum is not null"),
    ("airlines.name", "United Air Lines Inc.", "carrier = 'UA'"),
    ("flights.distance_tier", "500 to 999", "distance >= 500 and distance < 1000"),
    ("flights.is_cancelled", "Yes", "dep_time is null"),
    ("flights.is_cancelled", "no", "dep_time is not null"),
    ("flights.distance", "200", "distance = 200"),
    ("flights.distance", "<>200", "distance <> 200"),
    ("flights.distance", "NOT 200", "distance <> 200"),
    ("flights.distance", ">=2000", "distance >= 2000"),
    ("flights.distance", ">=500 AND <600", "distance >= 500 and distance < 600"),
    ("flights.distance", "[500,600)", "distance >= 500 and distance < 600"),
    ("flights.distance", "(500, inf)", "distance > 500"),
    ("flights.distance", "(-inf,500]", "distance <= 500"),
    ("flights.distance", "500 to 600", "distance between 500 and 600"),
    (
        "flights.distance",
        "200,(2000,3000]",
        "distance = 200 or distance > 2000 and distance <= 3000",
    ),
    ("flights.arrival_delay", "NULL", "arr_delay is null"),
    ("flights.arrival_delay", "NOT NULL", "arr_delay is not null"),
    ("flights.departure_date", "2013-07-04", "local::date = '2013-07-04'"),
    ("flights.departure_date", "2013-07", "month(local) = 7"),
    ("flights.departure_date", "2014", "false"),
    ("flights.departure_date", "after 2013-12-31", "local >= '2013-12-31'"),
    ("flights.departure_date", "before 2013-01-02", "local < '2013-01-02'"),
    (
        "flights.departure_date",
        "2013-07-04 to 2013-07-06",
        "local::date in ('2013-07-04', '2013-07-05')",
    ),
    ("flights.departure_time", "after 2013-12-31 22:00", "local >= '2013-12-31 22:00'"),
    ("flights.departure_time", "2013-07-04 17:30", "local = '2013-07-04 17:30'"),
    ("flights.departure_date", "today", "local::date = '2013-07-17'"),
    ("flights.departure_date", "yesterday", "local::date = '2013-07-16'"),
    ("flights.departure_date", "7 days", "local::date between '2013-07-11' and '2013-07-17'"),
    ("flights.departure_date", "7 days ago", "local::date = '2013-07-10'"),
    ("flights.departure_date", "last 2 months", "month(local) in (6, 7)"),
    ("flights.departure_date", "last month", "month(local) = 6"),
    ("flights.departure_date", "this week", "local::date between '2013-07-15' and '2013-07-21'"),
    ("flights.departure_date", "this year", "year(local) = 2013"),
    ("flights.departure_date", "any time", "true"),
    ("flights.departure_date", "NOT NULL", "true"),
]


@pytest.mark.parametrize(("field", "expression", "condition"), FILTERS)
def test_a_filter_lets_through_what_sql_would(
    database: Database,
    connection: duckdb.DuckDBPyConnection,
    field: str,
    expression: str,
    condition: str,
) -> None:
    query = body("flights.count", filters={field: expression}, query_timezone="America/New_York")
    sql = """
        select count(*) from (
            select *, timezone('America/New_York', timezone('UTC', departure)) as local from flights
        ) where
    """
    assert database.run(query).rows == connection.sql(f"{sql} {condition}").fetchall()


@pytest.mark.parametrize(
    ("field", "expression"),
    [
        ("flights.distance", "far"),
        ("flights.is_cancelled", "perhaps"),
        ("flights.departure_date", "soon"),
        ("flights.departure_date", "2013-13-45"),
        ("flights.nothing", "1"),
    ],
)
def test_a_wrong_filter_fails(database: Database, field: str, expression: str) -> None:
    with pytest.raises(QueryFailedError):
        database.run(body("flights.count", filters={field: expression}))


@given(
    st.text("0123456789-<>=!%^\"',()[] NOTnulafterbdysg:") | st.text(),
    st.sampled_from([Filter.on_text, Filter.on_number, Filter.on_date, Filter.on_yesno]),
)
def test_no_filter_is_a_surprise(expression: str, read: Callable[[Filter], str]) -> None:
    try:
        condition = read(Filter("x", expression, NOON.replace(tzinfo=None)))
    except FilterError:
        return
    assert isinstance(condition, str)


def test_measures_are_filtered_after_grouping(database: Database) -> None:
    query = body("flights.carrier", "flights.count", filters={"flights.count": ">50000"})
    assert [row[0] for row in database.run(query).rows] == ["UA", "B6", "EV"]


@pytest.mark.parametrize(
    ("limit", "rows", "truncated"), [("3", 3, True), ("16", 16, False), ("-1", 16, False)]
)
def test_a_limit_that_cuts_is_reported(
    database: Database, limit: str, rows: int, *, truncated: bool
) -> None:
    response = database.run(body("flights.carrier", limit=limit))
    assert (len(response.rows), response.truncated) == (rows, truncated)


def test_500_rows_are_the_limit_unless_reported_otherwise(database: Database) -> None:
    assert len(database.run(body("flights.tail_number")).rows) == 500


@pytest.mark.parametrize(
    ("sorts", "first"),
    [
        ([], "UA"),
        (["flights.count"], "OO"),
        (["flights.carrier"], "9E"),
        (["flights.carrier desc"], "YV"),
        (["flights.count desc 0"], "UA"),
    ],
)
def test_rows_are_sorted(database: Database, sorts: list[str], first: str) -> None:
    query = body("flights.carrier", "flights.count", sorts=sorts)
    assert database.run(query).rows[0][0] == first


def test_date_times_are_reported_in_the_querys_time_zone(database: Database) -> None:
    first: dict[str, Any] = {"sorts": ["flights.departure_time"], "limit": "1"}
    utc = database.run(body("flights.departure_time", **first))
    local = database.run(body("flights.departure_time", **first, query_timezone="America/New_York"))
    assert utc.rows == [("2013-01-01 10:15:00",)]
    assert local.rows == [("2013-01-01 05:15:00",)]


def test_every_unit_of_a_date_has_its_notation(database: Database) -> None:
    units = ("time", "hour", "date", "week", "month", "year")
    query = body(
        *(f"flights.departure_{unit}" for unit in units),
        filters={"flights.departure_time": "2013-07-04 17:30"},
        query_timezone="America/New_York",
    )
    (row,) = database.run(query).rows
    assert row == (
        "2013-07-04 17:30:00",
        "2013-07-04 17",
        "2013-07-04",
        "2013-07-01",
        "2013-07",
        "2013",
    )


def test_every_digit_is_reported(database: Database) -> None:
    query = body(
        "numbers.integer", "numbers.decimal", view="numbers", sorts=["numbers.integer desc"]
    )
    rows = payload(database, query, "json")
    assert rows[0]["numbers.integer"] == 18014398509481985
    assert rows[0]["numbers.decimal"] == Decimal("12345678901234567890.0123456789")


def test_custom_fields_and_table_calculations(
    database: Database, connection: duckdb.DuckDBPyConnection
) -> None:
    dynamic_fields = [
        {
            "dimension": "route",
            "expression": 'concat(${flights.origin}, " to ", ${flights.destination})',
        },
        {"measure": "longest", "based_on": "flights.air_time", "type": "max"},
        {"table_calculation": "half", "expression": "${flights.count} / 2"},
    ]
    query = body(
        "route",
        "longest",
        "flights.count",
        "half",
        dynamic_fields=json.dumps(dynamic_fields),
        sorts=["route"],
        limit="5",
    )
    expected = connection.sql("""
        select origin || ' to ' || dest, max(air_time), count(*), count(*) / 2
        from flights group by 1 order by 1 limit 5
    """)
    rows = expected.fetchall()
    assert database.run(query, server_table_calcs=True).rows == rows
    # Looker computes them only when asked.
    assert database.run(query).rows == [row[:3] for row in rows]
    fields = payload(database, query, "json_detail")["fields"]
    assert [field["name"] for field in fields["table_calculations"]] == ["half"]
    assert [field["name"] for field in fields["dimensions"]] == ["route"]


def test_a_pivot_spreads_a_dimension_over_columns(database: Database) -> None:
    query = body(
        "flights.carrier",
        "flights.count",
        "flights.origin",
        pivots=["flights.origin"],
        sorts=["flights.carrier"],
        limit="2",
        total=True,
        row_total="right",
    )
    shown = payload(database, query, "json_detail")
    assert shown["truncated"] is True
    assert [pivot["key"] for pivot in shown["pivots"]] == ["EWR", "JFK", "LGA", "$$$_row_total_$$$"]
    assert shown["data"][0] == {
        "flights.carrier": {"value": "9E"},
        "flights.count": {
            "EWR": {"value": 1268},
            "JFK": {"value": 14651},
            "LGA": {"value": 2541},
            "$$$_row_total_$$$": {"value": 18460},
        },
    }
    totals = {"EWR": 120835, "JFK": 111279, "LGA": 104662, "$$$_row_total_$$$": 336776}
    nested = {"flights.count": {key: {"value": value} for key, value in totals.items()}}
    assert shown["totals_data"] == nested
    bi = payload(database, query, "json_bi")
    assert bi["rows"][-1] == nested
    assert payload(database, query, "json")[0]["flights.count"]["JFK"] == 14651


def test_several_pivots_are_joined_in_the_key(database: Database) -> None:
    query = body(
        "flights.carrier",
        "flights.count",
        "flights.origin",
        "flights.is_cancelled",
        pivots=["flights.origin", "flights.is_cancelled"],
        limit="1",
    )
    shown = payload(database, query, "json_detail")
    assert "EWR|FIELD|No" in shown["data"][0]["flights.count"]


@pytest.mark.parametrize("result_format", RESULT_FORMATS)
def test_every_format_shows_the_rows(database: Database, result_format: str) -> None:
    query = body("flights.carrier", "flights.carriers", "flights.count", limit="1")
    shown = payload(database, query, result_format)
    keys = {"json_detail": "data", "json_bi": "rows"}
    if result_format in keys:
        shown = shown[keys[result_format]]
    assert ("flights.carrier" if result_format == "sql" else "58665") in str(shown)
    assert isinstance(shown, list if result_format.startswith("json") else str)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (body("flights.carrier", view="nowhere"), "View Not Found"),
        (body("flights.nothing"), "Unknown field"),
        (body(), "no fields"),
        (body("flights.carrier", sorts=["flights.count"]), "Cannot sort"),
        (body("flights.carrier", query_timezone="Mars/Base"), "Mars"),
        (body("flights.carrier", limit="many"), "many"),
        (body("x", dynamic_fields='[{"table_calculation": "x", "expression": "drop"}]'), "drop"),
        (body("x", dynamic_fields='[{"what": "x"}]'), "Unknown kind"),
    ],
)
def test_a_query_that_makes_no_sense_fails_before_the_database(
    database: Database, query: dict[str, Any], message: str
) -> None:
    with pytest.raises(QueryFailedError, match=message) as raised:
        database.run(query)
    assert raised.value.sql is None
    shown = formats.build_failure(raised.value, "json_detail", query_task_id="id")
    assert shown == {"id": "id", "error": raised.value.message}


@pytest.mark.parametrize("result_format", ["json_detail", "json_bi", "json", "csv"])
def test_a_query_that_fails_in_the_database_shows_it_as_looker_does(
    database: Database, result_format: str
) -> None:
    with pytest.raises(QueryFailedError) as raised:
        database.run(body("flights.broken"))
    shown: Any = formats.build_failure(raised.value, result_format, query_task_id="id")
    row = {"looker_error": raised.value.message}
    expected = {"json": [row], "csv": raised.value.message}
    if result_format == "json_detail":
        assert shown["data"] == []
        assert shown["errors"][0]["message_details"] == raised.value.message
    elif result_format == "json_bi":
        assert shown["rows"] == [row]
    else:
        assert shown == expected[result_format]


def test_an_explore_of_another_model_is_not_there(database: Database) -> None:
    assert database.find_explore("flights_2013", "nowhere") is None
    assert database.find_explore("other", "flights") is None


def test_days_that_are_missing_are_filled_on_top_of_the_limit(database: Database) -> None:
    query = {
        "model": "shop",
        "view": "orders",
        "fields": ["orders.created_date", "orders.count"],
        "filters": {"orders.customer": "Ada", "orders.state": "CA", "orders.category": "Tea"},
        "fill_fields": ["orders.created_date"],
        "sorts": ["orders.created_date"],
        "limit": "2",
    }
    response = database.run(query)
    assert response.truncated
    days = [row[0] for row in response.rows]
    assert len(days) > 2
    assert [row[1] for row in response.rows][1:-1] == [None] * (len(days) - 2)


def test_a_running_total_is_over_the_rows_of_the_result(database: Database) -> None:
    calculation = {"table_calculation": "total", "expression": "running_total(${orders.count})"}
    query = {
        "model": "shop",
        "view": "orders",
        "fields": ["orders.state", "orders.count"],
        "dynamic_fields": json.dumps([calculation]),
        "sorts": ["orders.state"],
        "filters": {"orders.id": ["<=30"]},
    }
    rows = database.run(query, server_table_calcs=True).rows
    assert [row[2] for row in rows] == [10, 20, 30]
