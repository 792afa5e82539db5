"""Routes of Looker's API: operations by verb and path, and their description as OpenAPI."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import Response

from looker_simulator import (
    admin_operations as admin,
    content_operations as content,
    task_operations as tasks,
)
from looker_simulator.exchange import DOCUMENTATION, PAGE_PARAMETERS, ApiRequest
from looker_simulator.looker import Looker

if TYPE_CHECKING:
    from collections.abc import Mapping


API = "/api/4.0"
_FIELDS = ("fields",)
_RUN = ("limit", "path_prefix", *tasks.RUN_FLAGS)
_IMAGE = ("image_width", "image_height")
_SEARCH = (
    *PAGE_PARAMETERS,
    *("filter_or", "id", "title", "description", "folder_id", "user_id", "deleted", "view_count"),
)
Operation = Callable[[Looker, ApiRequest], Response]


class ApiRoute(NamedTuple):
    """An operation, and the requests that it matches.

    Attributes:
        verb: HTTP method.
        path: Path below `/api/4.0`, with parameters in braces.
        operation: Function named after the operationId.
        query: Names of the parameters in the query string that are used.
    """

    verb: str
    path: str
    operation: Operation
    query: tuple[str, ...] = ()

    @property
    def operation_id(self) -> str:
        """Return Looker's operationId."""
        return getattr(self.operation, "__name__", "")

    def matches(self, verb: str, parts: list[str]) -> bool:
        """Return whether a request to a path of these parts matches."""
        known = self.path.split("/")
        return (
            verb == self.verb
            and len(known) == len(parts)
            and all(k == p or k.startswith("{") for k, p in zip(known, parts, strict=True))
        )


