"""Operations on stored content: queries, Looks, dashboards, folders and models.

Each function is named after its operationId.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from looker_simulator.content import as_dashboard_base, as_explore, as_model
from looker_simulator.exchange import (
    empty_response,
    json_response,
    part_response,
    search_response,
)
from looker_simulator.looker import HttpError, Looker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from looker_simulator.exchange import ApiRequest


# Some of the time zones that Looker offers; it accepts others also.
TIME_ZONES = (
    *("UTC", "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"),
    *("America/Sao_Paulo", "Europe/London", "Europe/Berlin", "Asia/Kolkata", "Asia/Tokyo"),
    *("Australia/Sydney", "Pacific/Auckland"),
)


def login(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `POST /login`."""
    given = request.form or request.query
    return json_response(looker.login(str(given.get("client_id")), str(given.get("client_secret"))))


def logout(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `DELETE /logout`."""
    looker.logout(request.token)
    return empty_response()


def session(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /session`."""
    return json_response(_as_session(looker, request))


def update_session(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `PATCH /session`: it enters or leaves development mode."""
    workspace = request.body.get("workspace_id")
    if workspace not in {"dev", "production"}:
        raise HttpError(422, "Validation Failed: workspace_id must be dev or production")
    looker.workspaces[request.token] = str(workspace)
    return json_response(_as_session(looker, request))


def _as_session(looker: Looker, request: ApiRequest) -> dict[str, Any]:
    workspace = looker.workspaces.get(request.token, "production")
    return {"can": {"update": True}, "workspace_id": workspace, "sudo_user_id": None}


def versions(_: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /versions`."""
    return json_response(describe_versions(request.url.partition("/api/")[0]), request.fields)


def describe_versions(server: str) -> dict[str, Any]:
    """Describe the release of Looker and its API at an address."""
    current = {"version": "4.0", "full_version": "4.0.26.14", "status": "current"}
    return {
        "looker_release_version": "26.14.0",
        "api_server_url": server,
        "web_server_url": server,
        "current_version": current,
        "supported_versions": [current],
    }


def all_timezones(_: Looker, __: ApiRequest) -> Response:
    """Respond to `GET /timezones`."""
    response = [
        {"value": zone, "label": zone.replace("_", " "), "group": zone.partition("/")[0]}
        for zone in TIME_ZONES
    ]
    return json_response(response)


def look(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /looks/{look_id}`; Looks in the trash are included."""
    described = looker.describe_look_with_query(request.path["look_id"])
    if not looker.sees(looker.user_of(request.token), described, "see_looks"):
        raise HttpError(404, "Not found")
    return json_response(described, request.fields)


def _looks(looker: Looker, request: ApiRequest) -> list[dict[str, Any]]:
    """Return the Looks that the user sees."""
    user = looker.user_of(request.token)
    looks = map(looker.describe_look, looker.looks)
    return [look for look in looks if looker.sees(user, look, "see_looks")]


def _dashboards(looker: Looker, request: ApiRequest) -> list[dict[str, Any]]:
    """Return the dashboards that the user sees."""
    user = looker.user_of(request.token)
    dashboards = map(looker.dashboard, looker.dashboards)
    return [each for each in dashboards if looker.sees(user, each, _permission_for(each["id"]))]


def _permission_for(dashboard_id: str) -> str:
    return "see_lookml_dashboards" if "::" in dashboard_id else "see_user_dashboards"


def _find_dashboard(looker: Looker, request: ApiRequest) -> dict[str, Any]:
    described = looker.dashboard(request.path["dashboard_id"])
    permission = _permission_for(described["id"])
    if not looker.sees(looker.user_of(request.token), described, permission):
        raise HttpError(404, "Not found")
    return described


def all_looks(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /looks`."""
    looks = _looks(looker, request)
    return json_response([look for look in looks if not look["deleted"]], request.fields)


def search_looks(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /looks/search`."""
    return search_response(request, _looks(looker, request))


def dashboard(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /dashboards/{dashboard_id}`."""
    return json_response(_find_dashboard(looker, request), request.fields)


def all_dashboards(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /dashboards`; LookML dashboards are among them."""
    dashboards = [
        as_dashboard_base(found["id"], looker.dashboards[found["id"]], looker.folders)
        for found in _dashboards(looker, request)
        if not found["deleted"]
    ]
    return json_response(dashboards, request.fields)


def search_dashboards(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /dashboards/search`; LookML dashboards are not searched."""
    dashboards = [each for each in _dashboards(looker, request) if not each["readonly"]]
    return search_response(request, dashboards)


def dashboard_dashboard_elements(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /dashboards/{dashboard_id}/dashboard_elements`."""
    elements = _find_dashboard(looker, request)["dashboard_elements"]
    return json_response(elements, request.fields)


def dashboard_dashboard_filters(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /dashboards/{dashboard_id}/dashboard_filters`."""
    filters = _find_dashboard(looker, request)["dashboard_filters"]
    return json_response(filters, request.fields)


def search_alerts(_: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /alerts/search`: no dashboard has alerts."""
    return part_response(request, [])


def scheduled_plans_for_look(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /scheduled_plans/look/{look_id}`: nothing is scheduled."""
    look(looker, request)
    return json_response([])


def scheduled_plans_for_dashboard(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /scheduled_plans/dashboard/{dashboard_id}`: nothing is scheduled."""
    _find_dashboard(looker, request)
    return json_response([])


def merge_query(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /merge_queries/{merge_query_id}`."""
    return json_response(looker.merge_query(request.path["merge_query_id"]), request.fields)


def all_folders(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /folders`."""
    return json_response([looker.describe_folder(id_) for id_ in looker.folders], request.fields)


def search_folders(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /folders/search`."""
    return search_response(request, [*map(looker.describe_folder, looker.folders)])


def folder(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /folders/{folder_id}`, with the Looks and dashboards in it."""
    folder_id = request.path["folder_id"]
    described = looker.describe_folder(folder_id)
    looks = [look for look in _looks(looker, request) if _is_in(folder_id, look)]
    dashboards = [
        as_dashboard_base(found["id"], looker.dashboards[found["id"]], looker.folders)
        for found in _dashboards(looker, request)
        if _is_in(folder_id, found)
    ]
    return json_response({**described, "looks": looks, "dashboards": dashboards}, request.fields)


def folder_children(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /folders/{folder_id}/children`."""
    folder_id = looker.describe_folder(request.path["folder_id"])["id"]
    folders = map(looker.describe_folder, looker.folders)
    return part_response(request, [each for each in folders if each["parent_id"] == folder_id])


def folder_parent(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /folders/{folder_id}/parent`."""
    parent_id = looker.describe_folder(request.path["folder_id"])["parent_id"]
    if parent_id is None:
        raise HttpError(404, "Not found")
    return json_response(looker.describe_folder(parent_id), request.fields)


def folder_ancestors(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /folders/{folder_id}/ancestors`, the root first."""
    ancestors: list[dict[str, Any]] = []
    parent_id = looker.describe_folder(request.path["folder_id"])["parent_id"]
    while parent_id is not None:
        ancestors.insert(0, looker.describe_folder(parent_id))
        parent_id = ancestors[0]["parent_id"]
    return json_response(ancestors, request.fields)


def dashboard_element(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /dashboard_elements/{dashboard_element_id}`."""
    return _dashboard_part_response(looker, request, "dashboard_element")


def search_dashboard_elements(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /dashboard_elements/search`."""
    dashboards = _dashboards(looker, request)
    return search_response(
        request, [tile for found in dashboards for tile in found["dashboard_elements"]]
    )


def dashboard_filter(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /dashboard_filters/{dashboard_filter_id}`."""
    return _dashboard_part_response(looker, request, "dashboard_filter")


def _dashboard_part_response(looker: Looker, request: ApiRequest, kind: str) -> Response:
    for found in _dashboards(looker, request):
        for part in found[f"{kind}s"]:
            if part["id"] == request.path[f"{kind}_id"]:
                return json_response(part, request.fields)
    raise HttpError(404, "Not found")


def folder_looks(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /folders/{folder_id}/looks`."""
    folder_id = request.path["folder_id"]
    looker.describe_folder(folder_id)
    looks = [look["id"] for look in _looks(looker, request) if _is_in(folder_id, look)]
    return json_response([*map(looker.describe_look_with_query, looks)], request.fields)


def folder_dashboards(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /folders/{folder_id}/dashboards`."""
    folder_id = request.path["folder_id"]
    looker.describe_folder(folder_id)
    found = _dashboards(looker, request)
    return json_response([each for each in found if _is_in(folder_id, each)], request.fields)


def _is_in(folder_id: str, described: Mapping[str, Any]) -> bool:
    return described["folder_id"] == folder_id and not described["deleted"]


def all_lookml_models(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /lookml_models`."""
    user = looker.user_of(request.token)
    models = [
        as_model(model)
        for name, model in looker.database.project.models.items()
        if user.may("access_data", name)
    ]
    return part_response(request, models)


def lookml_model(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /lookml_models/{lookml_model_name}`."""
    name = request.path["lookml_model_name"]
    looker.require(request.token, "access_data", name)
    found = looker.database.project.models.get(name)
    if found is None:
        raise HttpError(404, "Not found")
    return json_response(as_model(found), request.fields)


def lookml_model_explore(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /lookml_models/{lookml_model_name}/explores/{explore_name}`."""
    name = request.path["lookml_model_name"]
    user = looker.require(request.token, "access_data", name)
    found = looker.database.find_explore(name, request.path["explore_name"])
    if found is None or not found.is_readable:
        raise HttpError(404, "Not found")
    model = looker.database.project.models[name]
    return json_response(
        as_explore(model, found, looker.hidden_from(user, name, found.name)), request.fields
    )
