"""Runs Looker's client for Node, where `make test-clients` has installed it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_PROGRAM = Path(__file__).parent / "node" / "client.mjs"
_MODULES = Path(__file__).parent.parent.parent / ".cache" / "node-client" / "node_modules"

needs_node_client = pytest.mark.skipif(
    not _MODULES.is_dir(), reason="Looker's client for Node is not installed: make test-clients"
)


def run_node_client(base_url: str, folder: Path) -> None:
    """Drive every operation of a simulator in which query 1 takes long.

    Args:
        base_url: of the simulator, or of what stands before it.
        folder: to run in.
    """
    node = shutil.which("node")
    assert node, "node is not installed"
    (folder / "node_modules").symlink_to(_MODULES)
    shutil.copy(_PROGRAM, folder)
    done = subprocess.run(
        [node, _PROGRAM.name, base_url],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.endswith("passed\n"), done.stderr
