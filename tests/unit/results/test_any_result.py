"""Whatever an Explore, a query and its result are: every cell is delivered right."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from hypothesis import given, strategies as st

from tap_looker_tasks.records.columns import columns_of, match_columns, stream_schema
from tap_looker_tasks.records.fields import explore_fields
from tap_looker_tasks.records.rows import RowReader
from tap_looker_tasks.results.entries import read_entry
from tap_looker_tasks.results.payload import read_result
from tests.examples import at_most

if TYPE_CHECKING:
    from collections.abc import Iterator

ZONES = ("UTC", "America/New_York", "Asia/Kolkata")
NAMES = ("id", "Total", "total", 'say "hi"', "größe", "tab\there", "x" * 70, "x" * 71, "value")
OBJECTS = ({"a": [1, 2.5]}, {"value": {"a": 1}}, {"a": {"b": 1}})
DIMENSIONS: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=5) | st.sampled_from(OBJECTS) | st.integers(),
    "number": st.integers(-(10**30), 10**30) | st.sampled_from([0.5, -12.25, "7", "1.50"]),
    "yesno": st.sampled_from(["Yes", "No", True, False]),
    "date_date": st.dates().map(str),
    "date_time": st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1)).map(  # noqa: DTZ001
        lambda moment: str(moment.replace(microsecond=0))
    ),
    "date_raw": st.sampled_from(["2026-03-01 12:00:00", "2026-03-01 12:00:00 UTC"]),
    "brand_new": st.text(max_size=3) | st.lists(st.integers(), max_size=2),
}
MEASURES: dict[str, st.SearchStrategy[Any]] = {
    "count": st.integers(0, 2**63 - 1),
    "sum": st.integers(),
}
KEYS = ("new", "old", "NULL", "$$$_row_total_$$$")
# Beside a dimension that is an object, only a result that names its fields shows which is which.
KEYS_LIKE_OBJECTS = ("value", "a")


@dataclass(frozen=True)
class Case:
    """A query, its Explore, and a result.

    Attributes:
        fields: name -> (group, type), in the query's order.
        pivot: the dimension that it is pivoted by.
        keys: of the pivots.
        rows: field -> value, or pivot key -> value for the measures of a pivoted query.
    """

    fields: dict[str, tuple[str, str]]
    pivot: str | None
    keys: list[str]
    rows: list[dict[str, Any]]
    format: str
    zone: str
    names_fields: bool

    @property
    def data(self) -> object:
        groups: dict[str, list[dict[str, object]]] = {"dimensions": [], "measures": []}
        for name, (group, type_) in self.fields.items():
            groups[group].append({"name": name, "type": type_})
        described: dict[str, object] = {"fields": groups} if self.names_fields else {}
        if self.pivot:
            described["pivots"] = [
                {"key": key, "is_total": key.startswith("$"), "data": {self.pivot: key}}
                for key in self.keys
            ]
            groups["pivots"] = [{"name": self.pivot, "type": "string"}]
        cells = [{name: self._cell(name, row[name]) for name in row} for row in self.rows]
        if self.format == "json_bi":
            return {"metadata": described, "rows": cells}
        return {"added_params": {"query_timezone": self.zone}, **described, "data": cells}

    def _cell(self, name: str, value: object) -> object:
        if self.pivot and self.fields[name][0] == "measures":
            assert isinstance(value, dict)
            return {key: {"value": part} for key, part in value.items()}
        return {"value": value}

    def expected(self) -> Iterator[list[object]]:
        """Reckon each record by itself, slowly."""
        present = {name for row in self.rows for name in row} | {self.pivot}
        for row in self.rows:
            for key in [k for k in self.keys if not k.startswith("$")] if self.pivot else [None]:
                yield [
                    self._evaluate(name, type_, key if name == self.pivot else row.get(name), key)
                    for name, (_, type_) in self.fields.items()
                    if self.names_fields or name in present
                ]

    def _evaluate(self, name: str, type_: str, value: Any, key: str | None) -> object:  # noqa: ANN401 - any JSON
        if key and self.fields[name][0] == "measures" and value is not None:
            value = value.get(key)
        if value is None:
            return None
        return evaluate_value(type_, value, ZoneInfo(self.zone))


def evaluate_value(type_: str, value: Any, zone: ZoneInfo) -> object:  # noqa: ANN401 - any JSON
    if type_ == "string" and not isinstance(value, str):
        return json.dumps(value, separators=(",", ":"))
    if type_ == "number":
        return Decimal(str(value))
    if type_ == "yesno":
        return value in {"Yes", True}
    if type_ == "date_date":
        return date.fromisoformat(value).isoformat()
    if type_ == "date_time":
        local = datetime.fromisoformat(value).replace(tzinfo=zone)
        return local.astimezone(UTC).isoformat()
    return value


@st.composite
def cases(draw: st.DrawFn) -> Case:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True))
    fields: dict[str, tuple[str, str]] = {}
    for name in names:
        group = draw(st.sampled_from(["dimensions", "measures"]))
        types = DIMENSIONS if group == "dimensions" else MEASURES
        fields[f"v.{name}"] = (group, draw(st.sampled_from([*types])))
    pivot = draw(st.sampled_from([None, "v.by"]))
    names_fields = draw(st.booleans())
    possible_keys = (*KEYS, *KEYS_LIKE_OBJECTS) if names_fields else KEYS
    others = draw(st.lists(st.sampled_from(possible_keys), unique=True))
    keys = ["first", *others] if pivot else []
    if pivot:
        fields[pivot] = ("dimensions", "string")
    rows = draw(st.lists(rows_of(fields, pivot, keys), max_size=4))
    return Case(
        fields,
        pivot,
        keys,
        rows,
        format=draw(st.sampled_from(["json_detail", "json_bi"])),
        zone=draw(st.sampled_from(ZONES)),
        names_fields=names_fields,
    )


@st.composite
def rows_of(
    draw: st.DrawFn, fields: dict[str, tuple[str, str]], pivot: str | None, keys: list[str]
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, (group, type_) in fields.items():
        if name == pivot or draw(st.integers(0, 5)) == 0:
            continue
        values = (DIMENSIONS | MEASURES)[type_] | st.none()
        if pivot and group == "measures":
            row[name] = {key: draw(values) for key in keys}
        else:
            row[name] = draw(values)
    return row


@at_most(150)
@given(cases())
def test_every_cell_of_every_row_is_delivered_once_and_right(case: Case) -> None:
    explore: dict[str, Any] = {"fields": {"dimensions": [], "measures": []}}
    for name, (group, type_) in case.fields.items():
        explore["fields"][group].append({"name": name, "type": type_})
    body = {"fields": [*case.fields], "pivots": [case.pivot] if case.pivot else []}
    schema = stream_schema(columns_of(explore_fields(explore), body, 63), [])
    payload = json.dumps({"status": "complete", "data": case.data})
    result = read_result(read_entry(payload.encode()))
    match = match_columns(schema, result, lambda _: True)
    reader = RowReader(match.columns, result.time_zone or case.zone)
    records = [r for batch in reader.batches(result, "t") for r in batch.records()]
    assert reader.problems == []
    assert [record["_row_number"] for record in records] == [*range(1, len(records) + 1)]
    assert [[*record.values()][2:] for record in records] == [*case.expected()]
    assert len({name.lower()[:63] for name in schema["properties"]}) == len(case.fields) + 2