ROUTES = (
    ApiRoute("POST", "/login", content.login),
    ApiRoute("DELETE", "/logout", content.logout),
    ApiRoute("GET", "/user", admin.me, _FIELDS),
    ApiRoute("GET", "/session", content.session),
    ApiRoute("PATCH", "/session", content.update_session),
    ApiRoute("GET", "/versions", content.versions, _FIELDS),
    ApiRoute("GET", "/timezones", content.all_timezones),
    ApiRoute("POST", "/queries", tasks.create_query, _FIELDS),
    ApiRoute("POST", "/queries/run/{result_format}", tasks.run_inline_query, (*_RUN, *_IMAGE)),
    ApiRoute("GET", "/queries/slug/{slug}", tasks.query_for_slug, _FIELDS),
    ApiRoute("GET", "/queries/{query_id}", tasks.query, _FIELDS),
    ApiRoute("GET", "/queries/{query_id}/run/{result_format}", tasks.run_query, (*_RUN, *_IMAGE)),
    ApiRoute("GET", "/looks", content.all_looks, _FIELDS),
    ApiRoute("GET", "/looks/search", content.search_looks, (*_SEARCH, "query_id")),
    ApiRoute("GET", "/looks/{look_id}", content.look, _FIELDS),
    ApiRoute("GET", "/looks/{look_id}/run/{result_format}", tasks.run_look, (*_RUN, *_IMAGE)),
    ApiRoute("GET", "/dashboards", content.all_dashboards, _FIELDS),
    ApiRoute(
        "GET", "/dashboards/search", content.search_dashboards, (*_SEARCH, "slug", "not_owned_by")
    ),
    ApiRoute("GET", "/dashboards/{dashboard_id}", content.dashboard, _FIELDS),
    ApiRoute(
        "GET",
        "/dashboards/{dashboard_id}/dashboard_elements",
        content.dashboard_dashboard_elements,
        _FIELDS,
    ),
    ApiRoute(
        "GET",
        "/dashboards/{dashboard_id}/dashboard_filters",
        content.dashboard_dashboard_filters,
        _FIELDS,
    ),
    ApiRoute("GET", "/folders", content.all_folders, _FIELDS),
    ApiRoute(
        "GET",
        "/folders/search",
        content.search_folders,
        (*PAGE_PARAMETERS, "filter_or", "id", "name", "parent_id", "creator_id"),
    ),
    ApiRoute("GET", "/folders/{folder_id}", content.folder, _FIELDS),
    ApiRoute("GET", "/folders/{folder_id}/looks", content.folder_looks, _FIELDS),
    ApiRoute("GET", "/folders/{folder_id}/dashboards", content.folder_dashboards, _FIELDS),
    ApiRoute("GET", "/merge_queries/{merge_query_id}", content.merge_query, _FIELDS),
    ApiRoute("GET", "/lookml_models", content.all_lookml_models, ("fields", "limit", "offset")),
    ApiRoute("GET", "/lookml_models/{lookml_model_name}", content.lookml_model, _FIELDS),
    ApiRoute(
        "GET",
        "/lookml_models/{lookml_model_name}/explores/{explore_name}",
        content.lookml_model_explore,
        _FIELDS,
    ),
    ApiRoute("GET", "/alerts/search", content.search_alerts, ("limit", "offset")),
    ApiRoute("GET", "/scheduled_plans/look/{look_id}", content.scheduled_plans_for_look, _FIELDS),
    ApiRoute(
        "GET",
        "/scheduled_plans/dashboard/{dashboard_id}",
        content.scheduled_plans_for_dashboard,
        _FIELDS,
    ),
    ApiRoute("GET", "/users", admin.all_users, (*PAGE_PARAMETERS, "ids")),
    ApiRoute(
        "GET",
        "/users/search",
        admin.search_users,
        (*PAGE_PARAMETERS, "filter_or", "id", "first_name", "last_name", "email", "is_disabled"),
    ),
    ApiRoute("GET", "/users/{user_id}", admin.user, _FIELDS),
    ApiRoute("GET", "/users/{user_id}/roles", admin.user_roles, _FIELDS),
    ApiRoute(
        "GET",
        "/users/{user_id}/attribute_values",
        admin.user_attribute_user_values,
        ("fields", "user_attribute_ids"),
    ),
    ApiRoute("GET", "/user_attributes", admin.all_user_attributes, ("fields", "sorts")),
    ApiRoute("GET", "/user_attributes/{user_attribute_id}", admin.user_attribute, _FIELDS),
    ApiRoute("GET", "/roles", admin.all_roles, _FIELDS),
    ApiRoute("GET", "/roles/{role_id}", admin.role),
    ApiRoute("GET", "/roles/{role_id}/users", admin.role_users, _FIELDS),
    ApiRoute("GET", "/permission_sets", admin.all_permission_sets, _FIELDS),
    ApiRoute("GET", "/permission_sets/{permission_set_id}", admin.permission_set, _FIELDS),
    ApiRoute("GET", "/model_sets", admin.all_model_sets, _FIELDS),
    ApiRoute("GET", "/model_sets/{model_set_id}", admin.model_set, _FIELDS),
    ApiRoute("GET", "/connections", admin.all_connections, _FIELDS),
    ApiRoute("GET", "/connections/{connection_name}", admin.connection, _FIELDS),
    ApiRoute("PUT", "/connections/{connection_name}/test", admin.test_connection, ("tests",)),
    ApiRoute("GET", "/setting", admin.get_setting, _FIELDS),
    ApiRoute("GET", "/projects", admin.all_projects, _FIELDS),
    ApiRoute("GET", "/projects/{project_id}", admin.project, _FIELDS),
    ApiRoute("GET", "/projects/{project_id}/git_branch", admin.git_branch),
    ApiRoute("PUT", "/projects/{project_id}/git_branch", admin.update_git_branch),
    ApiRoute("GET", "/projects/{project_id}/git_branches", admin.all_git_branches),
    ApiRoute("GET", "/projects/{project_id}/manifest", admin.manifest),
    ApiRoute(
        "GET",
        "/dashboard_elements/search",
        content.search_dashboard_elements,
        ("fields", "sorts", "filter_or", "dashboard_id", "look_id", "title", "deleted"),
    ),
    ApiRoute(
        "GET", "/dashboard_elements/{dashboard_element_id}", content.dashboard_element, _FIELDS
    ),
    ApiRoute("GET", "/dashboard_filters/{dashboard_filter_id}", content.dashboard_filter, _FIELDS),
    ApiRoute("GET", "/folders/{folder_id}/children", content.folder_children, PAGE_PARAMETERS),
    ApiRoute("GET", "/folders/{folder_id}/parent", content.folder_parent, _FIELDS),
    ApiRoute("GET", "/folders/{folder_id}/ancestors", content.folder_ancestors, _FIELDS),
    ApiRoute("POST", "/query_tasks", tasks.create_query_task, (*_RUN, *_FIELDS)),
    ApiRoute(
        "GET", "/query_tasks/multi_results", tasks.query_task_multi_results, ("query_task_ids",)
    ),
    ApiRoute("GET", "/query_tasks/{query_task_id}", tasks.query_task, _FIELDS),
    ApiRoute("GET", "/query_tasks/{query_task_id}/results", tasks.query_task_results),
    ApiRoute("GET", "/running_queries", tasks.all_running_queries),
    ApiRoute("DELETE", "/running_queries/{query_task_id}", tasks.kill_query),
)
"""Every operation; the first whose path matches is taken."""


