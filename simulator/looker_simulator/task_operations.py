"""Operations on queries and query tasks, each function named after its operationId."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response, StreamingResponse

from looker_simulator import content, formats
from looker_simulator.exchange import (
    JSON,
    empty_response,
    json_response,
    result_response,
)
from looker_simulator.looker import HttpError, Looker, check_format, reject_fields
from looker_simulator.tasks import QueryTask, RealEntry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from looker_simulator.exchange import ApiRequest

RUN_FLAGS = (
    *("apply_formatting", "apply_vis", "cache", "cache_only", "force_production"),
    *("generate_drill_links", "rebuild_pdts", "server_table_calcs"),
)
_TASK_KEYS = frozenset(
    {
        *("query_id", "result_format", "source", "deferred", "look_id", "dashboard_id", "can"),
        *("id", "query", "status", "runtime", "result_source", "cache_key", "generate_links"),
        *("path_prefix", *RUN_FLAGS),
    }
)
_UNFINISHED = frozenset({"added", "running"})
_IN_PLACE_OF_A_STATUS: Mapping[str, bytes] = {
    "missing": b'{"status":"missing"}',
    "expired_flap": (
        b'{"status":"expired","data":{"error":"Results have expired. Run the query again."}}'
    ),
    "unknown_status": b'{"status":"paused"}',
    "entry_not_an_object": b"5",
}
_MAX_UNSTREAMED_BYTES = 1 << 20
_ROW_CAP = 5000
_SEVERED = {"looker_error": "The database closed the connection"}
_IN_PLACE_OF_DATA: Mapping[str, bytes] = {"no_data": b"null", "malformed_data": b"5"}


def create_query(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `POST /queries`."""
    _check_body(looker, request.body)
    return json_response(looker.describe_query(looker.create_query(request.body)), request.fields)


