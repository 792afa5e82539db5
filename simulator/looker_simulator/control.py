"""Additions to Looker's API: a page, faults on demand, and the calls so far."""

from __future__ import annotations

from collections import Counter
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import Route

from looker_simulator.content_operations import describe_versions
from looker_simulator.exchange import empty_response, error_response, json_response
from looker_simulator.faults import FAULTS, Fault
from looker_simulator.looker import HttpError
from looker_simulator.routes import API, ROUTES, describe_api

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from looker_simulator.exchange import Call
    from looker_simulator.looker import Looker
    from looker_simulator.tasks import QueryTask


PAGE_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
}
"""It needs no other server, and no page may frame it."""

_SHOWN = 100
_MAX_PATH_LENGTH = 160
_FIRST_ERROR = 400
_STATUS_CLASSES: Mapping[str, str] = {
    "added": "busy",
    "running": "busy",
    "complete": "good",
    "error": "bad",
    "expired": "bad",
    "killed": "bad",
}


def render_page(looker: Looker) -> str:
    """Render the page, which reloads each second."""
    template = files(__package__ or "").joinpath("page.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        description=escape(looker.database.project.description),
        api=API,
        faults="".join(
            f'<option value="{name}">{name}: {escape(kind.description)}</option>'
            for name, kind in FAULTS.items()
        ),
        operations="".join(f"<option>{route.operation_id}</option>" for route in ROUTES),
        live=_live(looker),
    )


def _live(looker: Looker) -> str:
    calls = [*looker.calls]
    tasks = looker.tasks.every()
    counts = Counter(call.operation for call in calls)
    statuses = Counter(task.status for task in tasks)
    return (
        _faults(looker.faults.waiting())
        + '<div class="two">'
        + _section(
            f"Tasks: {len(tasks)}",
            ("Status", "Tasks"),
            ((_status(name), _number(count)) for name, count in statuses.most_common()),
        )
        + _section(
            f"Requests: {len(calls)}",
            ("Operation", "Requests"),
            ((_cell(name), _number(count)) for name, count in counts.most_common()),
        )
        + "</div>"
        + _section(
            "Latest tasks",
            ("Task", "Query", "Format", "Status", "Seconds"),
            (_task_row(task) for task in tasks[: -_SHOWN - 1 : -1]),
        )
        + _section(
            "Latest requests",
            ("Before", "Operation", "Path", "Status"),
            (_call_row(call, looker.clock()) for call in calls[: -_SHOWN - 1 : -1]),
        )
    )


def _faults(waiting: Sequence[Fault]) -> str:
    if not waiting:
        return "<section><h2>Faults waiting</h2><p>None.</p></section>"
    clear = (
        '<form method="post" action="/simulator/faults/clear">'
        '<button class="plain">Switch all off</button></form>'
    )
    rows = (
        (
            _cell(fault.name),
            _cell(fault.operation or FAULTS[fault.name].operation or "any"),
            _cell(fault.query_task_id or "any", "id"),
            _cell(fault.query_id or "any"),
            _cell("always" if fault.times is None else str(fault.times)),
            _number(fault.after),
        )
        for fault in waiting
    )
    heads = ("Fault", "Operation", "Task", "Query", "Times left", "Requests before")
    return _section("Faults waiting", heads, rows, clear)


def _task_row(task: QueryTask) -> tuple[str, ...]:
    seconds = "" if task.runtime_seconds is None else f"{task.runtime_seconds:.2f}"
    return (
        _cell(task.query_task_id, "id"),
        _cell(task.query_id),
        _cell(str(task.about.get("result_format") or "")),
        _status(task.status),
        _cell(seconds, "number"),
    )


def _call_row(call: Call, now: float) -> tuple[str, ...]:
    path = f"{call.path}?{call.query}" if call.query else call.path
    is_bad = call.status >= _FIRST_ERROR or not call.status
    return (
        _cell(f"{now - call.at:.0f} s"),
        _cell(call.operation),
        _cell(path if len(path) <= _MAX_PATH_LENGTH else f"{path[:_MAX_PATH_LENGTH]}…", "id wide"),
        _cell(str(call.status) if call.status else "no response", "bad" if is_bad else "good"),
    )


def _section(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], end: str = "") -> str:
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    if not body:
        return f"<section><h2>{title}</h2><p>None yet.</p></section>"
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    return (
        f"<section><h2>{title}</h2><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>{end}</section>"
    )


def _status(status: str) -> str:
    return _cell(status, _STATUS_CLASSES.get(status, ""))


def _number(value: int) -> str:
    return _cell(f"{value:,}")


def _cell(text: str, classes: str = "") -> str:
    return f'<td class="{classes}">{escape(text)}</td>' if classes else f"<td>{escape(text)}</td>"


_FOREIGN = frozenset({"cross-site", "same-site"})


def control_routes(looker: Looker) -> list[Route]:
    """Return the routes that control a simulated Looker."""

    async def add_fault(request: Request) -> Response:
        is_form = "form" in request.headers.get("Content-Type", "")
        try:
            fault = _read_fault(await request.body(), is_form=is_form)
        except ValueError as error:
            return error_response(HttpError(422, str(error)))
        if request.headers.get("Sec-Fetch-Site") in _FOREIGN:
            return error_response(
                HttpError(403, "faults are switched from the page of the simulator only")
            )
        looker.faults.add(fault)
        return RedirectResponse("/", 303) if is_form else empty_response()

    def list_faults(_: Request) -> Response:
        return json_response([fault.name for fault in looker.faults.waiting()])

    def clear_faults(request: Request) -> Response:
        looker.faults.clear()
        return RedirectResponse("/", 303) if request.method == "POST" else empty_response()

    def list_calls(_: Request) -> Response:
        return json_response([*looker.calls])

    def show_page(_: Request) -> Response:
        return HTMLResponse(render_page(looker), headers=PAGE_HEADERS)

    def show_openapi(request: Request) -> Response:
        return json_response(describe_api(str(request.base_url).rstrip("/")))

    def show_versions(request: Request) -> Response:
        return json_response(describe_versions(str(request.base_url).rstrip("/")))

    return [
        Route("/", show_page),
        # Looker has it outside of its API also, without a login.
        Route("/versions", show_versions),
        Route("/openapi.json", show_openapi),
        Route("/simulator/faults", add_fault, methods=["POST"]),
        Route("/simulator/faults", list_faults, methods=["GET"]),
        Route("/simulator/faults", clear_faults, methods=["DELETE"]),
        Route("/simulator/faults/clear", clear_faults, methods=["POST"]),
        Route("/simulator/calls", list_calls, methods=["GET"]),
    ]


def _read_fault(body: bytes, *, is_form: bool) -> Fault:
    if not is_form:
        return msgspec.json.decode(body, type=Fault)
    fields = {name: value for name, value in parse_qsl(body.decode("utf-8", "replace")) if value}
    return msgspec.convert({"times": None, **fields}, Fault, strict=False)
