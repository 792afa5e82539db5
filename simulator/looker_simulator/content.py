"""Stored content of Looker, and its descriptions by the API, of models and Explores also."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from looker_simulator.model import DATE_TYPES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from looker_simulator.model import Explore, Field, Model


QUERY_KEYS: Mapping[str, str] = {
    "model": "a text",
    "view": "a text",
    "fields": "a list of texts",
    "pivots": "a list of texts",
    "fill_fields": "a list of texts",
    "filters": "an object of texts",
    "filter_expression": "a text",
    "sorts": "a list of texts",
    "limit": "a number",
    "column_limit": "a number",
    "total": "a boolean",
    "row_total": "a text",
    "subtotals": "a list of texts",
    "vis_config": "an object",
    "filter_config": "an object",
    "visible_ui_sections": "a text",
    "dynamic_fields": "a text",
    "client_id": "a text",
    "query_timezone": "a text",
}
"""What the body of a query consists of, and the kind of each part; any may be null."""
_READ_ONLY = frozenset(
    {
        *("can", "id", "slug", "share_url", "expanded_share_url", "url"),
        "has_table_calculations",
    }
)
_SHARED, _USERS, _LOOKML = "1", "2", "lookml"
ROOT_FOLDERS: Mapping[str, Mapping[str, Any]] = {
    _SHARED: {"name": "Shared"},
    _USERS: {"name": "Users"},
    _LOOKML: {"name": "LookML Dashboards"},
}
"""Folders of every Looker; what names no folder is in the first one."""
_CREATED = "2026-01-05T09:00:00.000Z"
_UPDATED = "2026-02-10T10:30:00.000Z"
_OWNER = "1"


@dataclass(frozen=True)
class Content:
    """Stored content of a Looker.

    Attributes:
        queries: Bodies, by id.
        titles: Titles of the queries, by id.
        looks: Title and `query_id`, by id.
        dashboards: Title, filters and elements, by id.
        folders: Name and `parent_id`, by id.
        merge_queries: Source queries and the fields they are joined by, by id.
    """

    queries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    looks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dashboards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folders: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: ROOT_FOLDERS)
    merge_queries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_SLUG = re.compile(r"query(\d{17})")


def query_slug(key: str) -> str:
    """Return the id of a query: 22 characters, like Looker's, unless it has another."""
    return f"query{int(key):017}" if key.isdecimal() else key


def query_key(query_id: str) -> str:
    """Return the key that a query is stored under: the number in an id of `query_slug`."""
    found = _SLUG.fullmatch(query_id)
    return str(int(found[1])) if found else query_id


