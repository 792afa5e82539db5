"""What columns a query has, and what becomes of its values."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, strategies as st
from jsonschema import Draft7Validator

from tap_looker_tasks.records.column_types import (
    ANYTHING,
    DATE,
    DATE_TIME,
    INTEGER,
    LOCAL_DATE_TIME,
    NUMBER,
    STRING,
    YESNO,
    ColumnType,
    column_type_of,
)
from tap_looker_tasks.records.columns import (
    Column,
    ColumnMatch,
    collisions,
    column_in_schema,
    columns_of,
    find_type_changes,
    match_columns,
    query_fields,
    stream_schema,
)
from tap_looker_tasks.records.fields import (
    ExploreField,
    custom_fields,
    explore_fields,
    fields_in_result,
)
from tap_looker_tasks.records.rows import RowReader
from tap_looker_tasks.records.timestamps import to_local, to_utc, zone_named
from tap_looker_tasks.results.entries import read_entry
from tap_looker_tasks.results.json_text import MalformedResponseError
from tap_looker_tasks.results.payload import read_result
from tap_looker_tasks.results.result import Field, Result
from tests.examples import at_most

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
EXPLORE = {
    "fields": {
        "dimensions": [
            {"name": "orders.id", "type": "number", "label": "Orders ID"},
            {
                "name": "orders.created_date",
                "type": "date_date",
                "label": "Orders Created Date",
                "description": "Day of the order",
            },
            {"name": "orders.created_time", "type": "date_time"},
            {"name": "orders.local_time", "type": "date_time", "convert_tz": False},
            {"name": "orders.is_paid", "type": "yesno"},
            {"name": "orders.status", "type": "string"},
        ],
        "measures": [{"name": "orders.count", "type": "count", "label": "Orders Count"}],
        "filters": [{"name": "orders.period", "type": "date"}],
        "parameters": None,
    }
}
CALCULATIONS = json.dumps(
    [
        {"table_calculation": "share", "label": "Share", "_type_hint": "number"},
        {"table_calculation": "off", "is_disabled": True, "_type_hint": "number"},
        {"table_calculation": "whatever"},
        {"dimension": "initial", "_type_hint": "string", "expression": "1"},
        {"measure": "buyers", "type": "count_distinct", "_type_hint": "number"},
        {"measure": "latest", "type": "max", "_type_hint": "date"},
        {"measure": "most", "type": "max"},
        {"measure": 7},
    ]
)


def column(name: str, kind: ColumnType, type_: str | None = None) -> Column:
    return Column(name.replace(".", "__"), name, kind, type_)


def detail(rows: object, **more: object) -> Result:
    entry = {"status": "complete", "data": {"data": rows, **more}}
    return read_result(read_entry(json.dumps(entry).encode()))


def bi(rows: object, **more: object) -> Result:
    entry = {"status": "complete", "data": {"rows": rows, "metadata": more}}
    return read_result(read_entry(json.dumps(entry).encode()))


def records(columns: Sequence[Column], result: Result, id_: str = "t") -> list[dict[str, object]]:
    batches = RowReader(columns, "UTC").batches(result, id_)
    return [record for batch in batches for record in batch.records()]


def read_one(
    kind: ColumnType, value: str, time_zone: str | None = "UTC"
) -> tuple[object, list[str]]:
    """The record value of a value given as JSON, and the problems."""
    body = f'{{"status":"complete","data":{{"data":[{{"v.f":{{"value":{value}}}}}]}}}}'
    reader = RowReader([column("v.f", kind)], time_zone)
    [batch] = reader.batches(read_result(read_entry(body.encode())), "t")
    [found] = batch.column("v__f")
    assert json.loads(batch.lines(), parse_float=Decimal)["v__f"] == found
    return found, reader.problems


@at_most(300)
@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - of no time zone yet
    st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Nowhere"]),
    st.sampled_from(["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M", "%Y-%m-%d"]),
    st.sampled_from(["", "Z", " UTC", "+02:00", ":00", "é"]),
)
def test_date_times_are_read_one_like_the_other(
    moment: datetime, time_zone: str, pattern: str, end: str
) -> None:
    text = moment.strftime(pattern).rjust(len(pattern) + 2, "0") + end
    zone = zone_named(time_zone)
    assert read_or_rejected(DATE_TIME.converter(zone), text) == read_or_rejected(to_utc, text, zone)


def read_or_rejected(read: Callable[..., object], *arguments: object) -> object:
    try:
        return read(*arguments)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("zone", [NEW_YORK, LORD_HOWE, ZoneInfo("Asia/Kolkata")])
def test_every_minute_of_a_year_of_changes_is_read_rightly(zone: ZoneInfo) -> None:
    read = DATE_TIME.converter(zone)
    moment = datetime(2026, 1, 1)  # noqa: DTZ001 - of no time zone yet
    while moment.year == 2026:
        text = str(moment)
        assert read(text) == to_utc(text, zone)
        moment += timedelta(minutes=19)


@pytest.mark.parametrize(
    ("looker_type", "kind"),
    [
        *(("number", NUMBER), ("sum", NUMBER), ("average", NUMBER), ("duration_day", NUMBER)),
        *(("count", INTEGER), ("count_distinct", INTEGER), ("date_hour_of_day", INTEGER)),
        *(("string", STRING), ("zipcode", STRING), ("tier", STRING), ("date_month", STRING)),
        *(("yesno", YESNO), ("date_date", DATE), ("date_week", DATE), ("date", DATE)),
        *(("date_raw", LOCAL_DATE_TIME), ("int", INTEGER)),
        *(("date_time", DATE_TIME), ("date_minute15", DATE_TIME), ("date_hour6", DATE_TIME)),
        *(("list", ANYTHING), ("location", ANYTHING), ("brand new", ANYTHING)),
        *((None, ANYTHING), ("", ANYTHING)),
    ],
)
def test_the_type_decides_about_the_kind(looker_type: str | None, kind: ColumnType) -> None:
    assert column_type_of(looker_type) is kind


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (NUMBER, "12345678901234567890123", 12345678901234567890123),
        (NUMBER, "0.1234567890123456789012345", Decimal("0.1234567890123456789012345")),
        (NUMBER, '"-12.50"', Decimal("-12.50")),
        (NUMBER, '"7"', 7),
        (NUMBER, "1e400", Decimal("1e400")),
        (INTEGER, "5.0", 5),
        (INTEGER, "0.0", 0),
        (INTEGER, '"2013"', 2013),
        (INTEGER, "1e15", 10**15),
        (STRING, '"07030"', "07030"),
        (STRING, "7030", "7030"),
        (STRING, "7.10", "7.10"),
        (STRING, "true", "true"),
        (STRING, '{"a": [1, 0.10]}', '{"a":[1,0.10]}'),
        (YESNO, '"Yes"', True),
        (YESNO, '"No"', False),
        (YESNO, "true", True),
        (YESNO, "false", False),
        (DATE, '"2019-12-22"', "2019-12-22"),
        (DATE_TIME, '"2019-12-22 10:11:12"', "2019-12-22T10:11:12+00:00"),
        (ANYTHING, '["a", 1.50]', ["a", Decimal("1.50")]),
        (ANYTHING, '{"lat": 1}', {"lat": 1}),
        (ANYTHING, '"40.7,-74"', "40.7,-74"),
        (LOCAL_DATE_TIME, '"2019-12-22 10:11:12"', "2019-12-22 10:11:12"),
    ],
)
def test_values_are_read(kind: ColumnType, value: str, expected: object) -> None:
    found, problems = read_one(kind, value)
    assert (found, type(found), problems) == (expected, type(expected), [])


@pytest.mark.parametrize(
    "kind", [NUMBER, INTEGER, STRING, YESNO, DATE, DATE_TIME, ANYTHING, LOCAL_DATE_TIME]
)
def test_null_is_null(kind: ColumnType) -> None:
    assert read_one(kind, "null", None) == (None, [])


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        *((NUMBER, '"NaN"', "NaN"), (NUMBER, '"12 kg"', "12 kg"), (NUMBER, "true", True)),
        *((NUMBER, "[1]", [1]), (INTEGER, "1.5", Decimal("1.5")), (INTEGER, "true", True)),
        *((INTEGER, "1e999999", Decimal("1e999999")),),
        *((YESNO, '"Ja"', "Ja"), (YESNO, "[1]", [1]), (YESNO, "2", 2)),
        *((DATE, '"2019-02-30"', "2019-02-30"), (DATE, "20190230", 20190230)),
        *((DATE, '"2019-12-22 10:00:00"', "2019-12-22 10:00:00"), (DATE, '"20191222"', "20191222")),
        *((DATE_TIME, '"soon"', "soon"), (DATE_TIME, "5", 5), (DATE_TIME, "[1]", [1])),
        *((DATE_TIME, '"2019-02-30 10:00:00"', "2019-02-30 10:00:00"),),
        *((DATE_TIME, '"2019-12-22 24:00:00"', "2019-12-22 24:00:00"),),
        *((DATE_TIME, '"0001-01-01 00:00:00 +05:00"', "0001-01-01 00:00:00 +05:00"),),
    ],
)
def test_what_cannot_be_read_is_kept_and_reported(
    kind: ColumnType, value: str, kept: object
) -> None:
    found, [problem] = read_one(kind, value)
    assert (found, type(found)) == (kept, type(kept))
    assert problem.startswith(f"v__f: 1 values that cannot be read as {kind.name}, left unchanged")
    assert "\n" not in problem


@pytest.mark.parametrize("time_zone", [None, "Mars/Olympus", "../UTC", ""])
def test_a_time_of_an_unknown_time_zone_is_not_guessed_at(time_zone: str | None) -> None:
    found, problems = read_one(DATE_TIME, '"2019-12-22 10:11:12"', time_zone)
    assert found == "2019-12-22 10:11:12"
    assert len(problems) == 1
    assert read_one(DATE_TIME, '"2019-12-22T10:11:12-01:00"', time_zone) == (
        "2019-12-22T11:11:12+00:00",
        [],
    )


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2013-06-01 12:30:00", "2013-06-01T16:30:00+00:00"),
        ("2013-01-01 12:30:00", "2013-01-01T17:30:00+00:00"),
        ("2013-06-01 12:30", "2013-06-01T16:30:00+00:00"),
        ("2013-06-01 12", "2013-06-01T16:00:00+00:00"),
        ("2013-06-01T12:30:00.123456789", "2013-06-01T16:30:00.123456789+00:00"),
        # Twice 01:30: the first is meant.
        ("2013-11-03 01:30:00", "2013-11-03T05:30:00+00:00"),
        ("2013-11-03 02:00:00", "2013-11-03T07:00:00+00:00"),
        # Never 02:30: an hour later.
        ("2013-03-10 02:30:00", "2013-03-10T07:30:00+00:00"),
        ("2013-03-10 03:30:00", "2013-03-10T07:30:00+00:00"),
        # With an offset, the zone has no say.
        ("2013-06-01 12:30:00Z", "2013-06-01T12:30:00+00:00"),
        ("2013-06-01 12:30:00 UTC", "2013-06-01T12:30:00+00:00"),
        ("2013-06-01 12:30:00 -0230", "2013-06-01T15:00:00+00:00"),
        ("2013-06-01 12:30:00.5+05", "2013-06-01T07:30:00.5+00:00"),
    ],
)
def test_a_time_is_one_of_the_time_zone(text: str, utc: str) -> None:
    assert to_utc(text, NEW_YORK) == utc


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2035, 1, 1)),  # noqa: DTZ001 - of any time zone
    st.sampled_from([NEW_YORK, LORD_HOWE, ZoneInfo("Asia/Kolkata"), UTC]),
)
def test_a_bookmark_never_goes_forward_by_being_written_for_looker(
    moment: datetime, zone: ZoneInfo
) -> None:
    utc = moment.replace(tzinfo=UTC)
    local = to_local(utc.isoformat(), zone)
    wall = datetime.fromisoformat(local)
    readings = [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    assert readings[0] == readings[1]
    assert utc - timedelta(hours=3) < readings[0] <= utc
    assert datetime.fromisoformat(to_utc(local, zone)) == readings[0]


def test_a_bookmark_needs_an_offset_and_a_zone() -> None:
    with pytest.raises(ValueError, match="not a date-time of a known time zone"):
        to_local("2013-06-01 12:30:00", NEW_YORK)
    with pytest.raises(ValueError, match="no time zone"):
        to_local("2013-06-01 12:30:00Z", zone_named("nowhere"))


def test_the_fields_of_an_explore_are_read() -> None:
    fields = explore_fields(EXPLORE)
    assert fields["orders.created_date"] == ExploreField(
        "orders.created_date",
        "date_date",
        "Orders Created Date",
        "Day of the order",
        "dimension",
    )
    assert fields["orders.count"].category == "measure"
    assert fields["orders.period"].category == "filter"
    assert not fields["orders.local_time"].converts_time_zone
    assert explore_fields({}) == {}


def test_custom_fields_are_read() -> None:
    fields = custom_fields(CALCULATIONS)
    assert {name: (field.category, field.type) for name, field in fields.items()} == {
        "share": ("table_calculation", "number"),
        "whatever": ("table_calculation", None),
        "initial": ("dimension", "string"),
        "buyers": ("measure", "count_distinct"),
        "latest": ("measure", "date"),
        "most": ("measure", "max"),
    }
    assert custom_fields(None) == custom_fields("") == custom_fields("null") == {}


@pytest.mark.parametrize("text", ["{}", "[1]", "nonsense", "[" * 5000])
def test_custom_fields_that_are_none_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="not a JSON array of custom fields"):
        custom_fields(text)


def test_columns_have_the_order_of_the_query() -> None:
    query = {
        "fields": ["orders.count", "buyers", "orders.created_date", "orders.gone"],
        "pivots": ["orders.status", "orders.created_date"],
        "dynamic_fields": CALCULATIONS,
    }
    columns = columns_of(explore_fields(EXPLORE), query, 63)
    assert [(column.name, column.column_type) for column in columns] == [
        ("orders__count", INTEGER),
        ("buyers", INTEGER),
        ("orders__created_date", DATE),
        ("orders__gone", ANYTHING),
        ("orders__status", STRING),
        ("share", NUMBER),
        ("whatever", ANYTHING),
    ]
    assert query_fields({}) == ()


def test_a_time_that_looker_does_not_convert_stays_a_string() -> None:
    [found] = columns_of(explore_fields(EXPLORE), {"fields": ["orders.local_time"]}, 63)
    assert found.column_type is LOCAL_DATE_TIME
    assert found.column_type.json_schema["type"] == ["string", "null"]


def test_a_probe_stands_in_for_an_explore() -> None:
    names = ["orders.count", "orders.other"]
    known = fields_in_result(names, [Field("orders.count", "Orders", "count", "measure")])
    assert columns_of(known.fields, {"fields": names}, 63) == (
        Column("orders__count", "orders.count", INTEGER, "count", "Orders"),
        Column("orders__other", "orders.other", ANYTHING),
    )


def test_two_fields_that_become_one_column_are_named() -> None:
    columns = columns_of({}, {"fields": ["a.b__c", "a__b.c", "fine", "_row_number"]}, 63)
    assert collisions(columns) == [
        "'a.b__c' and 'a__b.c' would both be the column a__b__c",
        "'_row_number' would be the column _row_number, which every stream has already",
    ]


def test_the_schema_has_what_looker_sends() -> None:
    names = ["orders.created_date", "orders.id", "orders.created_time", "orders.other"]
    columns = columns_of(explore_fields(EXPLORE), {"fields": names}, 63)
    schema = stream_schema(columns, ["_query_task_id", "_row_number"])
    assert json.loads(json.dumps(schema)) == schema
    assert schema["required"] == ["_query_task_id", "_row_number"]
    properties = schema["properties"]
    assert [*properties] == [
        *("_query_task_id", "_row_number", "orders__created_date", "orders__id"),
        *("orders__created_time", "orders__other"),
    ]
    assert properties["orders__created_date"] == {
        "type": ["string", "null"],
        "format": "date",
        "title": "Orders Created Date",
        "description": "Day of the order",
    }
    assert properties["orders__created_time"]["format"] == "date-time"
    assert properties["_row_number"]["type"] == "integer"
    assert next(iter(properties["orders__other"])) == "anyOf"
    assert '"properties": {}' not in json.dumps(schema)
    properties["orders__other"]["anyOf"].clear()
    assert stream_schema(columns, [])["properties"]["orders__other"]["anyOf"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_a_free_column_takes_any_value_unchanged(value: object) -> None:
    assert read_one(ANYTHING, json.dumps(value)) == (value, [])
    schema = stream_schema([column("v.f", ANYTHING)], [])
    Draft7Validator(schema).validate({"v__f": value})


FIELDS = {
    "dimensions": [{"name": "orders.id", "type": "number"}],
    "measures": [{"name": "orders.count", "type": "count"}],
    "pivots": [{"name": "orders.status", "type": "string"}],
    "table_calculations": [{"name": "note"}],
}
COLUMNS = (
    column("orders.id", NUMBER, "number"),
    column("orders.status", STRING, "string"),
    column("orders.count", INTEGER, "count"),
    column("note", ANYTHING),
)


@pytest.mark.parametrize("shape", [detail, bi])
def test_rows_become_records_in_both_formats(shape: Callable[..., Result]) -> None:
    rows = [
        {"orders.id": {"value": 1, "rendered": "one"}, "orders.count": {"value": 2.0}},
        {"orders.id": {"value": 1.10}, "note": {"value": None}, "orders.status": {}},
    ]
    found = records(COLUMNS, shape(rows), "abc")
    assert found == [
        {
            "_query_task_id": "abc",
            "_row_number": 1,
            "orders__id": 1,
            "orders__status": None,
            "orders__count": 2,
            "note": None,
        },
        {
            "_query_task_id": "abc",
            "_row_number": 2,
            "orders__id": Decimal("1.1"),
            "orders__status": None,
            "orders__count": None,
            "note": None,
        },
    ]
    assert [*found[0]] == [*stream_schema(COLUMNS, [])["properties"]]


def test_values_without_a_cell_around_them_are_read() -> None:
    rows = [{"orders.id": None, "orders.count": 3, "orders.status": {"value": "new"}}]
    [record] = records(COLUMNS, detail(rows))
    assert (record["orders__id"], record["orders__count"]) == (None, 3)
    assert record["orders__status"] == "new"
    flat = read_result(read_entry(b'{"status":"complete","data":[{"orders.count": 3}]}'))
    [record] = records(COLUMNS, flat)
    assert (record["orders__id"], record["orders__count"]) == (None, 3)


def test_only_selected_columns_are_decoded() -> None:
    huge = '{"value": 1e99999999999999999999}'
    row = f'{{"other": {huge}, "orders.count": {{"value": 1}}}}'
    body = f'{{"status":"complete","data":{{"data":[{row}]}}}}'
    result = read_result(read_entry(body.encode()))
    assert records(COLUMNS[2:3], result) == [
        {"_query_task_id": "t", "_row_number": 1, "orders__count": 1}
    ]
    assert records((), result) == [{"_query_task_id": "t", "_row_number": 1}]
    with pytest.raises(
        MalformedResponseError, match=r"number out of range: '1e99999999999999999999'"
    ):
        records([column("other", NUMBER)], result)


@pytest.mark.parametrize("shape", [detail, bi])
def test_pivoted_results_are_long(shape: Callable[..., Result]) -> None:
    more = {
        "fields": FIELDS,
        "has_totals": True,
        "has_row_totals": True,
        "pivots": [
            {"key": "new", "is_total": False, "data": {"orders.status": "new"}},
            {"key": "NULL", "is_total": False, "data": {"orders.status": None}},
            {"key": "$$$_row_total_$$$", "is_total": True, "data": {}},
        ],
    }
    rows = [
        {
            "orders.id": {"value": n},
            "orders.count": {
                "new": {"value": n * 10},
                "NULL": {"value": None},
                "$$$_row_total_$$$": {"value": 99},
            },
            "note": {"value": "same"},
        }
        for n in (1, 2)
    ]
    if shape is bi:
        rows.append({"orders.count": {"new": {"value": 30}}})
    found = records(COLUMNS, shape(rows, **more))
    assert [tuple(record.values())[1:] for record in found] == [
        (1, 1, "new", 10, "same"),
        (2, 1, None, None, "same"),
        (3, 2, "new", 20, "same"),
        (4, 2, None, None, "same"),
    ]


def test_a_pivot_that_is_not_described_is_not_guessed_at() -> None:
    rows = [{"orders.count": {"new": {"value": 1}}}]
    with pytest.raises(MalformedResponseError, match="without a description of the pivots"):
        records(COLUMNS, detail(rows, fields=FIELDS))
    assert not records(COLUMNS, detail([], fields=FIELDS))


def test_problems_are_counted_with_the_first_as_an_example() -> None:
    rows: list[Any] = [{"orders.count": {"value": value}} for value in (1, "x\ny", 2, "z" * 99)]
    reader = RowReader(COLUMNS[2:3], "UTC")
    [batch] = reader.batches(detail(rows), "t")
    assert batch.column("orders__count") == [1, "x\ny", 2, "z" * 99]
    [problem] = reader.problems
    assert problem == (
        "orders__count: 2 values that cannot be read as integer, left unchanged; "
        "the first is 'x\\ny'"
    )


def test_integers_that_targets_reject_are_reported() -> None:
    rows: list[Any] = [{"orders.count": {"value": v}} for v in (1, None, -(10**30), 10**20, 2**63)]
    reader = RowReader(COLUMNS[2:3], "UTC")
    [batch] = reader.batches(detail(rows), "t")
    assert batch.column("orders__count") == [1, None, -(10**30), 10**20, 2**63]
    [problem] = reader.problems
    assert problem.startswith(f"orders__count: -{10**30} has more than 64 bits")
    assert "declare it as a string in the catalog" in problem


@given(st.decimals(allow_nan=False, allow_infinity=False) | st.integers())
def test_no_number_loses_a_digit(number: Decimal | int) -> None:
    text = str(number).replace("E+", "e")
    for value in (text, f'"{text}"'):
        found, problems = read_one(NUMBER, value)
        assert not problems
        assert found == number
        assert Decimal(msgspec.json.encode(found).decode().strip('"')) == number


def test_values_of_other_types_than_declared_are_reported() -> None:
    fields = [
        Field("orders.id", None, "string", "dimension"),
        Field("orders.status", None, "yesno", "dimension"),
        Field("orders.count", None, "number", "measure"),
        Field("note", None, "number", "table_calculation"),
    ]
    assert find_type_changes(COLUMNS, fields) == [
        "orders.id: declared as number, but string in the result: discover again to change it"
    ]
    assert find_type_changes(COLUMNS, None) == []


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [
        ({"type": ["null", "integer"]}, "7.0", 7),
        ({"type": "string"}, "12345678901234567890.10", "12345678901234567890.10"),
        ({"type": ["string", "null"]}, '{"a": [1, 2.50]}', '{"a":[1,2.50]}'),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, '"7"', 7),
        ({"type": ["string", "null"], "format": "time"}, '"12:30"', "12:30"),
        ({"type": ["boolean"]}, '"Yes"', True),
        ({"type": ["string", "integer"]}, "7", 7),
        ({"type": "array"}, "[1]", [1]),
        ({}, '{"a": 1}', {"a": 1}),
        (None, "5", 5),
    ],
)
def test_values_are_what_a_catalog_declares(declared: object, value: str, expected: object) -> None:
    schema = {"properties": {"v__f": declared}}
    found = column_in_schema(schema, "v.f")
    assert found is not None
    assert read_one(found.column_type, value) == (expected, [])
    assert column_in_schema(schema, "v.g") is None


RAW_FIELDS = {
    "fields": {
        "dimensions": [
            {"name": "k.made_raw", "type": "date_raw", "datatype": "timestamp"},
            {"name": "k.day_raw", "type": "date_raw", "datatype": "date"},
            {"name": "k.epoch_raw", "type": "date_raw", "datatype": "epoch"},
            {"name": "k.local_date", "type": "date_date", "convert_tz": False},
            {"name": "k.id", "type": "number", "primary_key": True},
            {"name": "k.weight", "type": "number", "primary_key": False},
            {"type": "string"},
            "nonsense",
        ],
    }
}


def test_raw_times_are_as_the_database_has_them_and_keys_are_integers() -> None:
    fields = explore_fields(RAW_FIELDS)
    columns = columns_of(fields, {"fields": [*fields]}, 63)
    assert [(c.field, c.column_type, c.converts_time_zone) for c in columns] == [
        ("k.made_raw", LOCAL_DATE_TIME, False),
        ("k.day_raw", DATE, False),
        ("k.epoch_raw", NUMBER, False),
        ("k.local_date", DATE, False),
        ("k.id", INTEGER, True),
        ("k.weight", NUMBER, True),
    ]
    # A catalog is all that the next run knows.
    schema = stream_schema(columns, [])
    again = [column_in_schema(schema, column.field) for column in columns]
    assert [column and column.converts_time_zone for column in again] == [
        *(False, False, True, False, True, True),
    ]


def match(result: Result, *deselected: str) -> ColumnMatch:
    schema = stream_schema(COLUMNS, ["_row_number"])
    return match_columns(schema, result, lambda name: name not in deselected)


def test_a_result_that_describes_no_fields_delivers_what_its_rows_hold() -> None:
    rows = [{"orders.id": {"value": 1}}, {"orders.status": {"value": "new"}, "more": {"value": 1}}]
    for result in (detail(rows), detail(rows, fields={}), bi(rows, fields={"dimensions": []})):
        found = match(result)
        assert [column.field for column in found.columns] == ["orders.id", "orders.status"]
        assert found.missing == ("orders__count", "note")
        [first, second] = records(found.columns, result)
        assert (first["orders__id"], second["orders__status"]) == (1, "new")
    assert match(detail(rows), "orders__count", "note").missing == ()


def test_a_result_without_rows_and_fields_has_lost_nothing() -> None:
    assert match(detail([])) == ColumnMatch((), (), ())
    described = match(detail([], fields=FIELDS))
    assert [column.field for column in described.columns] == [c.field for c in COLUMNS]


def test_what_a_result_has_beyond_its_declared_columns_is_named() -> None:
    fields = {
        "dimensions": [{"name": "orders.id", "type": "number"}, {"name": "orders.new"}],
        "measures": [{"name": "orders.count"}],
    }
    # `json_bi` may leave table calculations out of what it describes.
    result = bi([{"note": {"value": "x"}, "orders.id": {"value": 1}}], fields=fields)
    found = match(result)
    assert [column.field for column in found.columns] == ["orders.id", "orders.count", "note"]
    assert found.differences == [
        "orders__status is no longer in the result: discover again to remove it",
        "orders.new is in the result, but not in the catalog: discover again to load it",
    ]


def test_a_raw_time_is_not_shifted_by_an_older_catalog() -> None:
    fields = {"dimensions": [{"name": "k.made_raw", "type": "date_raw"}]}
    result = detail([{"k.made_raw": {"value": "2026-03-01 12:00:00"}}], fields=fields)
    schema = stream_schema([column("k.made_raw", DATE_TIME)], [])
    found = match_columns(schema, result, lambda _: True)
    batches = RowReader(found.columns, "America/New_York").batches(result, "t")
    [record] = [record for batch in batches for record in batch.records()]
    assert record["k__made_raw"] == "2026-03-01 12:00:00"


@pytest.mark.parametrize(
    ("shape", "more", "truncated"),
    [
        (bi, {"columns_truncated": True}, True),
        (bi, {"columns_truncated": "true"}, True),
        (bi, {"columns_truncated": "50"}, True),
        (bi, {"columns_truncated": "false"}, None),
        (bi, {"columns_truncated": ""}, None),
        (bi, {}, None),
        (detail, {"truncated": False, "columns_truncated": True}, True),
        (detail, {"truncated": "true"}, True),
        (detail, {"truncated": False}, False),
        (detail, {"truncated": [1]}, None),
    ],
)
def test_pivots_cut_off_are_also_truncation(
    shape: Callable[..., Result], more: dict[str, Any], truncated: object
) -> None:
    result = shape([], **more)
    assert result.truncated is truncated
    assert result.columns_truncated == ("columns_truncated" in more and truncated is True)
