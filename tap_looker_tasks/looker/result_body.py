"""The body of one task's results, in any format -> what `multi_results` would say of the task."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from tap_looker_tasks.looker.multi_results import TaskAnswer, read_payload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_looker_tasks.looker.json_stream import RowArrays

LONGEST_TEXT_BYTES = 256 * 1024 * 1024
_COMPLETE = "complete"
_BEGINNING_BYTES = 1024
_JSON_BEGINNING = re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{\]])')
_TEXT_TYPES = frozenset({"text/csv", "text/markdown", "text/tab-separated-values"})
_HTML_RESULT = re.compile(rb"\s*(?:<style|<table)\b", re.IGNORECASE)
_HTML_PAGE = re.compile(rb"\s*(?:<!doctype|<html)\b", re.IGNORECASE)
_SIGN_IN = re.compile(rb"<(?:form|title)\b", re.IGNORECASE)


class NoResultError(ValueError):
    """What came is no result, and would be none another time; the message says what it is."""


def read_body(
    content_type: str, chunks: Iterable[bytes], new_rows: Callable[[], RowArrays]
) -> TaskAnswer:
    """Read a result; text becomes a JSON string.

    A body is JSON when it is declared so, or begins so and is not declared to be another text
    format. A page of HTML is a result only if it is declared as HTML, begins with the table or
    its style, as Looker's do, and has neither a title nor a form, as pages to sign in have.

    Raises:
        NoResultError: it is a page, or text that cannot be delivered.
        MalformedAnswer: it is broken.
    """
    beginning, chunks = _begin(chunks)
    if _is_json(content_type, beginning):
        data, rows = read_payload(chunks, new_rows)
        return TaskAnswer(_COMPLETE, data=data, rows=rows)
    text = _read_text(chunks)
    if _is_page(content_type, text):
        msg = "a page, as of a proxy or to sign in; check what stands between here and Looker"
        raise NoResultError(msg)
    if not text.strip():
        return TaskAnswer(_COMPLETE)
    try:
        return TaskAnswer(_COMPLETE, data=msgspec.Raw(msgspec.json.encode(text.decode())))
    except UnicodeDecodeError:
        msg = "text that is not UTF-8"
    raise NoResultError(msg)


def _begin(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Look at the beginning; returns it and all chunks."""
    rest = iter(chunks)
    beginning = b""
    for chunk in rest:
        beginning += chunk
        if len(beginning) >= _BEGINNING_BYTES:
            break
    return beginning, chain((beginning,), rest)


def _is_json(content_type: str, beginning: bytes) -> bool:
    if content_type in _TEXT_TYPES:
        return False
    is_declared = content_type == "application/json" or content_type.endswith("+json")
    return is_declared or _JSON_BEGINNING.match(beginning) is not None


def _is_page(content_type: str, text: bytes) -> bool:
    if content_type != "text/html":
        return _HTML_PAGE.match(text) is not None
    return _HTML_RESULT.match(text) is None or _SIGN_IN.search(text) is not None


def _read_text(chunks: Iterable[bytes]) -> bytes:
    parts: list[bytes] = []
    left = LONGEST_TEXT_BYTES
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            msg = f"text of more than {LONGEST_TEXT_BYTES} bytes; ask for json_detail"
            raise NoResultError(msg)
        parts.append(chunk)
    return b"".join(parts)
