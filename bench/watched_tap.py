"""Runs the tap on a terminal, and tells what watching the run took of the processor's time."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import pty
import struct
import sys
import termios
import threading
import time
from collections import Counter, defaultdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")
_LINES, _COLUMNS = 40, 100
_CALLS_TO_CALIBRATE = 10_000
_TOLD = ("begin", "tick", "note", "note_delivering", "note_rows", "note_delivered", "end")


class Account:
    """Sums up the processor's time by what it went into."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._calls: Counter[str] = Counter()

    def counting(self, function: Callable[_P, _T], part: str) -> Callable[_P, _T]:
        """Return the function, which then counts what it takes to a part."""

        @wraps(function)
        def counted(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            begin = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self._seconds[part] += time.thread_time() - begin
                self._calls[part] += 1

        return counted

    def seconds(self, part: str) -> float:
        """Return what a part took, less what counting it took."""
        empty = Account()
        nothing = empty.counting(lambda: None, "")
        for _ in range(_CALLS_TO_CALIBRATE):
            nothing()
        return self._seconds[part] - self._calls[part] * empty._seconds[""] / _CALLS_TO_CALIBRATE


def take_terminal() -> None:
    """Make standard error a terminal, and pass on what is written to it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    before = os.dup(2)
    os.dup2(theirs, 2)
    os.environ["TERM"] = "xterm-256color"

    def pass_on() -> None:
        while chunk := os.read(ours, 1 << 16):
            os.write(before, chunk)

    threading.Thread(target=pass_on, daemon=True).start()


def import_what_watches() -> None:
    """Import what every run is watched with; the display and the report are imported when used."""
    from tap_looker_tasks.watch import facts, progress, summary  # noqa: F401, PLC0415


def main() -> None:
    """Run the tap; the first argument names the file to tell it in."""
    path = Path(sys.argv.pop(1))
    take_terminal()
    # What these import is not for watching.
    import requests  # noqa: F401, PLC0415
    import singer_sdk  # noqa: F401, PLC0415

    account = Account()
    account.counting(import_what_watches, "progress")()
    from tap_looker_tasks import tap  # noqa: PLC0415
    from tap_looker_tasks.streams.watching import RunWatch  # noqa: PLC0415

    for name in _TOLD:
        setattr(RunWatch, name, account.counting(getattr(RunWatch, name), "progress"))
    tap.tell_run = account.counting(tap.tell_run, "report")  # type: ignore[attr-defined]

    def tell() -> None:
        whole = time.process_time()
        parts = {part: account.seconds(part) for part in ("progress", "report")}
        path.write_text(json.dumps({"whole": whole, **parts}))

    atexit.register(tell)
    tap.TapLookerTasks.cli()


if __name__ == "__main__":
    main()
