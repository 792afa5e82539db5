"""Answers of the simulated Looker's API: JSON, results, errors, nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from looker_simulator import formats
from looker_simulator.fields_parameter import select_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCUMENTATION = "https://docs.cloud.google.com/looker/docs/reference/looker-api/latest"
JSON = "application/json"
_CONTENT_TYPES = {
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
    "sql": "text/plain",
    "txt": "text/plain",
}


def answer_json(
    value: object, fields: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with JSON, or those parts of it that are requested."""
    body = formats.encode(select_fields(value, fields))
    return Response(body, headers=headers, media_type=JSON)


def answer_result(result_format: str, data: bytes) -> Response:
    """Answer with the result of a query, from the JSON it is kept as."""
    content_type = _CONTENT_TYPES.get(result_format)
    if content_type is None:
        return Response(data, media_type=JSON)
    return PlainTextResponse(msgspec.json.decode(data), media_type=content_type)


def answer_nothing(status: int = 204) -> Response:
    """Answer without a body."""
    return Response(status_code=status)


def answer_error(status: int, message: str) -> Response:
    """Answer as Looker refuses a request."""
    body = {"message": message, "documentation_url": DOCUMENTATION}
    return Response(formats.encode(body), status, media_type=JSON)


def answer_page(status: int, title: str) -> Response:
    """Answer with a page, as a proxy does."""
    return HTMLResponse(f"<html><h1>{title}</h1></html>", status)
