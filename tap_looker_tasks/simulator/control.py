"""What Looker does not have: faults on demand, and the calls so far, below `/simulator`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.routing import Route

from tap_looker_tasks.simulator.faults import Fault
from tap_looker_tasks.simulator.responses import answer_error, answer_json, answer_nothing

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tap_looker_tasks.simulator.looker import Looker


def control_routes(looker: Looker) -> list[Route]:
    """Build the routes that control a simulated Looker."""

    async def add_fault(request: Request) -> Response:
        try:
            fault = msgspec.json.decode(await request.body(), type=Fault)
        except ValueError as error:
            return answer_error(422, str(error))
        looker.faults.add(fault)
        return answer_nothing()

    def list_faults(_: Request) -> Response:
        return answer_json(looker.faults.names())

    def clear_faults(_: Request) -> Response:
        looker.faults.clear()
        return answer_nothing()

    def list_calls(_: Request) -> Response:
        return answer_json([*looker.calls])

    return [
        Route("/simulator/faults", add_fault, methods=["POST"]),
        Route("/simulator/faults", list_faults, methods=["GET"]),
        Route("/simulator/faults", clear_faults, methods=["DELETE"]),
        Route("/simulator/calls", list_calls, methods=["GET"]),
    ]
