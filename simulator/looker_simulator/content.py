"""Stored queries, Looks and dashboards, and how Looker's API describes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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


@dataclass(frozen=True)
class Content:
    """What people have stored in a Looker.

    Attributes:
        queries: bodies, by id.
        titles: what the queries are about, by id.
        looks: title and `query_id`, by id.
        dashboards: title, filters and elements, by id.
    """

    queries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    looks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dashboards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


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


def as_look(
    look_id: str, look: Mapping[str, Any], query: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Describe a Look, with its query: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/LookWithQuery>."""
    described = {"id": look_id, **look, "deleted": False, "public": False}
    return described if query is None else {**described, "query": query}


def as_dashboard(
    dashboard_id: str, dashboard: Mapping[str, Any], queries: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Describe a dashboard, complete: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Dashboard>."""
    common = {"can": {"show": True}, "dashboard_id": dashboard_id}
    filters = [{**common, **found} for found in dashboard.get("dashboard_filters", ())]
    elements = [
        {**common, **_with_query(element, queries)}
        for element in dashboard.get("dashboard_elements", ())
    ]
    return {
        "id": dashboard_id,
        "can": {"show": True},
        "title": dashboard.get("title"),
        "description": None,
        "deleted": False,
        "hidden": False,
        "readonly": "::" in dashboard_id,
        "query_timezone": None,
        "slug": f"slug-{dashboard_id}",
        "url": f"/dashboards/{dashboard_id}",
        "dashboard_filters": filters,
        "dashboard_elements": elements,
        "dashboard_layouts": [],
    }


def _with_query(
    element: Mapping[str, Any], queries: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Add the query of a tile that is stored beside it, as Looker does."""
    query_id = str(element.get("query_id"))
    if query_id not in queries:
        return dict(element)
    return {**element, "query": as_query(query_id, queries[query_id])}
