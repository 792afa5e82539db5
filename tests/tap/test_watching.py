"""What a run shows: its closing summary, and the report."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import msgspec
import pytest

from looker_simulator.content import query_key
from looker_simulator.simulator import Simulator, SimulatorOptions
from tap_looker_tasks.singer import filter_record
from tap_looker_tasks.watch.facts import TaskFacts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from looker_simulator.engine import Database
    from tests.singer import Run

AIRLINES = {"name": "airlines", "query_id": 1}


def test_a_report_is_written_of_a_run_that_failed(
    simulator: Simulator, tap: Callable[..., Run], tmp_path: Path
) -> None:
    killed = simulator.add_scripted_task([{"status": "killed"}])
    run = tap(
        queries=[AIRLINES],
        query_task_ids=[killed],
        report_path=str(tmp_path / "run-%Y" / "report.html"),
    )
    assert run.exit_code == 1
    (page,) = tmp_path.glob("run-2*/report.html")
    text = page.read_text()
    assert "airlines" in text
    assert killed in text
    assert simulator.client_secret not in text
    assert f"report of this run: {page}" in run.log


@pytest.mark.parametrize("setting", ["report_path", "summary_path"])
def test_a_file_that_cannot_be_written_is_rejected_before_any_request(
    simulator: Simulator, tap: Callable[..., Run], tmp_path: Path, setting: str
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    run = tap(queries=[AIRLINES], **{setting: str(tmp_path / "link")})
    assert run.exit_code == 78
    assert run.error == f"{setting}: cannot write {tmp_path / 'link'}: not a regular file"
    assert simulator.calls == []
    assert not (tmp_path / "elsewhere").exists()


def test_null_is_the_default_where_a_run_is_watched(
    tap: Callable[..., Run], tmp_path: Path
) -> None:
    (tmp_path / "null.json").write_text('{"max_concurrent_tasks": null}')
    path = tmp_path / "run.html"
    null = ("--config", str(tmp_path / "null.json"))
    assert tap(*null, queries=[AIRLINES], report_path=str(path)).exit_code == 0
    assert '"slots":10,' in path.read_text()


def test_a_summary_is_written_for_programs(tap: Callable[..., Run], tmp_path: Path) -> None:
    path = tmp_path / "new" / "summary-%Y.json"
    assert tap(queries=[AIRLINES], summary_path=str(path)).exit_code == 0
    (found,) = (tmp_path / "new").iterdir()
    summary = json.loads(found.read_text())
    assert (summary["exit_code"], summary["row_count"]) == (0, 16)
    assert summary["query_tasks"] == {"delivered": 1}
    assert summary["queries"][0]["name"] == "airlines"


def test_a_run_is_named_in_its_log_summary_and_report(
    tap: Callable[..., Run], tmp_path: Path
) -> None:
    summary, page = tmp_path / "summary.json", tmp_path / "report.html"
    places = {"summary_path": str(summary), "report_path": str(page)}
    run = tap(queries=[AIRLINES], run_id="nightly of the 4th", **places)

    (closing,) = (line for line in run.log.splitlines() if "delivered 1 of 1 query task" in line)
    assert closing.endswith("(run_id nightly of the 4th)")
    assert json.loads(summary.read_text())["run_id"] == "nightly of the 4th"
    assert "(run_id nightly of the 4th)" in page.read_text()


def test_the_summary_shows_what_is_left_to_the_next_run(
    simulator: Simulator, tap: Callable[..., Run]
) -> None:
    running = simulator.add_scripted_task([{"status": "running"}])
    run = tap(query_task_ids=[running], wait_for_completion=False)
    assert "left for the next run" in run.log
    assert running in run.log


def test_a_report_is_written_of_a_run_that_failed_before_its_first_task(
    tap: Callable[..., Run], tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    run = tap(queries=[AIRLINES], client_secret="wrong", report_path=str(page))
    assert run.exit_code == 78
    assert "client_id and client_secret" in page.read_text()


def tasks_in(page: Path) -> list[TaskFacts]:
    """What a report holds of each task."""
    _, _, rest = page.read_text().partition('<script type="application/json" id="data">')
    data = msgspec.json.decode(rest.partition("</script>")[0])
    return [msgspec.convert(task, TaskFacts) for task in data["tasks"]]


def test_sizes_count_results_that_went_through_files(
    tap: Callable[..., Run], tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    explore = {"model": "flights_2013", "explore": "flights", "fields": ["flights.tail_number"]}
    big = {"name": "big", "query_id": "10", "limit": 8_000}
    small = {"name": "small", "explore": explore, "limit": 10}
    assert tap(queries=[big, small], report_path=str(page)).exit_code == 0
    sizes = {task.name: task.collected_bytes for task in tasks_in(page)}
    # A row of ten fields in json_detail, each with a cell around it.
    assert 8_000 * 200 < sizes["big"] < 8_000 * 600
    assert 10 * 20 < sizes["small"] < 5_000


def test_the_time_of_transfer_is_not_lookers(
    database: Database, tap: Callable[..., Run], tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    with Simulator(SimulatorOptions(round_trip_seconds=0.3), database=database) as far:
        run = tap(base_url=far.base_url, queries=[AIRLINES], report_path=str(page))
    assert run.exit_code == 0
    (task,) = tasks_in(page)
    assert task.running_at is not None
    assert task.finished_at is not None
    assert task.collected_at is not None
    assert task.running_at <= task.finished_at
    assert task.collected_at - task.finished_at >= 0.25


def test_a_report_leads_to_each_query_by_the_address_that_shares_it(
    tap: Callable[..., Run], tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    explore = {"model": "shop", "explore": "orders", "fields": ["orders.state"]}
    queries = [
        {"name": "written", "explore": explore},
        {"name": "looked", "look_id": 1},
        {"name": "by_id", "query_id": 11},
        {"name": "changed", "query_id": 11, "limit": 3},
    ]
    first = tap(queries=queries, report_path=str(page))
    assert first.exit_code == 0, first.log
    links = {task.name: task.link for task in tasks_in(page)}
    assert links == {
        outcome["query_name"]: f"https://looker.test/x/slug{query_key(outcome['query_id'])}"
        for outcome in first.records()
    }
    # A later run knows the IDs of some only, which end a share URL, too.
    again = tap(queries=queries, report_path=str(page), state=first.state)
    ids = {outcome["query_name"]: outcome["query_id"] for outcome in again.records()}
    later = {task.name: task.link for task in tasks_in(page)}
    assert later["written"] == f"/x/{ids['written']}"
    assert later["by_id"] == links["by_id"]


HOSTILE = "a\nERROR forged\r\x1b[31m\x1b]0;title\x07\u202e\u2028\u2066end" + "x" * 9000


def test_text_of_looker_is_one_safe_line_wherever_it_is_shown(
    simulator: Simulator, tap: Callable[..., Run], tmp_path: Path
) -> None:
    failing = simulator.add_scripted_task(
        [{"status": "error", "data": {"errors": [{"message": HOSTILE}]}}]
    )
    page = tmp_path / "report.html"
    run = tap(query_task_ids=[failing], report_path=str(page))
    assert run.exit_code == 1
    assert r"a ERROR forged \x1b[31m\x1b]0;title\x07\u202e \u2066end" in run.error
    assert max(map(len, run.log.splitlines())) < 2100
    assert not [line for line in run.log.splitlines() if line.startswith("ERROR forged")]
    assert not set("\x1b\x07\u202e\u2028\u2066") & set(run.log + page.read_text())
    # Records keep what was sent.
    assert json.dumps(HOSTILE)[1:-1] in json.dumps(run.only()["errors"])


def test_the_sdk_does_not_talk_over_the_tap(
    simulator: Simulator, tap: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    queries = [{"name": f"q{number}", "query_id": 1} for number in range(3)]
    run = tap(queries=queries, query_task_ids=[simulator.add_scripted_task([{"status": "killed"}])])
    assert run.exit_code == 1
    for line in ("Skipping parse", "as child stream", "Beginning", "unhandled"):
        assert line not in run.log
    logging.getLogger("tap-looker-tasks").setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        assert "Added 'q0' as child stream" in tap(queries=queries).log
    logging.getLogger("tap-looker-tasks").setLevel(logging.NOTSET)


@pytest.mark.parametrize("args", [("\x1b",), ({"text": "\x1b"},), ()])
def test_every_argument_of_a_log_line_is_safe(args: tuple[object, ...]) -> None:
    template = "%(text)s" if args and isinstance(args[0], dict) else "%s" if args else "\x1b"
    record = logging.LogRecord("x", logging.INFO, "", 0, template, args, None)
    assert filter_record(record)
    assert record.getMessage() == r"\x1b"
