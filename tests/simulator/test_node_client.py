"""Looker's client for Node drives the simulator, where it is installed.

`LOOKER_NODE_MODULES` names the folder `node_modules` that holds `@looker/sdk` and
`@looker/sdk-node`, as `npm install` makes it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tap_looker_tasks.simulator.simulator import Simulator

MODULES = os.environ.get("LOOKER_NODE_MODULES", "")
PROGRAM = Path(__file__).with_name("node_client.mjs")


@pytest.mark.skipif(not MODULES, reason="LOOKER_NODE_MODULES does not name Looker's Node client")
def test_the_node_client_follows_a_task(simulator: Simulator, tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node, "node is not installed"
    (tmp_path / "node_modules").symlink_to(MODULES)
    shutil.copy(PROGRAM, tmp_path)
    done = subprocess.run(
        [node, PROGRAM.name, simulator.base_url],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.endswith("passed\n"), done.stderr
