"""A parsed request, and the responses to it: JSON, results, parts of lists, errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from looker_simulator import formats
from looker_simulator.content import query_slug
from looker_simulator.faults import MULTI_RESULTS
from looker_simulator.looker import HttpError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from starlette.requests import Request

    from looker_simulator.faults import Fault

    Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """A request that has its response.

    Attributes:
        operation: Operation ID in Looker's API.
        path: Path of the URL.
        query: Query string, unparsed.
        status: HTTP status of the response; 0 if there was none.
        at: Seconds of the clock.
        query_task_ids: Tasks polled by `query_task_multi_results`.
    """

    operation: str
    path: str
    query: str
    status: int
    at: float
    query_task_ids: tuple[str, ...] = ()


_TRUE = frozenset({"true", "1"})


@dataclass(frozen=True)
class ApiRequest:
    """A parsed request.

    Attributes:
        url: URL without its query string.
        path: Parameters in the path, by name.
        query: Parameters in the query string, by name.
        query_task_ids: Tasks polled by `query_task_multi_results`.
        body: Decoded JSON object; an empty one if there is none.
        form: Fields of a form, by name.
        token: Token of the session.
        faults: Faults of the request, by name.
    """

    url: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    query_task_ids: tuple[str, ...]
    body: Mapping[str, Any]
    form: Mapping[str, Any]
    token: str
    faults: Mapping[str, Fault]

    @property
    def fields(self) -> str | None:
        """Return the requested parts of the response; None for all."""
        return self.query.get("fields")

    def faults_of(self, query_task_id: str, query_id: str) -> frozenset[str]:
        """Return the names of the faults of one of the polled tasks."""
        return frozenset(
            name
            for name, fault in self.faults.items()
            if fault.concerns(MULTI_RESULTS, {query_task_id}, {query_id, query_slug(query_id)})
        )

    def is_set(self, name: str) -> bool:
        """Return whether a parameter of the query string is true."""
        return self.query.get(name, "").lower() in _TRUE

    def number(self, name: str) -> int | None:
        """Return a number of the query string; None if it is missing.

        Raises:
            HttpError: If it is not a number.
        """
        text = self.query.get(name)
        if not text:
            return None
        if not re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
            raise HttpError(400, f"{name} must be a number, not {text!r}")
        return int(text)


async def read_request(request: Request) -> ApiRequest:
    """Read a request, with its body.

    Raises:
        HttpError: If the body is not a JSON object, nor a form.
    """
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    raw = await request.body()
    is_form = "form" in request.headers.get("Content-Type", "")
    ids = ",".join(request.query_params.getlist("query_task_ids"))
    return ApiRequest(
        url=str(request.url.replace(query="")),
        path=request.path_params,
        query=request.query_params,
        query_task_ids=tuple(filter(None, ids.split(","))),
        body=_decode(raw) if raw and not is_form else {},
        form=dict(parse_qsl(raw.decode(errors="replace"))) if is_form else {},
        token=token if kind.lower() in {"token", "bearer"} else "",
        faults=request.scope["faults"],
    )


def _decode(raw: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise HttpError(400, "Bad request: the body is not valid JSON") from None
    if not isinstance(decoded, dict):
        raise HttpError(400, "Bad request: the body is not a JSON object")
    return decoded


_SYMBOL = re.compile(r"[^\s,()]+|[,()]")


def select_fields(value: Any, fields: str | None) -> Any:  # noqa: ANN401 - JSON
    """Return the requested parts of a value; all of it if `fields` is empty or None.

    For example, `id,query(model)` leaves `{"id": 1, "query": {"model": "shop"}}` of a Look.
    """
    requested = _read(iter(_SYMBOL.findall(fields or "")))
    return _select(value, requested)


def _read(symbols: Iterator[str]) -> dict[str, Any]:
    """Parse names up to the closing parenthesis, each with the names requested within it."""
    requested: dict[str, Any] = {}
    latest = ""
    for symbol in symbols:
        if symbol == ")":
            break
        if symbol == "(":
            requested[latest] = _read(symbols)
        elif symbol != ",":
            latest = symbol
            requested[latest] = {}
    return requested


def _select(value: Any, requested: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    if not requested:
        return value
    if isinstance(value, list):
        return [_select(entry, requested) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _select(value[name], within) for name, within in requested.items() if name in value
    }


DOCUMENTATION = "https://docs.cloud.google.com/looker/docs/reference/looker-api/latest"
_ERRORS = "https://cloud.google.com/looker/docs/r/err/4.0"
JSON = "application/json"
_CONTENT_TYPES = {
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
    "sql": "application/sql",
    "txt": "text/plain",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def json_response(
    value: object, fields: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Respond with JSON, or with its requested parts."""
    body = formats.encode(select_fields(value, fields))
    return Response(body, headers=headers, media_type=JSON)


