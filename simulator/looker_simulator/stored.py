"""Content stored in the simulated Looker from the start: queries, Looks and dashboards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from looker_simulator.content import ROOT_FOLDERS, Content

if TYPE_CHECKING:
    from collections.abc import Mapping

_FLIGHTS = "flights_2013"


def _query(view: str, *fields: str, **more: Any) -> dict[str, Any]:
    return {"model": _FLIGHTS, "view": view, "fields": [*fields], "limit": "500", **more}


def _shop(view: str, *fields: str, **more: Any) -> dict[str, Any]:
    return {**_query(view, *fields, **more), "model": "shop"}


def _activity(view: str, *fields: str, **more: Any) -> dict[str, Any]:
    return {**_query(view, *fields, **more), "model": "system__activity", "limit": "-1"}


_QUERIES: Mapping[str, dict[str, Any]] = {
    "1": _query(
        "flights",
        "flights.carrier",
        "airlines.name",
        "flights.count",
        "flights.average_arrival_delay",
        "flights.total_distance",
        sorts=["flights.count desc"],
    ),
    "2": _query(
        "flights",
        "flights.departure_date",
        "flights.origin",
        "flights.count",
        "flights.cancelled_share",
        filters={"flights.departure_date": "2013-07-01 to 2013-08-01"},
        sorts=["flights.departure_date", "flights.origin"],
        query_timezone="America/New_York",
    ),
    "3": _query(
        "flights",
        "flights.departure_time",
        "flights.carrier",
        "flights.number",
        "flights.origin",
        "destination.name",
        "flights.distance",
        "flights.distance_tier",
        "flights.arrival_delay",
        "flights.is_cancelled",
        filters={"flights.departure_date": "2013-12-24", "flights.distance": ">=2000"},
        sorts=["flights.departure_time"],
        query_timezone="America/New_York",
    ),
    "4": _query(
        "airports",
        "airports.faa",
        "airports.name",
        "airports.altitude",
        "airports.location",
        filters={"airports.altitude": ">5000"},
        sorts=["airports.altitude desc"],
    ),
    "5": _query("flights", "flights.carrier", "flights.broken"),
    "6": _query(
        "flights", "flights.carrier", "flights.count", filters={"flights.carrier": "unknown-task"}
    ),
    "7": _query(
        "flights",
        "flights.departure_month",
        "flights.count",
        "flights.average_arrival_delay",
        "flights.origin",
        pivots=["flights.origin"],
        sorts=["flights.departure_month"],
        total=True,
        row_total="right",
        query_timezone="America/New_York",
    ),
    "8": _query(
        "flights",
        "flights.carrier",
        "flights.count",
        "farthest",
        "miles_per_flight",
        "flights.total_distance",
        sorts=["flights.count desc"],
        dynamic_fields=json.dumps(
            [
                {
                    "measure": "farthest",
                    "based_on": "flights.distance",
                    "type": "max",
                    "label": "Farthest",
                    "_type_hint": "number",
                },
                {
                    "table_calculation": "miles_per_flight",
                    "label": "Miles per flight",
                    "expression": "${flights.total_distance} / ${flights.count}",
                    "_type_hint": "number",
                },
            ]
        ),
    ),
    "9": _query(
        "numbers",
        "numbers.id",
        "numbers.integer",
        "numbers.decimal",
        "numbers.text",
        sorts=["numbers.id"],
    ),
    "10": _query(
        "flights",
        "flights.departure_time",
        "flights.carrier",
        "flights.number",
        "flights.tail_number",
        "flights.origin",
        "flights.destination",
        "flights.distance",
        "flights.air_time",
        "flights.arrival_delay",
        "flights.is_cancelled",
        limit="-1",
    ),
    "11": _shop(
        "orders",
        "orders.state",
        "orders.count",
        "share",
        sorts=["orders.state"],
        dynamic_fields=json.dumps(
            [
                {
                    "table_calculation": "share",
                    "label": "Share",
                    "expression": "${orders.count}/sum(${orders.count})",
                    "_type_hint": "number",
                },
                {
                    "table_calculation": "unused",
                    "label": "Unused",
                    "expression": "${orders.count}",
                    "is_disabled": True,
                    "_type_hint": "number",
                },
            ]
        ),
    ),
    "12": _shop(
        "orders",
        "orders.period",
        "orders.count",
        "orders.recent",
        filters={
            "orders.unit": "week",
            "orders.recently": "after 2026-04-01",
            "orders.bought_by": "Ada,Grace",
        },
        sorts=["orders.period"],
    ),
    "13": _shop(
        "orders",
        "orders.id",
        "orders.customer",
        "orders.state",
        "orders.amount",
        "orders.address",
        "orders.created_time",
        "orders.created_raw",
        "orders.shipped_time",
        "orders.shipped_raw",
        "orders.due_raw",
        "orders.due_date",
        sorts=["orders.id"],
        query_timezone="America/New_York",
    ),
    "14": _shop("secrets", "orders.customer", "orders.total_amount", sorts=["orders.customer"]),
    "15": _shop(
        "odd_names",
        "odd_names.id",
        'odd_names.say "hi"',
        "odd_names.back\\slash",
        "odd_names.tab\there",
        "odd_names.größe_µ",
        sorts=["odd_names.id"],
    ),
    "16": _shop(
        "orders",
        "orders.state",
        "orders.count",
        "orders.customer",
        pivots=["orders.customer"],
        sorts=["orders.state"],
        column_limit="2",
    ),
    "17": _shop(
        "orders", "orders.city", "orders.count", sorts=["orders.city"], dynamic_fields="null"
    ),
    "18": _activity(
        "history",
        "history.id",
        "history.created_time",
        "history.status",
        "history.source",
        "history.runtime",
        "user.id",
        "query.id",
        "look.id",
        "dashboard.id",
        sorts=["history.created_time"],
    ),
    "19": _activity("user", "user.id", "user.name", "user.email", "user.is_disabled"),
    "20": _activity("look", "look.id", "look.title", "user.id", "query.id", "look.created_time"),
    "21": _activity("dashboard", "dashboard.id", "dashboard.title", "user.id"),
    "22": _activity("query", "query.id", "query.model", "query.view", "query.slug"),
    "23": _shop("odd_names", "odd_names.Total", "odd_names.total", sorts=["odd_names.Total"]),
}

_TITLES: Mapping[str, str] = {
    "1": "Airlines by flights",
    "2": "Flights a day from each airport in July, and the share cancelled",
    "3": "The longest flights of Christmas Eve, one by one",
    "4": "Airports above 5,000 feet",
    "5": "Fails in the database",
    "6": "Has no rows",
    "7": "Flights a month, pivoted by airport, with totals",
    "8": "Airlines with a custom measure and a table calculation",
    "9": "Numbers and texts that are easily damaged",
    "10": "All 336,776 flights",
    "11": "Orders by state, with their share as a table calculation",
    "12": "Orders by a period that a parameter chooses, with filter-only fields",
    "13": "All 240 orders, with times that are not converted",
    "14": "Orders of an Explore whose fields cannot be looked up",
    "15": "Orders with names that break things",
    "16": "Orders by state and customer, pivots cut by the column limit",
    "17": "Orders by city, with custom fields that are null",
    "18": "Looker's own history: the runs of queries in the last 90 days",
    "19": "Looker's users",
    "20": "Looker's Looks",
    "21": "Looker's dashboards",
    "22": "Looker's queries",
    "23": "Two columns that differ in a capital only",
}
_LOOKS: Mapping[str, dict[str, Any]] = {
    "1": {"title": "Airlines by flights", "query_id": "1", "folder_id": "3"},
    "2": {"title": "Airports above 5,000 feet", "query_id": "4", "folder_id": "3"},
    "3": {"title": "A Look that lost its query", "query_id": None},
    "4": {"title": "Secret orders", "query_id": "14", "folder_id": "5"},
    "5": {"title": "Orders by state", "query_id": "11", "folder_id": "4"},
    "6": {"title": "Orders by city, in the trash", "query_id": "17", "deleted": True},
}
_FOLDERS: Mapping[str, Mapping[str, Any]] = {
    **ROOT_FOLDERS,
    "3": {"name": "Flights", "parent_id": "1"},
    "4": {"name": "Orders", "parent_id": "1"},
    "5": {"name": "Simulator", "parent_id": "2", "creator_id": "1"},
}
_MERGE_QUERIES: Mapping[str, Mapping[str, Any]] = {
    "abc": {
        "source_queries": [
            {"name": "Airlines", "query_id": "1", "merge_fields": []},
            {
                "name": "Average delays",
                "query_id": "8",
                "merge_fields": [
                    {"field_name": "flights.carrier", "source_field_name": "flights.carrier"}
                ],
            },
        ],
    },
    "ghi": {
        "source_queries": [
            {"name": "By state", "query_id": "11", "merge_fields": []},
            {
                "name": "By state and customer",
                "query_id": "16",
                "merge_fields": [
                    {"field_name": "orders.state", "source_field_name": "orders.state"}
                ],
            },
        ],
    },
}


def _listening(model: str, view: str, **fields: str) -> list[dict[str, Any]]:
    """Return a tile's `listen` entries, field by dashboard filter, as Looker writes them today."""
    listen = [{"dashboard_filter_name": name, "field": field} for name, field in fields.items()]
    return [{"model": model, "view": view, "name": None, "listen": listen}]


