"""A result with a column of every type of Looker's, and what is to land of it.

Built twice from the same seeded values: once as Looker writes them, once as a warehouse should hold
them, so that no code of the tap has a say in what is expected.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

Kind = Literal["text", "number", "integer", "yesno", "date", "moment", "json"]
TIMEZONE = "America/New_York"
STREAM = "every_type"
REGIONS = ("North", "Süd")
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_ZONE = ZoneInfo(TIMEZONE)
# Summer time started and ended there on these days, at 7 and 6 o'clock in UTC.
_AROUND_CHANGES = (
    datetime(2013, 3, 10, 6, 59, 59, tzinfo=UTC),
    datetime(2013, 3, 10, 7, tzinfo=UTC),
    datetime(2013, 11, 3, 4, 30, tzinfo=UTC),
    datetime(2013, 11, 3, 6, 30, tzinfo=UTC),
    datetime(2013, 11, 3, 7, tzinfo=UTC),
)
_TEXTS = (
    "plain",
    "",
    " spaces at both ends ",
    'two\nlines, a comma, a "quote", a \\ and a tab\t',
    "Zürich “Kloten” 🛫 東京 \u2028 end",
    "null",
    "NULL",
    "\\N",
    "'; drop table x; --",
    "{braces}",
    "long " * 20_000,
)
# As one column of a database has them: that many digits after the point.
ONE_SCALE = ("12345678901234567890.0123456789", "-0.0000000001", "99999999999999999999.5", "7")
ANY_SCALE = (
    "12345678901234567890.0123456789",
    "-0.00000000012345678901234567891",
    "999999999999999999999999999999",
)
_FIRST_DAY = date(2013, 1, 1)
_NULLS_EVERY = 7


class Column(NamedTuple):
    """A field of the result, and the column it becomes.

    Attributes:
        field: Looker's name of it.
        looker_type: Looker's type of it.
        kind: what a warehouse should make of its values.
        category: where Looker lists it.
        renamed: the column's name, where it is not made from the field's alone.
    """

    field: str
    looker_type: str
    kind: Kind
    category: Literal["dimensions", "measures", "table_calculations"] = "dimensions"
    renamed: str | None = None

    @property
    def name(self) -> str:
        """The column's name."""
        return self.renamed or self.field.replace(".", "__")


_LONG = "a_field_with_a_name_that_is_longer_than_postgresql_allows"
COLUMNS = (
    Column("every.id", "number", "number"),
    Column("every.text", "string", "text"),
    Column("every.thirty_digits", "number", "number"),
    Column("every.bits54", "number", "number"),
    Column("every.day", "date_date", "date"),
    Column("every.week", "date_week", "date"),
    Column("every.month", "date_month", "text"),
    Column("every.year", "date_year", "integer"),
    Column("every.moment", "date_time", "moment"),
    Column("every.hour", "date_hour", "moment"),
    Column("every.time_of_day", "date_time_of_day", "text"),
    Column("every.age", "duration_day", "number"),
    Column("every.is_new", "yesno", "yesno"),
    Column("every.size_tier", "tier", "text"),
    Column("every.zip", "zipcode", "text"),
    Column("every.place", "location", "json"),
    Column("every.tags", "list", "json"),
    # Reserved words in SQL, and names that need quotes.
    Column("every.order", "string", "text"),
    Column("user", "string", "text"),
    Column("every.2nd", "string", "text"),
    # Names above the 63 bytes of PostgreSQL, equal up to there, and names that differ by case only.
    Column(f"every.{_LONG}_first", "string", "text", renamed=f"every__{_LONG[:47]}_a56e83ce"),
    Column(f"every.{_LONG}_second", "string", "text", renamed=f"every__{_LONG[:47]}_9d054b28"),
    Column("every.Note", "string", "text", renamed="every__Note_3e779f42"),
    Column("every.note", "string", "text", renamed="every__note_c213f255"),
    Column("every.region", "string", "text"),
    Column("every.count", "count", "integer", "measures"),
    Column("every.total", "sum", "number", "measures"),
    Column("share", "number", "number", "table_calculations"),
)
BY_FIELD = {column.field: column for column in COLUMNS}
PIVOT = "every.region"
_PER_REGION = ("every.count", "every.total", "share")
KEYS = ("every.id", PIVOT)


