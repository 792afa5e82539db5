"""SIGINT and SIGTERM wait while a line is written, unless nobody reads it."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A slow target has taken what is in a pipe by then; what ends the run may wait five.
_LONGEST_WAIT_SECONDS = 2.0


class _NobodyReadsError(OSError):
    """A signal came, and what is being written is not taken."""


@contextmanager
def hold_back_signals() -> Iterator[None]:
    """Let what SIGINT and SIGTERM do wait for the end, or for two seconds.

    A signal mask would hold for this thread only; the system may give the signal to another,
    as some libraries start, and Python would still run the handler in the midst of this one.

    Raises:
        OSError: the two seconds are over.
    """
    if threading.current_thread() is not threading.main_thread():
        # Handlers never run here.
        yield
        return
    came: dict[int, None] = {}
    is_writing = True

    def hold_back(number: int, _: FrameType | None) -> None:
        if is_writing and not came:
            _set_alarm(_LONGEST_WAIT_SECONDS)
        came.setdefault(number)

    before = {
        number: signal.signal(number, hold_back)
        for number in _SIGNALS
        # Python cannot put back what it did not set.
        if signal.getsignal(number) is not None
    }
    try:
        yield
    finally:
        # One that comes from here on is let go at once, without an alarm that nobody stops.
        is_writing = False
        if came:
            _stop_alarm()
        for number, handler in before.items():
            signal.signal(number, handler)
        for held_back in came:
            signal.raise_signal(held_back)


# Not every system has one.
_HAS_ALARM = hasattr(signal, "setitimer")


def _set_alarm(seconds: float) -> None:
    if _HAS_ALARM:
        signal.signal(signal.SIGALRM, _give_up)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _stop_alarm() -> None:
    if _HAS_ALARM:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _give_up(*_: object) -> None:
    msg = "nobody reads what is written"
    raise _NobodyReadsError(msg)
