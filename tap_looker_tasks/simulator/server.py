"""The simulated Looker's HTTP: one endpoint per operation, named after its operationId."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from tap_looker_tasks.simulator import content, formats
from tap_looker_tasks.simulator.faults import FAULTS, Faults
from tap_looker_tasks.simulator.mishaps import Mishaps
from tap_looker_tasks.simulator.model import MODEL_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from starlette.types import Receive, Scope, Send

    from tap_looker_tasks.simulator.calls import Call
    from tap_looker_tasks.simulator.engine import Database
    from tap_looker_tasks.simulator.tasks import QueryTask, QueryTasks

_DOCUMENTATION = "https://docs.cloud.google.com/looker/docs/reference/looker-api/latest"
_LONGEST_QUERY_STRING = 10_240
_JSON = "application/json"
_CONTENT_TYPES = {
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
    "sql": "text/plain",
    "txt": "text/plain",
}
_GZIP_FROM_BYTES = 1024


class HttpError(Exception):
    """A request that Looker refuses."""

    def __init__(self, status: int, message: str) -> None:
        """Take the HTTP status and Looker's message."""
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass
class Looker:
    """What the simulated Looker knows.

    Attributes:
        queries: bodies of the stored and created queries, by id.
        calls: requests answered, in order.
        cancelled: tasks that `kill_query` ended.
    """

    database: Database
    tasks: QueryTasks
    client_id: str
    client_secret: str
    token_lifetime_seconds: float
    clock: Callable[[], float] = time.monotonic
    faults: Faults = field(default_factory=Faults)
    queries: dict[str, Mapping[str, Any]] = field(default_factory=lambda: {**content.QUERIES})
    calls: list[Call] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    _tokens: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def login(self, client_id: str, client_secret: str) -> dict[str, Any]:
        """Give out a token."""
        if (client_id, client_secret) != (self.client_id, self.client_secret):
            raise HttpError(404, "Not found")
        token = secrets.token_hex(20)
        self._tokens[token] = self.clock() + self.token_lifetime_seconds
        lifetime = self.token_lifetime_seconds
        shown = int(lifetime) if lifetime == int(lifetime) else lifetime
        return {"access_token": token, "token_type": "Bearer", "expires_in": shown}

    def logout(self, token: str) -> None:
        """Take a token back."""
        self._tokens.pop(token, None)

    def accepts(self, token: str) -> bool:
        """Tell whether a token is good."""
        return self._tokens.get(token, 0.0) > self.clock()

    def create_query(self, body: Mapping[str, Any]) -> str:
        """Store a query, unless there is one like it; returns its id."""
        described = _comparable(body)
        with self._lock:
            for query_id, found in self.queries.items():
                if _comparable(found) == described:
                    return query_id
            query_id = str(len(self.queries) + 1)
            self.queries[query_id] = dict(body)
            return query_id

    def body_of(self, query_id: object) -> Mapping[str, Any]:
        """Look a query up."""
        found = self.queries.get(str(query_id))
        if found is None:
            raise HttpError(404, "Not found")
        return found

    def create_query_task(self, about: Mapping[str, Any], limit: str | None = None) -> QueryTask:
        """Start a run of a stored query."""
        for name in ("query_id", "result_format"):
            if not about.get(name):
                raise HttpError(422, f"Validation Failed: {name} is required")
        known = formats.JSON_FORMATS | formats.TEXT_FORMATS
        if about["result_format"] not in known:
            raise HttpError(400, f"Unknown result_format {about['result_format']}")
        body = self.body_of(about["query_id"])
        return self.tasks.create({**body, "limit": limit} if limit else body, about)


def _comparable(body: Mapping[str, Any]) -> dict[str, Any]:
    described = content.as_query("", body)
    unimportant = {"id", "slug", "client_id", "share_url", "expanded_share_url", "url", "can"}
    return {k: v for k, v in described.items() if v is not None and k not in unimportant}


def application(looker: Looker, drop: Callable[[Any], None]) -> Starlette:
    """The whole API as an ASGI application; `drop` closes a client's connection."""
    operations = _Operations(looker)
    api = [
        Route(path, endpoint=_Endpoint(looker, operation), methods=[verb])
        for verb, path, operation in operations.routes()
    ]
    return Starlette(
        routes=[
            Mount("/api/4.0", routes=api),
            Route("/alive", lambda _: Response()),
            *_own_routes(looker),
        ],
        middleware=[
            Middleware(Mishaps, looker=looker, drop=drop, operation_of=operations.name_of),
            Middleware(GZipMiddleware, minimum_size=_GZIP_FROM_BYTES),
        ],
    )


