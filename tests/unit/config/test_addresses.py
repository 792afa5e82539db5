"""Addresses from the browser: what each configures, and the same when written again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, strategies as st

from tap_looker_tasks.config.addresses import read_address, write_address
from tap_looker_tasks.config.entries import DashboardConfig, ExploreConfig, QueryConfig
from tap_looker_tasks.config.settings import Settings
from tap_looker_tasks.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = "https://acme.cloud.looker.com"
API = "https://acme.cloud.looker.com:19999"
ORDERS = f"{BASE}/explore/shop/orders"


def look(look_id: str, **more: Any) -> QueryConfig:
    return QueryConfig(look_id=look_id, **more)


def slug(text: str) -> QueryConfig:
    return QueryConfig(query_slug=text)


def board(dashboard_id: str, **filters: str) -> DashboardConfig:
    return DashboardConfig(dashboard_id=dashboard_id, filters=filters)


def orders(*fields: str, limit: int | None = None, **more: Any) -> QueryConfig:
    explore = ExploreConfig(model="shop", explore="orders", fields=fields, **more)
    return QueryConfig(explore=explore, limit=limit)


EVERYTHING = (
    f"{ORDERS}?fields=orders.created_month,orders.status,orders.count,share"
    "&pivots=orders.status&fill_fields=orders.created_month"
    "&f[orders.created_date]=2+years&f[users.state]=California%2C%22New+York%22"
    "&sorts=orders.count+desc+0,orders.created_month&limit=5000&column_limit=50"
    "&query_timezone=America%2FNew_York"
    "&filter_expression=%24%7Borders.count%7D+%3E+3"
    "&dynamic_fields=%5B%7B%22table_calculation%22%3A%22share%22%7D%5D"
    "&total=on&row_total=right&vis=%7B%22type%22%3A%22looker_line%22%7D&filter_config=%7B%7D"
    "&origin=share-expanded&toggle=dat,pik,vis"
)
# What a browser shows, and what it configures.
CONFIGURES: list[tuple[str, QueryConfig | DashboardConfig]] = [
    (f"{BASE}/looks/42", look("42")),
    (f"{BASE}/looks/42/", look("42")),
    (f"{BASE}/looks/42?toggle=det", look("42")),
    (
        f"{BASE}/looks/42?f[orders.state]=CA&limit=10",
        look("42", filters={"orders.state": "CA"}, limit=10),
    ),
    (f"{BASE}/embed/looks/42", look("42")),
    (f"{API}/looks/42", look("42")),
    ("acme.cloud.looker.com/looks/42", look("42")),
    ("https://ACME.cloud.looker.com/looks/42", look("42")),
    ("/looks/42", look("42")),
    (f"  <{BASE}/looks/42>\n", look("42")),
    (f"{BASE}/looks/42#results", look("42")),
    (f"{BASE}//looks//42", look("42")),
    (f"{BASE}/x/aB3dE5", slug("aB3dE5")),
    (f"{BASE}/x/aB3dE5?toggle=vis", slug("aB3dE5")),
    (f"{BASE}/embed/x/aB3dE5", slug("aB3dE5")),
    (f"{ORDERS}?qid=aB3dE5fG7hI9jK1lM3nO5p", slug("aB3dE5fG7hI9jK1lM3nO5p")),
    (f"{ORDERS}?qid=aB3dE5&toggle=dat,pik,vis&origin_space=1", slug("aB3dE5")),
    (f"{BASE}/embed/explore/shop/orders?qid=aB3dE5", slug("aB3dE5")),
    (f"{BASE}/embed/query-visualization/aB3dE5", slug("aB3dE5")),
    (f"{ORDERS}?fields=orders.id", orders("orders.id")),
    (f"{ORDERS}?fields=orders.id&qid=aB3dE5", orders("orders.id")),
    (
        f"{ORDERS}?fields=orders.id,orders.count&limit=-1",
        orders("orders.id", "orders.count", limit=-1),
    ),
    (f"{ORDERS}?fields=orders.id%2Corders.count", orders("orders.id", "orders.count")),
    (f"{ORDERS}?fields=orders.id,+orders.count,", orders("orders.id", "orders.count")),
    (f"{ORDERS}/?fields=orders.id&limit=", orders("orders.id")),
    (
        f"{ORDERS}?fields=orders.id&f[orders.status]=complete",
        orders("orders.id", filters={"orders.status": "complete"}),
    ),
    (
        f"{ORDERS}?fields=orders.id&f%5Borders.status%5D=complete",
        orders("orders.id", filters={"orders.status": "complete"}),
    ),
    (
        f"{ORDERS}?fields=orders.id&f[orders.status]=",
        orders("orders.id", filters={"orders.status": ""}),
    ),
    (
        f"{ORDERS}?fields=orders.id&f[orders.status]",
        orders("orders.id", filters={"orders.status": ""}),
    ),
    (
        f"{ORDERS}?fields=orders.id&f[a.x]=1&f[a.y]=2&f[b.x]=3",
        orders("orders.id", filters={"a.x": "1", "a.y": "2", "b.x": "3"}),
    ),
    (
        f"{ORDERS}?fields=orders.id&amp;f[a.x]=1&amp;limit=7",
        orders("orders.id", filters={"a.x": "1"}, limit=7),
    ),
    (f"{ORDERS}?fields=orders.id&f[a.x]=C%2B%2B", orders("orders.id", filters={"a.x": "C++"})),
    (
        f"{ORDERS}?fields=orders.id&f[a.x]=New+York",
        orders("orders.id", filters={"a.x": "New York"}),
    ),
    (
        f"{ORDERS}?fields=orders.id&f[a.x]=New%20York",
        orders("orders.id", filters={"a.x": "New York"}),
    ),
    (f"{ORDERS}?fields=orders.id&f[a.x]=a%26b%3Dc", orders("orders.id", filters={"a.x": "a&b=c"})),
    (f"{ORDERS}?fields=orders.id&f[a.x]=a=b", orders("orders.id", filters={"a.x": "a=b"})),
    (f"{ORDERS}?fields=orders.id&f[a.x]=%25off", orders("orders.id", filters={"a.x": "%off"})),
    (f"{ORDERS}?fields=orders.id&f[a.x]=50%", orders("orders.id", filters={"a.x": "50%"})),
    (f"{ORDERS}?fields=orders.id&f[a.x]=%F0%9F%8D%8E", orders("orders.id", filters={"a.x": "🍎"})),
    (
        f"{ORDERS}?fields=orders.id&f[a.x]=🍎,Zürich",
        orders("orders.id", filters={"a.x": "🍎,Zürich"}),
    ),
    (
        f"{ORDERS}?fields=orders.id&f[a.x]=Z%C3%BCrich",
        orders("orders.id", filters={"a.x": "Zürich"}),
    ),
    (
        f"{ORDERS}?fields=orders.id&f[a.x]=%2Fpath%2Fto",
        orders("orders.id", filters={"a.x": "/path/to"}),
    ),
    (
        f"{ORDERS}?fields=orders.id&f[a.x]=%22a%2Cb%22%2Cc",
        orders("orders.id", filters={"a.x": '"a,b",c'}),
    ),
    (
        f"{ORDERS}?fields=orders.id&f[a.x]=line%0Abreak",
        orders("orders.id", filters={"a.x": "line\nbreak"}),
    ),
    (f"{ORDERS}?fields=orders.größe_µ", orders("orders.größe_µ")),
    (
        f"{ORDERS}?fields=orders.id&sorts=orders.id%20desc%200",
        orders("orders.id", sorts=("orders.id desc 0",)),
    ),
    (
        EVERYTHING,
        orders(
            *("orders.created_month", "orders.status", "orders.count", "share"),
            pivots=("orders.status",),
            fill_fields=("orders.created_month",),
            filters={
                "orders.created_date": "2 years",
                "users.state": 'California,"New York"',
            },
            sorts=("orders.count desc 0", "orders.created_month"),
            limit=5000,
            column_limit=50,
            query_timezone="America/New_York",
            filter_expression="${orders.count} > 3",
            dynamic_fields='[{"table_calculation":"share"}]',
        ),
    ),
    (f"{ORDERS}?fields=a&vis=%7B%7D&show=data,fields&toggle=dat", orders("a")),
    (
        f"{ORDERS}?fields=a&f[a.x]=1&filter_config=%7B%22a.x%22%3A%5B%5D%7D",
        orders("a", filters={"a.x": "1"}),
    ),
    (
        f"{BASE}/explore/my%2Fmodel/an%20explore?fields=a",
        QueryConfig(explore=ExploreConfig(model="my/model", explore="an explore", fields=("a",))),
    ),
    (f"{BASE}/dashboards/7", board("7")),
    (f"{BASE}/dashboards/7?State=CA&Date=7%20days", board("7", State="CA", Date="7 days")),
    (f"{BASE}/dashboards/7?Date=7+days&hide_filter=Date", board("7", Date="7 days")),
    (f"{BASE}/dashboards/7?State=", board("7", State="")),
    (
        f"{BASE}/dashboards/7?Order%20Date=after+2026%2F01%2F01",
        board("7", **{"Order Date": "after 2026/01/01"}),
    ),
    (f"{BASE}/dashboards/7?%F0%9F%8D%8E=Z%C3%BCrich,C%2B%2B", board("7", **{"🍎": "Zürich,C++"})),
    (f"{BASE}/dashboards/shop::overview", board("shop::overview")),
    (f"{BASE}/dashboards/shop%3A%3Aoverview?State=TX", board("shop::overview", State="TX")),
    (f"{BASE}/dashboards-next/7?State=CA", board("7", State="CA")),
    (f"{BASE}/dashboards-legacy/7", board("7")),
    (
        f"{BASE}/embed/dashboards/7?State=CA&theme=Dark&embed_domain=https:%2F%2Fa.b&sdk=2",
        board("7", State="CA"),
    ),
    (f"{BASE}/embed/dashboards-next/shop::overview", board("shop::overview")),
]
NEITHER = [
    (f"{BASE}/boards/3", "this is a board; paste the address of a Look or dashboard on it"),
    (f"{BASE}/folders/12", "this is a folder; paste the address of a Look or dashboard in it"),
    (f"{BASE}/spaces/12", "this is a folder; paste the address of a Look or dashboard in it"),
    (
        f"{BASE}/merge?mid=Yx7",
        (
            "this is a merged query; paste the address of a dashboard with a tile of it, or of "
            "each source query"
        ),
    ),
    (f"{BASE}/merge_edit?mid=Yx7", "this is a merged query; paste"),
    (f"{BASE}/sql/f7kd9", "this is an SQL Runner query; paste the address of an Explore, Look"),
    (f"{BASE}/projects/shop/files/a.view.lkml", "this is a LookML file; paste"),
    (f"{BASE}/login/embed/%2Fembed%2Flooks%2F4?nonce=1", "this is a sign-in or signed embed page"),
    (f"{BASE}/", "this is not a page of data; paste the address of a Look, an Explore, a shared"),
    (f"{BASE}/looks/Kx7.html", "this is not a page of data"),
    (ORDERS, "this Explore has no fields yet; choose some, run it, and paste the address then"),
    (
        f"{BASE}/looks/42?qid=aB3",
        "this is Look 42 with changes that are not saved; paste /looks/42",
    ),
    (f"{ORDERS}?fields=a&limit=0", "its limit is 0; expected 1 or more, or -1 for all rows"),
    (f"{ORDERS}?fields=a&limit=many", "its limit is 'many', which is not a number"),
    (f"{ORDERS}?fields=a&column_limit=²", "its column_limit is '²', which is not a number"),
    (f"{ORDERS}?fields=a&f[a.x]=caf%E9", "its percent-encoding is not UTF-8; copy it from"),
    (
        f"{ORDERS}?fields=a&filter_config=%7B%22a.x%22%3A%5B%5D%7D",
        "it filters a.x in a way that only the page can read; share the query, and paste",
    ),
    (
        "https://other.looker.com/looks/42",
        (
            "this is an address of other.looker.com, but base_url is acme.cloud.looker.com; "
            "paste an address of acme.cloud.looker.com, or only the path if both are one instance "
            "(/looks/42)"
        ),
    ),
]


@pytest.mark.parametrize(("url", "configured"), CONFIGURES)
def test_an_address_configures_what_the_browser_shows(
    url: str, configured: QueryConfig | DashboardConfig
) -> None:
    assert read_address(url, API) == configured
    again = write_address(configured)
    assert again is not None
    assert read_address(f"{BASE}{again}", BASE) == configured


def test_sixty_addresses_are_read() -> None:
    assert len({url for url, _ in CONFIGURES}) >= 60


@pytest.mark.parametrize(("url", "message"), NEITHER)
def test_any_other_address_names_what_to_paste(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as raised:
        read_address(url, BASE)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


TEXT = st.text(max_size=8)
NAMES = st.sampled_from(
    [
        *("fields", "pivots", "sorts", "fill_fields", "limit", "column_limit", "qid", "vis"),
        *("query_timezone", "filter_expression", "dynamic_fields", "filter_config", "State"),
    ]
)
PARAMETERS = st.lists(
    st.tuples(NAMES | TEXT | TEXT.map("f[{}]".format), TEXT | st.sampled_from(["a.b,c.d", "12"]))
)
PARTS = TEXT | st.sampled_from(
    ["looks", "explore", "dashboards", "x", "shop", "orders", "embed", "7", "shop::overview"]
)


@given(st.lists(PARTS, max_size=4), PARAMETERS, st.sampled_from([quote, quote_plus]))
def test_what_is_read_and_written_reads_the_same(
    parts: list[str], parameters: list[tuple[str, str]], encode: Callable[[str], str]
) -> None:
    path = "/".join(quote(part, safe=":") for part in parts)
    query = "&".join(f"{encode(name)}={encode(value)}" for name, value in parameters)
    try:
        found = read_address(f"{BASE}/{path}?{query}", BASE)
    except ValueError:
        return
    written = write_address(found)
    assert written is not None
    assert read_address(written, BASE) == found


@given(
    st.lists(st.text("ab._ µ🍎/+%&=#", min_size=1), min_size=1),
    st.dictionaries(TEXT, TEXT, max_size=3),
    st.none() | st.integers(-1, 9999).filter(bool),
    TEXT,
)
def test_an_explore_that_is_written_is_read(
    fields: list[str], filters: dict[str, str], limit: int | None, expression: str
) -> None:
    names = tuple(name for field in fields if (name := field.strip()))
    if names:
        config = orders(
            *names, filters=filters, limit=limit, filter_expression=expression or None, sorts=names
        )
        assert read_address(write_address(config) or "", BASE) == config


def settings_of(**more: Any) -> Settings:
    required = {"base_url": API, "client_id": "a", "client_secret": "b"}
    return Settings.from_config(required | more)


def test_an_entry_has_more_than_its_address() -> None:
    url = f"{ORDERS}?fields=orders.id&f[a.x]=1&f[a.y]=2&limit=10"
    entry = {"name": "o", "url": url, "limit": 5, "filters": {"a.y": "3"}, "primary_keys": "auto"}
    (query,) = settings_of(queries=[entry]).queries
    assert (query.limit, query.filters, query.has_auto_key) == (5, {"a.y": "3"}, True)
    assert query.explore is not None
    assert query.explore.filters == {"a.x": "1", "a.y": "2"}
    dashboards = [{"url": f"{BASE}/dashboards/7?State=CA&Date=7+days", "filters": {"State": "NY"}}]
    (dashboard,) = settings_of(dashboards=dashboards).dashboards
    assert dashboard.dashboard_id == "7"
    assert dashboard.filters == {"State": "NY", "Date": "7 days"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"queries": [{"name": "a", "look_id": f"{BASE}/looks/4"}]},
            "queries[0].look_id: this is an address; give it as `url`",
        ),
        (
            {"queries": [{"name": "a", "query_slug": f"{BASE}/x/4"}]},
            "queries[0].query_slug: this is an address; give it as `url`",
        ),
        (
            {"dashboards": [{"name": "a", "dashboard_id": f"{BASE}/dashboards/4"}]},
            "dashboards[0].dashboard_id: this is an address; give it as `url`",
        ),
        (
            {"queries": [{"name": "a", "url": f"{BASE}/dashboards/4"}]},
            "queries[0].url: this is a dashboard; give it as `url` in `dashboards`",
        ),
        (
            {"dashboards": [{"url": f"{BASE}/looks/4"}]},
            "dashboards[0].url: this is not a dashboard; give it as `url` in `queries`",
        ),
        (
            {"queries": [{"url": f"{ORDERS}?fields=a"}]},
            "queries[0].url: an address of an Explore has no title; give the entry a `name`",
        ),
        ({"queries": [{"look_id": 4}]}, "queries[0].name: required, except with `url`"),
        (
            {"queries": [{"url": "/looks/4", "look_id": 4}]},
            (
                "queries[0]: exactly one of url, query_id, query_slug, look_id, explore is needed; "
                "found url and look_id"
            ),
        ),
        (
            {"queries": [{"name": "a", "url": f"{ORDERS}?fields=a&query_timezone=Mars"}]},
            "queries[0].query_timezone: Mars is not the name of a time zone",
        ),
        (
            {"queries": [{"name": "a", "look_id": 4, "primary_keys": "automatic"}]},
            "queries[0].primary_keys: expected a list of fields, or auto",
        ),
        (
            {"dashboards": [{"name": "a", "dashboard_id": 4, "primary_keys": ["a"]}]},
            "dashboards[0].primary_keys: expected auto; give fields in tiles, one by one",
        ),
        (
            {"dashboards": [{"name": "a", "dashboard_id": 4, "tiles": [{"skip": True}]}]},
            "dashboards[0].tiles[0]: exactly one of id, title is needed",
        ),
        (
            {"dashboards": [{"name": "a", "dashboard_id": 4, "tiles": [{"id": 1, "name": "B"}]}]},
            (
                "dashboards[0].tiles[0].name: 'B' is not a stream name (lowercase letters, digits "
                "and _, starting with a letter)"
            ),
        ),
        (
            {"dashboards": [{"name": "a", "dashboard_id": 4, "tiles": [{"id": 1, "limit": 0}]}]},
            "dashboards[0].tiles[0].limit: expected 1 to 1,000,000,000, or -1 for all rows",
        ),
        (
            {"queries": [{"name": "a", "look_id": 4, "column_limit": 0}]},
            "queries[0].column_limit: expected 1 to 1,000,000,000",
        ),
    ],
)
def test_what_is_wrong_with_an_entry_is_one_line(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings_of(**config)
    assert raised.value.message == message
