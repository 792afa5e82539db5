"""What is compared with a description is found where it differs, in a description of few lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.proxy import Content, Exchange
from tests.simulator.description import Description

THING = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "readOnly": True},
        "name": {"type": "string", "nullable": True},
        "made_at": {"type": "string", "format": "date-time"},
    },
    "required": ["name"],
}
REFERENCE = {"$ref": "#/components/schemas/Thing"}
PARAMETERS = [
    {"in": "query", "name": "limit", "schema": {"type": "integer"}, "required": True},
    {"in": "query", "name": "cache", "schema": {"type": "boolean"}},
]


def content(schema: dict[str, Any], *kinds: str) -> dict[str, Any]:
    return {"content": {kind: {"schema": schema} for kind in kinds}}


DESCRIPTION = Description(
    {
        "paths": {
            "/things/{id}": {"get": {"responses": {"200": content(REFERENCE, "application/json")}}},
            "/things/text": {
                "get": {
                    "parameters": PARAMETERS,
                    "responses": {"200": content({"type": "string"}, "text", "application/json")},
                },
                "post": {
                    "requestBody": content(REFERENCE, "application/json"),
                    "responses": {"204": content({"type": "string"}, "application/json")},
                },
            },
        },
        "components": {"schemas": {"Thing": THING}},
    }
)
NOTHING = Content("", b"")


def as_json(value: object) -> Content:
    return Content("application/json", json.dumps(value).encode())


def wrong_in_response(status: int, received: Content, path: str = "/things/1") -> list[str]:
    exchange = Exchange("GET", f"/api/4.0{path}", NOTHING, status, received)
    return [*DESCRIPTION.wrong_in_response(exchange)]


def wrong_in_request(verb: str, path: str, sent: Content = NOTHING) -> list[str]:
    exchange = Exchange(verb, f"/api/4.0{path}", sent, 204, NOTHING)
    return [*DESCRIPTION.wrong_in_request(exchange)]


@pytest.mark.parametrize(
    ("status", "received", "expected"),
    [
        (200, as_json({"id": "1", "name": None, "made_at": "2026-01-01T00:00:00.000Z"}), ""),
        (200, as_json({"name": 1}), "at 'name': 1 is not of type"),
        (200, as_json({"name": "a", "size": 1}), "'size' was unexpected"),
        (200, as_json({"id": "1"}), "'name' is a required property"),
        (200, as_json({"name": "a", "made_at": "yesterday"}), "is not a 'date-time'"),
        (200, as_json({"name": "a", "made_at": "2026-01-01"}), "is not a 'date-time'"),
        (200, Content("application/json", b"{"), "no JSON"),
        (200, Content("text/html", b"<html>"), "of type 'text/html'"),
        (200, NOTHING, "of type ''"),
        (404, as_json({}), "not described"),
    ],
)
def test_a_response_is_compared(status: int, received: Content, expected: str) -> None:
    found = wrong_in_response(status, received)
    assert len(found) == bool(expected)
    assert expected in "".join(found)


def test_a_result_is_text_of_any_kind() -> None:
    for kind in ("text/csv", "text/plain", "application/json"):
        assert wrong_in_response(200, Content(kind, b"[1]"), "/things/text") == []
    assert wrong_in_response(200, Content("application/xml", b"<a>"), "/things/text")


@pytest.mark.parametrize(
    ("verb", "path", "sent", "expected"),
    [
        ("GET", "/things/text?limit=1&cache=true", NOTHING, ""),
        ("GET", "/things/text", NOTHING, "no parameter limit"),
        ("GET", "/things/text?limit=many", NOTHING, "parameter limit=many"),
        ("GET", "/things/text?limit=1&cache=1", NOTHING, "parameter cache=1"),
        ("GET", "/things/1?limit=1", NOTHING, "parameter limit"),
        ("GET", "/things/1", as_json({}), "a body"),
        ("GET", "/things/1/2", NOTHING, "is not described"),
        ("DELETE", "/things/1", NOTHING, "is not described"),
        ("POST", "/things/text", as_json({"name": "a"}), ""),
        ("POST", "/things/text", as_json({"name": "a", "id": "1"}), "'id' was unexpected"),
        ("POST", "/things/text", Content("text/plain", b"a"), "a body of type 'text/plain'"),
    ],
)
def test_a_request_is_compared(verb: str, path: str, sent: Content, expected: str) -> None:
    found = wrong_in_request(verb, path, sent)
    assert len(found) == bool(expected)
    assert expected in "".join(found)