def _own_routes(looker: Looker) -> list[Route]:
    """What Looker does not have: faults on demand, and the calls so far."""

    async def add_fault(request: Request) -> Response:
        wanted = await request.json()
        if wanted.get("name") not in FAULTS:
            return _error(422, f"name must be one of {', '.join(FAULTS)}")
        looker.faults.add(wanted.pop("name"), **wanted)
        return Response(status_code=204)

    def list_faults(_: Request) -> Response:
        return _json(looker.faults.names())

    def clear_faults(_: Request) -> Response:
        looker.faults.clear()
        return Response(status_code=204)

    def list_calls(_: Request) -> Response:
        return _json(looker.calls)

    return [
        Route("/simulator/faults", add_fault, methods=["POST"]),
        Route("/simulator/faults", list_faults, methods=["GET"]),
        Route("/simulator/faults", clear_faults, methods=["DELETE"]),
        Route("/simulator/calls", list_calls, methods=["GET"]),
    ]


@dataclass(frozen=True)
class _Asked:
    """A request, read."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    query_task_ids: tuple[str, ...]
    body: Any
    form: Mapping[str, Any]
    token: str
    faults: Mapping[str, float]


class _Endpoint:
    """Reads a request, runs the operation on a thread, and answers."""

    def __init__(self, looker: Looker, operation: Callable[[_Asked], Response]) -> None:
        self._looker = looker
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if len(request.url.query) > _LONGEST_QUERY_STRING:
            return HTMLResponse("<html><h1>414 URI Too Long</h1></html>", 414)
        asked = await _read(request)
        if self._operation.__name__ != "login" and not self._looker.accepts(asked.token):
            return _error(401, "Requires authentication.")
        try:
            return await asyncio.to_thread(self._operation, asked)
        except HttpError as error:
            return _error(error.status, error.message)


async def _read(request: Request) -> _Asked:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    raw = await request.body()
    is_form = "form" in request.headers.get("Content-Type", "")
    asked_for = ",".join(request.query_params.getlist("query_task_ids"))
    return _Asked(
        path=request.path_params,
        query=request.query_params,
        query_task_ids=tuple(filter(None, asked_for.split(","))),
        body=_decoded(raw) if raw and not is_form else {},
        form=dict(parse_qsl(raw.decode(errors="replace"))) if is_form else {},
        token=token if kind.lower() in {"token", "bearer"} else "",
        faults=request.scope["faults"],
    )


def _decoded(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return {}


class _Operations:
    """Looker's operations; each method is named after its operationId."""

    def __init__(self, looker: Looker) -> None:
        self._looker = looker
        self._tasks = looker.tasks

    def routes(self) -> Iterator[tuple[str, str, Callable[[_Asked], Response]]]:
        """Verb, path and operation; the first that matches is taken."""
        yield "POST", "/login", self.login
        yield "DELETE", "/logout", self.logout
        yield "GET", "/user", self.me
        yield "POST", "/queries", self.create_query
        yield "POST", "/queries/run/{result_format}", self.run_inline_query
        yield "GET", "/queries/slug/{slug}", self.query_for_slug
        yield "GET", "/queries/{query_id}", self.query
        yield "GET", "/queries/{query_id}/run/{result_format}", self.run_query
        yield "GET", "/looks/{look_id}", self.look
        yield "GET", "/looks/{look_id}/run/{result_format}", self.run_look
        yield "GET", "/dashboards/{dashboard_id}", self.dashboard
        yield (
            "GET",
            "/dashboards/{dashboard_id}/dashboard_elements",
            self.dashboard_dashboard_elements,
        )
        yield "GET", "/lookml_models", self.all_lookml_models
        yield "GET", "/lookml_models/{model}/explores/{explore}", self.lookml_model_explore
        yield "POST", "/query_tasks", self.create_query_task
        yield "GET", "/query_tasks/multi_results", self.query_task_multi_results
        yield "GET", "/query_tasks/{query_task_id}", self.query_task
        yield "GET", "/query_tasks/{query_task_id}/results", self.query_task_results
        yield "GET", "/running_queries", self.all_running_queries
        yield "DELETE", "/running_queries/{query_task_id}", self.kill_query

    def name_of(self, verb: str, path: str) -> str:
        """The operationId of a request."""
        if not path.startswith("/api/4.0/"):
            return "alive" if path == "/alive" else "simulator"
        parts = path.removeprefix("/api/4.0").split("/")
        for known_verb, known_path, operation in self.routes():
            known = known_path.split("/")
            if (
                verb == known_verb
                and len(known) == len(parts)
                and all(k == p or k.startswith("{") for k, p in zip(known, parts, strict=True))
            ):
                return operation.__name__
        return "unknown"

    def login(self, asked: _Asked) -> Response:
        given = asked.form or asked.query
        answer = self._looker.login(str(given.get("client_id")), str(given.get("client_secret")))
        return _json(answer)

    def logout(self, asked: _Asked) -> Response:
        self._looker.logout(asked.token)
        return Response(status_code=204)

    def me(self, _: _Asked) -> Response:
        return _json({"id": "1", "display_name": "Simulator", "email": "simulator@looker.test"})

    def create_query(self, asked: _Asked) -> Response:
        if asked.body.get("model") != MODEL_NAME or not asked.body.get("view"):
            raise HttpError(422, "Validation Failed: model and view must name an Explore")
        query_id = self._looker.create_query(asked.body)
        return _json(content.as_query(query_id, self._looker.body_of(query_id)))

    def query(self, asked: _Asked) -> Response:
        query_id = asked.path["query_id"]
        return _json(content.as_query(query_id, self._looker.body_of(query_id)))

    def query_for_slug(self, asked: _Asked) -> Response:
        query_id = asked.path["slug"].removeprefix("slug")
        return _json(content.as_query(query_id, self._looker.body_of(query_id)))

    def look(self, asked: _Asked) -> Response:
        look_id = asked.path["look_id"]
        if look_id not in content.LOOKS:
            raise HttpError(404, "Not found")
        query_id = content.LOOKS[look_id]["query_id"]
        query = query_id and content.as_query(query_id, self._looker.body_of(query_id))
        return _json(content.as_look(look_id, query))

    def dashboard(self, asked: _Asked) -> Response:
        if asked.path["dashboard_id"] not in content.DASHBOARDS:
            raise HttpError(404, "Not found")
        return _json(content.as_dashboard(asked.path["dashboard_id"]))

    def dashboard_dashboard_elements(self, asked: _Asked) -> Response:
        if asked.path["dashboard_id"] not in content.DASHBOARDS:
            raise HttpError(404, "Not found")
        return _json(content.as_dashboard(asked.path["dashboard_id"])["dashboard_elements"])

    def all_lookml_models(self, _: _Asked) -> Response:
        return _json([{"name": MODEL_NAME, "label": MODEL_NAME, "project_name": MODEL_NAME}])

    def lookml_model_explore(self, asked: _Asked) -> Response:
        found = self._looker.database.explore(asked.path["model"], asked.path["explore"])
        if found is None:
            raise HttpError(404, "Not found")
        return _json(found)

    def create_query_task(self, asked: _Asked) -> Response:
        limit = asked.query.get("limit")
        task = self._looker.create_query_task(asked.body, limit=limit)
        return _json(_described(task))

    def query_task(self, asked: _Asked) -> Response:
        return _json(_described(self._task(asked)))

    def query_task_multi_results(self, asked: _Asked) -> Response:
        ids = asked.query_task_ids
        if "unknown_id_refuses_batch" in asked.faults and not all(map(self._tasks.find, ids)):
            raise HttpError(404, "Not found")
        entries = {id_: self._entry(id_, asked.faults) for id_ in ids}
        body = b",".join(
            msgspec.json.encode(id_) + b":" + entry for id_, entry in entries.items() if entry
        )
        return Response(b"{" + body + b"}", media_type=_JSON)

    def query_task_results(self, asked: _Asked) -> Response:
        task = self._task(asked)
        if task.status in {"added", "running"}:
            return Response(status_code=202)
        if task.status == "error" and task.result_format != "json_detail":
            raise HttpError(400, "The query failed")
        if task.data is None or task.status == "expired":
            raise HttpError(404, "Not found")
        return _result(task.result_format, task.data)

    def all_running_queries(self, _: _Asked) -> Response:
        running = [t for t in self._tasks.every() if t.status in {"added", "running"}]
        return _json(
            [
                {
                    "id": f"{n}",
                    "query_task_id": task.query_task_id,
                    "query_id": task.about.get("query_id"),
                    "status": task.status,
                    "source": "api4",
                }
                for n, task in enumerate(running)
            ]
        )

    def kill_query(self, asked: _Asked) -> Response:
        task = self._task(asked)
        if not self._tasks.kill(task):
            return HTMLResponse("<html><h1>404 Not Found</h1></html>", 404)
        self._looker.cancelled.add(task.query_task_id)
        return Response(status_code=204)

    def run_query(self, asked: _Asked) -> Response:
        query_id = asked.path["query_id"]
        return self._run(asked, self._looker.body_of(query_id))

    def run_inline_query(self, asked: _Asked) -> Response:
        return self._run(asked, asked.body)

    def run_look(self, asked: _Asked) -> Response:
        look = content.LOOKS.get(asked.path["look_id"])
        if look is None:
            raise HttpError(404, "Not found")
        return self._run(asked, self._looker.body_of(look["query_id"]))

    def _run(self, asked: _Asked, body: Mapping[str, Any]) -> Response:
        """Run a query while the client waits."""
        about = {"query_id": asked.path.get("query_id", ""), **asked.path}
        limit = asked.query.get("limit")
        task = self._tasks.run_now({**body, "limit": limit} if limit else body, about)
        if task.status == "error" and task.result_format != "json_detail":
            raise HttpError(400, "The query failed")
        return _result(task.result_format, task.data or b"null")

    def _task(self, asked: _Asked) -> QueryTask:
        task = self._tasks.find(asked.path["query_task_id"])
        if task is None:
            raise HttpError(404, "Not found")
        return task

    def _entry(self, query_task_id: str, faults: Mapping[str, float]) -> bytes | None:
        """What the answer for many tasks says of one; None: nothing."""
        task = self._tasks.find(query_task_id)
        if task is None or "absent" in faults:
            return None
        if task.script:
            answer = task.script.pop(0) if len(task.script) > 1 else task.script[0]
            return answer if answer is None or isinstance(answer, bytes) else formats.encode(answer)
        if "killed" in faults:
            self._tasks.kill(task)
        if "results_expired" in faults:
            self._tasks.expire(task)
        return _told(task, faults)