def query(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /queries/{query_id}`."""
    key = looker.query_key(request.path["query_id"])
    return json_response(looker.describe_query(key), request.fields)


def query_for_slug(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /queries/slug/{slug}`: the end of a share URL, or an id."""
    key = content.query_key(request.path["slug"].removeprefix("slug"))
    return json_response(looker.describe_query(key), request.fields)


def run_query(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /queries/{query_id}/run/{result_format}`."""
    return _run(looker, request, looker.query_key(request.path["query_id"]))


def run_inline_query(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `POST /queries/run/{result_format}`."""
    _check_body(looker, request.body)
    return _run(looker, request, "")


def run_look(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /looks/{look_id}/run/{result_format}`."""
    key = looker.look(request.path["look_id"])["query_id"]
    described = looker.describe_look(request.path["look_id"])
    is_seen = looker.sees(looker.user_of(request.token), described, "see_looks")
    if key is None or not is_seen:
        raise HttpError(404, "Not found")
    return _run(looker, request, str(key))


def _check_body(looker: Looker, body: Mapping[str, Any]) -> None:
    mistakes = content.find_mistakes(body)
    if not mistakes and body["model"] not in looker.database.project.models:
        mistakes = [("model", "invalid", "model must name a model")]
    if mistakes:
        raise reject_fields(*mistakes)


def _run(looker: Looker, request: ApiRequest, key: str) -> Response:
    """Run a query while the client waits; without a key, the query of the body."""
    result_format = request.path["result_format"]
    user = looker.user_of(request.token)
    check_format(result_format, user)
    about = {
        "query_id": key,
        "result_format": result_format,
        "user": user,
        **_read_options(request),
    }
    body = looker.body_of(key) if key else request.body
    task = looker.tasks.run_now(looker.visible(_limited(request, body), user), about)
    if task.status == "error" and not task.shows_errors:
        raise HttpError(400, f"The query failed: {task.failure}")
    return result_response(
        task.result_format, _changed(task, task.data or b"null", looker.variants)
    )


def _limited(request: ApiRequest, body: Mapping[str, Any]) -> Mapping[str, Any]:
    limit = request.number("limit")
    return body if limit is None else {**body, "limit": str(limit)}


def _read_options(request: ApiRequest) -> dict[str, Any]:
    """Return the parameters for running a query, all of them booleans or text."""
    options: dict[str, Any] = {name: request.is_set(name) for name in RUN_FLAGS}
    options["cache"] = request.query.get("cache", "true").lower() != "false"
    for name in ("image_width", "image_height"):
        request.number(name)
    return {**options, "path_prefix": request.query.get("path_prefix")}


def create_query_task(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `POST /query_tasks`."""
    unknown = [key for key in request.body if key not in _TASK_KEYS]
    if unknown:
        raise reject_fields(*((k, "invalid", f"{k} is not a field of a task") for k in unknown))
    about = {**request.body, **_read_options(request)}
    limit = request.number("limit")
    user = looker.user_of(request.token)
    task = looker.create_query_task(about, user, limit=None if limit is None else str(limit))
    described = _as_query_task(looker, task)
    if "repeated_id" in request.faults:
        first = next(iter(looker.tasks.every()))
        described["id"] = first.query_task_id
    return json_response(described, request.fields)


def query_task(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /query_tasks/{query_task_id}`."""
    return json_response(_as_query_task(looker, _find(looker, request)), request.fields)


def query_task_multi_results(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /query_tasks/multi_results`."""
    ids = request.query_task_ids
    rejects = "unknown_id_refuses_batch" in {*request.faults, *looker.variants}
    if rejects and not all(map(looker.tasks.find, ids)):
        raise HttpError(404, "Not found")
    parts = _entry_parts(looker, request)
    if sum(looker.tasks.packed_bytes(id_) for id_ in ids) > _MAX_UNSTREAMED_BYTES:
        return StreamingResponse(parts, media_type=JSON)
    return Response(b"".join(parts), media_type=JSON)


def _entry_parts(looker: Looker, request: ApiRequest) -> Iterator[bytes]:
    """Yield the parts of the response for many tasks: an entry each, as all may be too large."""
    separator = b"{"
    for id_ in dict.fromkeys(request.query_task_ids):
        if entry := _entry(looker, request, id_):
            yield separator + msgspec.json.encode(id_) + b":"
            yield entry
            separator = b","
    yield b"{}" if separator == b"{" else b"}"


def query_task_results(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `GET /query_tasks/{query_task_id}/results`."""
    task = _find(looker, request)
    if task.status in _UNFINISHED:
        return empty_response(204 if "pending_204" in looker.variants else 202)
    if task.status == "error" and not task.shows_errors:
        raise HttpError(400, f"The query failed: {task.failure}")
    if task.data is None or task.status == "expired":
        raise HttpError(404, "Not found")
    return result_response(task.result_format, _changed(task, task.data, looker.variants))


def all_running_queries(looker: Looker, _: ApiRequest) -> Response:
    """Respond to `GET /running_queries`."""
    running = [task for task in looker.tasks.every() if task.status in _UNFINISHED]
    return json_response(
        [
            {
                "id": f"{n}",
                "query_task_id": task.query_task_id,
                "query_id": looker.query_id(task.query_id) if task.query_id else None,
                "status": task.status,
                "source": "api4",
            }
            for n, task in enumerate(running)
        ]
    )


def kill_query(looker: Looker, request: ApiRequest) -> Response:
    """Respond to `DELETE /running_queries/{query_task_id}`."""
    task = _find(looker, request)
    if not looker.tasks.kill(task):
        raise HttpError(404, "Not found")
    looker.cancelled.add(task.query_task_id)
    return empty_response()


def _find(looker: Looker, request: ApiRequest) -> QueryTask:
    task = looker.tasks.find(request.path["query_task_id"])
    if task is None or not _is_seen(looker, request, task):
        raise HttpError(404, "Not found")
    return task


def _is_seen(looker: Looker, request: ApiRequest, task: QueryTask) -> bool:
    """Return whether a user sees the result of a task: its own, or any."""
    user = looker.user_of(request.token)
    return user.may("administer") or task.user.id == user.id


def _entry(looker: Looker, request: ApiRequest, query_task_id: str) -> bytes | None:
    """Return a task's entry in the response for many tasks; None to leave it out."""
    task = looker.tasks.find(query_task_id)
    if task is None:
        is_shown = "unknown_id_missing" in looker.variants
        return _IN_PLACE_OF_A_STATUS["missing"] if is_shown else None
    if not _is_seen(looker, request, task):
        return _IN_PLACE_OF_A_STATUS["missing"]
    faults = request.faults_of(query_task_id, task.query_id) | looker.variants
    if "absent" in faults:
        return None
    scripted = task.next_scripted()
    if not isinstance(scripted, RealEntry):
        return scripted
    if "killed" in faults:
        looker.tasks.kill(task)
    if "results_expired" in faults:
        looker.tasks.expire(task)
    replaced = (_IN_PLACE_OF_A_STATUS[name] for name in faults if name in _IN_PLACE_OF_A_STATUS)
    return next(replaced, None) or _outcome(task, faults)


def _outcome(task: QueryTask, faults: Collection[str]) -> bytes:
    status = task.status.title() if "capitalized" in faults else task.status
    entry: dict[str, Any] = {"status": status}
    if task.data is not None:
        source = "query" if task.status in {"complete", "error"} else None
        data = _changed(task, task.data, faults)
        entry |= {"result_source": source, "data": msgspec.Raw(data)}
    return msgspec.json.encode(entry)


def _changed(task: QueryTask, data: bytes, faults: Collection[str]) -> bytes:
    """Return a task's data as changed by the faults."""
    result_format = task.result_format
    if task.about.get("cache") is False:
        faults = {*faults} - {"from_cache"}
    replaced = next((_IN_PLACE_OF_DATA[name] for name in faults if name in _IN_PLACE_OF_DATA), None)
    if replaced is not None:
        return replaced
    if task.status == "complete":
        data = _with_other_rows(result_format, data, faults)
        if "great_numbers_as_text" in faults and result_format in formats.JSON_FORMATS:
            data = _GREAT_NUMBER.sub(rb'"\g<0>"', data)
    if result_format == "json_detail":
        return _changed_detail(data, faults)
    return _changed_bi(data, faults) if result_format == "json_bi" else data


def _with_other_rows(result_format: str, data: bytes, faults: Collection[str]) -> bytes:
    """Return a result whose rows are cut, or end in an error."""
    key = {"json_detail": "data", "json_bi": "rows"}.get(result_format)
    if not {*faults} & {"severed", "rows_capped", "rows_null"} or not (
        key or result_format == "json"
    ):
        return data
    payload = msgspec.json.decode(data, type=dict[str, msgspec.Raw]) if key else {}
    rows = msgspec.json.decode(payload[key] if key else data, type=list[msgspec.Raw])
    if "rows_capped" in faults:
        rows = rows[:_ROW_CAP]
        payload |= {"truncated": msgspec.Raw(b"false")} if key == "data" else {}
    if "severed" in faults:
        rows.append(msgspec.Raw(msgspec.json.encode(_SEVERED)))
    written = b"null" if "rows_null" in faults else msgspec.json.encode(rows)
    return msgspec.json.encode(payload | {key: msgspec.Raw(written)}) if key else written


_GREAT_NUMBER = re.compile(rb"(?<=[:,\[])-?(?:\d{16,}|\d{10,}\.\d+)(?=[,\]}])")
_DETAIL_CHANGES = frozenset(
    {
        *("dev_mode_note", "from_cache", "no_fields", "runtime_left_out", "runtime_number"),
        "truncated_left_out",
    }
)


def _changed_detail(data: bytes, faults: Collection[str]) -> bytes:
    if not {*faults} & _DETAIL_CHANGES:
        return data
    payload = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    if "dev_mode_note" in faults:
        payload["errors"] = msgspec.Raw(msgspec.json.encode([formats.NOTE]))
    if "from_cache" in faults:
        payload["from_cache"] = msgspec.Raw(b"true")
    if "no_fields" in faults:
        payload.pop("fields", None)
    if "runtime_left_out" in faults:
        payload.pop("runtime", None)
    if "runtime_number" in faults and "runtime" in payload:
        payload["runtime"] = msgspec.Raw(bytes(payload["runtime"]).strip(b'"'))
    if "truncated_left_out" in faults and bytes(payload.get("truncated", b"")) == b"false":
        del payload["truncated"]
    return msgspec.json.encode(payload)


def _changed_bi(data: bytes, faults: Collection[str]) -> bytes:
    changes = {
        "no_fields": ("fields", b"{}"),
        "columns_truncated": ("columns_truncated", b"true"),
        "columns_truncated_text": ("columns_truncated", b'"true"'),
    }
    if "flat_pivots" in faults:
        data = _flattened(data)
    requested = dict(change for name, change in changes.items() if name in faults)
    is_text = "columns_truncated_as_text" in faults
    if not (requested or is_text):
        return data
    payload = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    metadata = msgspec.json.decode(payload["metadata"], type=dict[str, msgspec.Raw])
    metadata |= {key: msgspec.Raw(value) for key, value in requested.items()}
    if is_text and "columns_truncated" in metadata:
        metadata["columns_truncated"] = msgspec.Raw(b'"%b"' % bytes(metadata["columns_truncated"]))
    payload["metadata"] = msgspec.Raw(msgspec.json.encode(metadata))
    return msgspec.json.encode(payload)


def _flattened(data: bytes) -> bytes:
    """Return a json_bi payload whose pivoted cells have keys `measure|FIELD|pivot`."""
    payload = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    rows = msgspec.json.decode(payload["rows"], type=list[dict[str, msgspec.Raw]])
    flat: list[dict[str, Any]] = []
    for row in rows:
        cells: dict[str, Any] = {}
        for name, raw in row.items():
            # What marks a subtotal is a list.
            is_cell = bytes(raw).startswith(b"{")
            cell = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]) if is_cell else {}
            if "value" in cell or not is_cell:
                cells[name] = raw
            else:
                cells |= {f"{name}|FIELD|{pivot}": inner for pivot, inner in cell.items()}
        flat.append(cells)
    return msgspec.json.encode({**payload, "rows": flat})


def _as_query_task(looker: Looker, task: QueryTask) -> dict[str, Any]:
    """Describe a task: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/QueryTask>."""
    about = task.about
    return {
        "id": task.query_task_id,
        "can": {},
        "query_id": looker.query_id(task.query_id) if task.query_id else None,
        "result_format": about.get("result_format"),
        "result_source": "query" if task.data is not None else None,
        "status": task.status,
        "look_id": about.get("look_id"),
        "dashboard_id": about.get("dashboard_id"),
        "source": about.get("source") or "api4",
        "runtime": task.runtime_seconds,
        "path_prefix": about.get("path_prefix"),
        "generate_links": bool(about.get("generate_drill_links")),
        **{
            name: bool(about.get(name))
            for name in ("server_table_calcs", "cache", "cache_only", "force_production")
        },
        "rebuild_pdts": bool(about.get("rebuild_pdts")),
    }
