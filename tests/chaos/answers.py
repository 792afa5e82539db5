"""Answers that are damaged in every way, through reader, schema and writer."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.payloads import DIMENSIONS, FIELDS, MEASURES, Results, build, query_task_id
from tap_looker_tasks.looker.json_text import MalformedAnswer
from tap_looker_tasks.looker.multi_results import split_answers
from tap_looker_tasks.looker.payload import read_result
from tap_looker_tasks.records.columns import columns_of, stream_schema
from tap_looker_tasks.records.fields import explore_fields
from tap_looker_tasks.records.matching import match_columns
from tap_looker_tasks.records.rows import RowReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tap_looker_tasks.looker.multi_results import TaskAnswer

_SEEDS_OF_A_FORMAT = 4
_ROWS = 3
_MOST_DAMAGES = 4
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


@dataclass
class Reading:
    """What came of damaged answers.

    Attributes:
        counts: by what became of them.
        lines: that were written.
        problems: answers that another error came of, or an invalid line.
    """

    counts: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    problems: list[str] = field(default_factory=list)

    def told(self) -> Iterator[str]:
        """Yield a table."""
        for what, count in self.counts.most_common():
            yield f"{what:24} {count:8,}"
        yield f"{'lines written':24} {self.lines:8,}"


class Reader:
    """Takes a body from the wire to the lines of a stream, as a run does."""

    def __init__(self) -> None:
        self._schema = _schema()
        self.reading = Reading()

    def read(self, body: bytes, chunk_bytes: int, longest_entry: int) -> None:
        """Read a body that comes in chunks; whatever is in it, only certain errors may come."""
        chunks = (body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes))
        try:
            for _, answer in split_answers(chunks, longest_entry=longest_entry):
                self.reading.counts[self._deliver(answer)] += 1
        except MalformedAnswer:
            self.reading.counts["refused as a whole"] += 1
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            self.reading.problems.append(f"{error!r} {body[:2000]!r}")

    def _deliver(self, answer: TaskAnswer | MalformedAnswer) -> str:
        if isinstance(answer, MalformedAnswer):
            return "entry refused"
        try:
            result = read_result(answer)
            match = match_columns(self._schema, result, lambda _: True)
            reader = RowReader(match.columns, result.time_zone or "UTC")
            for batch in reader.batches(result, "task"):
                written = batch.lines().splitlines()
                self.reading.lines += len(written)
                assert len(written) == len(batch)
                assert all(isinstance(json.loads(line), dict) for line in written)
        except MalformedAnswer:
            return "result refused"
        known = result.status in {"complete", "error"}
        return f"delivered, {result.status if known else 'another status'}"


def _schema() -> dict[str, Any]:
    groups = {"dimensions": DIMENSIONS, "measures": MEASURES}
    described = {
        group: [{"name": name, "type": type_} for name, type_ in fields.items()]
        for group, fields in groups.items()
    }
    columns = columns_of(explore_fields({"fields": described}), {"fields": [*FIELDS]}, 63)
    return stream_schema(columns, [])


def read_damaged(folder: Path, count: int, seed: int) -> Reading:
    """Damage answers that are right, so many times, and read them."""
    drawn, reader = random.Random(seed), Reader()  # noqa: S311 - damages, not secrets
    seeds = _seeds(folder)
    for _ in range(count):
        body = drawn.choice(seeds)
        for _ in range(drawn.randint(1, _MOST_DAMAGES)):
            body = drawn.choice((_damage_bytes, _damage_bytes, _damage_value))(body, drawn)
        reader.read(body, drawn.choice((1 << 20, 1000, 37)), drawn.choice((1 << 20, 100)))
    return reader.reading


def _seeds(folder: Path) -> list[bytes]:
    """Build bodies of two tasks each, in every format."""
    results = Results(("json", "json_bi", "json_detail"), 3 * _SEEDS_OF_A_FORMAT, _ROWS)
    build(results, folder / "answers")
    entries = [path.read_bytes() for path in sorted((folder / "answers").glob("entry-*"))]
    failed = b'{"status":"error","data":{"errors":[{"message":"no such table"}]}}'
    ids = [query_task_id(number).encode() for number in range(2)]
    return [b'{"%b":%b,"%b":%b}' % (ids[0], entry, ids[1], failed) for entry in entries]


def _damage_bytes(body: bytes, drawn: random.Random) -> bytes:
    at = drawn.randrange(len(body) + 1)
    end = min(len(body), at + drawn.randrange(_PIECE_BYTES))
    piece = drawn.choice((b"", drawn.choice(_TOKENS), body[at:end] * 2, drawn.randbytes(2)))
    return body[:at] + piece + body[end:]


def _damage_value(body: bytes, drawn: random.Random) -> bytes:
    """Put another value in some place, or another key, if it is JSON still."""
    try:
        root = json.loads(body)
    except (ValueError, RecursionError):
        return _damage_bytes(body, drawn)
    places = [*_places(root)]
    if not places:
        return _damage_bytes(body, drawn)
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
