"""Every key of a query's body, and every parameter of a run, is honored or rejected by name."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from looker_simulator import formats
from looker_simulator.content import QUERY_KEYS
from looker_simulator.engine import Database, QueryFailedError
from looker_simulator.task_operations import RUN_FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.browser import Browser

Query = dict[str, Any]
GROUPING = "$$$__grouping__$$$"


def shop(*fields: str, **more: Any) -> Query:
    return {"model": "shop", "view": "orders", "fields": [*fields], **more}


def payload(database: Database, query: Query, result_format: str, **about: Any) -> Any:  # noqa: ANN401 - JSON
    told = formats.build_payload(
        database.run(query),
        result_format,
        query_task_id="id",
        runtime_seconds=0.5,
        ran_at=datetime.now(UTC),
        options=formats.ResultOptions.of(about),
    )
    return json.loads(formats.encode(told))


def count(database: Database, **more: Any) -> Any:  # noqa: ANN401 - a number
    return database.run(shop("orders.count", **more)).rows[0][0]


@pytest.mark.parametrize(
    ("expression", "filters"),
    [
        ('${orders.state} = "CA"', {"orders.state": "CA"}),
        ('matches_filter(${orders.state}, "CA,NY")', {"orders.state": "CA,NY"}),
        ('NOT matches_filter(${orders.state}, "CA")', {"orders.state": "-CA"}),
        (
            '${orders.id} > 10 AND ${orders.state} != "CA"',
            {"orders.id": ">10", "orders.state": "-CA"},
        ),
        ("is_null(${orders.category})", {"orders.category": "NULL"}),
        ('contains(${orders.customer}, "ra")', {"orders.customer": "%ra%"}),
        ('if(${orders.id} > 10, "a", "b") = "a"', {"orders.id": ">10"}),
        ("(${orders.id} + 5) / 2 >= 100 - 2 * 3", {"orders.id": ">=183"}),
        ("${orders.count} > 1", {"orders.count": ">1"}),
    ],
)
def test_a_filter_expression_filters(
    database: Database, expression: str, filters: dict[str, str]
) -> None:
    assert count(database, filter_expression=expression) == count(database, filters=filters)


def test_a_filter_expression_applies_with_filters(database: Database) -> None:
    both = count(
        database,
        filter_expression='${orders.state} = "CA" OR ${orders.state} = "NY"',
        filters={"orders.state": "CA"},
    )
    assert both == count(database, filters={"orders.state": "CA"})


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("${orders.id} >", "Cannot read"),
        ("${orders.none} = 1", "orders.none"),
        ("pivot_where(1, 2)", "pivot_where"),
        ("drop table x", "Cannot read"),
        ("(" * 99, "Cannot read"),
        ("'", "Cannot read"),
    ],
)
def test_an_expression_that_is_not_computed_is_rejected(
    database: Database, expression: str, message: str
) -> None:
    with pytest.raises(QueryFailedError, match=message):
        count(database, filter_expression=expression)


def test_custom_measures_have_filters_of_both_kinds(database: Database) -> None:
    measures = [
        {
            "measure": "of_ca",
            "based_on": "orders.id",
            "type": "count_distinct",
            "filters": {"orders.state": "CA"},
        },
        {
            "measure": "of_ny",
            "based_on": "orders.id",
            "type": "count_distinct",
            "filter_expression": '${orders.state} = "NY"',
        },
    ]
    response = database.run(shop("of_ca", "of_ny", dynamic_fields=json.dumps(measures)))
    expected = [count(database, filters={"orders.state": state}) for state in ("CA", "NY")]
    assert response.rows == [tuple(expected)]


def test_a_custom_dimension_may_be_a_condition(database: Database) -> None:
    dimension = {"dimension": "is_late", "expression": "${orders.id} > 230"}
    response = database.run(
        shop("is_late", "orders.count", dynamic_fields=json.dumps([dimension]), sorts=["is_late"])
    )
    assert response.rows == [("No", 230), ("Yes", 10)]


def test_subtotals_are_reported_by_their_depth(database: Database) -> None:
    query = shop(
        "orders.state",
        "orders.customer",
        "orders.count",
        subtotals=["orders.state"],
        total=True,
        sorts=["orders.state", "orders.customer"],
    )
    detail = payload(database, query, "json_detail")
    (depth, rows), *others = detail["subtotals_data"].items()
    assert (depth, others) == ("1", [])
    assert sum(row["orders.count"]["value"] for row in rows) == 240
    assert all(row[GROUPING] == ["orders.state"] and "orders.customer" not in row for row in rows)
    bi = payload(database, query, "json_bi")
    assert bi["metadata"]["has_subtotals"] is True
    assert [GROUPING in row for row in bi["rows"]] == [False] * 12 + [True] * 3 + [False]
    assert bi["rows"][-1] == {"orders.count": {"value": 240}}


PIVOTED = shop(
    "orders.state",
    "orders.customer",
    "orders.count",
    pivots=["orders.customer"],
    filters={"orders.customer": "Ada,Emmy"},
    sorts=["orders.state"],
    total=True,
    row_total="right",
)


def test_a_pivoted_result_is_wide_in_texts(database: Database) -> None:
    expected = [
        "Orders Customer,Ada,Emmy,Row Totals",
        "Orders State,Orders Count,Orders Count,Orders Count",
        "CA,20,20,40",
        "NY,20,20,40",
        "TX,20,20,40",
        ",60,60,120",
    ]
    assert payload(database, PIVOTED, "csv").splitlines() == expected
    told = payload(database, PIVOTED, "txt").splitlines()
    assert told == [line.replace(",", "\t") for line in expected]
    assert payload(database, PIVOTED, "md").splitlines()[2] == "| --- | --- | --- | --- |"
    assert "<th>Row Totals</th>" in payload(database, PIVOTED, "html")


def test_totals_and_subtotals_of_pivots_are_nested(database: Database) -> None:
    fields = ["orders.state", "orders.category", "orders.customer", "orders.count"]
    query = {**PIVOTED, "fields": fields, "subtotals": ["orders.state"]}
    rows = payload(database, query, "json_detail")["subtotals_data"]["1"]
    assert rows[0]["orders.count"] == {
        "Ada": {"value": 20},
        "Emmy": {"value": 20},
        "$$$_row_total_$$$": {"value": 40},
    }
    totals = payload(database, query, "json_bi")["rows"][-1]
    assert totals["orders.count"]["$$$_row_total_$$$"] == {"value": 120}


def test_a_spreadsheet_can_be_opened(database: Database) -> None:
    text = payload(database, shop("orders.state", "orders.count", sorts=["orders.state"]), "xlsx")
    with zipfile.ZipFile(io.BytesIO(text.encode("latin-1"))) as archive:
        assert archive.testzip() is None
        sheet = archive.read("sheet.xml").decode()
    assert "Orders State" in sheet
    assert "<v>80</v>" in sheet


def test_values_are_formatted_on_request(database: Database) -> None:
    query = {"model": "flights_2013", "view": "flights", "fields": ["flights.count"]}
    told = {
        name: payload(database, query, name, apply_formatting=True)
        for name in ("json", "csv", "json_detail")
    }
    assert told["json"] == [{"flights.count": "336,776"}]
    assert '"336,776"' in told["csv"]
    cell = {"value": 336776, "rendered": "336,776"}
    assert told["json_detail"]["data"] == [{"flights.count": cell}]
    (plain,) = payload(database, query, "json_detail", generate_drill_links=True)["data"]
    assert plain == {"flights.count": {"value": 336776, "links": []}}


def test_a_visualization_hides_and_names_fields_on_request(database: Database) -> None:
    config = {"hidden_fields": ["orders.city"], "series_labels": {"orders.count": "How many"}}
    query = shop("orders.city", "orders.state", "orders.count", vis_config=config)
    assert payload(database, query, "csv", apply_vis=True).startswith("Orders State,How many\n")
    assert payload(database, query, "csv").startswith("Orders City,Orders State,Orders Count\n")


def test_unsorted_is_a_sort(database: Database) -> None:
    assert "order by" in database.run(shop("orders.state")).sql
    assert "order by" not in database.run(shop("orders.state", sorts=["__UNSORTED__"])).sql


WITH_CITY = shop("orders.state", "orders.city", "orders.count")
HONORED: dict[str, Callable[[Query], Query]] = {
    "model": lambda q: {**q, "model": "none"},
    "view": lambda q: {**q, "view": "secrets", "fields": ["orders.none"]},
    "fields": lambda q: {**q, "fields": ["orders.none"]},
    "pivots": lambda q: {**q, "pivots": ["orders.id"], "fields": ["orders.count"]},
    "fill_fields": lambda q: {**q, "fill_fields": ["orders.state"]},
    "filters": lambda q: {**q, "filters": {"orders.none": "1"}},
    "filter_expression": lambda q: {**q, "filter_expression": "${orders.none}"},
    "sorts": lambda q: {**q, "sorts": ["orders.id"]},
    "limit": lambda q: {**q, "limit": "many"},
    "column_limit": lambda q: {**q, "column_limit": "many"},
    "row_total": lambda q: {**q, "row_total": "above"},
    "subtotals": lambda q: {**q, "subtotals": ["orders.id"]},
    "dynamic_fields": lambda q: {**q, "dynamic_fields": "[{}]"},
    "query_timezone": lambda q: {**q, "query_timezone": "Mars/Base"},
}


@pytest.mark.parametrize("key", [*HONORED])
def test_what_a_key_cannot_mean_fails_the_query(database: Database, key: str) -> None:
    # Pivots count as fields, as Looker's own pages write them.
    if key == "pivots":
        assert database.run(HONORED[key](WITH_CITY)).pivots == ("orders.id",)
        return
    with pytest.raises(QueryFailedError):
        database.run(HONORED[key](WITH_CITY))


SHOWN_ONLY = {"vis_config", "filter_config", "visible_ui_sections", "client_id", "total"}


def test_every_key_has_its_test() -> None:
    assert {*QUERY_KEYS} == {*HONORED} | SHOWN_ONLY


@pytest.mark.parametrize("key", [*QUERY_KEYS, "nonsense"])
def test_a_value_of_another_kind_is_rejected_by_name(browser: Browser, key: str) -> None:
    url = f"{browser.api}/queries"
    response = browser.session.post(url, json={**WITH_CITY, key: [[1]]}, timeout=20)
    assert response.status_code == 422
    told = response.json()
    assert told["message"] == "Validation Failed"
    assert [error["field"] for error in told["errors"]] == [key]


def test_filters_are_texts(browser: Browser) -> None:
    query = {**WITH_CITY, "filters": {"orders.id": {"min": 5}}}
    response = browser.session.post(f"{browser.api}/queries", json=query, timeout=20)
    assert response.status_code == 422
    assert response.json()["errors"][0]["message"] == "filters must be an object of texts"


@pytest.mark.parametrize("key", [*QUERY_KEYS])
def test_a_key_comes_back_as_it_was_stored(browser: Browser, key: str) -> None:
    values = {
        "a text": "UTC" if key == "query_timezone" else "some text",
        "a number": "7",
        "a boolean": True,
        "an object": {"any": 1},
        "an object of texts": {"orders.state": "CA"},
        "a list of texts": ["orders.state"],
    }
    stored = {"model": "shop", "view": "orders"}
    body = {**WITH_CITY, key: stored.get(key, values[QUERY_KEYS[key]])}
    response = browser.session.post(f"{browser.api}/queries", json=body, timeout=20)
    assert response.status_code == 200, response.text
    assert response.json()[key] == body[key]


def test_a_client_id_can_be_given_once(browser: Browser) -> None:
    url = f"{browser.api}/queries"
    body = {**WITH_CITY, "client_id": "abcdefghijklmnopqrstuv"}
    assert browser.session.post(url, json=body, timeout=20).json()["id"] == body["client_id"]
    other = browser.session.post(url, json={**body, "limit": "3"}, timeout=20)
    assert other.json()["errors"][0]["field"] == "client_id"


@pytest.mark.parametrize("flag", [*RUN_FLAGS])
def test_a_flag_of_a_run_is_kept_in_its_task(browser: Browser, flag: str) -> None:
    body = {"query_id": "query00000000000000004", "result_format": "json"}
    url = f"{browser.api}/query_tasks?{flag}=true"
    task = browser.session.post(url, json=body, timeout=20).json()
    shown = {"generate_drill_links": "generate_links"}.get(flag, flag)
    # How a result looks is not part of a task.
    assert task.get(shown, flag in {"apply_formatting", "apply_vis"}) is True


@pytest.mark.parametrize("result_format", sorted(formats.UNWRITTEN_FORMATS))
def test_a_format_that_is_not_written_is_rejected_by_name(
    browser: Browser, result_format: str
) -> None:
    url = f"{browser.api}/queries/query00000000000000004/run/{result_format}"
    response = browser.session.get(url, timeout=20)
    assert response.status_code == 400
    assert result_format in response.json()["message"]


# For its SQL alone, no query is run.
@pytest.mark.parametrize(
    "result_format", sorted((formats.JSON_FORMATS | formats.TEXT_FORMATS) - {"sql"})
)
def test_an_error_of_the_database_is_in_the_response(browser: Browser, result_format: str) -> None:
    url = f"{browser.api}/queries/query00000000000000005/run/{result_format}"
    response = browser.session.get(url, timeout=20)
    assert response.status_code == (200 if result_format in formats.DETAILED_FORMATS else 400)
    assert "error" in response.text.lower()
    assert "Error" in response.text or "error" in response.json()["message"].lower()
