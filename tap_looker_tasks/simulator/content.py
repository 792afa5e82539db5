"""What is stored in the simulated Looker from the start: queries, Looks and a dashboard."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tap_looker_tasks.simulator.model import MODEL_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUERY_KEYS = (
    "model",
    "view",
    "fields",
    "pivots",
    "fill_fields",
    "filters",
    "filter_expression",
    "sorts",
    "limit",
    "column_limit",
    "total",
    "row_total",
    "subtotals",
    "vis_config",
    "filter_config",
    "visible_ui_sections",
    "dynamic_fields",
    "query_timezone",
)


def _query(view: str, *fields: str, **more: Any) -> dict[str, Any]:
    return {"model": MODEL_NAME, "view": view, "fields": [*fields], "limit": "500", **more}


QUERIES: Mapping[str, dict[str, Any]] = {
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
        "flights", "flights.carrier", "flights.count", filters={"flights.carrier": "nobody"}
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
}
"""The stored queries, by id; the slug of query 1 is `slug1`."""

QUERY_TITLES: Mapping[str, str] = {
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
}
"""What the stored queries are about, by id."""

LOOKS: Mapping[str, dict[str, Any]] = {
    "1": {"title": "Airlines by flights", "query_id": "1"},
    "2": {"title": "Airports above 5,000 feet", "query_id": "4"},
    "3": {"title": "A Look that lost its query", "query_id": None},
}
"""The stored Looks, by id."""

_LISTENS = [
    {
        "model": MODEL_NAME,
        "view": "flights",
        "name": None,
        "listen": [{"dashboard_filter_name": "Carrier", "field": "flights.carrier"}],
    }
]
_ELEMENTS: list[dict[str, Any]] = [
    {
        "id": "1",
        "title": "Flights a month",
        "type": "vis",
        "query_id": "7",
        "result_maker": {"query_id": "7", "filterables": _LISTENS},
    },
    {
        "id": "2",
        "title": "Airlines",
        "type": "vis",
        "look_id": "1",
        "result_maker": {"query_id": "1", "filterables": _LISTENS},
    },
    {"id": "3", "title": None, "type": "text", "body_text": "All flights of 2013"},
    {"id": "4", "title": "Merged", "type": "vis", "merge_result_id": "abc"},
    {
        "id": "5",
        "title": "SQL Runner",
        "type": "vis",
        "result_maker": {"query_id": None, "sql_query_id": "def", "filterables": []},
    },
]
DASHBOARDS: Mapping[str, dict[str, Any]] = {
    "1": {
        "title": "Flights from New York",
        "dashboard_filters": [
            {
                "id": "1",
                "name": "Carrier",
                "title": "Carrier",
                "type": "field_filter",
                "model": MODEL_NAME,
                "explore": "flights",
                "dimension": "flights.carrier",
                "default_value": "",
            }
        ],
        "dashboard_elements": [
            {
                "dashboard_id": "1",
                "query_id": None,
                "look_id": None,
                "merge_result_id": None,
                "result_maker": None,
                "deleted": False,
                **element,
            }
            for element in _ELEMENTS
        ],
    },
}
"""The stored dashboards, by id."""


def as_query(query_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a query: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Query>."""
    slug = f"slug{query_id}"
    return {
        "can": {"run": True, "show": True},
        "id": query_id,
        **{key: body.get(key) for key in _QUERY_KEYS},
        "client_id": f"client{query_id}",
        "slug": slug,
        "share_url": f"https://looker.test/x/{slug}",
        "expanded_share_url": f"https://looker.test/explore/{body.get('model')}",
        "url": f"/explore/{body.get('model')}/{body.get('view')}",
        "has_table_calculations": "table_calculation" in (body.get("dynamic_fields") or ""),
    }


def as_look(look_id: str, query: Mapping[str, Any] | None) -> dict[str, Any]:
    """Describe a Look, with its query: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/LookWithQuery>."""
    look = LOOKS[look_id]
    return {"id": look_id, **look, "deleted": False, "public": False, "query": query}


def as_dashboard(dashboard_id: str) -> dict[str, Any]:
    """Describe a dashboard: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Dashboard>."""
    return {"id": dashboard_id, "deleted": False, **DASHBOARDS[dashboard_id]}
