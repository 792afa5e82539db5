"""Requests made from Looker's description, with wrong values: no response is a 500.

`FUZZ_REQUESTS` is their number; `make test-clients` sends 20,000.
"""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from looker_simulator.content import QUERY_KEYS
from looker_simulator.routes import ROUTES
from tests.singer import stored_id

if TYPE_CHECKING:
    from tests.simulator.browser import Browser

DESCRIPTION = os.environ.get("LOOKER_OPENAPI", "")
REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "300"))
TEXTS = (
    *("", "1", "shop", "orders", "flights_2013", "orders.count", "orders.state", "json", "csv"),
    *("xlsx", "-1", "99", "true", "'", '"; drop table x', "\x00", "%", "(", "${orders.id} > 1"),
    *("UTC", "right", "[{}]", "null", "[1]", stored_id(1), stored_id(16), "é", "orders.state desc"),
)
pytestmark = pytest.mark.skipif(not DESCRIPTION, reason="LOOKER_OPENAPI names no description")


def draw_value(drawn: random.Random, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    kind = drawn.randrange(9 if depth < 3 else 6)
    if kind == 6:
        return [draw_value(drawn, depth + 1) for _ in range(drawn.randrange(3))]
    if kind > 6:
        return {drawn.choice(TEXTS): draw_value(drawn, depth + 1) for _ in range(2)}
    return drawn.choice([drawn.choice(TEXTS)] * 4 + [None, True, 0, -1, 2.5, 10**30])


def draw_body(drawn: random.Random) -> Any:  # noqa: ANN401 - JSON
    if drawn.random() < 0.2:
        return draw_value(drawn)
    body: dict[str, Any] = {"model": "shop", "view": "orders", "fields": ["orders.state"]}
    if drawn.random() < 0.3:
        body = {"query_id": stored_id(drawn.randrange(1, 24)), "result_format": "json"}
    for key in drawn.sample([*QUERY_KEYS, "query_id", "result_format"], drawn.randrange(4)):
        texts = [drawn.choice(TEXTS)]
        body[key] = drawn.choice([draw_value(drawn), drawn.choice(TEXTS), texts, {texts[0]: "1"}])
    return body


def test_no_request_breaks_the_simulator(browser: Browser) -> None:
    document = json.loads(Path(DESCRIPTION).read_text())
    # Those that end the session would leave nothing to try.
    known = {(r.verb, r.path) for r in ROUTES if r.operation_id not in {"login", "logout"}}
    operations = [
        (verb.upper(), path, [p["name"] for p in each.get("parameters", ()) if p["in"] == "query"])
        for path, verbs in document["paths"].items()
        for verb, each in verbs.items()
        if path not in {"/login", "/logout"}
    ]
    served = [operation for operation in operations if operation[:2] in known]
    drawn = random.Random(20_261_129)  # noqa: S311 - repeatable
    for number in range(REQUESTS):
        verb, path, parameters = drawn.choice(served if drawn.random() < 0.9 else operations)
        path = re.sub(r"\{\w+\}", lambda _: drawn.choice(TEXTS[1:9] + TEXTS[-4:]), path)
        query = {name: drawn.choice(TEXTS) for name in parameters if drawn.random() < 0.3}
        body = draw_body(drawn) if verb != "GET" else None
        response = browser.session.request(
            verb, browser.api + path, params=query, json=body, timeout=60
        )
        sent = (number, verb, path, query, body)
        assert response.status_code < 500, (*sent, response.text)
