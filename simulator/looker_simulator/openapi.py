"""Describes what of Looker's API is implemented, as OpenAPI."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from looker_simulator.responses import DOCUMENTATION
from looker_simulator.routes import API, ROUTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from looker_simulator.routes import ApiRoute

_IN_PATH = re.compile(r"\{(\w+)\}")
_PARAMETERS: Mapping[str, str] = {
    "fields": "Parts of the answer that are wanted, such as `id,query(model)`",
    "limit": "Maximum number of rows or entries",
    "offset": "Entries to skip",
    "page": "Deprecated: page number",
    "per_page": "Deprecated: entries on a page",
    "sorts": "Keys to sort by, such as `title desc`",
    "filter_or": "Whether one match is enough",
    "not_owned_by": "Whether what `user_id` owns is left out",
    "query_task_ids": "Tasks asked for, with commas between them",
    "server_table_calcs": "Whether table calculations are computed",
}
_ERRORS: Mapping[str, str] = {
    "400": "The query failed",
    "401": "The token is missing, or no longer good",
    "404": "There is no such thing",
    "422": "The body lacks something",
}


def describe_api(base_url: str) -> dict[str, Any]:
    """Return an OpenAPI description of the operations that are implemented."""
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in ROUTES:
        paths[route.path][route.verb.lower()] = _describe(route)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "What the simulator has of Looker's API",
            "version": "4.0",
            "description": "Faults can let any operation answer something else.",
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


def _describe(route: ApiRoute) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "summary": route.operation_id.replace("_", " ").capitalize(),
        "parameters": [*_parameters(route)],
        "responses": {
            "204" if route.verb == "DELETE" else "200": {"description": "Done"},
            **{status: _refusal(description) for status, description in _ERRORS.items()},
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


def _refusal(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
