"""Reads a request to the simulated Looker's API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from looker_simulator.faults import MULTI_RESULTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from looker_simulator.faults import Fault

_TRUE = frozenset({"true", "1"})


@dataclass(frozen=True)
class ApiRequest:
    """A request, read.

    Attributes:
        url: without its query string.
        path: parameters in the path, by name.
        query: parameters in the query string, by name.
        query_task_ids: tasks asked for by `query_task_multi_results`.
        body: decoded JSON; an empty object when there is none.
        form: fields of a form, by name.
        token: of the session.
        faults: what happens to it, by name.
    """

    url: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    query_task_ids: tuple[str, ...]
    body: Any
    form: Mapping[str, Any]
    token: str
    faults: Mapping[str, Fault]

    @property
    def fields(self) -> str | None:
        """Return which parts of the answer are wanted; None: all."""
        return self.query.get("fields")

    def faults_of(self, query_task_id: str, query_id: str) -> frozenset[str]:
        """Return the names of the faults that happen to one of the tasks asked for."""
        return frozenset(
            name
            for name, fault in self.faults.items()
            if fault.concerns(MULTI_RESULTS, {query_task_id}, {query_id})
        )

    def is_set(self, name: str) -> bool:
        """Return whether a parameter of the query string says true."""
        return self.query.get(name, "").lower() in _TRUE


async def read_request(request: Request) -> ApiRequest:
    """Read a request, with its body."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    raw = await request.body()
    is_form = "form" in request.headers.get("Content-Type", "")
    asked_for = ",".join(request.query_params.getlist("query_task_ids"))
    return ApiRequest(
        url=str(request.url.replace(query="")),
        path=request.path_params,
        query=request.query_params,
        query_task_ids=tuple(filter(None, asked_for.split(","))),
        body=_decode(raw) if raw and not is_form else {},
        form=dict(parse_qsl(raw.decode(errors="replace"))) if is_form else {},
        token=token if kind.lower() in {"token", "bearer"} else "",
        faults=request.scope["faults"],
    )


def _decode(raw: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        decoded = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}
