"""Bodies of one task's results, in any format."""

from __future__ import annotations

import json

import pytest

from tap_looker_tasks.results import entries
from tap_looker_tasks.results.entries import NotAResultError, read_body
from tap_looker_tasks.results.json_text import as_id
from tap_looker_tasks.results.result import one_array


def read(content_type: str, *chunks: bytes) -> object:
    entry = read_body(content_type, iter(chunks), list)
    assert entry.status == "complete"
    return None if entry.data is None else json.loads(bytes(entry.data))


@pytest.mark.parametrize("content_type", ["application/json", "application/x+json", "text/plain"])
@pytest.mark.parametrize("text", ['[{"a":1}]', ' {"data":[]}', "[[1]]", "{}", "[]"])
def test_json_is_json_whatever_it_is_declared_as(content_type: str, text: str) -> None:
    # The start comes in pieces, the rest in a long one.
    long = text + " " * 3000
    chunks = [long[:1], long[1:2], long[2:]]
    assert read(content_type, *(chunk.encode() for chunk in chunks)) == json.loads(text)


@pytest.mark.parametrize("content_type", ["text/csv", "text/markdown", "text/tab-separated-values"])
def test_text_that_starts_like_json_stays_text(content_type: str) -> None:
    assert read(content_type, b'{"a"', b"}") == '{"a"}'


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "[not json", "é", "Sales <title>"])
def test_text_is_a_string(text: str) -> None:
    assert read("text/plain", text.encode()) == text


def test_text_without_a_letter_is_no_data() -> None:
    assert read("text/csv", b" ", b"\n") is None
    assert read("text/csv") is None


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("text/plain", " <!DOCTYPE html><p>"),
        ("text/plain", "<html>"),
        ("text/html", "<p>"),
        ("text/html", "<table><title>Sign in"),
        ("text/html", "<style></style><form>"),
        ("text/html", "<!doctype html><table>"),
    ],
)
def test_a_page_is_no_result(content_type: str, text: str) -> None:
    with pytest.raises(NotAResultError, match="an HTML page, such as a proxy's or a sign-in page"):
        read(content_type, text.encode())


@pytest.mark.parametrize("text", ["<style>x</style><table>", " <TABLE>", "<table border>"])
def test_a_table_of_html_is_a_result(text: str) -> None:
    assert read("text/html", text.encode()) == text


def test_text_that_is_not_utf8_is_no_result() -> None:
    with pytest.raises(NotAResultError, match="text that is not UTF-8"):
        read("text/csv", b"\xff")


def test_text_that_is_too_long_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MAX_TEXT_BYTES", 10)
    assert read("text/csv", b"12345", b"67890") == "1234567890"
    with pytest.raises(NotAResultError, match="text of more than 10 bytes; create the task with"):
        read("text/csv", b"12345", b"67890", b"1")


@pytest.mark.parametrize(
    ("arrays", "joined"),
    [
        ((), b"[]"),
        ((b"[ ]", b"[]"), b"[]"),
        ((b"[1,2]",), b"[1,2]"),
        ((b" [1]\n", b"[]", b"[2, 3]", b"[\t]", b"[4]"), b"[1,2, 3,4]"),
    ],
)
def test_arrays_are_joined_to_one(arrays: tuple[bytes, ...], joined: bytes) -> None:
    assert b"".join(map(bytes, one_array(arrays))) == joined


@pytest.mark.parametrize(
    ("value", "id_"), [("a", "a"), (7, "7"), ("", None), (None, None), ([], None), (1.5, None)]
)
def test_an_id_is_text_or_an_integer(value: object, id_: str | None) -> None:
    assert as_id(value) == id_
