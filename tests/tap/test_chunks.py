"""Records take a short way to the output, many at once: no one can tell by the messages."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.tap.test_streams import select, with_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

DIFFERS = re.compile(
    rb'"(time_extracted|first_seen_at|finished_at|launched_at)":"[^"]*"|"version":[0-9]+'
)
# A stream map that keeps everything makes the SDK take its own way, record by record.
OTHER_WAY = {"__filter__": "True"}
VALUES = {
    "a.text": 'line\n"quoted" \\ \u00e9\U0001f600\u2028',
    "a.integer": 12345678901234567890123,
    "a.number": 0.1,
    "a.yes": True,
    "a.null": None,
    "a.list": [1, [], {"x": None}],
    "a.object": {"lat": 1.5, "NaN": "Infinity"},
    "odd name; \u20ac": "",
}


def lines(run: Run) -> list[bytes]:
    """RECORD messages, without what differs from run to run."""
    assert run.exit_code == 0, run.log
    return [
        DIFFERS.sub(b"", line)
        for line in run.output.splitlines()
        if line.startswith(b'{"type":"RECORD"')
    ]


def without_number(line: bytes) -> bytes:
    return re.sub(rb'"_row_number":[0-9]+', b"", line)


def scripted(simulator: Simulator, data: object) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return simulator.add_scripted_task([b'{"status":"complete","data":%b}' % text.encode()])


@pytest.mark.parametrize("deselected", [[], ["row"], ["query_task_id", "row_number"]])
def test_rows_of_given_tasks_are_the_same(
    simulator: Simulator, tap: Tap, deselected: list[str]
) -> None:
    cells = {name: {"value": value, "rendered": "x"} for name, value in VALUES.items()}
    payloads: list[object] = [
        [VALUES, {}, VALUES],
        {"data": [cells, {}], "fields": {}},
        {"rows": [cells, cells], "metadata": {"has_totals": True}},
        [],
    ]
    ids = [scripted(simulator, payload) for payload in payloads]
    catalog = with_rows(tap)
    for name in deselected:
        select(catalog, "query_task_rows", "properties", name, selected=False)
    maps = {"query_task_rows": OTHER_WAY, "query_task_results": OTHER_WAY}
    short = lines(tap(query_task_ids=ids, catalog=catalog))
    assert short == lines(tap(query_task_ids=ids, catalog=catalog, stream_maps=maps))
    assert sum(b'"query_task_rows"' in line for line in short) == 6


@pytest.mark.parametrize("result_format", ["json_detail", "json_bi"])
@pytest.mark.parametrize("query_id", [1, 3, 7, 8])
def test_typed_rows_are_the_same(tap: Tap, query_id: int, result_format: str) -> None:
    config: dict[str, Any] = {
        "queries": [{"name": "found", "query_id": query_id, "limit": 40}],
        "result_format": result_format,
        "query_timezone": "America/New_York",
    }
    runs = [tap(**config), tap(**config, stream_maps={"found": OTHER_WAY})]
    ids = [run.only()["query_task_id"].encode() for run in runs]
    short, long = (
        [x.replace(id_, b"") for x in lines(run)] for run, id_ in zip(runs, ids, strict=True)
    )
    # The database may order rows that are equal as it likes.
    found = sorted(without_number(line) for line in short if b'"stream":"found"' in line)
    assert found == sorted(without_number(line) for line in long if b'"stream":"found"' in line)
    assert len(found) > 10


# Longer than 8 MiB.
LONG = [{"a.n": n, "a.text": "x" * 1000} for n in range(9000)]


@pytest.mark.parametrize("shape", ["json", "json_detail", "json_bi"])
def test_a_result_too_long_for_memory_is_delivered_in_full(
    simulator: Simulator, tap: Tap, shape: str
) -> None:
    cells = [{name: {"value": value} for name, value in row.items()} for row in LONG]
    totals = {"a.n": {"value": -1}}
    payload: object = {
        "json": LONG,
        "json_detail": {"fields": {}, "data": cells, "truncated": False},
        "json_bi": {"metadata": {"has_totals": True}, "rows": [*cells, totals]},
    }[shape]
    ids = [scripted(simulator, data) for data in ([VALUES], payload, [VALUES])]
    run = tap(query_task_ids=ids, catalog=with_rows(tap))
    assert run.exit_code == 0, run.log
    outcome = run.outcomes()[ids[1]]
    assert (outcome["row_count"], outcome["result_format"]) == (len(LONG), shape)
    assert outcome["data"]["rows"] == LONG
    rows = [r for r in run.records("query_task_rows") if r["query_task_id"] == ids[1]]
    assert [r["row"] for r in rows] == LONG
    assert [r["row_number"] for r in rows] == [*range(1, len(LONG) + 1)]


def test_a_long_result_that_cannot_be_read_leaves_no_half_line(
    simulator: Simulator, tap: Tap
) -> None:
    text = json.dumps({"status": "complete", "data": LONG}).replace('"a.n": 4500,', '"a.n": 08,')
    id_ = simulator.add_scripted_task([text.encode()])
    run = tap(query_task_ids=[id_], catalog=with_rows(tap))
    assert run.exit_code == 1
    # Whether its entry or only its rows cannot be read depends on how the body arrives.
    reason = r"(the result|Looker's response) cannot be read: not JSON.*"
    assert re.fullmatch(reason, run.only()["error_message"], re.DOTALL)
    assert run.records("query_task_rows") == []


def test_what_is_deselected_is_in_no_record(tap: Tap) -> None:
    queries = [{"name": "found", "query_id": 1, "primary_keys": ["flights.carrier"]}]
    catalog = json.loads(tap("--discover", queries=queries).output)
    for name in ("_query_task_id", "_row_number", "flights__count"):
        select(catalog, "found", "properties", name, selected=False)
    short = tap(queries=queries, catalog=catalog)
    long = tap(queries=queries, catalog=catalog, stream_maps={"found": OTHER_WAY})
    assert short.records("found") == long.records("found")
    assert {*short.records("found")[0]} == {*short.schema("found")["properties"]}
    assert "flights__carrier" in short.records("found")[0]
    assert "_row_number" not in short.records("found")[0]


def test_numbers_are_written_as_looker_writes_them(simulator: Simulator, tap: Tap) -> None:
    id_ = simulator.add_scripted_task([b'{"status":"complete","data":[{"a.b":1.50e-07}]}'])
    run = tap(query_task_ids=[id_], catalog=with_rows(tap))
    assert run.output.count(b'{"a.b":1.50e-07}') == 2


def test_an_alias_and_a_version_are_around_each_record(tap: Tap) -> None:
    query = {"name": "found", "query_id": 1}
    run = tap(queries=[query], stream_maps={"found": {"__alias__": "airlines"}})
    records = [m for m in run.of("RECORD") if m["stream"] == "airlines"]
    assert len(records) == 16
    (version,) = {m["version"] for m in records}
    assert [m["version"] for m in run.of("ACTIVATE_VERSION")][-1] == version


def test_records_are_counted_one_by_one(tap: Tap, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "METRIC" not in tap(queries=[{"name": "found", "query_id": 1}]).log
    monkeypatch.setenv("LOGLEVEL", "INFO")
    run = tap(queries=[{"name": "found", "query_id": 1}])
    counts = [json.loads(line) for line in re.findall(r"METRIC: (.*)", run.log)]
    (found,) = (
        point["value"]
        for point in counts
        if point["metric"] == "record_count" and point["tags"]["stream"] == "found"
    )
    assert found == len(run.records("found")) == 16


def test_a_result_that_may_be_incomplete_activates_no_version(tap: Tap) -> None:
    run = tap(queries=[{"name": "found", "query_id": 1, "limit": 10}])
    assert len(run.records("found")) == 10
    assert run.of("ACTIVATE_VERSION") == []
    assert "found: rows of earlier runs stay in the target" in run.log
