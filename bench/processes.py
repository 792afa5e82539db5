"""Runs programs: measured to their end, or as servers beside them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.output import Output, read_output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROJECT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
SIMULATOR = str(Path(PYTHON).with_name("looker-simulator"))
# As Meltano installs it, with nothing beside it that only this project's own checks need.
_INSTALLED = PROJECT / ".meltano/extractors/tap-looker-tasks/venv/bin"
TAP = str(_INSTALLED / "tap-looker-tasks")
PYTHON_OF_TAP = str(_INSTALLED / "python")
_STOP_SECONDS = 10.0
_LINES_SHOWN = 20
_MEGABYTE = 1_000_000
# The kernel counts in kibibytes, that of macOS in bytes.
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


class BenchError(Exception):
    """Something did not do what is measured: there is no figure for it."""


@dataclass(frozen=True, slots=True)
class Run:
    """A program that ended well.

    Attributes:
        seconds: from start to end.
        ended_at: seconds of the monotonic clock.
        peak_megabytes: of memory; None when it is less than what the benchmark itself takes.
        output: what it wrote.
    """

    seconds: float
    ended_at: float
    peak_megabytes: float | None
    output: Output


def run(command: Sequence[str], folder: Path, *, keep: Path | None = None) -> Run:
    """Run a program to its end, its output going to a file, which is removed unless kept.

    A file rather than a pipe: nothing has to keep up with the program on another core.

    Raises:
        BenchError: If it failed.
    """
    output, log = keep or folder / "stdout", folder / "stderr"
    started_at = time.monotonic()
    with output.open("wb") as out, log.open("wb") as err:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        usage = _waited_for(process)
    ended_at = time.monotonic()
    if process.returncode:
        msg = f"exit code {process.returncode} of {_shown(command)}:\n{_end_of(log)}"
        raise BenchError(msg)
    read = read_output(output)
    if not keep:
        output.unlink()
    return Run(ended_at - started_at, ended_at, _megabytes(usage.ru_maxrss), read)


def _waited_for(process: subprocess.Popen[bytes]) -> resource.struct_rusage:
    """Wait for a process; what it used, which `Popen` would not tell."""
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def _megabytes(peak: int) -> float | None:
    """Read a peak; None when it may be that of this process, as a child starts with it."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * _PEAK_UNIT / _MEGABYTE if peak > own else None


@contextmanager
def server(command: Sequence[str], folder: Path) -> Iterator[list[str]]:
    """Run a server beside what is measured; gives the words of the line it prints.

    Raises:
        BenchError: If it does not start.
    """
    log = folder / "server"
    with log.open("wb") as err:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            msg = f"{_shown(command)} did not start:\n{_end_of(log)}"
            raise BenchError(msg)
        yield line.split()
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def _environment() -> dict[str, str]:
    # Modules are compiled once, as those that pip installs.
    given = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    # Everything is on this machine: no proxy leads there.
    return {**given, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def _shown(command: Sequence[str]) -> str:
    return " ".join([Path(command[0]).name, *command[1:4]])


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LINES_SHOWN:])
