"""What a run shows: its closing summary, and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from looker_simulator.simulator import Simulator
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


def test_a_report_that_cannot_be_written_ends_no_run(
    tap: Callable[..., Run], tmp_path: Path
) -> None:
    run = tap(queries=[AIRLINES], report_path=str(tmp_path / "missing" / "report.html"))
    assert run.exit_code == 0
    assert "report_path: cannot write" in run.log


def test_the_summary_says_what_is_left_to_the_next_run(
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


def test_a_report_leads_to_the_query_in_looker(tap: Callable[..., Run], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert tap(queries=[{"name": "looked", "look_id": 1}], report_path=str(page)).exit_code == 0
    assert "/looks/1" in page.read_text()
