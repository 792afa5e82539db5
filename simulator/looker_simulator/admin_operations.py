"""Operations on users, roles, connections and projects.

Each function is named after its operationId.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from looker_simulator import people
from looker_simulator.exchange import json_response, part_response, search_response
from looker_simulator.looker import HttpError, Looker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.responses import Response

    from looker_simulator.exchange import ApiRequest
    from looker_simulator.people import User

_CONNECTION = "duckdb"


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
    users = [people.as_user(user) for user in _known_users(looker, request)]
    ids = {id_ for id_ in request.query.get("ids", "").split(",") if id_}
    return part_response(request, [user for user in users if not ids or user["id"] in ids])


def search_users(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /users/search`."""
    return search_response(request, [people.as_user(u) for u in _known_users(looker, request)])


def user(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /users/{user_id}`."""
    return json_response(people.as_user(_find_user(looker, request, "user_id")), request.fields)


def me(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /user`."""
    return json_response(people.as_user(looker.user_of(request.token)), request.fields)


def user_roles(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /users/{user_id}/roles`."""
    return json_response([people.as_role(_find_user(looker, request, "user_id"))], request.fields)


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
            "is_system": name in people.User().all_attributes,
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
    return _users_response(looker, request, people.as_role)


def role(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /roles/{role_id}`."""
    _require_admin(looker, request)
    return _one_response(request, [*map(people.as_role, looker.users)], "role_id")


def role_users(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /roles/{role_id}/users`."""
    _require_admin(looker, request)
    return json_response([people.as_user(_find_user(looker, request, "role_id"))], request.fields)


def all_permission_sets(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /permission_sets`."""
    return _users_response(looker, request, people.as_permission_set)


def permission_set(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /permission_sets/{permission_set_id}`."""
    _require_admin(looker, request)
    sets = [*map(people.as_permission_set, looker.users)]
    return _one_response(request, sets, "permission_set_id")


def all_model_sets(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /model_sets`."""
    return _users_response(looker, request, people.as_model_set)


def model_set(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /model_sets/{model_set_id}`."""
    _require_admin(looker, request)
    return _one_response(request, [*map(people.as_model_set, looker.users)], "model_set_id")


def all_connections(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /connections`: the one database that is behind all models."""
    _require_admin(looker, request)
    return json_response([_as_connection()], request.fields)


def connection(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /connections/{connection_name}`."""
    _require_admin(looker, request)
    return _one_response(request, [_as_connection()], "connection_name", "name")


def _as_connection() -> dict[str, Any]:
    return {
        "name": _CONNECTION,
        "can": {"show": True},
        "dialect": {"name": _CONNECTION, "label": "DuckDB"},
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


def git_branch(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /projects/{project_id}/git_branch`: projects have one branch."""
    project(looker, request)
    return json_response(_BRANCH)


def all_git_branches(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /projects/{project_id}/git_branches`."""
    project(looker, request)
    return json_response([_BRANCH])


_BRANCH = {
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