def _told(task: QueryTask, faults: Mapping[str, float]) -> bytes:
    if "missing" in faults:
        return b'{"status":"missing"}'
    if "expired_flap" in faults:
        return b'{"status":"expired","data":{"error":"Results have expired. Run the query again."}}'
    if "unknown_status" in faults:
        return b'{"status":"paused"}'
    status = task.status.title() if "capitalised" in faults else task.status
    entry: dict[str, Any] = {"status": status}
    if task.data is not None:
        source = "query" if task.status in {"complete", "error"} else None
        entry |= {"result_source": source, "data": msgspec.Raw(_data(task, task.data, faults))}
    return msgspec.json.encode(entry)


def _data(task: QueryTask, data: bytes, faults: Mapping[str, float]) -> bytes:
    if "no_data" in faults:
        return b"null"
    if "malformed_data" in faults:
        return b"5"
    if "dev_mode_note" in faults and task.result_format == "json_detail":
        payload = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        payload["errors"] = msgspec.Raw(msgspec.json.encode([formats.NOTE]))
        return msgspec.json.encode(payload)
    return data


def _described(task: QueryTask) -> dict[str, Any]:
    """A task: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/QueryTask>."""
    about = task.about
    return {
        "id": task.query_task_id,
        "can": {},
        "query_id": about.get("query_id") and str(about["query_id"]),
        "query_slug": None,
        "query": None,
        "result_format": about.get("result_format"),
        "result_source": "query" if task.data is not None else None,
        "status": task.status,
        "look_id": about.get("look_id"),
        "dashboard_id": about.get("dashboard_id"),
        "source": about.get("source") or "api4",
        "runtime": task.runtime_seconds,
        "cache": False,
        "cache_only": False,
        "apply_formatting": False,
        "apply_vis": False,
        "generate_links": False,
        "force_production": False,
        "rebuild_pdts": False,
    }


def _result(result_format: str, data: bytes) -> Response:
    content_type = _CONTENT_TYPES.get(result_format)
    if content_type is None:
        return Response(data, media_type=_JSON)
    return PlainTextResponse(msgspec.json.decode(data), media_type=content_type)


def _json(value: object) -> Response:
    return Response(formats.encode(value), media_type=_JSON)


def _error(status: int, message: str) -> Response:
    body = {"message": message, "documentation_url": _DOCUMENTATION}
    return Response(formats.encode(body), status, media_type=_JSON)
