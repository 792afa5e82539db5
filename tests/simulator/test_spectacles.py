"""Spectacles, which tests LookML, connects to the simulator and runs the SQL of Explores."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from looker_simulator.simulator import Simulator

_PROGRAM = Path(__file__).parents[2] / ".cache" / "spectacles" / "bin" / "spectacles"
pytestmark = pytest.mark.skipif(
    not _PROGRAM.is_file(), reason="Spectacles is not installed: make test-clients"
)


def spectacles(simulator: Simulator, folder: Path, *arguments: str) -> tuple[int, str]:
    address = urlsplit(simulator.base_url)
    where = ("--base-url", f"http://{address.hostname}", "--port", str(address.port))
    who = ("--client-id", simulator.client_id, "--client-secret", simulator.client_secret)
    done = subprocess.run(
        [_PROGRAM, *arguments, *where, *who, "--do-not-track", "--no-looker-ci-warning"],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def test_it_connects(simulator: Simulator, tmp_path: Path) -> None:
    code, output = spectacles(simulator, tmp_path, "connect")
    assert (code, "using Looker API 4.0" in output) == (0, True), output


@pytest.mark.parametrize("branch", [(), ("--branch", "main")])
def test_it_runs_the_sql_of_explores(
    simulator: Simulator, tmp_path: Path, branch: tuple[str, ...]
) -> None:
    code, output = spectacles(
        simulator, tmp_path, "sql", *branch, "--project", "shop", "--explores", "shop/orders"
    )
    assert (code, "passed" in output) == (0, True), output
    assert {"create_query_task", "query_task_multi_results"} <= {
        call.operation for call in simulator.calls
    }


def test_it_finds_an_error(simulator: Simulator, tmp_path: Path) -> None:
    simulator.fault("server_error", operation="create_query", times=None)
    code, output = spectacles(
        simulator, tmp_path, "sql", "--project", "shop", "--explores", "shop/orders"
    )
    assert code != 0, output