def find_operation(verb: str, path: str) -> str:
    """Return the operationId of a request; outside of Looker's API, another word for it."""
    if not path.startswith(f"{API}/"):
        return "alive" if path == "/alive" else "simulator"
    parts = path.removeprefix(API).replace("//", "/").split("/")
    found = (route.operation_id for route in ROUTES if route.matches(verb, parts))
    return next(found, "unknown")


_IN_PATH = re.compile(r"\{(\w+)\}")
_PARAMETERS: Mapping[str, str] = {
    "fields": "Requested parts of the response, such as `id,query(model)`",
    "limit": "Maximum number of rows or entries",
    "offset": "Entries to skip",
    "page": "Deprecated: page number",
    "per_page": "Deprecated: entries on a page",
    "sorts": "Keys to sort by, such as `title desc`",
    "filter_or": "Whether one match is enough",
    "not_owned_by": "Whether what `user_id` owns is left out",
    "apply_formatting": "Whether numbers are written with separators of thousands",
    "apply_vis": "Whether hidden fields and series labels of `vis_config` apply",
    "cache": "Accepted: nothing is cached",
    "cache_only": "Accepted: nothing is cached",
    "force_production": "Accepted: there is no other mode",
    "generate_drill_links": "Whether cells have `links`; they are empty",
    "image_height": "Accepted: images are rejected",
    "image_width": "Accepted: images are rejected",
    "path_prefix": "Accepted: there are no links to prefix",
    "rebuild_pdts": "Accepted: there are no derived tables to rebuild",
    "query_task_ids": "Tasks to poll, with commas between them",
    "server_table_calcs": "Whether table calculations are computed",
}
_ERRORS: Mapping[str, str] = {
    "400": "The query failed",
    "401": "The token is missing, or no longer good",
    "404": "There is no such thing",
    "422": "The body lacks something",
}


def describe_api(base_url: str) -> dict[str, Any]:
    """Return an OpenAPI description of the implemented operations."""
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in ROUTES:
        paths[route.path][route.verb.lower()] = _describe(route)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "What the simulator has of Looker's API",
            "version": "4.0",
            "description": "Any operation may respond otherwise because of faults.",
        },
        "externalDocs": {"url": DOCUMENTATION},
        "servers": [{"url": f"{base_url}{API}"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`token`, and the access token that `login` gives",
                }
            },
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["message", "documentation_url"],
                    "properties": {
                        "message": {"type": "string"},
                        "documentation_url": {"type": "string"},
                    },
                }
            },
        },
    }


def describe_swagger() -> dict[str, Any]:
    """Return a Swagger 2.0 description, from which Looker's SDK for Ruby makes its methods."""
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in ROUTES:
        operation = _describe(route)
        if operation.pop("requestBody", None):
            operation["parameters"].append({"name": "body", "in": "body", "schema": {}})
        paths[route.path][route.verb.lower()] = operation
    info = {"title": "Looker API of the simulator", "version": "4.0"}
    return {"swagger": "2.0", "info": info, "basePath": API, "paths": paths}


def _describe(route: ApiRoute) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "summary": route.operation_id.replace("_", " ").capitalize(),
        "parameters": [*_parameters(route)],
        "responses": {
            "204" if route.verb == "DELETE" else "200": {"description": "Done"},
            **{status: _rejection(description) for status, description in _ERRORS.items()},
        },
    }
    if route.verb in {"PATCH", "POST"}:
        kind = "application/json"
        if route.operation_id == "login":
            kind = "application/x-www-form-urlencoded"
            operation["security"] = []
        operation["requestBody"] = {"content": {kind: {"schema": {"type": "object"}}}}
    return operation


def _parameters(route: ApiRoute) -> list[dict[str, Any]]:
    text = {"type": "string"}
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": text}
        for name in _IN_PATH.findall(route.path)
    ]
    in_query = [
        {"name": name, "in": "query", "description": _describe_parameter(name), "schema": text}
        for name in route.query
    ]
    return [*in_path, *in_query]


def _describe_parameter(name: str) -> str:
    return _PARAMETERS.get(name, f"`{name}` that is searched for")


def _rejection(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
