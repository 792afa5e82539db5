"""Runs the tap on a terminal, and shows what watching the run took of the processor's time."""

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
from collections import defaultdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")
_LINES, _COLUMNS = 40, 100
_TOLD = ("begin", "tick", "note", "note_delivering", "note_rows", "note_delivered", "end")


class Account:
    """Sums up the processor's time by what it went into.

    Attributes:
        seconds: by part.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def counting(self, function: Callable[_P, _T], part: str) -> Callable[_P, _T]:
        """Return the function, which then counts what it takes to a part."""

        @wraps(function)
        def counted(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            begin = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                end = time.thread_time()
                # Reading the time costs as much as a short call, so it is read once more.
                self.seconds[part] += end - begin - (time.thread_time() - end)

        return counted


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
    import singer_sdk  # noqa: F401, PLC0415

    import tap_looker_tasks.run  # noqa: F401, PLC0415

    account = Account()
    account.counting(import_what_watches, "progress")()
    from tap_looker_tasks.__main__ import main as run_tap  # noqa: PLC0415
    from tap_looker_tasks.watch import RunWatch  # noqa: PLC0415

    for name in _TOLD:
        setattr(RunWatch, name, account.counting(getattr(RunWatch, name), "progress"))
    RunWatch.log_end = account.counting(RunWatch.log_end, "report")  # type: ignore[method-assign]

    def tell() -> None:
        complete = time.process_time()
        path.write_text(json.dumps({"whole": complete, **account.seconds}))

    atexit.register(tell)
    run_tap()


if __name__ == "__main__":
    main()
