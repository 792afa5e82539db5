"""What pages show of state and of other programs is what there is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from docs.generate import PROJECT
from docs.walkthrough import read_blocks
from looker_simulator.simulator import Simulator, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from looker_simulator.engine import Database
    from tests.singer import Run

    Tap = Callable[..., Run]

DAYS: dict[str, Any] = {
    "name": "open_orders",
    "explore": {
        "model": "flights_2013",
        "explore": "flights",
        "fields": ["flights.departure_date", "flights.count"],
    },
    "replication_key": "flights.departure_date",
    "limit": 10,
}


def blocks(page: str, language: str) -> list[str]:
    shown = read_blocks((PROJECT / page).read_text())
    return [block.text for block in shown if block.language == language]


def paths(value: object, path: str = "") -> set[str]:
    """The keys of nested objects, each with those above it."""
    if not isinstance(value, dict):
        return {path}
    return {path}.union(*(paths(inner, f"{path}/{key}") for key, inner in value.items()))


def test_state_has_the_keys_that_the_page_shows(simulator: Simulator, tap: Tap) -> None:
    query_task_id = simulator.create_task("1")
    first = tap(queries=[DAYS], query_task_ids=[query_task_id], run_id="scheduled")
    simulator.fault("hang", operation="query_task_multi_results", times=None, seconds=30)
    last = tap(
        queries=[DAYS],
        query_task_ids=[query_task_id],
        state=first.state,
        run_id="second",
        sync_timeout_seconds=2,
        on_interrupt="leave",
    )
    shown = json.loads(blocks("docs/reference/state.md", "json")[0])
    (shown_id,) = shown["bookmarks"]["query_task_results"]["finished"]
    assert {p.replace(shown_id, query_task_id) for p in paths(shown)} == paths(last.state)


def test_the_application_leaves_an_id_that_the_tap_follows(
    simulator: Simulator, tap: Tap, tmp_path: Path
) -> None:
    credentials = {
        "LOOKERSDK_BASE_URL": simulator.base_url,
        "LOOKERSDK_CLIENT_ID": simulator.client_id,
        "LOOKERSDK_CLIENT_SECRET": simulator.client_secret,
        "LOOKERSDK_VERIFY_SSL": "false",
        "NO_PROXY": "127.0.0.1",
    }
    (program,) = blocks("docs/how-to/external-tasks.md", "python")
    subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, **credentials}, check=True
    )
    run = tap(query_task_ids_file=str(tmp_path / "query_task_ids.txt"))
    assert [*run.statuses().values()] == ["complete"]


def test_all_that_is_wrong_is_listed_together_as_the_page_shows(tap: Tap) -> None:
    misspelt = {**DAYS["explore"], "fields": ["flights.cont"]}
    wrong = [
        {"name": "a", "explore": misspelt},
        {"name": "b", "look_id": 1, "primary_keys": ["flights.carier"]},
    ]
    run = tap("--discover", queries=wrong)
    assert blocks("docs/how-to/check-first.md", "text")[1] in run.log


def test_the_doctor_prints_what_the_page_shows(tap: Tap, simulator: Simulator) -> None:
    misspelt = {**DAYS["explore"], "fields": ["flights.cont"]}
    queries = [{"name": "airlines", "look_id": 1}, {"name": "days", "explore": misspelt}]
    run = tap("--doctor", queries=queries)
    assert run.exit_code == 1
    # Long lines are folded to the width of the terminal.
    reported = " ".join((run.output.decode() + run.log).split())
    shown = blocks("docs/how-to/check-first.md", "text")[0]
    shown = shown.replace("http://127.0.0.1:19999", simulator.base_url)
    for line in shown.splitlines():
        parts = (re.escape(" ".join(part.split())) for part in line.split("..."))
        assert re.search(".+?".join(parts), reported), f"{line}\n{reported}"


@pytest.mark.parametrize("page", ["docs/how-to/api-quotas.md", "docs/how-to/watch-a-run.md"])
def test_a_run_ends_with_the_lines_that_the_page_shows(
    tap: Tap, database: Database, page: str
) -> None:
    # Long enough for several polls, which the page shows.
    with Simulator(SimulatorOptions(latency_seconds=0.5), database=database) as simulator:
        run = tap(
            base_url=simulator.base_url, queries=[{"name": "airlines", "look_id": 1, "limit": -1}]
        )
    (shown,) = blocks(page, "text")
    # Figures differ, and so do the units they are in.
    pattern = r"[\d.]+".join(map(re.escape, re.split(r"[\d.]+", shown)))
    assert re.search(pattern, run.log), run.log
