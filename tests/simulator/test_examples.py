"""The examples of Looker's client for Python run against the simulator, as they are.

`LOOKER_EXAMPLES` names `examples/python` in a checkout of looker-open-source/sdk-codegen.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from looker_simulator.simulator import Simulator

_EXAMPLES = os.environ.get("LOOKER_EXAMPLES", "")
pytestmark = pytest.mark.skipif(
    not _EXAMPLES, reason="LOOKER_EXAMPLES does not name the examples of Looker's client"
)


@pytest.mark.parametrize(
    ("command", "operation", "printed"),
    [
        ("simple_sample.py", "get_setting", "Simulator"),
        ("query_task.py shop orders orders.state orders.count", "create_query_task", "completed"),
        ("test_connection.py duckdb", "test_connection", "connect"),
        ("download_dashboard_csv.py 1", "dashboard_dashboard_elements", "Process complete"),
    ],
)
def test_an_example_runs(
    simulator: Simulator, tmp_path: Path, command: str, operation: str, printed: str
) -> None:
    folder = tmp_path / "examples" / "python"
    shutil.copytree(_EXAMPLES, folder)
    settings = {
        "base_url": simulator.base_url,
        "client_id": simulator.client_id,
        "client_secret": simulator.client_secret,
        "verify_ssl": "false",
    }
    lines = "\n".join(f"{name}={value}" for name, value in settings.items())
    (tmp_path / "looker.ini").write_text(f"[Looker]\n{lines}\n")
    variables = {f"LOOKERSDK_{name.upper()}": value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, *command.split()],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout
    assert operation in {call.operation for call in simulator.calls}
