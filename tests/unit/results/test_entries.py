"""Bodies of `multi_results`, cut anywhere."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from tap_looker_tasks.results.entries import TaskEntry, read_payload, split_entries
from tap_looker_tasks.results.json_text import MalformedResponseError
from tests.examples import at_most

if TYPE_CHECKING:
    from collections.abc import Iterator

TRICKY_TEXT = st.text(alphabet='ab"\\{}[],: \n\u00e9\u20ac\U0001f600', max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | TRICKY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TRICKY_TEXT, inner, max_size=4),
    max_leaves=12,
)
MAPS = st.dictionaries(
    TRICKY_TEXT, VALUES.map(lambda value: {"data": value, "status": "complete"}), max_size=5
)
WHITE_SPACE = st.text(alphabet=" \t\n\r", max_size=3)


def entries(*chunks: bytes) -> dict[str, object]:
    """The responses in a body, as they came."""
    return {id_: as_it_came(response) for id_, response in split_entries(chunks)}


def as_it_came(response: TaskEntry | MalformedResponseError) -> object:
    if isinstance(response, MalformedResponseError):
        raise response
    data = None if response.data is None else json.loads(bytes(response.data))
    return {"data": data, "status": response.status}


def payloads(*chunks: bytes) -> list[tuple[str, bytes | None]]:
    """The text of the payloads in a body; None for an entry that cannot be read."""
    return [
        (id_, None if isinstance(response, MalformedResponseError) else bytes(response.data or b""))
        for id_, response in split_entries(chunks)
    ]


def entry(data: bytes) -> bytes:
    return b'{"status":"complete","data":%b}' % data


def rejection(*chunks: bytes) -> str:
    with pytest.raises(MalformedResponseError) as caught:
        list(split_entries(chunks))
    return str(caught.value)


@st.composite
def spaced_json(draw: st.DrawFn, value: object) -> str:
    """Write JSON with white space wherever it is allowed."""
    if isinstance(value, dict):
        parts = [
            json.dumps(key, ensure_ascii=draw(st.booleans()))
            + draw(WHITE_SPACE)
            + ":"
            + draw(spaced_json(inner))
            for key, inner in value.items()
        ]
        text = "{" + ",".join(draw(WHITE_SPACE) + part for part in parts) + draw(WHITE_SPACE) + "}"
    elif isinstance(value, list):
        text = "[" + ",".join(draw(spaced_json(inner)) for inner in value) + "]"
    else:
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    return draw(WHITE_SPACE) + text + draw(WHITE_SPACE)


@at_most(15)
@given(MAPS.flatmap(spaced_json))
def test_every_cut_of_a_body_gives_the_same_entries(text: str) -> None:
    body = text.encode()
    expected = json.loads(body)
    for cut in range(len(body) + 1):
        assert entries(body[:cut], body[cut:]) == expected


LOOKER_ENTRIES = st.fixed_dictionaries(
    {
        "status": st.just("complete"),
        "data": st.lists(st.dictionaries(TRICKY_TEXT, VALUES, max_size=3), max_size=3),
    }
)
TRAPS = st.builds(
    lambda key, inner: {"status": "complete", "data": [{}, {key: inner, "x": {"status": [{}]}}]},
    TRICKY_TEXT,
    LOOKER_ENTRIES,
)


@at_most(60)
@given(
    st.dictionaries(TRICKY_TEXT, LOOKER_ENTRIES | TRAPS, max_size=5),
    st.sampled_from([None, (",", ":")]),
    st.integers(1, 80),
    st.integers(1, 2000),
)
def test_a_guess_at_the_end_of_an_entry_is_right(
    map_: dict[str, Any], separators: tuple[str, str] | None, chunk: int, longest: int
) -> None:
    body = json.dumps(map_, separators=separators).encode()
    chunks = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tap_looker_tasks.results.json_stream.WORTH_A_GUESS_BYTES", 0)
        # Short entries are read in several parts, as long ones are.
        patch.setattr("tap_looker_tasks.results.json_stream._MAX_KEY", 32)
        found = [*split_entries(chunks, max_entry_bytes=longest)]
        # What comes half is not treated as the whole.
        with pytest.raises(MalformedResponseError):
            [*split_entries([body[:-1]], max_entry_bytes=longest)]
    assert [id_ for id_, _ in found] == [*map_]
    short = {id_: response for id_, response in found if getattr(response, "rows", None) is None}
    assert {id_: as_it_came(short[id_]) for id_ in short} == {id_: map_[id_] for id_ in short}


@at_most(40)
@given(MAPS.flatmap(spaced_json))
def test_a_body_may_come_byte_by_byte(text: str) -> None:
    body = text.encode()
    found = entries(*(body[at : at + 1] for at in range(len(body))))
    assert list(found.items()) == list(json.loads(body).items())


@at_most(15)
@given(MAPS, st.data())
def test_no_start_of_a_body_passes_for_all_of_it(map_: dict[str, Any], data: st.DataObject) -> None:
    body = data.draw(spaced_json(map_)).strip().encode()
    for length in range(len(body)):
        assert rejection(body[:length]).startswith(("cut short after", "not JSON"))


@given(st.binary(max_size=40) | st.text(alphabet='{}[]":,\\1n \t', max_size=20).map(str.encode))
def test_anything_else_is_rejected(body: bytes) -> None:
    try:
        expected = json.loads(body.decode())
    except ValueError:
        expected = None
    if isinstance(expected, dict):
        assert dict(payloads(body)).keys() == expected.keys()
    else:
        with pytest.raises(MalformedResponseError):
            entries(body)


@at_most(40)
@given(st.lists(st.integers(1, 300), max_size=20), st.integers(50, 5000))
def test_long_entries_are_found_of_any_length(lengths: list[int], chunk: int) -> None:
    row = b'{"a.b":{"value":"}{"},"a.c":{"value":[1,{"x":"\\"]\\\\"}]}}'
    expected = {str(i): json.loads(row) for i in range(len(lengths))}
    rows = {str(i): b"[" + b",".join([row] * n) + b"]" for i, n in enumerate(lengths)}
    parts = (b'"%s":%s' % (i.encode(), entry(text)) for i, text in rows.items())
    body = b"{" + b",".join(parts) + b"}"
    found = payloads(*(body[at : at + chunk] for at in range(0, len(body), chunk)))
    assert dict(found) == rows
    assert [id_ for id_, _ in found] == list(expected)


def test_an_entry_comes_as_soon_as_it_is_complete() -> None:
    taken = []

    def chunks() -> Iterator[bytes]:
        for chunk in (b'{"a":{"status":"running"', b'},"b":', b'{"status":"added"}', b"}"):
            taken.append(chunk)
            yield chunk

    responses = split_entries(chunks())
    assert next(responses) == ("a", TaskEntry("running"))
    assert len(taken) == 2
    assert next(responses) == ("b", TaskEntry("added"))
    assert len(taken) == 3
    assert list(responses) == []


def test_the_text_of_a_payload_is_left_unchanged() -> None:
    data = b'[1.50, 1e400,\n "\xc3\xa9\\u00e9" ]'
    assert payloads(b'{"a":' + entry(data) + b"}") == [("a", data)]


def test_an_entry_of_another_type_spoils_no_other() -> None:
    body = b'{"a":null,"b":-1.5e3,"c":"x","d":[],"e":{},"f":true,"g":' + entry(b"1") + b"}"
    assert payloads(body) == [*((id_, None) for id_ in "abcdef"), ("g", b"1")]


def test_an_id_that_comes_twice_is_yielded_twice() -> None:
    body = b'{"a":' + entry(b"1") + b',"a":' + entry(b"2") + b"}"
    assert payloads(body) == [("a", b"1"), ("a", b"2")]


def test_no_tasks_no_entries() -> None:
    assert payloads(b"", b" {", b"", b" } ", b"") == []


@pytest.mark.parametrize(
    "odd", [b"NaN", b'{"x":[-Infinity]}', b'"\\ud800"', b"nul", b"[}", b'{"x" 1}', b"[1,]"]
)
def test_what_json_does_not_know_spoils_its_own_entry_only(odd: bytes) -> None:
    body = b'{"a":' + entry(odd) + b',"b":' + entry(b"1") + b"}"
    assert payloads(body) == [("a", None), ("b", b"1")]


@pytest.mark.parametrize("start", [b"[", b"[[", b"[NaN,["])
def test_what_is_too_deep_spoils_its_own_entry_only(start: bytes) -> None:
    odd = start + b"[" * 100_000 + b"]" * (100_000 + start.count(b"["))
    assert payloads(b'{"a":' + odd + b',"b":' + entry(b"1") + b"}") == [("a", None), ("b", b"1")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "cut short after 0 bytes"),
        (b'{"a":{"status', "cut short after 13 bytes"),
        (b'{"a":12', "cut short after 7 bytes"),
        (b"[1]", "a list where an object keyed by query task id was expected: '[1]'"),
        (b'"x"', "a string where an object keyed by query task id was expected: '\"x\"'"),
        (b"-7", "a number where an object keyed by query task id was expected: '-7'"),
        (b"null", "null where an object keyed by query task id was expected: 'null'"),
        (b"true", "a boolean where an object keyed by query task id was expected: 'true'"),
        (b"<html>", "not JSON: '<html>'"),
        (b"{} {}", "more after its end: '{}'"),
        (b'{"a":1,}', "not JSON: '}'"),
        (b'{"a" 1}', "not JSON: '1}'"),
        (b'{"a":1 2}', "not JSON: '2}'"),
        (b"{1:1}", "not JSON: '1:1}'"),
        (b'{"\n":1}', "not JSON at byte 1: '\\n\"'"),
        (b'{"a":"\xff"}', "not JSON: not UTF-8 at '\ufffd\"}'"),
        (b'{"a":{"data":[{"x":"\xff"}]}}', "not JSON: not UTF-8 at '\ufffd\"}]}}'"),
        (b"<" + b"x" * 500, "not JSON: '<" + "x" * 56 + "...'"),
    ],
)
def test_a_rejection_names_what_was_found(body: bytes, message: str) -> None:
    assert rejection(body) == message


def test_only_the_unfinished_entry_and_a_chunk_are_held() -> None:
    text = entry(b"[" + b",".join([b'{"a":"}{"}'] * 20_000) + b"]")

    def chunks() -> Iterator[bytes]:
        yield b"{"
        for number in range(40):
            yield b'"%d":' % number + text + (b"," if number < 39 else b"}")

    tracemalloc.start()
    try:
        assert sum(1 for _ in split_entries(chunks())) == 40
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * len(text) / 4


@st.composite
def long_entries(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """An entry in one of the shapes that have rows, and its text."""
    rows = draw(st.lists(st.dictionaries(TRICKY_TEXT, VALUES, max_size=3), max_size=6))
    payload: Any = draw(
        st.sampled_from([rows, {"data": rows, "fields": {}}, {"metadata": {}, "rows": rows}])
    )
    parts = [("status", "complete"), ("data", payload), ("more", draw(VALUES))]
    reported = dict(draw(st.permutations(parts)))
    return reported, draw(spaced_json({"a": {}, "b": reported, "c": 1})).strip()


@at_most(60)
@given(long_entries(), st.integers(1, 60), st.integers(0, 20), st.integers(1, 60))
def test_the_rows_of_a_long_entry_are_set_apart(
    found: tuple[dict[str, Any], str], chunk: int, longest: int, rows_at_once: int
) -> None:
    reported, text = found
    body = text.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tap_looker_tasks.results.json_stream.ROWS_AT_ONCE_BYTES", rows_at_once)
        chunks = (body[at : at + chunk] for at in range(0, len(body), chunk))
        responses = dict(split_entries(chunks, max_entry_bytes=longest))
    assert [*responses] == ["a", "b", "c"]
    long, payload = responses["b"], reported["data"]
    assert isinstance(long, TaskEntry)
    data = json.loads(bytes(long.data or b""))
    if long.rows is None:
        assert data == payload
        return
    assert all(b"\n" not in array and b"\r" not in array for array in long.rows)
    rows = [row for array in long.rows for row in json.loads(array)]
    if isinstance(payload, dict):
        key = "data" if "data" in payload else "rows"
        assert rows == payload[key]
        assert data == {**payload, key: []}
    else:
        assert rows == payload
        assert data == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a":{"data":[,{"x":1}]}}', "not JSON: ','"),
        (b'{"a":{"data":[{"x":1}}}', "not JSON: '}}'"),
        (b'{"a":{"data":[{"x":1},{"x"', "cut short after 26 bytes"),
        (b'{"a":{"data":[{"x":1}]', "cut short after 22 bytes"),
        (b'{"a":{"data":{"rows":[{"x":"\xff"}]}}}', "not JSON: not UTF-8 at '\ufffd\"'"),
    ],
)
def test_a_long_entry_is_rejected_as_a_short_one_is(body: bytes, message: str) -> None:
    with pytest.raises(MalformedResponseError) as caught:
        list(split_entries((body[at : at + 5] for at in range(0, len(body), 5)), max_entry_bytes=8))
    assert str(caught.value) == message


def test_few_rows_of_a_long_entry_are_held() -> None:
    row = b'{"a.b":{"value":"}{"},"a.c":{"value":12.50}}'

    def chunks() -> Iterator[bytes]:
        yield b'{"a":{"status":"complete","data":{"data":['
        for _ in range(120):
            yield b",".join([row] * 5_000) + b","
        yield row + b"]}}}"

    class Counted:
        def __init__(self) -> None:
            self.count = self.longest = 0

        def append(self, array: bytes, /) -> None:
            self.count += array.count(b'"a.b"')
            self.longest = max(self.longest, len(array))

        def __iter__(self) -> Iterator[bytes]:
            raise NotImplementedError

        def clear(self) -> None:
            raise NotImplementedError

    tracemalloc.start()
    try:
        [(_, response)] = split_entries(chunks(), Counted)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(response, TaskEntry)
    assert isinstance(response.rows, Counted)
    assert response.rows.count == 600_001
    assert response.rows.longest < 2_000_000
    assert peak < 22_000_000


LONG_TEXT = st.text(alphabet='ab"\\{}[],: \u00e9', min_size=60, max_size=90)


@at_most(80)
@given(
    st.dictionaries(TRICKY_TEXT, VALUES | LONG_TEXT | st.lists(LONG_TEXT), max_size=4),
    st.integers(1, 70),
)
def test_a_value_longer_than_memory_spoils_its_own_task_only(
    payload: dict[str, Any], chunk: int
) -> None:
    reported = {"status": "complete", "data": payload}
    map_ = {
        "before": {"status": "complete", "data": 1},
        "it": reported,
        "after": {"status": "added"},
    }
    body = json.dumps(map_, ensure_ascii=False).encode()
    chunks = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    responses = dict(split_entries(chunks, max_entry_bytes=20, max_value_bytes=100))
    assert [*responses] == ["before", "it", "after"]
    assert as_it_came(responses["before"]) == map_["before"]
    assert isinstance(responses["after"], TaskEntry)
    if isinstance(responses["it"], MalformedResponseError):
        assert "a value of more than 100 bytes" in str(responses["it"])
        assert len(json.dumps(reported)) > 100
    else:
        assert as_it_came(responses["it"]) == reported


def test_a_row_that_is_too_long_is_skipped_without_being_held() -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"a":{"status":"complete","data":[{"x":1},{"x":"'
        for _ in range(100):
            yield b"x" * 1_000_000
        yield b'"},{"x":3}]},"b":{"status":"complete","data":[]}}'

    tracemalloc.start()
    try:
        responses = dict(split_entries(chunks(), max_entry_bytes=1_000, max_value_bytes=5_000_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(responses["a"], MalformedResponseError)
    assert as_it_came(responses["b"]) == {"status": "complete", "data": []}
    assert peak < 20_000_000


def test_rows_in_two_places_are_not_mixed() -> None:
    mixed = entry(b'{"rows":[{"x":1}],"data":[{"y":2}]}')
    body = b'{"a":%b,"b":{"status":"added"}}' % mixed
    chunks = [body[at : at + 5] for at in range(0, len(body), 5)]
    responses = dict(split_entries(chunks, max_entry_bytes=8))
    assert "rows in two places" in str(responses["a"])
    assert isinstance(responses["b"], TaskEntry)


def test_an_endless_key_is_no_key() -> None:
    found = rejection(b'{"', *[b"x" * 1_000_000] * 3)
    assert found.startswith("a key of more than 1048576 bytes")


@at_most(60)
@given(
    st.lists(st.dictionaries(TRICKY_TEXT, VALUES, max_size=3), max_size=5),
    st.sampled_from(["list", "data", "rows"]),
    st.data(),
    st.integers(1, 60),
    st.integers(0, 40),
)
def test_the_body_of_one_result_is_read_as_its_entry_would_be(
    rows: list[dict[str, Any]], shape: str, data: st.DataObject, chunk: int, longest: int
) -> None:
    payload: Any = rows if shape == "list" else {"more": 1, shape: rows}
    body = data.draw(spaced_json(payload)).encode()
    chunks = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    text, arrays = read_payload(chunks, list, longest=longest)
    found = json.loads(bytes(text))
    if arrays is not None:
        taken = [row for array in arrays for row in json.loads(array)]
        assert taken == rows
        assert found == ([] if shape == "list" else {"more": 1, shape: []})
    else:
        assert found == payload
    with pytest.raises(MalformedResponseError):
        read_payload([body.rstrip()[:-1]], list, longest=longest)


def one_by_one(body: bytes) -> list[bytes]:
    return [body[n : n + 1] for n in range(len(body))]


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":{"status":"complete","data":[{"x":1},{"x":2}]',
        b'{"a":{"data":[{"x":1},{"x":2}]},"b":{"status":"complete"}}',
        b'{"a":{"status":"complete","data":{"data":[{"x":1}],"rows":[{"x":2}]}}}',
        b'{"a":{"status":7,"data":[{"x":1},{"x":2}]}}',
    ],
)
def test_rows_of_an_entry_that_is_spoilt_are_let_go(body: bytes) -> None:
    created: list[list[bytes]] = []

    def new_rows() -> list[bytes]:
        created.append([])
        return created[-1]

    responses = split_entries(one_by_one(body), new_rows, max_entry_bytes=8)
    with suppress(MalformedResponseError):
        assert isinstance(next(responses)[1], MalformedResponseError)
    assert created == [[]]


@pytest.mark.parametrize("body", [b'[{"x":1}', b'[{"x":1}] 2', b'{"data":[{"x":1}],"rows":[{}]}'])
def test_rows_of_a_payload_that_is_spoilt_are_let_go(body: bytes) -> None:
    rows: list[bytes] = []
    with pytest.raises(MalformedResponseError):
        read_payload(one_by_one(body), lambda: rows, longest=4)
    assert rows == []


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
@pytest.mark.parametrize("prefix", [b'{"a":', b'{"a":{"status":"complete","data":[{"x":'])
def test_what_is_nested_without_end_is_rejected_early(prefix: bytes, bracket: bytes) -> None:
    chunks = iter((prefix, *[bracket * 100_000] * 100))
    with pytest.raises(MalformedResponseError, match="nested deeper than 1000000"):
        [*split_entries(chunks, max_entry_bytes=8)]
    assert len([*chunks]) > 80


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prefix", "member"),
    [
        (b"{", b'"a":1,'),
        (b'{"a":{', b'"a":{"status":"running"},'),
        (b'{"a":{"data":{', b'"a":{},'),
    ],
)
def test_keys_without_end_are_rejected_early(prefix: bytes, member: bytes) -> None:
    chunks = iter((prefix, *[member * 10_000] * 100))
    with pytest.raises(MalformedResponseError, match="more than 20000 keys"):
        [*split_entries(chunks, max_entry_bytes=8)]
    assert len([*chunks]) > 90
