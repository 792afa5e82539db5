"""Findings of the checks of a release, and the commands that they run."""

from __future__ import annotations

import subprocess
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

PROJECT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = PROJECT / ".venv" / "release"
INSTALL = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
_LINES_SHOWN = 20


class Verdict(Enum):
    """Result of a check; what cannot be checked on this machine is listed, not skipped."""

    GOOD = "ok"
    BAD = "FAILED"
    UNKNOWN = "not checked"


class Finding(NamedTuple):
    """Result of one check."""

    subject: str
    verdict: Verdict
    detail: str


class CommandError(Exception):
    """A command failed; the message is the end of what it wrote."""


def run(command: Sequence[str | Path], folder: Path = PROJECT) -> str:
    """Run a command to its end and return what it wrote to standard output.

    Raises:
        CommandError: If its exit code is not 0.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = f"{done.stdout}\n{done.stderr}".strip().splitlines()
        raise CommandError("\n".join(lines[-_LINES_SHOWN:]))
    return done.stdout


def install(name: str, python: str, requirements: str) -> Path:
    """Make an environment of pinned, hashed requirements, once for each state of the pins.

    Returns:
        The environment's Python.

    Raises:
        CommandError: If something cannot be installed.
    """
    pins_path = PROJECT / "requirements" / requirements
    pins = pins_path.read_text()
    folder = ENVIRONMENTS / name
    installed, own_python = folder / "installed", folder / "bin" / "python"
    if not installed.exists() or installed.read_text() != pins:
        run([python, "-m", "venv", "--clear", folder])
        run([own_python, *INSTALL, "--require-hashes", "--requirement", pins_path])
        installed.write_text(pins)
    return own_python
