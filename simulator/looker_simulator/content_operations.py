"""Operations on what people store in Looker: queries, Looks, dashboards, models.

Each function is named after its operationId.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from looker_simulator.content import as_dashboard_base, as_explore, as_model
from looker_simulator.exchange import (
    answer_json,
    answer_nothing,
    answer_part,
    answer_search,
)
from looker_simulator.looker import HttpError, Looker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from looker_simulator.exchange import ApiRequest


# Some of those that Looker offers; it knows others, too.
TIME_ZONES = (
    *("UTC", "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"),
    *("America/Sao_Paulo", "Europe/London", "Europe/Berlin", "Asia/Kolkata", "Asia/Tokyo"),
    *("Australia/Sydney", "Pacific/Auckland"),
)


# Of the only user.
PERMISSIONS = (
    *("access_data", "see_lookml_dashboards", "see_looks", "see_user_dashboards"),
    *("explore", "create_table_calculations", "create_custom_fields", "download_without_limit"),
    *("see_queries", "see_sql", "see_system_activity", "see_users"),
)


def login(looker: Looker, request: ApiRequest) -> Response:
    """Answer `POST /login`."""
    given = request.form or request.query
    return answer_json(looker.login(str(given.get("client_id")), str(given.get("client_secret"))))


def logout(looker: Looker, request: ApiRequest) -> Response:
    """Answer `DELETE /logout`."""
    looker.logout(request.token)
    return answer_nothing()


def user_roles(_: Looker, request: ApiRequest) -> Response:
    """Answer `GET /users/{user_id}/roles`."""
    if request.path["user_id"] != "1":
        raise HttpError(404, "Not found")
    permissions = {"id": "3", "name": "Developer", "permissions": [*PERMISSIONS]}
    models = {"id": "1", "name": "All", "models": []}
    role = {"id": "2", "name": "Developer", "permission_set": permissions, "model_set": models}
    return answer_json([role], request.fields)


def session(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /session`."""
    return answer_json(_as_session(looker, request))


def update_session(looker: Looker, request: ApiRequest) -> Response:
    """Answer `PATCH /session`: it enters or leaves development mode."""
    workspace = request.body.get("workspace_id")
    if workspace not in {"dev", "production"}:
        raise HttpError(422, "Validation Failed: workspace_id must be dev or production")
    looker.workspaces[request.token] = str(workspace)
    return answer_json(_as_session(looker, request))


def _as_session(looker: Looker, request: ApiRequest) -> dict[str, Any]:
    workspace = looker.workspaces.get(request.token, "production")
    return {"can": {"update": True}, "workspace_id": workspace, "sudo_user_id": None}


def me(_: Looker, request: ApiRequest) -> Response:
    """Answer `GET /user`."""
    user = {"id": "1", "display_name": "Simulator", "email": "simulator@looker.test"}
    return answer_json(user, request.fields)


def versions(_: Looker, request: ApiRequest) -> Response:
    """Answer `GET /versions`."""
    current = {"version": "4.0", "full_version": "4.0.26.14", "status": "current"}
    answer = {
        "looker_release_version": "26.14.0",
        "current_version": current,
        "supported_versions": [current],
    }
    return answer_json(answer, request.fields)


def all_timezones(_: Looker, __: ApiRequest) -> Response:
    """Answer `GET /timezones`."""
    answer = [
        {"value": zone, "label": zone.replace("_", " "), "group": zone.partition("/")[0]}
        for zone in TIME_ZONES
    ]
    return answer_json(answer)


def look(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /looks/{look_id}`; what is in the trash is still given."""
    return answer_json(looker.describe_look_with_query(request.path["look_id"]), request.fields)


def all_looks(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /looks`."""
    looks = [looker.describe_look(id_) for id_ in looker.looks]
    return answer_json([look for look in looks if not look["deleted"]], request.fields)


def search_looks(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /looks/search`."""
    return answer_search(request, [looker.describe_look(id_) for id_ in looker.looks])


def dashboard(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /dashboards/{dashboard_id}`."""
    return answer_json(looker.dashboard(request.path["dashboard_id"]), request.fields)


def all_dashboards(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /dashboards`; LookML dashboards are among them."""
    dashboards = [
        as_dashboard_base(id_, found, looker.folders)
        for id_, found in looker.dashboards.items()
        if not found.get("deleted")
    ]
    return answer_json(dashboards, request.fields)


def search_dashboards(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /dashboards/search`; LookML dashboards are not searched."""
    dashboards = [looker.dashboard(id_) for id_ in looker.dashboards if "::" not in id_]
    return answer_search(request, dashboards)


def dashboard_dashboard_elements(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /dashboards/{dashboard_id}/dashboard_elements`."""
    elements = looker.dashboard(request.path["dashboard_id"])["dashboard_elements"]
    return answer_json(elements, request.fields)


def dashboard_dashboard_filters(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /dashboards/{dashboard_id}/dashboard_filters`."""
    filters = looker.dashboard(request.path["dashboard_id"])["dashboard_filters"]
    return answer_json(filters, request.fields)


def merge_query(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /merge_queries/{merge_query_id}`."""
    return answer_json(looker.merge_query(request.path["merge_query_id"]), request.fields)


def all_folders(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /folders`."""
    return answer_json([looker.describe_folder(id_) for id_ in looker.folders], request.fields)


def search_folders(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /folders/search`."""
    return answer_search(request, [*map(looker.describe_folder, looker.folders)])


def folder(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /folders/{folder_id}`, with the Looks and dashboards in it."""
    folder_id = request.path["folder_id"]
    described = looker.describe_folder(folder_id)
    looks = [look for look in map(looker.describe_look, looker.looks) if _is_in(folder_id, look)]
    dashboards = [
        as_dashboard_base(found["id"], looker.dashboards[found["id"]], looker.folders)
        for found in map(looker.dashboard, looker.dashboards)
        if _is_in(folder_id, found)
    ]
    return answer_json({**described, "looks": looks, "dashboards": dashboards}, request.fields)


def folder_looks(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /folders/{folder_id}/looks`."""
    folder_id = request.path["folder_id"]
    looker.describe_folder(folder_id)
    looks = map(looker.describe_look_with_query, looker.looks)
    return answer_json([look for look in looks if _is_in(folder_id, look)], request.fields)


def folder_dashboards(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /folders/{folder_id}/dashboards`."""
    folder_id = request.path["folder_id"]
    looker.describe_folder(folder_id)
    found = map(looker.dashboard, looker.dashboards)
    return answer_json([each for each in found if _is_in(folder_id, each)], request.fields)


def _is_in(folder_id: str, described: Mapping[str, Any]) -> bool:
    return described["folder_id"] == folder_id and not described["deleted"]


def all_lookml_models(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /lookml_models`."""
    models = [as_model(model) for model in looker.database.project.models.values()]
    return answer_part(request, models)


def lookml_model(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /lookml_models/{lookml_model_name}`."""
    found = looker.database.project.models.get(request.path["lookml_model_name"])
    if found is None:
        raise HttpError(404, "Not found")
    return answer_json(as_model(found), request.fields)


def lookml_model_explore(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /lookml_models/{lookml_model_name}/explores/{explore_name}`."""
    name = request.path["lookml_model_name"]
    found = looker.database.find_explore(name, request.path["explore_name"])
    if found is None or not found.is_readable:
        raise HttpError(404, "Not found")
    model = looker.database.project.models[name]
    return answer_json(as_explore(model, found, looker.hidden_fields), request.fields)