def result_response(result_format: str, data: bytes) -> Response:
    """Respond with the result of a query, converted from its JSON."""
    content_type = _CONTENT_TYPES.get(result_format)
    if content_type is None:
        return Response(data, media_type=JSON)
    text = msgspec.json.decode(data)
    if result_format == "xlsx":
        return Response(text.encode("latin-1"), media_type=content_type)
    return PlainTextResponse(text, media_type=content_type)


def empty_response(status: int = 204) -> Response:
    """Respond without a body."""
    return Response(status_code=status)


def error_response(error: HttpError, verb: str = "get", path: str = "") -> Response:
    """Respond as Looker rejects a request; the path is that of the operation, with its braces."""
    named = re.sub(r"\{(\w+)\}", r":\1", path)
    body: dict[str, Any] = {"message": error.message}
    if error.errors:
        body["errors"] = [{**detail, "documentation_url": DOCUMENTATION} for detail in error.errors]
    body["documentation_url"] = f"{_ERRORS}/{error.status}/{verb.lower()}{named}"
    return Response(formats.encode(body), error.status, media_type=JSON)


def page_response(status: int, title: str) -> Response:
    """Respond with a page, as a proxy does."""
    return HTMLResponse(f"<html><h1>{title}</h1></html>", status)


PAGE_PARAMETERS = ("fields", "page", "per_page", "limit", "offset", "sorts")
_NOT_COMPARED = frozenset({*PAGE_PARAMETERS, "filter_or", "curate", "not_owned_by"})


def search_response(request: ApiRequest, entries: Sequence[Entry]) -> Response:
    """Return the entries that all parameters, or with `filter_or` any of them, match."""
    requested = {k: v for k, v in request.query.items() if k not in _NOT_COMPARED}
    if request.is_set("not_owned_by") and "user_id" in requested:
        owner = requested.pop("user_id")
        entries = [entry for entry in entries if str(entry.get("user_id")) != owner]
    # Content in the trash is found only by a search for it.
    if "deleted" not in requested:
        entries = [entry for entry in entries if not entry.get("deleted")]
    if requested:
        combine: Callable[[Any], bool] = any if request.is_set("filter_or") else all
        entries = [
            entry
            for entry in entries
            if combine(_matches(entry.get(key), text) for key, text in requested.items())
        ]
    return part_response(request, entries)


def part_response(request: ApiRequest, entries: Sequence[Entry]) -> Response:
    """Return the part of a list that `sorts`, `limit` and `offset` select.

    With a limit, the headers `Link` and `X-Total-Count` describe the other parts:
    <https://github.com/looker-open-source/sdk-codegen/blob/main/docs/paging.md>.
    """
    entries = _sort(entries, request.query.get("sorts", ""))
    page, per_page = request.number("page"), request.number("per_page")
    limit, offset = request.number("limit"), max(request.number("offset") or 0, 0)
    if limit is None and page is not None:
        limit = per_page or 20
        offset = (max(page, 1) - 1) * limit
    if limit is None or limit < 0:
        return json_response(entries[offset:], request.fields)
    headers = _paging_headers(request, len(entries), limit, offset)
    return json_response(entries[offset : offset + limit], request.fields, headers)


def _matches(value: Any, text: str) -> bool:  # noqa: ANN401 - JSON
    if text.upper() in {"IS NULL", "NULL"}:
        return value is None
    if text.upper() in {"NOT NULL", "IS NOT NULL"}:
        return value is not None
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if value is None:
        return False
    if re.fullmatch(r"\d+(,\d+)+", text):
        return str(value) in text.split(",")
    pattern = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in text)
    return bool(re.fullmatch(pattern, str(value), re.IGNORECASE | re.DOTALL))


def _sort(entries: Sequence[Entry], sorts: str) -> list[Entry]:
    entries = [*entries]
    for sort in reversed(sorts.split(",")):
        name, _, direction = sort.strip().partition(" ")
        if name:
            entries.sort(
                key=lambda entry, name=name: (entry.get(name) is None, str(entry.get(name))),  # type: ignore[misc]
                reverse=direction.strip().lower() == "desc",
            )
    return entries


def _paging_headers(request: ApiRequest, total: int, limit: int, offset: int) -> dict[str, str]:
    size = max(limit, 1)
    places = {"first": 0, "last": max(total - 1, 0) // size * size}
    if offset + limit < total:
        places["next"] = offset + limit
    if offset:
        places["prev"] = max(offset - limit, 0)
    links = [
        f'<{request.url}?{urlencode({**request.query, "offset": place})}>; rel="{name}"'
        for name, place in places.items()
    ]
    return {"Link": ",".join(links), "X-Total-Count": str(total)}
