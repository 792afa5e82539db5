"""Another reader of JSON, ijson, finds the same entries in a body, and the same malformed."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import ijson
from hypothesis import given, strategies as st

from tap_looker_tasks.results import MalformedResponseError, TaskEntry, split_entries

if TYPE_CHECKING:
    from collections.abc import Iterator

# Every kind of number, as Looker could write it.
_FRACTION = r"-?(0|[1-9][0-9]{0,40})\.[0-9]{1,40}"
NUMBERS = st.integers().map(str) | st.from_regex(_FRACTION, fullmatch=True)
SPACE = st.text(" \t\r\n", max_size=2)
TEXTS = st.text(max_size=6) | st.sampled_from(['"', "\\", "]}", ',"', "\u2028", "🛫"])


def join(opening: str, parts: list[str], closing: str) -> st.SearchStrategy[str]:
    spaces = st.lists(SPACE, min_size=2 * len(parts) + 1, max_size=2 * len(parts) + 1)
    return spaces.map(
        lambda drawn: (
            opening
            + drawn[-1]
            + ",".join(a + part + b for a, part, b in zip(drawn, parts, drawn[1:], strict=False))
            + closing
        )
    )


def string(text: str, *, is_ascii: bool) -> str:
    return json.dumps(text, ensure_ascii=is_ascii)


STRINGS = st.builds(string, TEXTS, is_ascii=st.booleans())
SCALARS = NUMBERS | STRINGS | st.sampled_from(["null", "true", "false"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4).flatmap(lambda parts: join("[", parts, "]"))
        | st.dictionaries(STRINGS, inner, max_size=4).flatmap(
            lambda held: join("{", [f"{key}:{value}" for key, value in held.items()], "}")
        )
    ),
    max_leaves=12,
)
ENTRIES = st.tuples(VALUES, st.booleans()).map(
    lambda drawn: (
        f'{{"status":"complete","data":{drawn[0]}}}'
        if drawn[1]
        else f'{{ "data" :{drawn[0]}, "status" : "complete"}}'
    )
)
BODIES = (
    st.lists(ENTRIES, max_size=4)
    .map(lambda entries: [f'"task-{n}":{entry}' for n, entry in enumerate(entries)])
    .flatmap(lambda entries: join("{", entries, "}"))
    .map(lambda text: text.encode("utf-8", "surrogatepass"))
)


def chunked(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def read_by_tap(body: bytes, size: int) -> dict[str, Any] | None:
    """Return the payloads by task; None if the body or an entry is malformed."""
    found = {}
    try:
        for query_task_id, entry in split_entries(chunked(body, size)):
            if not isinstance(entry, TaskEntry):
                return None
            found[query_task_id] = (
                None if entry.data is None else json.loads(bytes(entry.data), parse_float=Decimal)
            )
    except MalformedResponseError:
        return None
    return found


def read_by_ijson(body: bytes, size: int) -> dict[str, Any] | None:
    try:
        entries = ijson.kvitems(io.BytesIO(body), "", buf_size=size)
        return {query_task_id: entry["data"] for query_task_id, entry in entries}
    except ijson.JSONError:
        return None


@given(BODIES, st.integers(1, 40))
def test_every_digit_and_letter_is_what_another_reader_finds(body: bytes, size: int) -> None:
    found = read_by_tap(body, size)
    assert found is not None
    assert repr(found) == repr(read_by_ijson(body, size))


@given(BODIES, st.integers(1, 40), st.data())
def test_a_body_that_is_cut_off_is_malformed_for_both(
    body: bytes, size: int, data: st.DataObject
) -> None:
    cut = body[: data.draw(st.integers(0, len(body.rstrip()) - 1))]
    assert read_by_tap(cut, size) is None
    assert read_by_ijson(cut, size) is None
