"""Answers that are damaged in every way, through reader, schema and writer."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.payloads import DIMENSIONS, FIELDS, MEASURES, Results, build, query_task_id
from tap_looker_tasks.records.columns import columns_of, match_columns, stream_schema
from tap_looker_tasks.records.fields import explore_fields
from tap_looker_tasks.records.rows import RowReader
from tap_looker_tasks.results.entries import split_entries
from tap_looker_tasks.results.json_text import MalformedResponseError
from tap_looker_tasks.results.payload import read_result
from tests.chaos.damage import damage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_looker_tasks.results.entries import TaskEntry

_SEEDS_OF_A_FORMAT = 4
_ROWS = 3


@dataclass
class Reading:
    """Results of damaged responses.

    Attributes:
        counts: by what became of them.
        lines: that were written.
        problems: responses that another error came of, or an invalid line.
    """

    counts: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    problems: list[str] = field(default_factory=list)

    def shown(self) -> Iterator[str]:
        """Yield a table."""
        for what, count in self.counts.most_common():
            yield f"{what:24} {count:8,}"
        yield f"{'lines written':24} {self.lines:8,}"


class Reader:
    """Takes a body from the wire to the lines of a stream, as a run does."""

    def __init__(self) -> None:
        self._schema = _schema()
        self.reading = Reading()

    def read(self, body: bytes, chunk_bytes: int, max_entry_bytes: int) -> None:
        """Read a body that comes in chunks; whatever is in it, only certain errors may come."""
        chunks = (body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes))
        try:
            for _, response in split_entries(chunks, max_entry_bytes=max_entry_bytes):
                self.reading.counts[self._deliver(response)] += 1
        except MalformedResponseError:
            self.reading.counts["response rejected"] += 1
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            self.reading.problems.append(f"{error!r} {body[:2000]!r}")

    def _deliver(self, response: TaskEntry | MalformedResponseError) -> str:
        if isinstance(response, MalformedResponseError):
            return "entry rejected"
        try:
            result = read_result(response)
            match = match_columns(self._schema, result, lambda _: True)
            reader = RowReader(match.columns, result.time_zone or "UTC")
            for batch in reader.batches(result, "task"):
                written = batch.lines().splitlines()
                self.reading.lines += len(written)
                assert len(written) == batch.count
                assert all(isinstance(json.loads(line), dict) for line in written)
        except MalformedResponseError:
            return "result rejected"
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
    """Damage responses that are right, that many times, and read them."""
    drawn, reader = random.Random(seed), Reader()  # noqa: S311 - damages, not secrets
    seeds = _seeds(folder)
    for _ in range(count):
        body = damage(drawn.choice(seeds), drawn)
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
