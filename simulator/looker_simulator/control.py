"""What Looker does not have: a page, faults on demand, and the calls so far."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import Route

from looker_simulator.faults import Fault
from looker_simulator.openapi import describe_api
from looker_simulator.page import PAGE_HEADERS, render_page
from looker_simulator.responses import answer_error, answer_json, answer_nothing

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from looker_simulator.looker import Looker

_FOREIGN = frozenset({"cross-site", "same-site"})


def control_routes(looker: Looker) -> list[Route]:
    """Build the routes that control a simulated Looker."""

    async def add_fault(request: Request) -> Response:
        is_form = "form" in request.headers.get("Content-Type", "")
        try:
            fault = _read_fault(await request.body(), is_form=is_form)
        except ValueError as error:
            return answer_error(422, str(error))
        if request.headers.get("Sec-Fetch-Site") in _FOREIGN:
            return answer_error(403, "faults are switched from the page of the simulator only")
        looker.faults.add(fault)
        return RedirectResponse("/", 303) if is_form else answer_nothing()

    def list_faults(_: Request) -> Response:
        return answer_json([fault.name for fault in looker.faults.waiting()])

    def clear_faults(request: Request) -> Response:
        looker.faults.clear()
        return RedirectResponse("/", 303) if request.method == "POST" else answer_nothing()

    def list_calls(_: Request) -> Response:
        return answer_json([*looker.calls])

    def show_page(_: Request) -> Response:
        return HTMLResponse(render_page(looker), headers=PAGE_HEADERS)

    def show_openapi(request: Request) -> Response:
        return answer_json(describe_api(str(request.base_url).rstrip("/")))

    return [
        Route("/", show_page),
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