def as_query(query_id: str, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a query: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Query>."""
    slug = f"slug{key}"
    return {
        "can": {"run": True, "show": True},
        "id": query_id,
        **{key: body.get(key) for key in QUERY_KEYS if key != "client_id"},
        "client_id": query_slug(key),
        "slug": slug,
        "share_url": f"https://looker.test/x/{slug}",
        "expanded_share_url": f"https://looker.test{_expanded_url(body)}",
        "url": f"/explore/{body.get('model')}/{body.get('view')}",
        "has_table_calculations": "table_calculation" in str(body.get("dynamic_fields") or ""),
    }


def _expanded_url(body: Mapping[str, Any]) -> str:
    """Return the address of an Explore's page with the query in its parameters."""
    parameters = [("fields", ",".join(body.get("fields") or ()))]
    parameters += [
        (f"f[{name}]", str(value)) for name, value in (body.get("filters") or {}).items()
    ]
    for key in ("pivots", "sorts", "fill_fields"):
        if body.get(key):
            parameters.append((key, ",".join(body[key])))
    single = ("limit", "column_limit", "total", "row_total", "query_timezone", "dynamic_fields")
    parameters += [(key, str(body[key])) for key in (*single, "filter_expression") if body.get(key)]
    parameters.append(("origin", "share-expanded"))
    return f"/explore/{body.get('model')}/{body.get('view')}?{urlencode(parameters)}"


def find_mistakes(body: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the mistakes in the body of a query: field, code and message of each."""
    mistakes = [
        (key, "missing_field", f"{key} must name {what}")
        for key, what in (("model", "a model"), ("view", "an Explore"))
        if not body.get(key)
    ]
    for key, value in body.items():
        if key in QUERY_KEYS:
            if value is not None and not _is_of_kind(value, QUERY_KEYS[key]):
                mistakes.append((key, "invalid", f"{key} must be {QUERY_KEYS[key]}"))
        elif key not in _READ_ONLY:
            mistakes.append((key, "invalid", f"{key} is not a field of a query"))
    return mistakes


def _is_of_kind(value: object, kind: str) -> bool:
    if kind == "a list of texts":
        return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    if kind == "an object of texts":
        return isinstance(value, dict) and all(isinstance(entry, str) for entry in value.values())
    kinds: Mapping[str, tuple[type, ...]] = {
        "a text": (str,),
        "a number": (str, int),
        "a boolean": (bool,),
        "an object": (dict,),
    }
    return isinstance(value, kinds[kind]) and (kind == "a boolean" or not isinstance(value, bool))


def as_look(
    look_id: str,
    look: Mapping[str, Any],
    body: Mapping[str, Any] | None,
    folders: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Describe a Look: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Look>.

    Args:
        look_id: ID of the Look.
        look: Stored title, `query_id` and other keys.
        body: Body of its query; None if it has lost its query.
        folders: All folders, by id.
    """
    return {
        **_common(look_id, look, folders),
        "query_id": look["query_id"],
        "model": _as_model_of(body),
        "is_run_on_load": True,
        "public": False,
        "short_url": f"/looks/{look_id}",
        "view_count": look.get("view_count", 0),
    }


def as_dashboard_base(
    dashboard_id: str, dashboard: Mapping[str, Any], folders: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Describe a dashboard in short: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/DashboardBase>."""
    common = _common(dashboard_id, dashboard, folders)
    kept = ("id", "can", "title", "description", "folder", "user_id")
    return {**{key: common[key] for key in kept}, **_dashboard_only(dashboard_id)}


def as_dashboard(
    dashboard_id: str,
    dashboard: Mapping[str, Any],
    folders: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Describe a dashboard, complete: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Dashboard>."""
    common = {"can": {"show": True}, "dashboard_id": dashboard_id}
    filters = [{**common, **found} for found in dashboard.get("dashboard_filters", ())]
    elements = [{**common, **element} for element in dashboard.get("dashboard_elements", ())]
    return {
        **_common(dashboard_id, dashboard, folders),
        **_dashboard_only(dashboard_id),
        "url": f"/dashboards/{dashboard_id}",
        "view_count": dashboard.get("view_count", 0),
        "dashboard_filters": filters,
        "dashboard_elements": elements,
        "dashboard_layouts": [],
    }


def _dashboard_only(dashboard_id: str) -> dict[str, Any]:
    """Return the keys that short and long descriptions of a dashboard share."""
    model, of_lookml, _ = dashboard_id.partition("::")
    return {
        "hidden": False,
        "model": {"id": model, "label": None} if of_lookml else None,
        "query_timezone": None,
        "readonly": bool(of_lookml),
        "refresh_interval": None,
        "slug": f"slug-{dashboard_id}",
    }


def _common(
    id_: str, stored: Mapping[str, Any], folders: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the keys that Looks and dashboards share."""
    default = _LOOKML if "::" in id_ else _SHARED
    folder_id = str(stored.get("folder_id") or default)
    is_deleted = bool(stored.get("deleted"))
    return {
        "id": id_,
        "can": {"show": True},
        "title": stored.get("title"),
        "description": stored.get("description"),
        "folder_id": folder_id,
        "folder": as_folder(folder_id, folders) if folder_id in folders else None,
        "user_id": str(stored.get("user_id") or _OWNER),
        "created_at": stored.get("created_at", _CREATED),
        "updated_at": stored.get("updated_at", _UPDATED),
        "deleted": is_deleted,
        "deleted_at": _UPDATED if is_deleted else None,
        "deleter_id": _OWNER if is_deleted else None,
    }


def _as_model_of(body: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if body is None:
        return None
    name = str(body.get("model"))
    return {"id": name, "label": name.replace("_", " ").title()}


def as_folder(folder_id: str, folders: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Describe a folder: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/FolderBase>."""
    folder = folders[folder_id]
    parent_id = folder.get("parent_id")
    return {
        "id": folder_id,
        "can": {"show": True},
        "name": folder["name"],
        "parent_id": parent_id,
        "child_count": sum(f.get("parent_id") == folder_id for f in folders.values()),
        "creator_id": folder.get("creator_id"),
        "is_embed": False,
        "is_personal": parent_id == _USERS,
        "is_personal_descendant": False,
        "is_shared_root": folder_id == _SHARED,
        "is_users_root": folder_id == _USERS,
    }


def as_merge_query(merge_query_id: str, merged: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a merge query: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/MergeQuery>."""
    return {
        "id": merge_query_id,
        "can": {"show": True},
        "column_limit": None,
        "dynamic_fields": None,
        "limit": None,
        "pivots": [],
        "sorts": [],
        "total": False,
        **merged,
    }


def with_listen_objects(dashboard: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dashboard whose tiles have `listen` objects from filter to field, as formerly."""
    elements = []
    for element in dashboard["dashboard_elements"]:
        maker = element.get("result_maker")
        if maker:
            filterables = [
                {**each, "listen": _as_object(each.get("listen"))}
                for each in maker.get("filterables") or ()
            ]
            element = {**element, "result_maker": {**maker, "filterables": filterables}}  # noqa: PLW2901 - a changed copy
        elements.append(element)
    return {**dashboard, "dashboard_elements": elements}


def _as_object(listen: Any) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(listen, list):
        return listen
    return {each["dashboard_filter_name"]: each["field"] for each in listen}


def as_model(model: Model) -> dict[str, Any]:
    """Describe a model: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/LookmlModel>."""
    explores = [
        {
            "name": explore.name,
            "label": explore.title,
            "description": explore.description,
            "hidden": False,
            "group_label": model.name,
        }
        for explore in model.explores.values()
        if explore.is_readable
    ]
    return {
        "name": model.name,
        "label": model.name.replace("_", " ").title(),
        "project_name": model.name,
        "has_content": True,
        "explores": explores,
    }


def as_explore(
    model: Model, explore: Explore, hidden_fields: Collection[str] = ()
) -> dict[str, Any]:
    """Describe an Explore: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/LookmlModelExplore>."""
    groups: dict[str, list[dict[str, Any]]] = {
        "dimensions": [],
        "measures": [],
        "filters": [],
        "parameters": [],
    }
    for found in explore.fields.values():
        if found.name not in hidden_fields:
            groups[f"{found.category}s"].append(_as_field(found, model, explore))
    return {
        "id": f"{model.name}::{explore.name}",
        "name": explore.name,
        "label": explore.title,
        "title": explore.title,
        "description": explore.description,
        "model_name": model.name,
        "view_name": explore.name,
        "project_name": model.name,
        "hidden": False,
        "has_timezone_support": True,
        "null_sort_treatment": "low",
        "access_filters": [
            {"field": name, "user_attribute": attribute}
            for name, attribute in explore.access_filters
        ],
        "always_filter": _as_filters(explore.always_filter),
        "conditionally_filter": _as_filters(explore.conditional_filter),
        "fields": groups,
    }


def _as_filters(filters: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in filters.items()]


def _as_field(field: Field, model: Model, explore: Explore) -> dict[str, Any]:
    return {
        "name": field.name,
        "label": field.label,
        "label_short": field.label_short,
        "description": field.description,
        "type": field.type,
        "category": field.category,
        "measure": field.is_measure,
        "parameter": field.category == "parameter",
        "is_filter": field.category == "filter",
        "is_numeric": field.is_numeric,
        "is_timeframe": field.type in DATE_TYPES,
        "is_fiscal": False,
        "dimension_group": _dimension_group(field),
        "time_interval": _time_interval(field),
        "datatype": field.datatype,
        "convert_tz": field.convert_tz,
        "primary_key": field.primary_key,
        "default_filter_value": field.default_value or None,
        "view": field.view,
        "view_label": field.view.replace("_", " ").title(),
        "scope": field.view,
        "original_view": field.view,
        "can_filter": True,
        "sortable": True,
        "hidden": field.hidden,
        "dynamic": False,
        "tags": [],
        "sql": field.sql,
        "field_group_label": None,
        "source_file": f"{explore.name}.view.lkml",
        "lookml_link": f"/projects/{model.name}/files/{field.view}.view.lkml",
    }


def _dimension_group(field: Field) -> str | None:
    return field.name.rpartition("_")[0] if field.type in DATE_TYPES else None


def _time_interval(field: Field) -> dict[str, Any] | None:
    unit = field.type.removeprefix("date_")
    named = {"time": "second", "date": "day"}.get(unit, unit)
    if field.type not in DATE_TYPES or unit == "raw":
        return None
    return {"name": named, "count": 1}
