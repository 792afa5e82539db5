"""Runs Looker's client for Node, where `make test-clients` has installed it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROGRAMS = Path(__file__).parent / "node"
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
    written = _run("client.mjs", folder, base_url)
    assert written.endswith("passed\n")


def parsed_by_looker(cases: Sequence[tuple[str, str]], folder: Path) -> list[bool]:
    """Return for each (type, filter expression) whether Looker's own grammar understands it."""
    understood: list[bool] = json.loads(_run("filters.mjs", folder, text=json.dumps(cases)))
    return understood


def _run(program: str, folder: Path, *arguments: str, text: str | None = None) -> str:
    node = shutil.which("node")
    assert node, "node is not installed"
    (folder / "node_modules").symlink_to(_MODULES)
    shutil.copy(_PROGRAMS / program, folder)
    done = subprocess.run(
        [node, program, *arguments],
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
