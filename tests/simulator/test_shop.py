"""The simulator is as strict as Looker: what only some responses have, and only on request."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from looker_simulator.builtin import ACTIVITY_TABLES
from looker_simulator.engine import Database
from tests.singer import stored_id

if TYPE_CHECKING:
    from looker_simulator.simulator import Simulator
    from tests.simulator.browser import Browser

Query = dict[str, Any]


def shop(*fields: str, view: str = "orders", **more: Any) -> Query:
    return {"model": "shop", "view": view, "fields": [*fields], **more}


def read(browser: Browser, path: str) -> Any:  # noqa: ANN401 - JSON
    response = browser.session.get(f"{browser.api}/{path}", timeout=20)
    assert response.status_code == 200, response.text
    return response.json()


def rows(database: Database, query: Query) -> list[tuple[Any, ...]]:
    return database.run(query).rows


def test_fields_leave_nothing_else_in_a_response(browser: Browser) -> None:
    path = "lookml_models/shop/explores/orders"
    complete = read(browser, path)["fields"]
    assert {group: len(complete[group]) > 0 for group in complete} == {
        "dimensions": True,
        "measures": True,
        "filters": True,
        "parameters": True,
    }
    some = read(browser, f"{path}?fields=name,fields(measures(name,type),parameters(name))")
    assert set(some) == {"name", "fields"}
    assert set(some["fields"]) == {"measures", "parameters"}
    assert some["fields"]["measures"][0] == {"name": "orders.count", "type": "count"}
    assert some["fields"]["parameters"] == [{"name": "orders.unit"}]
    assert read(browser, "dashboards/2/dashboard_elements?fields=id")[0] == {"id": "11"}


def test_fields_say_how_their_times_are_to_be_read(browser: Browser) -> None:
    described = read(browser, "lookml_models/shop/explores/orders")["fields"]["dimensions"]
    told = {
        field["name"].removeprefix("orders."): (
            field["type"],
            field["convert_tz"],
            field["datatype"],
        )
        for field in described
    }
    assert told["created_time"] == ("date_time", True, "datetime")
    assert told["shipped_time"] == ("date_time", False, "datetime")
    assert told["created_raw"] == ("date_raw", True, "datetime")
    assert told["due_raw"] == ("date_raw", False, "date")
    assert [field["name"] for field in described if field["primary_key"]] == ["orders.id"]


@pytest.mark.parametrize("result_format", ["json_detail", "json_bi", "json"])
def test_table_calculations_are_computed_only_on_request(
    simulator: Simulator, browser: Browser, result_format: str
) -> None:
    def first_row(parameters: str) -> dict[str, Any]:
        body = {"query_id": stored_id(11), "result_format": result_format}
        url = f"{browser.api}/query_tasks{parameters}"
        id_ = browser.session.post(url, json=body, timeout=20).json()["id"]
        data = browser.entry(id_)["data"]
        found = data if isinstance(data, list) else data.get("rows") or data["data"]
        row: dict[str, Any] = found[0]
        return row

    assert "share" not in first_row("")
    share = first_row("?server_table_calcs=true")["share"]
    assert (share if result_format == "json" else share["value"]) == pytest.approx(1 / 3)
    assert simulator.count("create_query_task") == 2
    assert "share" not in read(browser, f"queries/{stored_id(11)}/run/json")[0]
    assert "share" in read(browser, f"queries/{stored_id(11)}/run/json?server_table_calcs=true")[0]
    assert "share" in read(browser, "looks/5/run/json?server_table_calcs=true")[0]


def test_parameters_and_filters_without_a_column_change_what_is_counted(database: Database) -> None:
    months = rows(database, shop("orders.period", "orders.count", sorts=["orders.period"]))
    assert months == [("2026-03-01", 106), ("2026-04-01", 103), ("2026-05-01", 31)]
    years = shop("orders.period", "orders.count", filters={"orders.unit": "year"})
    assert rows(database, years) == [("2026-01-01", 240)]
    recent = shop("orders.count", "orders.recent", filters={"orders.recently": "after 2026-05-01"})
    assert rows(database, recent) == [(240, 31)]
    ada = shop("orders.count", filters={"orders.bought_by": "Ada"})
    assert rows(database, ada) == [(60,)]


def test_a_filter_is_read_in_the_querys_zone_not_in_that_of_the_values(
    database: Database,
) -> None:
    query = shop(
        "orders.id",
        "orders.created_time",
        "orders.created_raw",
        "orders.shipped_time",
        "orders.due_raw",
        sorts=["orders.id"],
        query_timezone="America/New_York",
    )
    first = ("2026-03-01 02:30:00", "2026-03-01 07:30:00", "2026-03-01 19:00:00", "2026-03-03")
    assert rows(database, query)[0] == (1, *first)
    shipped_on = shop(
        "orders.id",
        "orders.shipped_time",
        filters={"orders.shipped_time": "2026-03-01 14:00 to 2026-03-01 14:01"},
        query_timezone="America/New_York",
    )
    # 14:00 in New York is 19:00 in the database.
    assert rows(database, shipped_on) == [(1, "2026-03-01 19:00:00")]


def test_cells_may_hold_objects_and_names_anything(simulator: Simulator, browser: Browser) -> None:
    id_ = simulator.create_task("13")
    (first, *_) = browser.entry(id_)["data"]["data"]
    assert first["orders.address"] == {"value": {"street": '1 Main St, "Rear"', "zip": "00001"}}
    odd = browser.entry(simulator.create_task("15"))["data"]["data"][0]
    assert {'odd_names.say "hi"', "odd_names.back\\slash", "odd_names.tab\there"} <= set(odd)


def test_an_explore_that_may_not_be_read_can_be_queried(
    simulator: Simulator, browser: Browser
) -> None:
    url = f"{browser.api}/lookml_models/shop/explores/secrets"
    assert browser.session.get(url, timeout=20).status_code == 404
    assert browser.entry(simulator.create_task("14"))["status"] == "complete"
    assert read(browser, "looks/4")["query_id"] == stored_id(14)
    (model,) = [model for model in read(browser, "lookml_models") if model["name"] == "shop"]
    assert "secrets" not in [explore["name"] for explore in model["explores"]]


def test_pivots_are_cut_by_the_column_limit(simulator: Simulator, browser: Browser) -> None:
    data = browser.entry(simulator.create_task("16", "json_bi"))["data"]
    assert data["metadata"]["columns_truncated"] is True
    assert [pivot["key"] for pivot in data["metadata"]["pivots"]] == ["Ada", "Emmy"]
    assert set(data["rows"][0]["orders.count"]) == {"Ada", "Emmy"}


def test_dashboards_have_filters_that_apply_and_titles_that_repeat(browser: Browser) -> None:
    dashboard = read(browser, "dashboards/2")
    defaults = {f["name"]: f["default_value"] for f in dashboard["dashboard_filters"]}
    assert defaults == {"State": "CA", "Customer": "", "Unit": "week"}
    assert dashboard["dashboard_filters"] == read(browser, "dashboards/2/dashboard_filters")
    tiles = {tile["id"]: tile for tile in dashboard["dashboard_elements"]}
    assert tiles["11"]["title"] == tiles["12"]["title"] == "New Tile"
    assert tiles["11"]["result_maker"]["filterables"][0]["listen"] == [
        {"dashboard_filter_name": "State", "field": "orders.state"}
    ]
    old, _ = read(browser, "dashboards/3")["dashboard_elements"]
    assert old["result_maker"]["filterables"][0]["listen"] == {"State": "orders.state"}


@pytest.mark.parametrize(
    ("dashboard_id", "tile", "id_"),
    [("2", "13", {}), ("shop::overview", "31", {}), ("3", "22", {"id": None})],
)
def test_a_tile_may_have_the_body_of_a_query_in_place_of_an_id(
    browser: Browser, dashboard_id: str, tile: str, id_: dict[str, None]
) -> None:
    elements = read(browser, f"dashboards/{dashboard_id}/dashboard_elements")
    (found,) = [element for element in elements if element["id"] == tile]
    assert (found["query_id"], found["look_id"]) == (None, None)
    query = found["result_maker"]["query"]
    assert {key: value for key, value in query.items() if key == "id"} == id_
    assert (query["model"], query["view"]) == ("shop", "orders")
    created = browser.session.post(f"{browser.api}/queries", json=query, timeout=20).json()
    assert read(browser, f"queries/{created['id']}/run/json")


def test_content_can_be_added_and_changed(simulator: Simulator, browser: Browser) -> None:
    query_id = simulator.create_query(shop("orders.count"))
    simulator.add_look("9", "Mine", query_id)
    assert read(browser, "looks/9/run/json") == [{"orders.count": 240}]
    tiles = [{"id": n, "title": "Sales", "query_id": n} for n in (stored_id(1), query_id)]
    for elements in (tiles, tiles[::-1]):
        simulator.add_dashboard("9", {"title": "Mine", "dashboard_elements": elements})
        shown = read(browser, "dashboards/9/dashboard_elements")
        assert [tile["id"] for tile in shown] == [tile["id"] for tile in elements]
        assert [tile["query"]["id"] for tile in shown] == [tile["id"] for tile in elements]


def test_system_activity_goes_back_90_days() -> None:
    def history(now: datetime, *fields: str) -> list[tuple[Any, ...]]:
        query = {"model": "system__activity", "view": "history", "fields": [*fields]}
        return Database(connection, now=lambda: now).run({**query, "limit": "-1"}).rows

    spring = datetime(2026, 3, 31, 12, tzinfo=UTC)
    with duckdb.connect() as connection:
        connection.execute(ACTIVITY_TABLES)
        fields = ("history.id", "history.created_time", "user.name", "query.view")
        found = history(spring, *fields)
        assert len(found) == 90 * 24 * 60 // 65
        assert min(row[1] for row in found).startswith("2025-12-31 13:")
        assert max(row[1] for row in found).startswith("2026-03-31 11:")
        assert all(row[2] and row[3] for row in found)
        # Three months later none of it is there any more.
        later = history(datetime(2026, 7, 15, tzinfo=UTC), *fields)
        assert not {row[0] for row in found} & {row[0] for row in later}
        assert len(later) in {1993, 1994}


@pytest.mark.parametrize("query_id", ["19", "20", "21", "22"])
def test_system_activity_knows_users_and_content(
    simulator: Simulator, browser: Browser, query_id: str
) -> None:
    entry = browser.entry(simulator.create_task(query_id))
    assert entry["status"] == "complete"
    assert len(entry["data"]["data"]) >= 6
    assert all(cell["value"] is not None for cell in entry["data"]["data"][0].values())


def test_totals_have_every_digit(database: Database) -> None:
    response = database.run(shop("orders.state", "orders.total_amount", total=True))
    assert response.totals == [{"orders.total_amount": sum(row[1] for row in response.rows)}]
    assert isinstance(response.rows[0][1], Decimal)
