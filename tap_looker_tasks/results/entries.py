"""A `multi_results` body, read in chunks, split into the entries of its tasks."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec

from tap_looker_tasks.results.json_stream import (
    MAX_VALUE_BYTES,
    Body,
    RowArrays,
    ValueTooLargeError,
)
from tap_looker_tasks.results.json_text import NULL, MalformedResponseError, as_text, read_json

ABSENT = msgspec.Raw()
# Looker starts entries like this.
_BEGINNING = b'{"status"'
# Paths of the arrays of rows: `data` (json), `data.data` (json_detail), `data.rows` (json_bi).
_PATHS_TO_ROWS = frozenset({("data",), ("data", "data"), ("data", "rows")})
_PATHS_IN_PAYLOAD = frozenset(path[1:] for path in _PATHS_TO_ROWS)
# An entry up to this length is held in memory.
MAX_ENTRY_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """A task's entry in a `multi_results` body.

    Attributes:
        status: Looker's status of the task, in lower case.
        result_source: Source of the result in Looker, such as `query` or `cache`.
        data: The undecoded payload; None if there is none.
        rows: The rows, if they are too large for memory; the payload's array is empty then.
    """

    status: str
    result_source: str | None = None
    data: msgspec.Raw | None = None
    rows: RowArrays | None = None


class _Entry(msgspec.Struct):
    status: str
    result_source: Any = None
    data: msgspec.Raw = ABSENT


_ENTRY = msgspec.json.Decoder(_Entry)
_RAW = msgspec.json.Decoder(msgspec.Raw)


def split_entries(
    chunks: Iterable[bytes],
    new_rows: Callable[[], RowArrays] = list,
    *,
    max_entry_bytes: int = MAX_ENTRY_BYTES,
    max_value_bytes: int = MAX_VALUE_BYTES,
) -> Iterator[tuple[str, TaskEntry | MalformedResponseError]]:
    """Yield (task id, its entry or why it cannot be read) as soon as the entry is complete.

    Only the unfinished entry and one chunk are held; of an entry of more than `max_entry_bytes`,
    the rows go to what `new_rows` returns. An entry that cannot be read, or has a row or string of
    more than `max_value_bytes` bytes, yields its error and does not affect the others.
    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/query_task_multi_results>

    Raises:
        MalformedResponseError: If the body is not one JSON object.
    """
    body = Body(chunks, max_value_bytes=max_value_bytes)
    body.open()
    mark = body.expect(b"}") if body.peek(b"}") else b","
    while mark == b",":
        query_task_id = body.key()
        body.expect(b":")
        yield query_task_id, _entry(body, new_rows, max_entry_bytes)
        mark = body.expect(b",", b"}")
    body.end()


def _entry(
    body: Body, new_rows: Callable[[], RowArrays], longest: int
) -> TaskEntry | MalformedResponseError:
    if guessed := body.try_fast(_ENTRY.decode, _BEGINNING, longest):
        return _as_task_entry(guessed)
    text, rows = _value(body, new_rows, _PATHS_TO_ROWS, longest)
    try:
        body.check()
        return read_entry(text, rows)
    except MalformedResponseError as malformed:
        if rows is not None:
            rows.clear()
        return malformed


def _value(
    body: Body, new_rows: Callable[[], RowArrays], paths: Collection[tuple[str, ...]], longest: int
) -> tuple[bytes, RowArrays | None]:
    """Take a value. If it is long, its rows go to what `new_rows` returns."""
    try:
        return body.value(longest), None
    except ValueTooLargeError:
        rows = new_rows()
    try:
        return body.value_without(rows, paths), rows
    except BaseException:
        rows.clear()
        raise


def read_payload(
    chunks: Iterable[bytes], new_rows: Callable[[], RowArrays], *, longest: int = MAX_ENTRY_BYTES
) -> tuple[msgspec.Raw, RowArrays | None]:
    """Read a body that is one task's payload; return it, and its rows if they are long.

    Raises:
        MalformedResponseError: If it is not a JSON object or list.
    """
    body = Body(chunks)
    if not (body.peek(b"{") or body.peek(b"[")):
        msg = "neither an object nor a list"
        raise MalformedResponseError(msg)
    text, rows = _value(body, new_rows, _PATHS_IN_PAYLOAD, longest)
    try:
        body.end()
        body.check()
        return read_json(_RAW.decode, text), rows
    except BaseException:
        if rows is not None:
            rows.clear()
        raise


def read_entry(entry: bytes, rows: RowArrays | None = None) -> TaskEntry:
    """Read a task's entry in a `multi_results` body.

    Raises:
        MalformedResponseError: If it is not an object with a status.
    """
    return _as_task_entry(read_json(_ENTRY.decode, entry), rows)


def _as_task_entry(entry: _Entry, rows: RowArrays | None = None) -> TaskEntry:
    source = as_text(entry.result_source)
    return TaskEntry(
        status=_shared(entry.status.lower()),
        result_source=source and _shared(source),
        data=None if entry.data in (ABSENT, NULL) else entry.data,
        rows=rows,
    )


@lru_cache(32)
def _shared(word: str) -> str:
    """Return one object for all equal words, because 100,000 entries may wait for the target."""
    return word


# The body of one task's results in any format, as an entry of `multi_results`.

MAX_TEXT_BYTES = 256 * 1024 * 1024
_COMPLETE = "complete"
_BEGINNING_BYTES = 1024
_JSON_BEGINNING = re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{\]])')
_TEXT_TYPES = frozenset({"text/csv", "text/markdown", "text/tab-separated-values"})
_HTML_RESULT = re.compile(rb"\s*(?:<style|<table)\b", re.IGNORECASE)
_HTML_PAGE = re.compile(rb"\s*(?:<!doctype|<html)\b", re.IGNORECASE)
_SIGN_IN = re.compile(rb"<(?:form|title)\b", re.IGNORECASE)


class NotAResultError(ValueError):
    """The body is not a result, and a retry would not change that; the message names what it is."""


def read_body(
    content_type: str, chunks: Iterable[bytes], new_rows: Callable[[], RowArrays]
) -> TaskEntry:
    """Read the body of a result; text becomes a JSON string.

    A body is JSON if it is declared as JSON, or starts like JSON and is not declared as another
    text format. A page of HTML is a result only if it is declared as HTML, starts with a table or
    its style, as Looker's do, and has neither a title nor a form, as login pages have.

    Raises:
        NotAResultError: If it is a page, or text that cannot be delivered.
        MalformedResponseError: If it is not valid JSON.
    """
    prefix, chunks = _begin(chunks)
    if _is_json(content_type, prefix):
        data, rows = read_payload(chunks, new_rows)
        return TaskEntry(_COMPLETE, data=data, rows=rows)
    text = _read_text(chunks)
    if _is_page(content_type, text):
        msg = "an HTML page, such as a proxy's or a sign-in page; check any proxy before Looker"
        raise NotAResultError(msg)
    if not text.strip():
        return TaskEntry(_COMPLETE)
    try:
        return TaskEntry(_COMPLETE, data=msgspec.Raw(msgspec.json.encode(text.decode())))
    except UnicodeDecodeError:
        msg = "text that is not UTF-8"
    raise NotAResultError(msg)


def _begin(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the start of a body, and all its chunks."""
    rest = iter(chunks)
    prefix = b""
    for chunk in rest:
        prefix += chunk
        if len(prefix) >= _BEGINNING_BYTES:
            break
    return prefix, chain((prefix,), rest)


def _is_json(content_type: str, prefix: bytes) -> bool:
    if content_type in _TEXT_TYPES:
        return False
    is_declared = content_type == "application/json" or content_type.endswith("+json")
    return is_declared or _JSON_BEGINNING.match(prefix) is not None


def _is_page(content_type: str, text: bytes) -> bool:
    if content_type != "text/html":
        return _HTML_PAGE.match(text) is not None
    return _HTML_RESULT.match(text) is None or _SIGN_IN.search(text) is not None


def _read_text(chunks: Iterable[bytes]) -> bytes:
    parts: list[bytes] = []
    left = MAX_TEXT_BYTES
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            msg = f"text of more than {MAX_TEXT_BYTES} bytes; create the task with json_detail"
            raise NotAResultError(msg)
        parts.append(chunk)
    return b"".join(parts)
