"""Builds the bytes that the stub serves: results of seeded random rows, ready to send."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ResultFormat = Literal["json", "json_bi", "json_detail"]
DIMENSIONS = {
    "orders.id": "number",
    "orders.customer": "string",
    "orders.status": "string",
    "orders.note": "string",
    "orders.is_paid": "yesno",
    "orders.created_date": "date_date",
    "orders.created_time": "date_time",
}
MEASURES = {
    "orders.total": "sum",
    "orders.count": "count",
    "orders.average_discount": "average",
}
FIELDS = (*DIMENSIONS, *MEASURES)
MODEL = "shop"
EXPLORE = "orders"
_DIGITS_OF_NUMBER = 8
_ROWS_AT_ONCE = 1000
# More than any row takes.
_BYTES_OF_ROW = 1000
_DAYS = 730
_FIRST_MOMENT = datetime(2024, 1, 1, tzinfo=UTC)
_SECONDS_OF_DAY = 86_400
_NULL_SHARE = 0.1
_STATUSES = ("open", "paid", "shipped", "returned")
_NOTES = ("", "gift", 'say "hello"', "Grüsse aus Zürich", "two\nlines", "leave at the door")


def query_task_id(number: int) -> str:
    """Name a task as Looker does, in 32 hexadecimal digits; the last ones are its number."""
    random_part = hashlib.sha256(str(number).encode()).hexdigest()
    return f"{random_part[: 32 - _DIGITS_OF_NUMBER]}{number:0{_DIGITS_OF_NUMBER}x}"


def number_of(task_id: str) -> int:
    """Return the number of a task that `query_task_id` named."""
    return int(task_id[-_DIGITS_OF_NUMBER:], 16)


@dataclass(frozen=True, slots=True)
class Results:
    """What to build: results that differ from one another, served in turn.

    Attributes:
        formats: of the results, in turn.
        count: results that differ.
        rows: of each.
        least_bytes: of each; as many rows as that takes, instead of `rows`.
    """

    formats: tuple[ResultFormat, ...]
    count: int
    rows: int = 0
    least_bytes: int = 0
    seed: int = field(default=0, kw_only=True)


def build(results: Results, folder: Path) -> list[int]:
    """Write a response's entry for one task after the other, and the Explore behind them.

    Returns:
        the rows of each.
    """
    folder.mkdir()
    (folder / "explore.json").write_bytes(msgspec.json.encode({"fields": _described()}))
    counts: list[int] = []
    drawn = random.Random(results.seed)  # noqa: S311 - made-up data, not secrets
    for number in range(results.count):
        result_format = results.formats[number % len(results.formats)]
        with (folder / f"entry-{number:05}.json").open("wb") as file:
            before, after = _around_the_rows(result_format)
            file.write(b'{"status":"complete","result_source":"query","data":' + before)
            rows = _rows(drawn, has_cells=result_format != "json")
            counts.append(_write_rows(rows, results, file))
            file.write(after + b"}")
    return counts


def _write_rows(rows: Iterator[dict[str, Any]], results: Results, file: BinaryIO) -> int:
    """Write as many rows as requested, some at once, without the brackets around them."""
    written, bytes_left = 0, results.least_bytes
    while written < results.rows or bytes_left > 0:
        count = min(_ROWS_AT_ONCE, max(results.rows - written, 1 + bytes_left // _BYTES_OF_ROW))
        piece = msgspec.json.encode([*islice(rows, count)])[1:-1]
        file.write(b"," + piece if written else piece)
        written, bytes_left = written + count, bytes_left - len(piece)
    return written


def _rows(drawn: random.Random, *, has_cells: bool) -> Iterator[dict[str, Any]]:
    number = 0
    while True:
        number += 1
        row = dict(zip(FIELDS, _values(number, drawn), strict=True))
        yield {name: {"value": value} for name, value in row.items()} if has_cells else row


def _values(number: int, drawn: random.Random) -> tuple[object, ...]:
    seconds = drawn.randrange(_DAYS * _SECONDS_OF_DAY)
    moment = _FIRST_MOMENT + timedelta(seconds=seconds)
    discount = None if drawn.random() < _NULL_SHARE else drawn.randrange(10_000) / 100
    return (
        number,
        f"Customer {drawn.randrange(100_000)}",
        drawn.choice(_STATUSES),
        None if drawn.random() < _NULL_SHARE else drawn.choice(_NOTES),
        drawn.choice(("Yes", "No")),
        f"{moment:%Y-%m-%d}",
        f"{moment:%Y-%m-%d %H:%M:%S}",
        drawn.randrange(1_000_000) / 8,
        drawn.randrange(1000),
        discount,
    )


def _around_the_rows(result_format: ResultFormat) -> tuple[bytes, bytes]:
    """What comes before and after the rows of a payload, in the order of the wire."""
    fields = {**_described(), "table_calculations": [], "pivots": []}
    if result_format == "json":
        return b"[", b"]"
    if result_format == "json_bi":
        metadata = {"fields": fields, "pivots": [], "has_totals": False, "has_subtotals": False}
        metadata |= {"columns_truncated": False, "sql": "SELECT 1", "filters": {}}
        return b'{"metadata":' + msgspec.json.encode(metadata) + b',"rows":[', b"]}"
    head = {
        "from_cache": False,
        "id": query_task_id(0),
        "truncated": False,
        "ran_at": "2026-01-31T12:00:00+00:00",
        "runtime": "0.325",
        "added_params": {"sorts": [], "query_timezone": "UTC"},
        "sql": "SELECT 1",
        "fields": fields,
        "fill_fields": [],
        "has_totals": False,
        "has_row_totals": False,
        "applied_filters": {},
        "number_format": "1,234.56",
        "explore": {"name": EXPLORE, "label": "Orders"},
        "timezone": "UTC",
    }
    return msgspec.json.encode(head)[:-1] + b',"data":[', b'],"drill_menu_build_time":0.001}'


def _described() -> dict[str, list[dict[str, Any]]]:
    return {
        "dimensions": [_field(name, type_, "dimension") for name, type_ in DIMENSIONS.items()],
        "measures": [_field(name, type_, "measure") for name, type_ in MEASURES.items()],
    }


def _field(name: str, type_: str, category: str) -> dict[str, Any]:
    label = name.replace(".", " ").replace("_", " ").title()
    return {"name": name, "type": type_, "label": label, "category": category, "convert_tz": True}