@dataclass(frozen=True)
class Cell:
    """A value as Looker writes it, and as it should land."""

    wire: object
    landed: object


def _cells(number: int, drawn: random.Random, numbers: Sequence[str]) -> dict[str, Cell]:
    """Draw the dimensions of a row."""
    moment = (
        _AROUND_CHANGES[number % 10]
        if number % 10 < len(_AROUND_CHANGES)
        else datetime(2013, 1, 1, tzinfo=UTC) + timedelta(seconds=drawn.randrange(60 * 8_000) * 60)
    )
    local = moment.astimezone(_ZONE)
    # Of the hour that comes twice, Looker's text does not tell which it is: the first is taken.
    landed = local.replace(fold=0).astimezone(UTC)
    day = _FIRST_DAY + timedelta(days=drawn.randrange(20_000))
    digits = numbers[number % len(numbers)]
    place = [drawn.randrange(-90, 90) + 0.25, drawn.randrange(-180, 180) + 0.5]
    tags = [f"tag {n}" for n in range(number % 3)]
    return {
        "every.text": _same(_TEXTS[number % len(_TEXTS)] if number < 99 else f"row {number}"),
        # Some databases hand Looker text instead of numbers.
        "every.thirty_digits": Cell(digits if number % 2 else Decimal(digits), Decimal(digits)),
        "every.bits54": _same(2**53 + 1 + number),
        "every.day": Cell(f"{day}", day),
        "every.week": Cell(f"{day}", day),
        "every.month": _same(f"{day:%Y-%m}"),
        "every.year": _same(day.year),
        "every.moment": Cell(f"{local:%Y-%m-%d %H:%M:%S}", landed),
        "every.hour": Cell(f"{local:%Y-%m-%d %H}", landed.replace(minute=0, second=0)),
        "every.time_of_day": _same(f"{local:%H:%M}"),
        "every.age": _same(drawn.randrange(-5, 5)),
        "every.is_new": Cell("Yes" if number % 2 else "No", bool(number % 2)),
        "every.size_tier": _same(("Below 500", "500 to 999", "Undefined")[number % 3]),
        "every.zip": _same(f"{number % 100_000:05}"),
        "every.place": _same(place),
        "every.tags": _same(tags),
        "every.order": _same(f"order {number}"),
        "user": _same(f"user {number}"),
        "every.2nd": _same("second"),
        f"every.{_LONG}_first": _same(f"first {number}"),
        f"every.{_LONG}_second": _same(f"second {number}"),
        "every.Note": _same(f"upper {number}"),
        "every.note": _same(f"lower {number}"),
    }


def _measured(drawn: random.Random) -> dict[str, Cell]:
    """Draw what a row has for each pivot value."""
    return {
        "every.count": _same(drawn.randrange(10**12)),
        "every.total": _same(drawn.randrange(-(10**9), 10**9) / 8),
        "share": _same(drawn.randrange(1000) / 1024),
    }


def _same(value: object) -> Cell:
    return Cell(value, value)


class Table(NamedTuple):
    """Rows as Looker pivots them, and the records that should land."""

    rows: list[dict[str, Any]]
    records: list[dict[str, object]]


def draw_table(row_count: int, seed: int = 0, numbers: Sequence[str] = ANY_SCALE) -> Table:
    """Draw that many rows; every seventh holds only nulls and its key."""
    drawn = random.Random(seed)  # noqa: S311 - made-up data, not secrets
    rows, records = [], []
    for number in range(row_count):
        is_empty = number % _NULLS_EVERY == _NULLS_EVERY - 1
        shared = _emptied(_cells(number, drawn, numbers), is_empty=is_empty)
        shared["every.id"] = _same(number)
        row: dict[str, Any] = {field: {"value": cell.wire} for field, cell in shared.items()}
        for region in REGIONS:
            measured = _emptied(_measured(drawn), is_empty=is_empty)
            for field, cell in measured.items():
                row.setdefault(field, {})[region] = {"value": cell.wire}
            cells = {**shared, **measured, PIVOT: _same(region)}
            records.append({BY_FIELD[field].name: cell.landed for field, cell in cells.items()})
        rows.append(row)
    return Table(rows, records)


