"""Programs that run beside a test, each with a log, and ended with all that they started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.warehouses.environments import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_STOP_SECONDS = 15
_LOG_SHOWN = 3000


class Program:
    """A program at work.

    Attributes:
        log: what it writes.
    """

    def __init__(
        self, command: Sequence[str | Path], environment: Mapping[str, str], log: Path
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wrote(self, text: str) -> bool:
        """Return whether a text is in the log.

        Raises:
            RuntimeError: If the program has ended.
        """
        written = self.log.read_text(errors="replace")
        if self._process.poll() is not None:
            msg = f"{self.log.stem} ended: {written[-_LOG_SHOWN:]}"
            raise RuntimeError(msg)
        return text in written

    def runs(self, command: str) -> bool:
        """Return whether the program, or what it started, runs a command of that name."""
        return any(command in _command(id_) for id_ in family(self._process.pid))

    def lose(self) -> None:
        """Kill the program and all that it started at once, as a machine that fails does."""
        for id_ in family(self._process.pid):
            _kill(id_)
        self._process.wait()

    def stop(self) -> None:
        """Ask the program to end; kill what is left of it and of what it started."""
        # Named beforehand: nothing tells later whose child an orphan was.
        handles = [handle for id_ in family(self._process.pid) if (handle := _handle(id_))]
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for handle in handles:
            _kill_handle(handle)


@contextmanager
def running(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path
) -> Iterator[Program]:
    """Run a program until the end of the block."""
    program = Program(command, environment, log)
    try:
        yield program
    finally:
        program.stop()


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def family(eldest: int) -> list[int]:
    """Return the ids of a process and of all that descend from it, parents first."""
    children = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2]
        except OSError:  # it has ended
            continue
        children[int(after_name.split()[1])].append(int(folder.name))
    found = [eldest]
    for id_ in found:  # grows meanwhile
        found += children[id_]
    return found


def _command(id_: int) -> str:
    try:
        return Path(f"/proc/{id_}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def _kill(id_: int) -> None:
    try:
        os.kill(id_, signal.SIGKILL)
    except ProcessLookupError:
        return


def _handle(id_: int) -> int | None:
    """Return what replaces this process even when its id is used again."""
    try:
        return os.pidfd_open(id_)
    except ProcessLookupError:
        return None


def _kill_handle(handle: int) -> None:
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
