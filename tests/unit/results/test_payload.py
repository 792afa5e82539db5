"""Payloads as Looker sends them, and as it might."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from tap_looker_tasks.results.entries import TaskEntry, read_entry
from tap_looker_tasks.results.json_text import MalformedResponseError
from tap_looker_tasks.results.payload import read_result
from tap_looker_tasks.results.result import Field, Pivot, Result
from tests.examples import at_most

DETAIL = {
    "from_cache": False,
    "id": "a" * 32,
    "truncated": True,
    "ran_at": "2013-06-01T12:30:00+00:00",
    "runtime": "0.325",
    "added_params": {"sorts": ["flights.count desc"], "query_timezone": "UTC"},
    "sql": "SELECT 1",
    "fields": {
        "measures": [{"name": "flights.count", "label": "Flights Count", "type": "count"}],
        "dimensions": [{"name": "flights.carrier", "label": "Carrier", "type": "string"}],
        "table_calculations": [{"name": "share", "label": "Share", "expression": "1"}],
        "pivots": [],
    },
    "has_totals": False,
    "has_row_totals": False,
    "timezone": "America/New_York",
    "data": [
        {
            "flights.carrier": {"value": "UA", "links": [{"label": "x"}], "html": "<b>"},
            "flights.count": {"value": 58665, "rendered": "58,665"},
            "share": {"value": 0.174},
        },
        {
            "flights.carrier": {"value": None},
            "flights.count": {"value": 0},
            "share": {"value": None},
        },
    ],
    "drill_menu_build_time": 0.1,
}
FLAT = [
    {"flights.carrier": "UA", "flights.count": 58665, "share": Decimal("0.174")},
    {"flights.carrier": None, "flights.count": 0, "share": None},
]
SQL_ERROR = {
    "message": "The database refused the query.",
    "message_details": "no such column:\n  flights.wings",
    "params": "SELECT",
    "edit_url": None,
    "error_pos": 3,
    "level": "error",
    "sql_error_loc": {"line": 1, "column": 3},
}
NOTE = {
    "message": "Note: This query contains derived tables with Development Mode filters.",
    "fatal": False,
}


def result_of(status: str, data: object = None, **more: object) -> Result:
    return read_result(read_entry(json.dumps({"status": status, "data": data, **more}).encode()))


def result_of_text(data: str, status: str = "complete") -> Result:
    return read_result(TaskEntry(status, None, msgspec.Raw(data.encode())))


def flat(result: Result) -> list[dict[str, Any]]:
    """The rows, both ways."""
    rows = list(result.rows())
    text = b"".join(result.flat_arrays()) or b"[]"
    assert b"\n" not in text
    assert json.loads(text, parse_float=Decimal) == rows
    assert result.row_count in {None, len(rows)}
    return rows


def test_a_status_without_data() -> None:
    response = read_entry(b'{"status": "Running"}')
    assert response == TaskEntry("running", None, None)
    assert read_result(response) == Result("running")
    assert flat(read_result(response)) == []


@pytest.mark.parametrize("status", ["added", "running", "killed", "missing"])
def test_null_is_no_data(status: str) -> None:
    assert result_of(status, None) == Result(status)


def test_the_source_is_kept_when_it_is_text() -> None:
    assert read_entry(b'{"result_source":"cache","status":"complete"}').result_source == "cache"
    assert read_entry(b'{"result_source":null,"status":"error"}').result_source is None
    assert read_entry(b'{"result_source":7,"status":"error"}').result_source is None


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (b"[]", "Expected `object`, got `array`: '[]'"),
        (b"null", "Expected `object`, got `null`: 'null'"),
        (b"{}", "Object missing required field `status`: '{}'"),
        (b'{"status":1}', "Expected `str`, got `int` - at `$.status`: '{\"status\":1}'"),
        (b'{"status":"complete","data":[{"a.b":NaN}]}', "not JSON at byte 36: 'NaN}]}'"),
        (b'{"status":"a","data":"\\ud800"}', "not JSON, half a surrogate pair: '\\\\ud800\"}'"),
        (b'{"status":"a"', 'not JSON: \'{"status":"a"\''),
        (b'{"status":"\xff"}', 'not UTF-8: \'{"status":"\ufffd"}\''),
        (
            b'{"status":"a","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            'nested too deeply: \'{"status":"a","data":' + "[" * 36 + "...'",
        ),
    ],
)
def test_a_response_that_is_none_is_rejected(entry: bytes, message: str) -> None:
    with pytest.raises(MalformedResponseError) as caught:
        read_entry(entry)
    assert str(caught.value) == message


def test_json_detail() -> None:
    result = result_of("complete", DETAIL)
    assert flat(result) == FLAT
    assert result == Result(
        status="complete",
        result_format="json_detail",
        from_cache=False,
        truncated=True,
        runtime_seconds=0.325,
        time_zone="UTC",
        fields=(
            Field("flights.carrier", "Carrier", "string", "dimension"),
            Field("flights.count", "Flights Count", "count", "measure"),
            Field("share", "Share", None, "table_calculation"),
        ),
        row_count=2,
    )


def test_what_json_detail_leaves_out_is_unknown() -> None:
    assert result_of("complete", {"data": []}) == Result("complete", "json_detail", row_count=0)


def test_the_time_zone_of_the_result_when_none_was_requested() -> None:
    assert result_of("complete", {"data": [], "timezone": "UTC"}).time_zone == "UTC"


@pytest.mark.parametrize(
    ("runtime", "seconds"),
    [
        ("0.5", 0.5),
        (2, 2.0),
        (0.25, 0.25),
        (None, None),
        ("soon", None),
        ("nan", None),
        (True, None),
    ],
)
def test_the_runtime_may_be_text_or_anything(runtime: object, seconds: float | None) -> None:
    assert result_of("complete", {"data": [], "runtime": runtime}).runtime_seconds == seconds


def bi(rows: list[Any], **metadata: object) -> dict[str, Any]:
    fields = {
        "dimensions": [{"name": "flights.carrier", "label": "Carrier", "type": "string"}],
        "measures": [{"name": "flights.count", "label": "Count", "type": "count"}],
        "pivots": [],
        "table_calculations": [{"name": "share", "label": "Share"}],
    }
    return {"metadata": {"fields": fields, "has_totals": False, **metadata}, "rows": rows}


def test_json_bi() -> None:
    result = result_of("complete", bi(DETAIL["data"]))  # type: ignore[arg-type]
    assert flat(result) == FLAT
    assert result.result_format == "json_bi"
    assert [field.name for field in result.fields or ()] == [
        "flights.carrier",
        "flights.count",
        "share",
    ]
    assert (result.runtime_seconds, result.truncated, result.from_cache) == (None, None, None)


def test_the_totals_that_json_bi_appends_are_no_row() -> None:
    rows = [{"flights.count": {"value": 1}}, {"flights.count": {"value": 1}}]
    result = result_of("complete", bi(rows, has_totals=True))
    assert result.has_totals
    assert flat(result) == [{"flights.count": 1}]
    assert flat(result_of("complete", bi([], has_totals=True))) == []
    assert flat(result_of("complete", {"has_totals": True, "data": rows})) == [
        {"flights.count": 1},
        {"flights.count": 1},
    ]


def test_json_is_passed_on_unchanged() -> None:
    text = (
        '[{"a.b" : 1.50,\n "a.c":{"2019":12345678901234567890123,\r\n"2020":null}},{"a.b":1e400}]'
    )
    result = result_of_text(text)
    assert b"".join(result.flat_arrays()).decode() == text.replace("\n", " ").replace("\r", " ")
    assert flat(result) == [
        {"a.b": Decimal("1.50"), "a.c": {"2019": 12345678901234567890123, "2020": None}},
        {"a.b": Decimal("1e400")},
    ]
    assert (result.result_format, result.row_count, result.fields) == ("json", 2, None)


def test_an_empty_result_is_complete() -> None:
    assert result_of("complete", []) == Result("complete", "json", row_count=0)
    assert flat(result_of("complete", [])) == []


@pytest.mark.parametrize("form", ["json", "json_bi", "json_detail"])
def test_subtotals_are_left_out(form: str) -> None:
    cell = 1 if form == "json" else {"value": 1}
    rows = [{"a.b": cell}, {"a.b": cell, "$$$__grouping__$$$": ["a.b"]}, {"a.b": cell}]
    payload = {"json": rows, "json_bi": bi(rows), "json_detail": {"data": rows}}[form]
    assert flat(result_of("complete", payload)) == [{"a.b": 1}, {"a.b": 1}]


def test_the_name_of_subtotals_as_a_value_is_a_value() -> None:
    row = {"a.b": "$$$__grouping__$$$"}
    assert flat(result_of("complete", [row])) == [row]


PIVOTS = [
    {"key": "2019|FIELD|Yes", "is_total": False, "data": {"a.year": "2019", "a.new": "Yes"}},
    {"key": "value", "data": {"a.year": "value", "a.new": None}, "metadata": {}},
    {"key": "$$$_row_total_$$$", "is_total": True, "data": {}},
]
PIVOTED_ROWS = [
    {
        "a.carrier": {"value": "UA"},
        "a.count": {
            "2019|FIELD|Yes": {"value": 3, "rendered": "3"},
            "value": {"value": 4.5},
            "$$$_row_total_$$$": {"value": 7.5},
        },
        "share": {"value": 1},
    },
    {"a.carrier": {"value": "AA"}, "a.count": {"value": {"value": None}}, "share": {"value": {}}},
    {"a.carrier": {"value": "B6"}, "a.count": {}, "share": {"2019|FIELD|Yes": None}},
]


@pytest.mark.parametrize("form", ["json_detail", "json_bi"])
def test_pivoted_measures_stay_one_object(form: str) -> None:
    payload: dict[str, Any] = {"data": PIVOTED_ROWS, "pivots": PIVOTS}
    if form == "json_bi":
        payload = bi(PIVOTED_ROWS, pivots=PIVOTS)
    result = result_of("complete", payload)
    assert result.pivots == (
        Pivot("2019|FIELD|Yes", is_total=False, data={"a.year": "2019", "a.new": "Yes"}),
        Pivot("value", is_total=False, data={"a.year": "value", "a.new": None}),
        Pivot("$$$_row_total_$$$", is_total=True, data={}),
    )
    assert flat(result) == [
        {
            "a.carrier": "UA",
            "a.count": {"2019|FIELD|Yes": 3, "value": Decimal("4.5")},
            "share": 1,
        },
        {"a.carrier": "AA", "a.count": {"value": None}, "share": {"value": None}},
        {"a.carrier": "B6", "a.count": {}, "share": {"2019|FIELD|Yes": None}},
    ]


def test_pivoted_cells_with_keys_of_measure_and_pivot_are_the_same() -> None:
    row = {
        "a.carrier": {"value": "UA"},
        "a.count|FIELD|2019|FIELD|Yes": {"value": 3},
        "a.count|FIELD|value": {"value": 4.5},
        "a.count|FIELD|$$$_row_total_$$$": {"value": 7.5},
        "odd|FIELD|name": {"value": 1},
    }
    assert flat(result_of("complete", bi([row], pivots=PIVOTS))) == [
        {
            "a.carrier": "UA",
            "a.count": {"2019|FIELD|Yes": 3, "value": Decimal("4.5")},
            "odd|FIELD|name": 1,
        }
    ]


def test_a_pivot_is_a_dimension() -> None:
    fields = {
        "dimensions": [{"name": "a.x"}, {"name": "a.year"}],
        "pivots": [{"name": "a.year"}, {"name": "a.new", "type": "yesno"}],
    }
    assert result_of("complete", {"data": [], "fields": fields}).fields == (
        Field("a.x", None, None, "dimension"),
        Field("a.year", None, None, "dimension", is_pivot=True),
        Field("a.new", None, "yesno", "dimension", is_pivot=True),
    )


def test_cells_of_any_shape() -> None:
    row = {
        "bare": 1,
        "text": "x",
        "empty": {},
        "rendered": {"rendered": "1"},
        "list": {"value": [1, {"value": 2.5}]},
        "place": {"value": {"value": 1}},
        "pivoted": {"2019": {"value": 1}, "2020": None, "$$$_row_total_$$$": {"value": 1}},
    }
    assert flat(result_of("complete", {"data": [row]})) == [
        {
            "bare": 1,
            "text": "x",
            "empty": None,
            "rendered": None,
            "list": [1, {"value": Decimal("2.5")}],
            "place": {"value": 1},
            "pivoted": {"2019": 1, "2020": None},
        }
    ]


def test_unreadable_parts_are_treated_as_missing() -> None:
    payload = {
        "data": [],
        "fields": {"dimensions": [1, {"label": "x"}, {"name": "a.b", "type": 5}], "measures": 7},
        "pivots": [1, {"key": 2}, {"key": "x", "data": []}],
        "from_cache": "yes",
        "truncated": 1,
        "added_params": [],
        "timezone": None,
    }
    result = result_of("complete", payload)
    assert result.fields == (Field("a.b", None, None, "dimension"),)
    assert result.pivots == (Pivot("x", is_total=False, data={}),)
    assert (result.from_cache, result.truncated, result.time_zone) == (None, None, None)


@pytest.mark.parametrize("status", ["error", "complete"])
def test_an_sql_error_of_json_detail(status: str) -> None:
    result = result_of(status, {**DETAIL, "errors": [SQL_ERROR]}, result_source=None)
    assert result.status == "error"
    assert result.errors == (SQL_ERROR,)
    assert result.error_message == ("The database refused the query. no such column: flights.wings")
    assert result.row_count is None
    assert flat(result) == []


@pytest.mark.parametrize("status", ["error", "complete"])
def test_a_warning_is_no_error(status: str) -> None:
    result = result_of(status, {**DETAIL, "errors": [NOTE]})
    assert (result.status, result.errors, result.warnings) == ("complete", (), (NOTE,))
    assert result.error_message is None
    assert flat(result) == FLAT


def test_errors_and_warnings_in_one_list() -> None:
    result = result_of("complete", {**DETAIL, "errors": [NOTE, SQL_ERROR, NOTE]})
    assert (result.status, result.errors, result.warnings) == ("error", (SQL_ERROR,), (NOTE, NOTE))
    assert flat(result) == []


@pytest.mark.parametrize(
    "payload",
    [
        [{"looker_error": "no such\ncolumn"}],
        bi([{"looker_error": "no such\ncolumn"}]),
        {"data": [{"looker_error": "no such\ncolumn"}]},
    ],
    ids=["json", "json_bi", "json_detail"],
)
def test_an_error_that_comes_as_a_row(payload: object) -> None:
    result = result_of("complete", payload)
    assert result.status == "error"
    assert result.errors == ({"message": "no such\ncolumn"},)
    assert result.error_message == "no such column"
    assert flat(result) == []


@pytest.mark.parametrize(
    "payload",
    [
        [{"looker_error": 1}],
        [{"looker_error": "x", "a.b": 1}],
        bi([{"looker_error": {"value": "x"}}]),
    ],
)
def test_a_field_of_that_name_is_no_error(payload: object) -> None:
    result = result_of("complete", payload)
    assert (result.status, result.row_count) == ("complete", 1)


@pytest.mark.parametrize("data", [{"id": "x", "error": "View Not Found"}, "View Not Found"])
def test_an_error_that_is_a_string(data: object) -> None:
    result = result_of("error", data, result_source=None)
    assert (result.status, result.result_format, result.text) == ("error", None, None)
    assert result.error_message == "View Not Found"
    assert result.errors == ({"message": "View Not Found"},)


def test_expired_names_the_reason_and_stays_expired() -> None:
    message = "Results have expired. Run the query again."
    result = result_of("expired", {"error": message})
    assert (result.status, result.error_message) == ("expired", message)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"message": "x", "message_details": None}, "x"),
        ({"message": "x", "message_details": {"y": 1}}, "x"),
        ({"message": "x", "message_details": "  "}, "x"),
        ({"message": "x: y", "message_details": "y"}, "x: y"),
        ({"message": "x", "message_details": "y"}, "x: y"),
        ({"message": None, "message_details": "y"}, "y"),
        ({"sql_error_loc": None}, "an error without a message"),
        ({"message": "x", "sql_error_loc": {"character": 7}}, "x"),
    ],
)
def test_an_error_in_one_line(error: dict[str, object], message: str) -> None:
    result = result_of("error", {"data": [], "errors": [error]})
    assert result.error_message == message
    assert result.errors == (error,)


@pytest.mark.parametrize("errors", ["bad", ["bad"], {"message": "bad"}, [["bad"]]])
def test_errors_of_any_shape(errors: object) -> None:
    result = result_of("complete", {"data": [], "errors": errors})
    assert (result.status, result.errors) == ("error", ({"message": "bad"},))


def test_an_error_without_a_message_stays_an_error() -> None:
    result = result_of("error", {"data": [], "errors": []})
    assert (result.status, result.errors, result.error_message) == ("error", (), None)
    assert result_of("error", {"data": None}) == Result("error", "json_detail")


def test_text_formats() -> None:
    result = result_of("complete", "Carrier,Count\nUA,1\n")
    assert result == Result("complete", text="Carrier,Count\nUA,1\n")
    assert flat(result) == []


def test_an_unknown_format_is_not_guessed_at() -> None:
    with pytest.raises(MalformedResponseError, match="neither rows nor an error"):
        result_of("complete", {"columns": [1], "data": {"a": 1}})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("17", "Expected `str`, got `int`: '17'"),
        ('[{"a.b":NaN}]', "not JSON at byte 8: 'NaN}]'"),
        ('[{"a.b":1},2]', "a row that is not an object: '2'"),
        ('{"data":[[]]}', "a row that is not an object: '[]'"),
        ('{"data":[', "not JSON: '{\"data\":['"),
    ],
)
def test_what_cannot_be_understood_is_rejected(data: str, message: str) -> None:
    with pytest.raises(MalformedResponseError) as caught:
        result_of_text(data)
    assert str(caught.value) == message


def test_a_number_that_no_program_can_hold_passes_as_text_only() -> None:
    number = "1e99999999999999999999"
    result = result_of_text(f'[{{"a.b":{number}}}]')
    assert number.encode() in b"".join(result.flat_arrays())
    with pytest.raises(MalformedResponseError):
        list(result.rows())


NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30).map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
)
CELLS = st.one_of(NUMBERS, st.text(max_size=5).map(json.dumps), st.sampled_from(["null", "true"]))
NAMES = st.text(min_size=1, max_size=5)


@at_most(50)
@given(st.lists(st.dictionaries(NAMES, CELLS, max_size=4), max_size=4))
def test_rows_come_out_of_every_format_with_every_digit(rows: list[dict[str, str]]) -> None:
    plain = [
        "{" + ",".join(f"{json.dumps(name)}:{cell}" for name, cell in row.items()) + "}"
        for row in rows
    ]
    cells = [
        "{"
        + ",".join(f'{json.dumps(name)}:{{"html":"","value":\n{c}}}' for name, c in row.items())
        + "}"
        for row in rows
    ]
    expected = f"[{','.join(plain)}]"
    for payload in (
        expected,
        f'{{"data":[{",".join(cells)}]}}',
        f'{{"rows":[{",".join(cells)}],"metadata":{{}}}}',
    ):
        result = result_of_text(payload)
        assert flat(result) == json.loads(expected, parse_float=Decimal)
        for row in rows:
            for cell in row.values():
                if not cell.startswith('"'):
                    assert cell.encode() in b"".join(result.flat_arrays())


@pytest.mark.parametrize("before", range(0, 4500, 750))
@pytest.mark.parametrize("number", ["1" * 4301, "-" + "9" * 10_000])
def test_an_integer_that_nothing_reads_is_rejected(number: str, before: int) -> None:
    rows = f'[{{"x":"{"-" * before}","y":{number}}}]'
    for data in (rows, f'{{"data":{rows},"fields":{{}}}}'):
        with pytest.raises(MalformedResponseError, match="integer of more than 4300 digits"):
            read_result(TaskEntry("complete", data=msgspec.Raw(data.encode())))


@pytest.mark.parametrize("value", ["1" * 4300, "0." + "3" * 20_000, f'"{"7" * 20_000}"'])
def test_digits_that_can_be_read_are_kept(value: str) -> None:
    data = f'[{{"x":{value}}}]'
    result = read_result(TaskEntry("complete", data=msgspec.Raw(data.encode())))
    assert [*result.flat_arrays()] == [data.encode()]
    assert [str(row["x"]) for row in result.rows()] == [value.strip('"')]
