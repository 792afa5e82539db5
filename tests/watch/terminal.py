"""A terminal for the programs of tests, which keeps what is written to it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROJECT = Path(__file__).parent.parent.parent
_LINES = 40
_SAID = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


def terminal_environment(**variables: str) -> dict[str, str]:
    """Return the variables of this process, without those that say something of its terminal."""
    known = {name: value for name, value in os.environ.items() if name not in _SAID}
    return known | {"PYTHONPATH": str(_PROJECT), "TERM": "xterm-256color"} | variables


def run_on_terminal(
    command: Sequence[str], output: IO[bytes], *, columns: int = 100, **variables: str
) -> str:
    """Run with standard error on a terminal; return all that was written to it.

    Args:
        command: to run in the project's folder.
        output: where standard output goes.
        columns: of the terminal.
        variables: of the environment.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, columns, 0, 0))
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=theirs,
        env=terminal_environment(**variables),
        cwd=_PROJECT,
    ):
        os.close(theirs)
        written = b""
        try:
            while chunk := os.read(ours, 65536):
                written += chunk
        except OSError:
            # The other side was closed: the end.
            pass
        os.close(ours)
    return written.decode()
