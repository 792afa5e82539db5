"""Neither client secret nor token is anywhere, whatever is logged and whatever fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.singer import stored_id

if TYPE_CHECKING:
    from pathlib import Path

    from looker_simulator.engine import Database

SECRET = "hush-9d2f-keep-this-to-yourself"
FAULTS = {
    "token_expired": {"operation": "query_task_multi_results"},
    "token_lost": {"operation": "lookml_model_explore"},
    "redirected": {"operation": "create_query_task"},
    "bad_gateway": {"operation": "query_task_multi_results"},
    "reset_in_body": {"operation": "query_task_multi_results"},
    "validation_failed": {"operation": "create_query"},
    "server_error": {"operation": "logout"},
}
# As people do who look for an error: everything that any library logs.
DEBUGGING = """
import logging
logging.getLogger("urllib3").setLevel(logging.DEBUG)
from tap_looker_tasks.tap import TapLookerTasks
TapLookerTasks.cli()
"""


class _Secretive(Simulator):
    client_secret = SECRET


def run(folder: Path, *arguments: str) -> None:
    """Run the tap, and keep what it says and writes in the folder."""
    command = [sys.executable, "-c", DEBUGGING, "--config", str(folder / "config.json")]
    environment = {**os.environ, "LOGLEVEL": "DEBUG", "TAP_LOOKER_TASKS_LOGLEVEL": "DEBUG"}
    done = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, timeout=60, check=False
    )
    assert b"DEBUG" in done.stderr
    with (folder / "said").open("ab") as file:
        file.write(done.stdout + done.stderr)


@pytest.mark.slow
def test_no_secret_is_shown_at_debug_for_any_failure(database: Database, tmp_path: Path) -> None:
    tokens: set[str] = set()
    config = tmp_path / "config.json"
    with _Secretive(SimulatorOptions(latency_seconds=0.1), database=database) as simulator:
        looker = simulator._looker  # noqa: SLF001 - no call tells the tokens
        log_in = looker.login

        def save(client_id: str, client_secret: str) -> dict[str, object]:
            response = log_in(client_id, client_secret)
            tokens.add(str(response["access_token"]))
            return response

        looker.login = save  # type: ignore[method-assign]
        given = {
            "base_url": simulator.base_url,
            "client_id": simulator.client_id,
            "client_secret": SECRET,
            "queries": [{"name": "airlines", "query_id": stored_id(1), "limit": 90}],
            "query_task_ids": [simulator.create_task("4", "json")],
            "http_max_tries": 2,
            "report_path": str(tmp_path / "report.html"),
        }
        config.write_text(json.dumps(given))
        run(tmp_path, "--discover")
        for name, details in FAULTS.items():
            simulator.fault(name, **details)
        run(tmp_path)
        simulator.clear_faults()
        run(tmp_path, "--doctor")
        config.write_text(json.dumps({**given, "client_secret": f"{SECRET}-wrong"}))
        run(tmp_path)
    assert len(tokens) > 3
    for path in (path for path in tmp_path.iterdir() if path != config):
        content = path.read_text()
        assert [secret for secret in (SECRET, *tokens) if secret in content] == [], path.name
    assert (tmp_path / "report.html").exists()
    assert "Starting new HTTP connection" in (tmp_path / "said").read_text()
