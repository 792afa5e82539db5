"""Search of what users store in Looker: patterns, orders and pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from looker_simulator.looker import HttpError
from looker_simulator.responses import answer_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.responses import Response

    from looker_simulator.api_request import ApiRequest

    Entry = Mapping[str, Any]

PAGE_PARAMETERS = ("fields", "page", "per_page", "limit", "offset", "sorts")
_NOT_COMPARED = frozenset({*PAGE_PARAMETERS, "filter_or", "curate", "not_owned_by"})


def answer_search(request: ApiRequest, entries: Sequence[Entry]) -> Response:
    """Return the entries that all parameters, or with `filter_or` any of them, match."""
    wanted = {k: v for k, v in request.query.items() if k not in _NOT_COMPARED}
    if request.is_set("not_owned_by") and "user_id" in wanted:
        owner = wanted.pop("user_id")
        entries = [entry for entry in entries if str(entry.get("user_id")) != owner]
    # What is in the trash is found only by a search for it.
    if "deleted" not in wanted:
        entries = [entry for entry in entries if not entry.get("deleted")]
    if wanted:
        combine: Callable[[Any], bool] = any if request.is_set("filter_or") else all
        entries = [
            entry
            for entry in entries
            if combine(_matches(entry.get(key), text) for key, text in wanted.items())
        ]
    return answer_part(request, entries)


def answer_part(request: ApiRequest, entries: Sequence[Entry]) -> Response:
    """Return the part of a list that `sorts`, `limit` and `offset` ask for.

    With a limit, the headers `Link` and `X-Total-Count` say where the other parts are:
    <https://github.com/looker-open-source/sdk-codegen/blob/main/docs/paging.md>.
    """
    entries = _sort(entries, request.query.get("sorts", ""))
    page, per_page = _number(request, "page"), _number(request, "per_page")
    limit, offset = _number(request, "limit"), _number(request, "offset") or 0
    if limit is None and page is not None:
        limit = per_page or 20
        offset = (max(page, 1) - 1) * limit
    if limit is None:
        return answer_json(entries[offset:], request.fields)
    headers = _paging_headers(request, len(entries), limit, offset)
    return answer_json(entries[offset : offset + limit], request.fields, headers)


def _number(request: ApiRequest, name: str) -> int | None:
    text = request.query.get(name)
    if not text:
        return None
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise HttpError(400, f"{name} must be a number, not {text!r}")
    return int(text)


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
