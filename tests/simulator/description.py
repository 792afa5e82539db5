"""Looker's OpenAPI description, and what of a request or a response is not as it says."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import jsonschema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.proxy import Content, Exchange

API = "/api/4.0"
_JSON = "application/json"
_WORDS = {"integer": re.compile(r"-?\d+"), "boolean": re.compile("true|false")}


class Operation(NamedTuple):
    """An operation, and the requests that are for it."""

    verb: str
    path: str
    described: Mapping[str, Any]

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """The parameters in the query string, by name."""
        found = self.described.get("parameters", [])
        return {each["name"]: each for each in found if each["in"] == "query"}

    def matches(self, verb: str, path: str) -> bool:
        """Return whether a request is for it."""
        return verb == self.verb and bool(
            re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(API + self.path)), path)
        )


class Description:
    """What Looker says of its API."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Take the description as it was read from JSON."""
        self._document = document
        self._formats = _build_format_checker()
        self._validators: dict[tuple[bool, str], jsonschema.Draft202012Validator] = {}

    @cached_property
    def operations(self) -> list[Operation]:
        """All operations; those whose path says more come first."""
        found = [
            Operation(verb.upper(), path, operation)
            for path, verbs in self._document["paths"].items()
            for verb, operation in verbs.items()
        ]
        return sorted(found, key=lambda operation: operation.path.count("{"))

    def wrong_in_request(self, exchange: Exchange) -> Iterator[str]:
        """Yield what of a request is not as described."""
        operation = self._find(exchange)
        if operation is None:
            yield f"{exchange.verb} {exchange.target} is not described"
            return
        query = parse_qsl(urlsplit(exchange.target).query, keep_blank_values=True)
        body = self._wrong_in_body(operation.described.get("requestBody"), exchange.sent)
        for what in (*_wrong_in_query(operation.parameters, query), *body):
            yield f"{exchange.verb} {operation.path}, request: {what}"

    def wrong_in_response(self, exchange: Exchange) -> Iterator[str]:
        """Yield what of a response is not as described."""
        operation = self._find(exchange)
        if operation is None:
            return
        responses = operation.described["responses"]
        response = responses.get(str(exchange.status))
        wrong = (
            ["not described"] if response is None else self._wrong_in_content(response, exchange)
        )
        for what in wrong:
            yield f"{exchange.verb} {operation.path}, answer {exchange.status}: {what}"

    def _find(self, exchange: Exchange) -> Operation | None:
        path = urlsplit(exchange.target).path
        return next((op for op in self.operations if op.matches(exchange.verb, path)), None)

    def _wrong_in_body(self, described: Mapping[str, Any] | None, sent: Content) -> Iterator[str]:
        if described is None:
            if sent.body:
                yield f"a body, {sent.body[:40]!r}"
        elif sent.kind not in described["content"]:
            yield f"a body of type {sent.kind!r}"
        elif sent.kind == _JSON:
            yield from self._wrong_in_json(
                described["content"][_JSON]["schema"], sent, is_sent=True
            )

    def _wrong_in_content(self, answer: Mapping[str, Any], exchange: Exchange) -> Iterator[str]:
        content, received = answer.get("content", {}), exchange.received
        # What is described as `text` comes as text of some kind, SQL as recorded of Looker.
        is_text = received.kind.startswith("text/") or received.kind == "application/sql"
        kind = "text" if is_text else received.kind
        is_result = content.get(kind, {}).get("schema", {}).get("type") == "string"
        if not received.body and "string" in {c["schema"].get("type") for c in content.values()}:
            return
        if kind not in content:
            yield f"of type {received.kind!r}"
        elif kind == _JSON and not is_result:
            # A result is described as text, whatever its format.
            yield from self._wrong_in_json(content[_JSON]["schema"], received, is_sent=False)

    def _wrong_in_json(
        self, schema: Mapping[str, Any], content: Content, *, is_sent: bool
    ) -> Iterator[str]:
        try:
            value = json.loads(content.body)
        except ValueError as error:
            yield f"no JSON: {error}"
            return
        for found in self._validator(schema, is_sent=is_sent).iter_errors(value):
            where = "/".join(str(step) for step in found.absolute_path)
            yield f"at {where!r}: {found.message[:200]}"

    def _validator(
        self, schema: Mapping[str, Any], *, is_sent: bool
    ) -> jsonschema.Draft202012Validator:
        key = is_sent, json.dumps(schema)
        if key not in self._validators:
            parts = {**schema, "components": self._document["components"]}
            self._validators[key] = jsonschema.Draft202012Validator(
                as_json_schema(parts, is_sent=is_sent), format_checker=self._formats
            )
        return self._validators[key]


def _build_format_checker() -> jsonschema.FormatChecker:
    """Build one that knows moments, which jsonschema would need another package for."""
    checker = jsonschema.FormatChecker(formats=())

    @checker.checks("date-time", raises=ValueError)
    def is_moment(value: object) -> bool:
        return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None

    return checker


def _wrong_in_query(
    parameters: Mapping[str, dict[str, Any]], query: Iterable[tuple[str, str]]
) -> Iterator[str]:
    given = dict(query)
    for name, parameter in parameters.items():
        if parameter.get("required") and name not in given:
            yield f"no parameter {name}"
    for name, value in given.items():
        if name not in parameters:
            yield f"parameter {name}"
            continue
        word = _WORDS.get(parameters[name]["schema"]["type"])
        if word and not word.fullmatch(value):
            yield f"parameter {name}={value}"


def as_json_schema(schema: Any, *, is_sent: bool) -> Any:  # noqa: ANN401 - JSON
    """Return JSON Schema for OpenAPI 3.0, in which nothing is allowed that is not described.

    Args:
        schema: as described.
        is_sent: whether it is of a request, in which nothing belongs that can only be read.
    """
    if isinstance(schema, list):
        return [as_json_schema(entry, is_sent=is_sent) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    read = {key: as_json_schema(value, is_sent=is_sent) for key, value in schema.items()}
    if isinstance(read.get("properties"), dict):
        read.setdefault("additionalProperties", False)
        if is_sent:
            _leave_out_what_is_read_only(read)
    if read.get("type") == "any":
        return {}
    if read.get("nullable") and isinstance(read.get("type"), str):
        read["type"] = [read["type"], "null"]
    return read


def _leave_out_what_is_read_only(schema: dict[str, Any]) -> None:
    properties = schema["properties"]
    schema["properties"] = {
        name: each
        for name, each in properties.items()
        if not (isinstance(each, dict) and each.get("readOnly"))
    }
    if "required" in schema:
        schema["required"] = [name for name in schema["required"] if name in schema["properties"]]
