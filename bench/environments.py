"""Virtual environments of what the tap is compared with, made on first use."""

from __future__ import annotations

import subprocess
import sys

import click

from bench.processes import PROJECT, BenchError


class UnavailableError(BenchError):
    """Something to compare the tap with cannot be had on this machine."""


def environment(name: str) -> str:
    """Make an environment with what `requirements/bench-<name>.txt` names; returns its Python.

    Raises:
        UnavailableError: If it cannot be installed, as with a Python too new for it.
    """
    pins = (PROJECT / "requirements" / f"bench-{name}.txt").read_text()
    folder = PROJECT / ".venv" / f"bench-{name}"
    python, installed = str(folder / "bin" / "python"), folder / "installed"
    if not installed.exists() or installed.read_text() != pins:
        click.echo(f"  installing {name} into an environment of its own, once", err=True)
        _succeed([sys.executable, "-m", "venv", "--clear", str(folder)])
        requirements = f"requirements/bench-{name}.txt"
        _succeed([python, "-m", "pip", "install", "--quiet", "--requirement", requirements])
        installed.write_text(pins)
    return python


def _succeed(command: list[str]) -> None:
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if ended.returncode:
        errors = [line for line in ended.stderr.splitlines() if "error" in line.lower()]
        msg = f"cannot be installed: {(errors or ['no reason given'])[0].strip()}"
        raise UnavailableError(msg)
