"""Singer's own check of a tap, over every stream and over a column of every type.

Its `--tap` asks for the result as soon as the tap has ended, ready or not, so messages are piped.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.warehouses.environments import environment
from tests.warehouses.every_type import STREAM, draw_table, query
from tests.warehouses.loading import extract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

pytestmark = [pytest.mark.slow, pytest.mark.warehouses]
_DAYS = {
    "name": "days",
    "explore": {
        "model": "flights_2013",
        "explore": "flights",
        "fields": ["flights.departure_date", "flights.departure_time", "flights.count"],
        "filters": {"flights.departure_date": "2013-12-30 to 2014-01-01"},
    },
    "replication_key": "flights.departure_date",
}


def check(messages: bytes, folder: Path) -> dict[str, int]:
    """Return how many records of each stream the check has read.

    Raises:
        ValueError: If it has rejected a message.
    """
    command = environment("targets/check-tap") / "singer-check-tap"
    done = subprocess.run([command], cwd=folder, input=messages, capture_output=True, check=False)
    if done.returncode != 0:
        raise ValueError(done.stderr.decode()[-3000:])
    output = done.stdout.decode()
    assert "The output is valid." in output
    rows = [line.split("|")[1:4] for line in output.splitlines() if line.startswith("|")]
    return {stream.strip(): int(records) for stream, records, _ in rows[1:]}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"stream_maps": {"*": {"added": "'x'"}}},
        {"flattening_enabled": True, "flattening_max_depth": 1},
        {"queries": [query(decimals={"precision": 40, "scale": 30})]},
    ],
)
def test_a_column_of_every_type_passes(tmp_path: Path, more: dict[str, Any]) -> None:
    messages = extract(draw_table(60), tmp_path / "run", **more).read_bytes()
    assert check(messages, tmp_path) == {
        "query_task_results": 2,
        "query_task_rows": 60,
        STREAM: 120,
    }


def test_a_run_and_the_next_one_from_its_state_pass(
    simulator: Simulator, tap: Callable[..., Run], tmp_path: Path
) -> None:
    formats = ("json_detail", "json_bi", "json", "csv")
    tasks = [simulator.create_task("1", result_format) for result_format in formats]
    config = {"queries": [_DAYS], "query_task_ids": tasks}
    first = tap(**config)
    assert first.exit_code == 0, first.log
    read = check(first.output, tmp_path)
    assert read["query_task_results"] == len(tasks) + 1
    assert read["days"] > 0

    tasks.append(simulator.create_task("1", "json_detail"))
    second = tap(state=first.state, **config)
    assert second.exit_code == 0, second.log
    assert check(second.output, tmp_path)["query_task_results"] == 2


def test_a_wrong_value_is_rejected(tmp_path: Path) -> None:
    messages = extract(draw_table(3), tmp_path / "run").read_bytes()
    wrong = messages.replace(b'"every__is_new":true', b'"every__is_new":"perhaps"', 1)
    assert wrong != messages
    with pytest.raises(ValueError, match="'perhaps' is not of type"):
        check(wrong, tmp_path)
