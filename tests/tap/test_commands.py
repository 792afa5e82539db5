"""The commands every Singer tap has."""

from __future__ import annotations

import json
import subprocess
import sys
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tap_looker_tasks.cli import build_help

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("tap-looker-tasks")


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "arguments",
    [["--about"], ["--about", "--format", "json"], ["--about", "--format", "markdown"]],
)
def test_about_names_every_setting_without_config(arguments: list[str]) -> None:
    done = command(*arguments)
    assert done.returncode == 0
    for name in ("base_url", "query_task_ids", "expired_grace_seconds", "http_max_tries"):
        assert name in done.stdout
    assert "in one `multi_results` request (1 to 250)" in done.stdout


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://looker.test/docs", "Documentation: https://looker.test/docs\n"),
        # A placeholder, which `make release-check` lists, is no address.
        ("https://example.invalid/docs", "Documentation: docs/index.md of the repository"),
    ],
)
def test_help_names_the_documentation(
    monkeypatch: pytest.MonkeyPatch, address: str, shown: str
) -> None:
    released = Message()
    released["Project-URL"] = "Repository, https://looker.test/repository"
    released["Project-URL"] = f"Documentation, {address}"
    monkeypatch.setattr("tap_looker_tasks.cli.command.metadata", lambda _: released)
    assert shown in build_help()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_needs_nothing(arguments: list[str]) -> None:
    done = command(*arguments)
    assert done.returncode == 0
    assert "tap-looker-tasks" in done.stdout


def test_discovery_needs_no_config_and_no_network() -> None:
    done = command("--discover")
    assert done.returncode == 0
    streams = {stream["tap_stream_id"]: stream for stream in json.loads(done.stdout)["streams"]}
    assert set(streams) == {"query_task_results", "query_task_rows"}
    assert streams["query_task_results"]["key_properties"] == ["query_task_id"]
    assert streams["query_task_rows"]["key_properties"] == ["query_task_id", "row_number"]


def test_settings_may_come_from_the_environment(simulator: Simulator) -> None:
    id_ = simulator.create_task("1", "json")
    done = command(
        "--config",
        "ENV",
        TAP_LOOKER_TASKS_BASE_URL=simulator.base_url,
        TAP_LOOKER_TASKS_CLIENT_ID=simulator.client_id,
        TAP_LOOKER_TASKS_CLIENT_SECRET=simulator.client_secret,
        TAP_LOOKER_TASKS_QUERY_TASK_IDS=json.dumps([id_]),
        TAP_LOOKER_TASKS_BATCH_SIZE="7",
        TAP_LOOKER_TASKS_POLL_INTERVAL_SECONDS="0.1",
        TAP_LOOKER_TASKS_WAIT_FOR_COMPLETION="true",
    )
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["record"]["query_task_id"] for r in records if r["type"] == "RECORD"] == [id_]


def test_a_failing_run_ends_in_one_line() -> None:
    done = command(
        "--config",
        "ENV",
        TAP_LOOKER_TASKS_BASE_URL="https://looker.test",
        TAP_LOOKER_TASKS_CLIENT_ID="me",
        TAP_LOOKER_TASKS_CLIENT_SECRET="hush",
        TAP_LOOKER_TASKS_BATCH_SIZE="500",
    )
    assert done.returncode == 78
    assert done.stdout == ""
    _, level, logger, reason = map(str.strip, done.stderr.splitlines()[-1].split("|"))
    assert (level, logger) == ("ERROR", "tap-looker-tasks")
    assert reason == "TAP_LOOKER_TASKS_BATCH_SIZE: expected an integer <= 250"
    assert "hush" not in done.stderr
    assert "Traceback" not in done.stderr


def test_schemas_of_deselected_streams_are_not_written(tap: Tap) -> None:
    assert [m["stream"] for m in tap("--test=schema").messages] == ["query_task_results"]


def test_a_test_run_asks_for_a_few_rows_and_logs_nothing_alarming(tap: Tap) -> None:
    explore = {"model": "flights_2013", "explore": "flights", "fields": ["flights.carrier"]}
    queries = [{"name": "all", "explore": explore, "limit": -1}, {"name": "saved", "query_id": 1}]
    run = tap("--test", queries=queries)
    assert run.exit_code == 0
    assert [len(run.records(name)) for name in ("all", "saved")] == [1, 1]
    assert run.only()["row_count"] == 5
    assert "error" not in run.log.lower()
    assert "limit" not in run.log
