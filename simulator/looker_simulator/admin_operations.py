"""Operations on users, roles, connections and projects.

Each function is named after its operationId.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from looker_simulator.exchange import json_response, part_response, search_response
from looker_simulator.looker import HttpError, Looker, User

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.responses import Response

    from looker_simulator.exchange import ApiRequest

_CONNECTION = "duckdb"
_CONNECTION_TESTS = ("connect", "query")


PERMISSIONS = (
    *("access_data", "see_lookml_dashboards", "see_looks", "see_user_dashboards", "explore"),
    *("see_sql", "see_lookml", "see_users", "see_queries", "see_system_activity", "develop"),
    *("create_table_calculations", "create_custom_fields", "download_with_limit"),
    *("download_without_limit", "save_content", "administer"),
)
"""Permissions that the simulator knows: <https://docs.cloud.google.com/looker/docs/admin-panel-users-roles>."""


def _known_users(looker: Looker, request: ApiRequest) -> Sequence[User]:
    """Return the users that a user may see: all, or only itself."""
    user = looker.user_of(request.token)
    return looker.users if user.may("see_users") else (user,)


def _find_user(looker: Looker, request: ApiRequest, name: str) -> User:
    found = [u for u in _known_users(looker, request) if u.id == request.path[name]]
    if not found:
        raise HttpError(404, "Not found")
    return found[0]


def _require_admin(looker: Looker, request: ApiRequest) -> None:
    looker.require(request.token, "administer")


