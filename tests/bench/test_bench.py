"""The benchmark measures, compares and reports; what failed or fell short is never a figure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.arena import check
from bench.processes import PYTHON, BenchError, run
from bench.report import Line, Of, Series, at_most, times_as_fast

if TYPE_CHECKING:
    from bench.processes import Run

pytestmark = pytest.mark.slow

RECORDS = 'print(\'{"type":"RECORD","stream":"rows","record":{}}\\n\' * 3, end="")'


def program(folder: Path, source: str) -> Run:
    return run([PYTHON, "-c", source], folder)


def take(measure: str, scale: float, folder: Path) -> dict[str, Any]:
    """Take a measure once, from the command line."""
    path = folder / "figures.json"
    options = ["--only", measure, "--scale", str(scale), "--rounds", "1", "--json", str(path)]
    ended = subprocess.run(
        [sys.executable, "-m", "bench", *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert ended.returncode == 0, ended.stderr
    assert measure.partition(",")[0] in ended.stdout
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_a_measure_is_taken_from_the_command_line(tmp_path: Path) -> None:
    found = take("query_task_rows", 0.001, tmp_path)
    assert found.keys() == {"date", "machine", "versions", "rounds", "scale", "lines"}
    assert found["machine"].keys() == {"cpu", "cores", "system", "python"}
    first, *_ = found["lines"]
    assert first["measure"] == "query_task_rows"
    assert first["measured"]["unit"] == "s"
    assert len(first["measured"]["values"]) == len(first["comparison"]["values"]) == 1
    assert first["ratio"] == first["comparison"]["median"] / first["measured"]["median"]
    assert first["goal"] == {"text": "≥ 25 x as fast", "limit": 25}
    assert first["reached"] is (first["ratio"] >= 25)


def test_batch_files_are_counted_and_compared(tmp_path: Path) -> None:
    complete, from_first_call, *_, alone = take("BATCH files", 0.05, tmp_path)["lines"]
    assert complete["measured"]["what"] == "2 queries of 250 rows, BATCH files of jsonl.gz"
    assert from_first_call["measured"]["median"] < complete["measured"]["median"]
    assert alone["measured"]["what"] == "500 typed rows in memory, into files of jsonl.gz"
    assert alone["measured"]["median"] < from_first_call["measured"]["median"]


def test_a_slow_target_gets_all_tasks_of_a_real_simulator(tmp_path: Path) -> None:
    lost, launches, *_ = take("slow target", 0.01, tmp_path)["lines"]
    assert (lost["measured"]["median"], launches["measured"]["median"]) == (0, 10)


def test_progress_and_report_are_parts_of_the_run(tmp_path: Path) -> None:
    lines = take("watching, proc", 0.01, tmp_path)["lines"]
    both, progress, report, complete, *_ = (line["measured"]["median"] for line in lines)
    assert both == pytest.approx(progress + report)
    # Imports alone are a part of each.
    assert 0.1 < report < 50
    assert 0.1 < progress < 50
    assert complete > 0.1


def test_a_failed_run_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"exit code 3(.|\n)*out of luck"):
        program(tmp_path, "import sys; print('out of luck', file=sys.stderr); sys.exit(3)")


def test_a_short_run_is_no_figure(tmp_path: Path) -> None:
    ended = program(tmp_path, RECORDS)
    check(ended, {"rows": 3}, ["tap", "--config"])
    with pytest.raises(BenchError, match="expected"):
        check(ended, {"rows": 4}, ["tap", "--config"])


def test_messages_are_counted_by_type_and_stream(tmp_path: Path) -> None:
    state = 'print(\'{"type": "STATE", "value": "\' + "x" * 3_000_000 + \'"}\')'
    output = program(tmp_path, f"{RECORDS}; {state}; print('not a message')").output
    assert output.records == {"rows": 3}
    assert output.bytes_of["STATE"] == 3_000_000 + len('{"type": "STATE", "value": ""}\n')
    assert output.size == sum(output.bytes_of.values()) + len("not a message\n")


def test_goals_are_set_for_values_ratios_and_speeds() -> None:
    tap, other = Series("tap", "s", (2.0, 9.0, 1.0)), Series("other", "s", (1.0, 1.0, 5.0))
    assert Line("m", tap, other, at_most(2, Of.RATIO)).is_reached
    assert not Line("m", tap, other, at_most(1.9, Of.RATIO)).is_reached
    assert Line("m", tap, other, times_as_fast(0.5)).is_reached
    assert not Line("m", tap, other, times_as_fast(0.6)).is_reached
    assert Line("m", tap, goal=at_most(2)).is_reached
    assert Line("m", tap, other).is_reached is None
    assert Line("m", tap, other, times_as_fast(9).without_limit()).is_reached is None


@pytest.mark.warehouses
def test_flights_go_from_end_to_end(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    options = ["--only", "end to end", "--scale", "0.003", "--json", str(path)]
    subprocess.run(
        [sys.executable, "-m", "bench", *options],
        check=True,
        cwd=Path(__file__).parent.parent.parent,
    )
    lines = json.loads(path.read_text())["lines"]
    measured = [line["measured"]["what"] for line in lines]
    assert "1,010 flights, upsert, row by row" in measured
    assert "1,010 flights, BATCH and use_copy" in measured
