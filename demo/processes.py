"""The programs the demo runs: the simulator and Meltano."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BIN = Path(sys.executable).parent
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


class ProgramError(Exception):
    """A program did not do what the demo expects of it; see its log."""

    def __init__(self, message: str, log: Path) -> None:
        """Keep what went wrong, and where the program's log is."""
        super().__init__(message)
        self.log = log


@contextmanager
def running_simulator(log: Path) -> Iterator[str]:
    """Start `looker-simulator` on a free port, give its base URL, stop it at the end."""
    with _started(["looker-simulator", "--port", "0"], log) as process:
        yield _base_url(process, log)


@contextmanager
def _started(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start one of the project's commands, and stop it if it has not ended by then."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [_BIN / command[0], *command[1:]],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for the demo, which then stops what it started.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _base_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for word in log.read_text().split():
            if word.startswith("http://"):
                return word.rstrip(".,")
        time.sleep(0.05)
    message = "looker-simulator did not start"
    raise ProgramError(message, log)


class Run(NamedTuple):
    """One `meltano run` that ended."""

    exit_code: int
    log: Path

    def sentence(self, start: str) -> str | None:
        """Return the rest of the log line that starts with these words."""
        for line in self.log.read_text().splitlines():
            _, found, rest = line.partition(start)
            if found:
                return found + rest
        return None


class Meltano:
    """Meltano in this project, with a separate system database."""

    def __init__(self, project: Path, folder: Path, settings: Mapping[str, str]) -> None:
        """Take the project, a folder for logs and state, and settings as environment variables."""
        self._folder = folder
        self._environment = {
            **os.environ,
            **settings,
            "MELTANO_PROJECT_ROOT": str(project),
            "MELTANO_DATABASE_URI": f"sqlite:///{folder / 'meltano.db'}",
            "NO_COLOR": "1",
            # The simulator is on this machine: no proxy leads there.
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def run(self, name: str, *plugins: str) -> Run:
        """Run plugins as a pipeline; the log is called after `name`."""
        log = self._folder / f"{name}.log"
        with _started(["meltano", "run", *plugins], log, self._environment) as process:
            return Run(process.wait(), log)

    def bookmarks(self, state_id: str) -> dict[str, Any]:
        """The bookmarks that Meltano keeps, by stream."""
        log = self._folder / "state.log"
        command = ["meltano", "--log-level", "error", "state", "get", state_id]
        with _started(command, log, self._environment) as process:
            exit_code = process.wait()
        state = {} if exit_code else json.loads(log.read_text())
        if "singer_state" not in state:
            message = f"Meltano has no state called {state_id}"
            raise ProgramError(message, log)
        bookmarks: dict[str, Any] = state["singer_state"]["bookmarks"]
        return bookmarks
