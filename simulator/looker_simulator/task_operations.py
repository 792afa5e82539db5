"""Operations on query tasks, each function named after its operationId."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from looker_simulator import formats
from looker_simulator.exchange import (
    JSON,
    answer_json,
    answer_nothing,
    answer_result,
)
from looker_simulator.looker import HttpError, Looker
from looker_simulator.tasks import QueryTask, RealAnswer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from looker_simulator.exchange import ApiRequest

_UNFINISHED = frozenset({"added", "running"})
_IN_PLACE_OF_A_STATUS: Mapping[str, bytes] = {
    "missing": b'{"status":"missing"}',
    "expired_flap": (
        b'{"status":"expired","data":{"error":"Results have expired. Run the query again."}}'
    ),
    "unknown_status": b'{"status":"paused"}',
    "entry_not_an_object": b"5",
}
_ROW_CAP = 5000
_SEVERED = {"looker_error": "The database closed the connection"}
_IN_PLACE_OF_DATA: Mapping[str, bytes] = {"no_data": b"null", "malformed_data": b"5"}


def create_query_task(looker: Looker, request: ApiRequest) -> Response:
    """Answer `POST /query_tasks`."""
    about = {
        **request.body,
        "server_table_calcs": request.is_set("server_table_calcs"),
        "cache": request.query.get("cache", "true").lower() != "false",
    }
    task = looker.create_query_task(about, limit=request.query.get("limit"))
    return answer_json(_as_query_task(task), request.fields)


def query_task(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /query_tasks/{query_task_id}`."""
    return answer_json(_as_query_task(_find(looker, request)), request.fields)


def query_task_multi_results(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /query_tasks/multi_results`."""
    ids = request.query_task_ids
    if "unknown_id_refuses_batch" in request.faults and not all(map(looker.tasks.find, ids)):
        raise HttpError(404, "Not found")
    entries = {id_: _entry(looker, request, id_) for id_ in ids}
    body = b",".join(
        msgspec.json.encode(id_) + b":" + entry for id_, entry in entries.items() if entry
    )
    return Response(b"{" + body + b"}", media_type=JSON)


def query_task_results(looker: Looker, request: ApiRequest) -> Response:
    """Answer `GET /query_tasks/{query_task_id}/results`."""
    task = _find(looker, request)
    if task.status in _UNFINISHED:
        return answer_nothing(202)
    if task.status == "error" and task.result_format != "json_detail":
        raise HttpError(400, "The query failed")
    if task.data is None or task.status == "expired":
        raise HttpError(404, "Not found")
    return answer_result(task.result_format, task.data)


def all_running_queries(looker: Looker, _: ApiRequest) -> Response:
    """Answer `GET /running_queries`."""
    running = [task for task in looker.tasks.every() if task.status in _UNFINISHED]
    return answer_json(
        [
            {
                "id": f"{n}",
                "query_task_id": task.query_task_id,
                "query_id": str(task.about.get("query_id")),
                "status": task.status,
                "source": "api4",
            }
            for n, task in enumerate(running)
        ]
    )


def kill_query(looker: Looker, request: ApiRequest) -> Response:
    """Answer `DELETE /running_queries/{query_task_id}`."""
    task = _find(looker, request)
    if not looker.tasks.kill(task):
        raise HttpError(404, "Not found")
    looker.cancelled.add(task.query_task_id)
    return answer_nothing()


def _find(looker: Looker, request: ApiRequest) -> QueryTask:
    task = looker.tasks.find(request.path["query_task_id"])
    if task is None:
        raise HttpError(404, "Not found")
    return task


def _entry(looker: Looker, request: ApiRequest, query_task_id: str) -> bytes | None:
    """Return what the answer for many tasks says of one; None: nothing."""
    task = looker.tasks.find(query_task_id)
    if task is None:
        return None
    faults = request.faults_of(query_task_id, task.query_id)
    if "absent" in faults:
        return None
    scripted = task.next_scripted()
    if not isinstance(scripted, RealAnswer):
        return scripted
    if "killed" in faults:
        looker.tasks.kill(task)
    if "results_expired" in faults:
        looker.tasks.expire(task)
    replaced = (_IN_PLACE_OF_A_STATUS[name] for name in faults if name in _IN_PLACE_OF_A_STATUS)
    return next(replaced, None) or _outcome(task, faults)


def _outcome(task: QueryTask, faults: Collection[str]) -> bytes:
    status = task.status.title() if "capitalised" in faults else task.status
    entry: dict[str, Any] = {"status": status}
    if task.data is not None:
        source = "query" if task.status in {"complete", "error"} else None
        data = _changed(task, task.data, faults)
        entry |= {"result_source": source, "data": msgspec.Raw(data)}
    return msgspec.json.encode(entry)


def _changed(task: QueryTask, data: bytes, faults: Collection[str]) -> bytes:
    """Return a task's data as the faults will have it."""
    result_format = task.result_format
    if task.about.get("cache") is False:
        faults = {*faults} - {"from_cache"}
    replaced = next((_IN_PLACE_OF_DATA[name] for name in faults if name in _IN_PLACE_OF_DATA), None)
    if replaced is not None:
        return replaced
    if task.status == "complete":
        data = _with_other_rows(result_format, data, faults)
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


def _changed_detail(data: bytes, faults: Collection[str]) -> bytes:
    if not {*faults} & {"dev_mode_note", "no_fields", "from_cache"}:
        return data
    payload = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    if "dev_mode_note" in faults:
        payload["errors"] = msgspec.Raw(msgspec.json.encode([formats.NOTE]))
    if "from_cache" in faults:
        payload["from_cache"] = msgspec.Raw(b"true")
    if "no_fields" in faults:
        payload.pop("fields", None)
    return msgspec.json.encode(payload)


def _changed_bi(data: bytes, faults: Collection[str]) -> bytes:
    changes = {
        "no_fields": ("fields", b"{}"),
        "columns_truncated": ("columns_truncated", b"true"),
        "columns_truncated_text": ("columns_truncated", b'"true"'),
    }
    wanted = dict(change for name, change in changes.items() if name in faults)
    if not wanted:
        return data
    payload = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    metadata = msgspec.json.decode(payload["metadata"], type=dict[str, msgspec.Raw])
    metadata |= {key: msgspec.Raw(value) for key, value in wanted.items()}
    payload["metadata"] = msgspec.Raw(msgspec.json.encode(metadata))
    return msgspec.json.encode(payload)


def _as_query_task(task: QueryTask) -> dict[str, Any]:
    """Describe a task: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/QueryTask>."""
    about = task.about
    return {
        "id": task.query_task_id,
        "can": {},
        "query_id": about.get("query_id") and str(about["query_id"]),
        "result_format": about.get("result_format"),
        "result_source": "query" if task.data is not None else None,
        "status": task.status,
        "look_id": about.get("look_id"),
        "dashboard_id": about.get("dashboard_id"),
        "source": about.get("source") or "api4",
        "runtime": task.runtime_seconds,
        "server_table_calcs": bool(about.get("server_table_calcs")),
        "cache": about.get("cache", True),
        "cache_only": False,
        "generate_links": False,
        "force_production": False,
        "rebuild_pdts": False,
    }