def _emptied(cells: dict[str, Cell], *, is_empty: bool) -> dict[str, Cell]:
    return {field: _same(None) if is_empty else cell for field, cell in cells.items()}


def write_responses(table: Table, folder: Path) -> None:
    """Write what `bench.stub` serves: the Explore, and the one response for every task."""
    folder.mkdir()
    (folder / "explore.json").write_bytes(_ENCODER.encode({"fields": _grouped(COLUMNS)}))
    unpivoted = [column for column in COLUMNS if column.field != PIVOT]
    payload = {
        "from_cache": False,
        "id": "made-up",
        "truncated": False,
        "runtime": "0.325",
        "added_params": {"sorts": [], "query_timezone": TIMEZONE},
        "fields": {**_grouped(unpivoted), "pivots": [_described(BY_FIELD[PIVOT])]},
        "has_totals": False,
        "has_row_totals": False,
        "timezone": TIMEZONE,
        "pivots": [{"key": r, "is_total": False, "data": {PIVOT: r}} for r in REGIONS],
        "data": table.rows,
    }
    entry = {"status": "complete", "result_source": "query", "data": payload}
    (folder / "entry-0.json").write_bytes(_ENCODER.encode(entry))


def _grouped(columns: Iterable[Column]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for column in columns:
        groups[column.category].append(_described(column))
    return groups


def _described(column: Column) -> dict[str, Any]:
    return {
        "name": column.field,
        "type": column.looker_type,
        "label": column.field,
        "category": column.category.removesuffix("s"),
        "convert_tz": True,
    }


def query(**more: Any) -> dict[str, Any]:
    """Return the query's entry in the setting `queries`."""
    calculation = {"table_calculation": "share", "expression": "1", "_type_hint": "number"}
    return {
        "name": STREAM,
        "explore": {
            "model": "shop",
            "explore": "every",
            "fields": [c.field for c in COLUMNS if c.category != "table_calculations"],
            "pivots": [PIVOT],
            "dynamic_fields": [calculation],
        },
        "primary_keys": [*KEYS],
        **more,
    }


def canonical(kind: Kind, value: object) -> str | None:
    """Write a value so that equal ones are equal text, whatever a target keeps them as."""
    return None if value is None else _CANONICAL[kind](value)


def _number(value: object) -> str:
    digits = f"{Decimal(str(value)):f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _moment(value: object) -> str:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat()


def _json(value: object) -> str:
    return msgspec.json.encode(_with_floats(value), order="sorted").decode()


def _with_floats(value: object) -> object:
    if isinstance(value, list):
        return [_with_floats(held) for held in value]
    return float(value) if isinstance(value, int | float | Decimal) else value


_CANONICAL: Mapping[Kind, Callable[[object], str]] = {
    "text": str,
    "number": _number,
    "integer": _number,
    "yesno": lambda value: str(value).lower(),
    "date": lambda value: str(value)[:10],
    "moment": _moment,
    "json": _json,
}


def compare(expected: list[dict[str, object]], found: list[dict[str, object]]) -> list[str]:
    """Name every cell that differs; rows are found by their key, in any order."""
    by_key = {_key(record): record for record in found}
    differences = [] if len(found) == len(expected) else [f"{len(found)} of {len(expected)} rows"]
    for record in expected:
        key = _key(record)
        if key in by_key:
            differences += _differing_cells(key, record, by_key[key])
        else:
            differences.append(f"{key}: missing")
    return differences


def _key(record: dict[str, object]) -> tuple[str | None, ...]:
    return tuple(canonical(BY_FIELD[f].kind, record[BY_FIELD[f].name]) for f in KEYS)


def _differing_cells(
    key: object, expected: dict[str, object], found: dict[str, object]
) -> Iterator[str]:
    for column in COLUMNS:
        wanted = canonical(column.kind, expected[column.name])
        landed = canonical(column.kind, found[column.name])
        if landed != wanted:
            yield f"{key} {column.name}: {landed!r:.80} in place of {wanted!r:.80}"
