"""Operations on what people store in Looker: queries, Looks, dashboards, models.

Each function is named after its operationId.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from looker_simulator import content
from looker_simulator.explores import as_explore, as_model
from looker_simulator.looker import HttpError, Looker
from looker_simulator.responses import answer_json, answer_nothing, answer_result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from looker_simulator.api_request import ApiRequest


# Some of those that Looker offers; it knows others, too.
TIME_ZONES = (
    *("UTC", "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"),
    *("America/Sao_Paulo", "Europe/London", "Europe/Berlin", "Asia/Kolkata", "Asia/Tokyo"),
    *("Australia/Sydney", "Pacific/Auckland"),
)


def login(looker: Looker, request: ApiRequest) -> Response:
    """Answer `POST /login`."""
    given = request.form or request.query
    return answer_json(looker.login(str(given.get("client_id")), str(given.get("client_secret"))))


def logout(looker: Looker, request: ApiRequest) -> Response:
    """Answer `DELETE /logout`."""
    looker.logout(request.token)
    return answer_nothing()


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


def create_query(looker: Looker, request: ApiRequest) -> Response:
    """Answer `POST /queries`."""
    if request.body.get("model") not in looker.database.project.models:
        raise HttpError(422, "Validation Failed: model must name a model")
    if not request.body.get("view"):
        raise HttpError(422, "Validation Failed: view must name an Explore")
    return _answer_query(looker, request, looker.create_query(request.body))


def query(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /queries/{query_id}`."""
    return _answer_query(looker, request, request.path["query_id"])


def query_for_slug(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /queries/slug/{slug}`."""
    return _answer_query(looker, request, request.path["slug"].removeprefix("slug"))


def run_query(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /queries/{query_id}/run/{result_format}`."""
    return _run(looker, request, looker.body_of(request.path["query_id"]))


def run_inline_query(looker: Looker, request: ApiRequest) -> Response:
    """Answer `POST /queries/run/{result_format}`."""
    return _run(looker, request, request.body)


def look(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /looks/{look_id}`."""
    found = looker.look(request.path["look_id"])
    query_id = found["query_id"]
    described = query_id and content.as_query(query_id, looker.body_of(query_id))
    answer = content.as_look(request.path["look_id"], found, described)
    return answer_json(answer, request.fields)


def run_look(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /looks/{look_id}/run/{result_format}`."""
    return _run(looker, request, looker.body_of(looker.look(request.path["look_id"])["query_id"]))


def dashboard(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /dashboards/{dashboard_id}`."""
    return answer_json(looker.dashboard(request.path["dashboard_id"]), request.fields)


def dashboard_dashboard_elements(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /dashboards/{dashboard_id}/dashboard_elements`."""
    elements = looker.dashboard(request.path["dashboard_id"])["dashboard_elements"]
    return answer_json(elements, request.fields)


def dashboard_dashboard_filters(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /dashboards/{dashboard_id}/dashboard_filters`."""
    filters = looker.dashboard(request.path["dashboard_id"])["dashboard_filters"]
    return answer_json(filters, request.fields)


def all_lookml_models(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /lookml_models`."""
    models = [as_model(model) for model in looker.database.project.models.values()]
    return answer_json(models, request.fields)


def lookml_model_explore(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /lookml_models/{lookml_model_name}/explores/{explore_name}`."""
    name = request.path["lookml_model_name"]
    found = looker.database.find_explore(name, request.path["explore_name"])
    if found is None or not found.is_readable:
        raise HttpError(404, "Not found")
    model = looker.database.project.models[name]
    return answer_json(as_explore(model, found), request.fields)


def _answer_query(looker: Looker, request: ApiRequest, query_id: str) -> Response:
    return answer_json(content.as_query(query_id, looker.body_of(query_id)), request.fields)


def _run(looker: Looker, request: ApiRequest, body: Mapping[str, Any]) -> Response:
    """Run a query while the client waits."""
    about = {
        "query_id": request.path.get("query_id", ""),
        "server_table_calcs": request.is_set("server_table_calcs"),
        **request.path,
    }
    limit = request.query.get("limit")
    task = looker.tasks.run_now({**body, "limit": limit} if limit else body, about)
    if task.status == "error" and task.result_format != "json_detail":
        raise HttpError(400, "The query failed")
    return answer_result(task.result_format, task.data or b"null")
