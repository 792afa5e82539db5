"""Damages to JSON: bytes cut or doubled, odd tokens, other values, other keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

_MAX_DAMAGES = 4
_TOKENS = (
    *(b"null", b"true", b"NaN", b"1e999", b"-0", b"0.1e-400", b"123456789012345678901234567890"),
    *(b'"\\ud800"', b'"\\u0000"', b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\xff", b"\n"),
    *(b"[" * 2000, b'{"a":' * 2000, b'"complete"', b'"error"', b'{"value":{"value":1}}'),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 10**40, 0.5, "", "x", "NaN", "9999-12-31 23:59:60", "\ud83d\ude00\x00"),
    *([], {}, [[]], {"value": None}, {"value": {"a": 1}}, {"links": []}, [{"message": "no"}]),
)
_PIECE_BYTES = 40


def damage(body: bytes, drawn: random.Random) -> bytes:
    """Damage a body in some places."""
    for _ in range(drawn.randint(1, _MAX_DAMAGES)):
        body = drawn.choice((damage_bytes, damage_bytes, damage_value))(body, drawn)
    return body


def damage_bytes(body: bytes, drawn: random.Random) -> bytes:
    at = drawn.randrange(len(body) + 1)
    end = min(len(body), at + drawn.randrange(_PIECE_BYTES))
    piece = drawn.choice((b"", drawn.choice(_TOKENS), body[at:end] * 2, drawn.randbytes(2)))
    return body[:at] + piece + body[end:]


def damage_value(body: bytes, drawn: random.Random) -> bytes:
    """Put another value in some place, or another key, if it is JSON still."""
    try:
        root = json.loads(body)
    except (ValueError, RecursionError):
        return damage_bytes(body, drawn)
    places = [*_places(root)] if isinstance(root, dict | list) else []
    if not places:
        return damage_bytes(body, drawn)
    container, key = drawn.choice(places)
    how: Callable[[], Any] = drawn.choice(
        (lambda: drawn.choice(_VALUES), lambda: drawn.choice(places)[0], lambda: None)
    )
    if isinstance(container, dict) and drawn.random() < 1 / 3:
        container[drawn.choice(("value", "data", "rows", "errors", "", "x"))] = container.pop(key)
    else:
        container[key] = how()
    try:
        return json.dumps(root).encode()
    except (ValueError, RecursionError):
        # It holds itself.
        return body


def _places(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - any JSON
    pending = [value]
    while pending:
        container = pending.pop()
        keys = container if isinstance(container, dict) else range(len(container))
        for key in keys:
            yield container, key
            if isinstance(container[key], dict | list):
                pending.append(container[key])