def all_users(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /users`."""
    users = [as_user(user) for user in _known_users(looker, request)]
    ids = {id_ for id_ in request.query.get("ids", "").split(",") if id_}
    return part_response(request, [user for user in users if not ids or user["id"] in ids])


def search_users(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /users/search`."""
    return search_response(request, [as_user(u) for u in _known_users(looker, request)])


def user(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /users/{user_id}`."""
    return json_response(as_user(_find_user(looker, request, "user_id")), request.fields)


def me(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /user`."""
    return json_response(as_user(looker.user_of(request.token)), request.fields)


def user_roles(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /users/{user_id}/roles`."""
    return json_response([as_role(_find_user(looker, request, "user_id"))], request.fields)


def user_attribute_user_values(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /users/{user_id}/attribute_values`."""
    found = _find_user(looker, request, "user_id")
    values = [
        {
            "name": name,
            "label": name.replace("_", " ").title(),
            "value": value,
            "user_id": found.id,
            "user_attribute_id": name,
            "user_can_edit": False,
            "value_is_hidden": False,
            "source": "User" if name in found.attributes else "System",
        }
        for name, value in found.all_attributes.items()
    ]
    ids = {id_ for id_ in request.query.get("user_attribute_ids", "").split(",") if id_}
    chosen = [value for value in values if not ids or value["user_attribute_id"] in ids]
    return json_response(chosen, request.fields)


def _attributes(looker: Looker) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for user in looker.users for name in user.all_attributes)
    return [
        {
            "id": name,
            "name": name,
            "label": name.replace("_", " ").title(),
            "type": "string",
            "default_value": None,
            "is_system": name in User().all_attributes,
            "user_can_view": True,
        }
        for name in names
    ]


def all_user_attributes(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /user_attributes`."""
    return part_response(request, _attributes(looker))


def user_attribute(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /user_attributes/{user_attribute_id}`."""
    return _one_response(request, _attributes(looker), "user_attribute_id")


def _users_response(
    looker: Looker, request: ApiRequest, describe: Callable[[User], dict[str, Any]]
) -> Response:
    _require_admin(looker, request)
    return json_response([*map(describe, looker.users)], request.fields)


def all_roles(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /roles`."""
    return _users_response(looker, request, as_role)


def role(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /roles/{role_id}`."""
    _require_admin(looker, request)
    return _one_response(request, [*map(as_role, looker.users)], "role_id")


def role_users(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /roles/{role_id}/users`."""
    _require_admin(looker, request)
    return json_response([as_user(_find_user(looker, request, "role_id"))], request.fields)


def all_permission_sets(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /permission_sets`."""
    return _users_response(looker, request, as_permission_set)


def permission_set(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /permission_sets/{permission_set_id}`."""
    _require_admin(looker, request)
    sets = [*map(as_permission_set, looker.users)]
    return _one_response(request, sets, "permission_set_id")


def all_model_sets(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /model_sets`."""
    return _users_response(looker, request, as_model_set)


def model_set(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /model_sets/{model_set_id}`."""
    _require_admin(looker, request)
    return _one_response(request, [*map(as_model_set, looker.users)], "model_set_id")


def all_connections(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /connections`: the one database that is behind all models."""
    _require_admin(looker, request)
    return json_response([_as_connection()], request.fields)


def connection(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /connections/{connection_name}`."""
    _require_admin(looker, request)
    return _one_response(request, [_as_connection()], "connection_name", "name")


def test_connection(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `PUT /connections/{connection_name}/test`: each known test passes."""
    connection(looker, request)
    names = request.query.get("tests", "").split(",")
    known = [name for name in _CONNECTION_TESTS if name in names or names == [""]]
    return json_response([{"name": name, "status": "success"} for name in known])


def get_setting(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /setting`."""
    _require_admin(looker, request)
    host = request.url.partition("/api/")[0]
    return json_response({"host_url": host, "instance_config": None}, request.fields)


def _as_connection() -> dict[str, Any]:
    return {
        "name": _CONNECTION,
        "can": {"show": True},
        "dialect": {
            "name": _CONNECTION,
            "label": "DuckDB",
            "connection_tests": [*_CONNECTION_TESTS],
        },
        "dialect_name": _CONNECTION,
        "db_timezone": "UTC",
        "query_timezone": None,
        "example": True,
        "managed": False,
        "pdts_enabled": False,
    }


def all_projects(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /projects`: each model is a project."""
    return json_response(_projects(looker, request), request.fields)


def project(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /projects/{project_id}`."""
    return _one_response(request, _projects(looker, request), "project_id")


def manifest(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /projects/{project_id}/manifest`: no project imports another."""
    project(looker, request)
    return json_response({"name": request.path["project_id"], "imports": []}, request.fields)


def git_branch(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /projects/{project_id}/git_branch`: projects have one branch."""
    project(looker, request)
    return json_response(_BRANCH)


def update_git_branch(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `PUT /projects/{project_id}/git_branch`, which checks a branch out."""
    project(looker, request)
    if request.body.get("name") != _BRANCH["name"]:
        raise HttpError(404, "Not found")
    return json_response(_BRANCH)


def all_git_branches(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /projects/{project_id}/git_branches`."""
    project(looker, request)
    return json_response([_BRANCH])


_BRANCH: Mapping[str, Any] = {
    "name": "main",
    "is_local": True,
    "is_production": True,
    "ahead_count": 0,
    "ref": "0" * 40,
}


def _projects(looker: Looker, request: ApiRequest) -> list[dict[str, Any]]:
    user = looker.user_of(request.token)
    names = [name for name in looker.database.project.models if user.may("access_data", name)]
    shared = {"uses_git": False, "git_remote_url": None, "validation_required": False}
    return [{"id": name, "name": name, "can": {"show": True}, **shared} for name in names]


def _one_response(
    request: ApiRequest, entries: Sequence[dict[str, Any]], parameter: str, key: str = "id"
) -> Response:
    """Respond with the entry that a parameter of the path names."""
    for entry in entries:
        if entry[key] == request.path[parameter]:
            return json_response(entry, request.fields)
    raise HttpError(404, "Not found")


def as_user(user: User) -> dict[str, Any]:
    """Describe a user: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/User>."""
    first, _, last = user.name.partition(" ")
    return {
        "id": user.id,
        "can": {"show": True},
        "display_name": user.name,
        "first_name": first,
        "last_name": last,
        "email": user.email,
        "is_disabled": False,
        "locale": "en",
        "group_ids": ["1"],
        "role_ids": [user.id],
        "url": f"/users/{user.id}",
    }


def as_role(user: User) -> dict[str, Any]:
    """Describe the role of a user; each user has one, with the user's ID.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Role>
    """
    return {
        "id": user.id,
        "can": {"show": True},
        "name": f"Role of {user.name}",
        "permission_set": as_permission_set(user),
        "permission_set_id": user.id,
        "model_set": as_model_set(user),
        "model_set_id": user.id,
    }


def as_permission_set(user: User) -> dict[str, Any]:
    """Describe the permissions of a user."""
    allowed = PERMISSIONS if user.permissions is None else sorted(user.permissions)
    return {
        "id": user.id,
        "can": {"show": True},
        "name": f"Permissions of {user.name}",
        "permissions": [*allowed],
        "all_access": user.permissions is None,
        "built_in": False,
    }


def as_model_set(user: User) -> dict[str, Any]:
    """Describe the models of a user."""
    return {
        "id": user.id,
        "can": {"show": True},
        "name": f"Models of {user.name}",
        "models": sorted(user.models or ()),
        "all_access": user.models is None,
        "built_in": False,
    }
