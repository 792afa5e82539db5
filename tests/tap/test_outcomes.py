"""Every way a query task can end, as it arrives in `query_task_results`."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

COLUMNS = [
    "query_task_id",
    "status",
    "query_name",
    "query_id",
    "look_id",
    "dashboard_id",
    "origin",
    "result_format",
    "result_source",
    "from_cache",
    "attempt",
    "launched_at",
    "first_seen_at",
    "finished_at",
    "runtime_seconds",
    "row_count",
    "truncated",
    "error_message",
    "errors",
    "warnings",
    "fields",
    "data",
]

DETAIL = {"fields": {"dimensions": [], "measures": []}, "data": [{"a.b": {"value": 1}}]}
BI = {"metadata": {"fields": {"dimensions": [], "measures": []}}, "rows": [{"a.b": {"value": 1}}]}
EXPIRED = {
    "status": "expired",
    "data": {"error": "Results have expired. Run the query again."},
}
NOTE = {
    "message": "Note: This query contains derived tables with Development Mode filters.",
    "message_details": None,
    "fatal": False,
}
SQL_ERROR = {
    "message": "The database does not answer.",
    "message_details": "no such table",
    "level": "error",
    "sql_error_loc": None,
}


def complete(data: object, **more: object) -> dict[str, Any]:
    return {"status": "complete", "result_source": "query", "data": data} | more


def error(data: object, **more: object) -> dict[str, Any]:
    return {"status": "error", "result_source": None, "data": data} | more


def test_a_real_query_arrives_with_its_rows(simulator: Simulator, tap: Tap) -> None:
    id_ = simulator.create_task("1", "json_detail")
    run = tap(query_task_ids=[id_])
    assert run.exit_code == 0
    record = run.only()
    assert list(record) == COLUMNS
    assert (record["query_task_id"], record["status"]) == (id_, "complete")
    assert (record["origin"], record["result_format"]) == ("given", "json_detail")
    assert record["row_count"] == len(record["data"]["rows"]) > 10
    assert record["errors"] == record["warnings"] == []
    assert record["runtime_seconds"] >= 0
    assert record["first_seen_at"] <= record["finished_at"]
    names = {field["name"] for field in record["fields"]}
    assert set(record["data"]["rows"][0]) == names
    united = next(r for r in record["data"]["rows"] if r["flights.carrier"] == "UA")
    assert united["flights.count"] == 58665


@pytest.mark.parametrize("result_format", ["json_detail", "json_bi", "json"])
def test_the_same_rows_arrive_in_every_json_format(
    simulator: Simulator, tap: Tap, result_format: str
) -> None:
    ids = [simulator.create_task("1", f) for f in ("json_detail", result_format)]
    outcomes = tap(query_task_ids=ids).outcomes()
    detail, other = (outcomes[id_] for id_ in ids)
    assert other["result_format"] == result_format
    assert other["data"] == detail["data"]


@pytest.mark.parametrize("result_format", ["csv", "txt", "html", "md", "sql"])
def test_text_arrives_as_text(simulator: Simulator, tap: Tap, result_format: str) -> None:
    run = tap(query_task_ids=[simulator.create_task("1", result_format)])
    record = run.only()
    assert list(record["data"]) == ["text"]
    assert record["row_count"] is None
    assert "arrier" in record["data"]["text"]


def test_text_that_only_the_result_itself_carries_is_fetched(
    simulator: Simulator, tap: Tap
) -> None:
    id_ = simulator.create_task("1", "csv")
    expected = tap(query_task_ids=[id_]).only()["data"]
    simulator.fault("no_data", times=1)
    assert tap(query_task_ids=[id_]).only()["data"] == expected
    assert simulator.count("query_task_results") == 1


def test_every_digit_arrives(simulator: Simulator, tap: Tap) -> None:
    big, long_ = 2**54 + 1, Decimal("1234567890123456789.01234567891")
    cells = f'{{"n.big": {{"value": {big}}}, "n.long": {{"value": {long_}}}}}'
    plain = f'{{"n.big": {big}, "n.long": {long_}}}'
    entries = [
        f'{{"status": "complete", "data": {{"fields": {{}}, "data": [{cells}]}}}}',
        f'{{"status": "complete", "data": {{"metadata": {{}}, "rows": [{cells}]}}}}',
        f'{{"status": "complete", "data": [{plain}]}}',
    ]
    ids = [simulator.add_scripted_task([entry.encode()]) for entry in entries]
    run = tap(query_task_ids=ids)
    for outcome in run.outcomes().values():
        assert outcome["data"]["rows"] == [{"n.big": big, "n.long": long_}]


@pytest.mark.parametrize(
    ("entry", "message", "errors"),
    [
        (error({"data": [], "errors": [SQL_ERROR]}), "The database does not answer.", 1),
        (complete({"data": [], "errors": [SQL_ERROR | {"fatal": True}]}), "The database", 1),
        (error({"id": "x", "error": "View Not Found"}), "View Not Found", 1),
        (complete([{"looker_error": "no such table"}]), "no such table", 1),
        (complete({"metadata": {}, "rows": [{"looker_error": "no such table"}]}), "no such", 1),
        (error(None), None, 0),
        (error({"data": [], "errors": [SQL_ERROR | {"message_details": {"a": 1}}]}), "The data", 1),
    ],
)
def test_an_error_is_an_error_and_never_a_row(
    simulator: Simulator, tap: Tap, entry: dict[str, Any], message: str | None, errors: int
) -> None:
    run = tap(query_task_ids=[simulator.add_scripted_task([entry])])
    record = run.only()
    assert (record["status"], record["data"]) == ("error", None)
    assert record["error_message"] == message or record["error_message"].startswith(message)
    assert len(record["errors"]) == errors
    assert run.exit_code == 1
    assert record["query_task_id"] in run.error


def test_a_query_that_fails_in_the_database_is_an_error_in_every_format(
    simulator: Simulator, tap: Tap
) -> None:
    formats = ("json_detail", "json_bi", "json")
    run = tap(query_task_ids=[simulator.create_task("5", f) for f in formats])
    assert set(run.statuses().values()) == {"error"}
    assert all(record["error_message"] for record in run.records())


@pytest.mark.parametrize("status", ["complete", "error"])
def test_a_note_is_a_warning_only(simulator: Simulator, tap: Tap, status: str) -> None:
    entry = complete(DETAIL | {"errors": [NOTE]}, status=status)
    run = tap(query_task_ids=[simulator.add_scripted_task([entry])])
    record = run.only()
    assert (record["status"], record["error_message"]) == ("complete", None)
    assert record["warnings"] == [NOTE]
    assert record["data"] == {"rows": [{"a.b": 1}]}
    assert run.exit_code == 0


def test_notes_and_errors_are_reported_apart(simulator: Simulator, tap: Tap) -> None:
    entry = error({"data": [], "errors": [NOTE, SQL_ERROR]})
    record = tap(query_task_ids=[simulator.add_scripted_task([entry])]).only()
    assert (record["status"], record["warnings"]) == ("error", [NOTE])
    assert record["errors"] == [SQL_ERROR]


def test_a_task_is_followed_until_it_finishes(simulator: Simulator, tap: Tap) -> None:
    script = [{"status": "added"}, {"status": "running"}, {"status": "running"}, complete(DETAIL)]
    run = tap(query_task_ids=[simulator.add_scripted_task(script)])
    assert run.only()["status"] == "complete"
    assert simulator.count("query_task_multi_results") == 4


def test_a_status_may_be_spelled_in_any_case(simulator: Simulator, tap: Tap) -> None:
    script = [{"status": "Running"}, complete(DETAIL, status="COMPLETE")]
    assert tap(query_task_ids=[simulator.add_scripted_task(script)]).only()["status"] == "complete"


@pytest.mark.parametrize("flap", [EXPIRED, {"status": "missing"}, None])
def test_a_status_that_looker_takes_back_is_not_believed(
    simulator: Simulator, tap: Tap, flap: dict[str, Any] | None
) -> None:
    script = [{"status": "running"}, flap, complete(BI)]
    run = tap(query_task_ids=[simulator.add_scripted_task(script)], expired_grace_seconds=20)
    assert run.only()["status"] == "complete"


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (EXPIRED, "expired"),
        ({"status": "missing"}, "missing"),
        (None, "absent"),
        ({"status": "killed"}, "killed"),
        ({"status": "failure"}, "failure"),
    ],
)
def test_a_status_that_lasts_is_the_outcome(
    simulator: Simulator, tap: Tap, last: dict[str, Any] | None, status: str
) -> None:
    id_ = simulator.add_scripted_task([{"status": "running"}, last])
    run = tap(query_task_ids=[id_])
    record = run.only()
    assert (record["status"], record["data"]) == (status, None)
    assert run.exit_code == 1
    assert f"{id_} ({status}" in run.error


def test_an_id_that_looker_does_not_know_is_absent(simulator: Simulator, tap: Tap) -> None:
    known = simulator.create_task("1", "json")
    run = tap(query_task_ids=["unknown-task", known])
    assert run.statuses() == {known: "complete", "unknown-task": "absent"}


def test_an_id_that_looker_rejects_fails_no_other(simulator: Simulator, tap: Tap) -> None:
    simulator.fault("unknown_id_refuses_batch", times=None)
    known = [simulator.create_task("4", "json") for _ in range(6)]
    run = tap(query_task_ids=[*known[:3], "unknown-task", *known[3:]])
    assert run.statuses() == dict.fromkeys(known, "complete") | {"unknown-task": "absent"}
    assert "; polling its tasks in smaller requests" in run.log


def test_a_task_that_takes_too_long_is_abandoned_but_not_cancelled(
    simulator: Simulator, tap: Tap
) -> None:
    id_ = simulator.add_scripted_task([{"status": "running"}])
    run = tap(query_task_ids=[id_], task_timeout_seconds=0.2)
    assert run.statuses() == {id_: "timeout"}
    assert run.exit_code == 1
    assert simulator.count("kill_query") == 0


def test_a_word_that_no_one_knows_is_waited_for_and_then_reported_unchanged(
    simulator: Simulator, tap: Tap
) -> None:
    recovers = simulator.add_scripted_task([{"status": "paused"}, complete(DETAIL)])
    lasts = simulator.add_scripted_task([{"status": "paused"}])
    run = tap(query_task_ids=[recovers, lasts], task_timeout_seconds=0.3)
    assert run.statuses() == {recovers: "complete", lasts: "paused"}
    assert run.log.count("unknown status 'paused'; such tasks are treated as unfinished") == 1


def test_a_failure_may_be_left_to_the_record(simulator: Simulator, tap: Tap) -> None:
    id_ = simulator.add_scripted_task([{"status": "killed"}])
    run = tap(query_task_ids=[id_], fail_on_task_error=False)
    assert run.exit_code == 0
    assert run.statuses() == {id_: "killed"}
    assert id_ in run.log


@pytest.mark.parametrize(
    "entry", [complete(5), complete({"data": 5, "fields": {}}), complete([1, 2])]
)
def test_a_result_that_cannot_be_read_is_reported_and_requested_again(
    simulator: Simulator, tap: Tap, entry: dict[str, Any]
) -> None:
    id_ = simulator.add_scripted_task([entry])
    run = tap(query_task_ids=[id_])
    assert run.exit_code == 1
    assert "cannot be read" in run.only()["error_message"]
    assert run.bookmark["finished"] == {}


@pytest.mark.parametrize("entry", [b"5", b"[]", b'{"data": 1}', b'{"status": 5}', b"null"])
def test_a_response_that_is_none_is_treated_as_no_response(
    simulator: Simulator, tap: Tap, entry: bytes
) -> None:
    good = simulator.create_task("4", "json")
    bad = simulator.add_scripted_task([entry])
    run = tap(query_task_ids=[bad, good])
    assert run.statuses() == {good: "complete", bad: "absent"}
    assert run.outcomes()[bad]["error_message"].startswith("Looker's response cannot be read: ")
    assert "absent: Looker's response cannot be read" in run.error
    assert run.bookmark["finished"] == {good: "complete"}


def test_tasks_are_delivered_in_the_order_in_which_they_finish(
    simulator: Simulator, tap: Tap
) -> None:
    slow = simulator.add_scripted_task([{"status": "running"}] * 4 + [complete(DETAIL)])
    quick = simulator.add_scripted_task([complete(DETAIL)])
    assert list(tap(query_task_ids=[slow, quick]).statuses()) == [quick, slow]


@pytest.mark.parametrize(
    ("response", "meaning"),
    [
        (None, "(absent: Looker never reported this ID; is it old, or another instance's?)"),
        ({"status": "missing"}, "(missing: Looker shows no such task to this user; "),
        ({"status": "killed"}, "(killed: a user stopped it in Looker)"),
        (
            {"status": "expired"},
            "(expired: Looker no longer has the result; collect it within 5 minutes of its end)",
        ),
    ],
)
def test_a_status_without_an_error_message_is_explained(
    simulator: Simulator, tap: Callable[..., Run], response: dict[str, str] | None, meaning: str
) -> None:
    id_ = simulator.add_scripted_task([response])
    assert meaning in tap(query_task_ids=[id_]).error