def _tile(id_: str, title: str | None, **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "title": title,
        "type": "vis",
        "query_id": None,
        "look_id": None,
        "merge_result_id": None,
        "result_maker": None,
        "body_text": None,
        **more,
    }


def _query_tile(
    id_: str, title: str, query_id: str, filterables: list[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    maker = {"query_id": query_id, "sql_query_id": None, "filterables": filterables}
    return _tile(id_, title, query_id=query_id, result_maker=maker, **more)


def _body_tile(id_: str, title: str, body: dict[str, Any], **fields: str) -> dict[str, Any]:
    """Return a tile whose query was never saved, like those of LookML dashboards."""
    filterables = _listening(body["model"], body["view"], **fields)
    maker = {"query_id": None, "sql_query_id": None, "query": body, "filterables": filterables}
    return _tile(id_, title, query=body, result_maker=maker)


def _sql_tile(id_: str) -> dict[str, Any]:
    maker: dict[str, Any] = {"query_id": None, "sql_query_id": "def", "filterables": []}
    return _tile(id_, "SQL Runner", result_maker=maker)


def _filter(id_: str, name: str, field: str, default: str) -> dict[str, Any]:
    model = "flights_2013" if field.startswith("flights.") else "shop"
    return {
        "id": id_,
        "name": name,
        "title": name,
        "type": "field_filter",
        "model": model,
        "explore": field.partition(".")[0],
        "dimension": field,
        "default_value": default,
        "listens_to_filters": [],
        "allow_multiple_values": True,
        "required": False,
    }


def _dashboard(
    title: str, filters: list[dict[str, Any]], elements: list[dict[str, Any]]
) -> dict[str, Any]:
    return {"title": title, "dashboard_filters": filters, "dashboard_elements": elements}


_CARRIER = _listening(_FLIGHTS, "flights", Carrier="flights.carrier")
_STATE = _listening("shop", "orders", State="orders.state")
_OLD_LISTENING = [
    {"model": "shop", "view": "orders", "name": None, "listen": {"State": "orders.state"}}
]
_BY_CUSTOMER = _shop("orders", "orders.customer", "orders.count", sorts=["orders.customer"])
_DASHBOARDS: Mapping[str, dict[str, Any]] = {
    "1": _dashboard(
        "Flights from New York",
        [_filter("1", "Carrier", "flights.carrier", "")],
        [
            _query_tile("1", "Flights a month", "7", _CARRIER),
            {**_query_tile("2", "Airlines", "1", _CARRIER), "query_id": None, "look_id": "1"},
            _tile("3", None, type="text", body_text="All flights of 2013"),
            _tile("4", "Merged", merge_result_id="abc"),
            _sql_tile("5"),
        ],
    ),
    "2": _dashboard(
        "Orders, with filters that apply unless changed",
        [
            _filter("2", "State", "orders.state", "CA"),
            _filter("3", "Customer", "orders.customer", ""),
            _filter("4", "Unit", "orders.unit", "week"),
        ],
        [
            _query_tile("11", "New Tile", "11", _STATE),
            _query_tile(
                "12",
                "New Tile",
                "13",
                _listening("shop", "orders", State="orders.state", Customer="orders.customer"),
            ),
            _body_tile("13", "Never saved", _BY_CUSTOMER, State="orders.state"),
            _query_tile("14", "By a unit", "12", _listening("shop", "orders", Unit="orders.unit")),
            _query_tile("15", "Secret", "14", []),
            _tile("16", None, type="text", body_text="Orders of an invented shop"),
            _tile("17", "Merged", merge_result_id="ghi"),
            _sql_tile("18"),
        ],
    ),
    "3": {
        "folder_id": "4",
        **_dashboard(
            "Orders, as instances of long ago describe tiles",
            [_filter("5", "State", "orders.state", "NY")],
            [
                _query_tile("21", "By state", "11", _OLD_LISTENING),
                _body_tile(
                    "22",
                    "Never saved",
                    # Looker has been seen to send this, against its own description.
                    {"id": None, **_BY_CUSTOMER},
                    State="orders.state",
                ),
            ],
        ),
    },
    "4": {
        **_dashboard(
            "Flights, in the trash",
            [],
            [_query_tile("41", "Airlines", "1", [])],
        ),
        "deleted": True,
    },
    "shop::overview": _dashboard(
        "Orders, from a LookML dashboard",
        [_filter("State", "State", "orders.state", "TX")],
        [
            _body_tile(
                "31",
                "By city",
                _shop("orders", "orders.city", "orders.total_amount", sorts=["orders.city"]),
                State="orders.state",
            ),
            _body_tile("32", "By customer", _BY_CUSTOMER, State="orders.state"),
        ],
    ),
}

CONTENT = Content(
    queries=_QUERIES,
    titles=_TITLES,
    looks=_LOOKS,
    dashboards=_DASHBOARDS,
    folders=_FOLDERS,
    merge_queries=_MERGE_QUERIES,
)
"""What is stored beside the built-in models; the slug of query 1 is `slug1`, and so on."""
