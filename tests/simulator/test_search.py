"""Looks, dashboards and folders are found as Looker finds them, page by page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.singer import stored_id

if TYPE_CHECKING:
    from looker_simulator.simulator import Simulator
    from tests.simulator.browser import Browser


def titles(browser: Browser, path: str, **query: Any) -> list[str]:
    found = browser.session.get(browser.api + path, params=query, timeout=20)
    found.raise_for_status()
    return [entry["title"] for entry in found.json()]


def get(browser: Browser, path: str, **query: Any) -> Any:  # noqa: ANN401 - JSON
    return browser.session.get(browser.api + path, params=query, timeout=20).json()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"title": "orders by%"}, ["Orders by state"]),
        ({"title": "%ORDERS%"}, ["Secret orders", "Orders by state"]),
        ({"title": "orders by stat_"}, ["Orders by state"]),
        ({"title": "orders"}, []),
        ({"deleted": "true"}, ["Orders by city, in the trash"]),
        ({"deleted": "true", "title": "Secret%"}, []),
        ({"id": "1,5"}, ["Airlines by flights", "Orders by state"]),
        ({"folder_id": "5"}, ["Secret orders"]),
        ({"folder_id": "5", "id": "1", "filter_or": "true"}, None),
        ({"description": "IS NULL", "id": "2"}, ["Airports above 5,000 feet"]),
        ({"description": "NOT NULL"}, []),
        ({"sorts": "title desc", "limit": 2}, ["Secret orders", "Orders by state"]),
        ({"limit": 2, "offset": 1, "sorts": "id"}, None),
        ({"page": 2, "per_page": 2, "sorts": "id"}, None),
    ],
)
def test_looks_are_searched(
    browser: Browser, query: dict[str, Any], expected: list[str] | None
) -> None:
    unnamed = {
        "filter_or": ["Airlines by flights", "Secret orders"],
        "offset": ["Airports above 5,000 feet", "A Look that lost its query"],
        "page": ["A Look that lost its query", "Secret orders"],
    }
    if expected is None:
        expected = next(value for name, value in unnamed.items() if name in query)
    assert titles(browser, "/looks/search", **query) == expected


def test_dashboards_are_searched_but_those_of_lookml(browser: Browser) -> None:
    assert len(titles(browser, "/dashboards/search")) == 3
    assert titles(browser, "/dashboards/search", slug="slug-3", fields="title") == [
        "Orders, as instances of long ago describe tiles"
    ]
    assert titles(browser, "/dashboards/search", deleted="true") == ["Flights, in the trash"]
    assert titles(browser, "/dashboards/search", user_id="1", not_owned_by="true") == []
    assert "Orders, from a LookML dashboard" in titles(browser, "/dashboards")
    assert "Flights, in the trash" not in titles(browser, "/dashboards")


def test_a_page_shows_where_the_others_are(browser: Browser, simulator: Simulator) -> None:
    simulator.add_looks(3000, title="Made {}")
    seen: list[str] = []
    url: str | None = f"{browser.api}/looks/search?title=made+%25&fields=id,title&limit=999"
    while url:
        page = browser.session.get(url, timeout=20)
        assert page.headers["X-Total-Count"] == "3000"
        assert {*page.json()[0]} == {"id", "title"}
        seen += [look["title"] for look in page.json()]
        links = dict(re.findall(r'<([^>]+)>; rel="(\w+)"', page.headers["Link"]))
        url = next((link for link, relation in links.items() if relation == "next"), None)
    assert seen == [f"Made {number}" for number in range(1, 3001)]
    complete = browser.session.get(f"{browser.api}/looks/search", timeout=20)
    assert "Link" not in complete.headers
    assert len(complete.json()) == 3005


def test_a_page_is_requested_by_numbers(browser: Browser) -> None:
    response = browser.session.get(f"{browser.api}/looks/search?limit=many", timeout=20)
    assert (response.status_code, response.json()["message"]) == (
        400,
        "limit must be a number, not 'many'",
    )


def test_what_is_in_the_trash_is_still_given(browser: Browser) -> None:
    assert get(browser, "/looks/6")["deleted"] is True
    assert get(browser, "/dashboards/4")["deleted"] is True
    assert get(browser, "/looks/1")["deleted"] is False


def test_a_folder_has_its_content(browser: Browser) -> None:
    folder = get(browser, "/folders/3")
    assert (folder["name"], folder["parent_id"]) == ("Flights", "1")
    assert [look["id"] for look in folder["looks"]] == ["1", "2"]
    assert get(browser, "/folders/lookml")["dashboards"][0]["id"] == "shop::overview"
    assert [each["id"] for each in get(browser, "/folders/1/dashboards")] == ["1", "2"]
    assert [look["query"]["view"] for look in get(browser, "/folders/4/looks")] == ["orders"]
    assert [found["id"] for found in get(browser, "/folders/search", name="flig%")] == ["3"]
    assert len(get(browser, "/folders")) == 6
    assert get(browser, "/folders/9")["message"] == "Not found"


def test_merged_results_name_their_queries(browser: Browser) -> None:
    tile = get(browser, "/dashboards/2")["dashboard_elements"][6]
    merged = get(browser, f"/merge_queries/{tile['merge_result_id']}")
    assert [source["query_id"] for source in merged["source_queries"]] == [
        stored_id(11),
        stored_id(16),
    ]
    assert get(browser, "/merge_queries/none")["message"] == "Not found"


def test_a_session_is_in_production_until_reported(browser: Browser) -> None:
    assert get(browser, "/session")["workspace_id"] == "production"
    url = f"{browser.api}/session"
    shown = browser.session.patch(url, json={"workspace_id": "dev"}, timeout=20)
    assert shown.json()["workspace_id"] == get(browser, "/session")["workspace_id"] == "dev"
    rejected = browser.session.patch(url, json={"workspace_id": "x"}, timeout=20)
    assert rejected.status_code == 422


def test_models_are_listed_in_parts(browser: Browser) -> None:
    two = get(browser, "/lookml_models", limit=2, offset=1, fields="name")
    assert two == [{"name": "shop"}, {"name": "system__activity"}]
    explores = get(browser, "/lookml_models/shop")["explores"]
    assert [explore["name"] for explore in explores] == ["orders", "odd_names"]
    assert get(browser, "/lookml_models/none")["message"] == "Not found"
