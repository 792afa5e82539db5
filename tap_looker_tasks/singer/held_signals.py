"""SIGINT and SIGTERM wait while a line is written, unless nobody reads it."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A slow target has taken what is in a pipe by then; what ends the run may wait five.
_LONGEST_WAIT_SECONDS = 2.0


class _NobodyReadsError(OSError):
    """A signal came, and what is being written is not taken."""


@contextmanager
def hold_back_signals(longest_seconds: float | None = None) -> Iterator[None]:
    """Let what SIGINT and SIGTERM do wait for the end, or for two seconds.

    A signal mask would hold for this thread only; the system may give the signal to another,
    as some libraries start, and Python would still run the handler in the midst of this one.

    Args:
        longest_seconds: that it may take in any case, when one came before.

    Raises:
        OSError: the seconds are over.
    """
    if threading.current_thread() is not threading.main_thread():
        # Handlers never run here.
        yield
        return
    held = _HeldSignals(longest_seconds)
    held.hold()
    try:
        yield
    finally:
        held.let_go()


class _HeldSignals:
    def __init__(self, longest_seconds: float | None) -> None:
        self._longest_seconds = longest_seconds
        self._is_alarm_set = longest_seconds is not None
        self._is_over = False
        self._came: dict[int, None] = {}
        self._before: dict[int, Any] = {}

    def hold(self) -> None:
        for number in _SIGNALS:
            # Python cannot put back what it did not set.
            if signal.getsignal(number) is not None:
                self._before[number] = signal.signal(number, self._hold_back)
        if self._longest_seconds is not None:
            _set_alarm(self._longest_seconds)

    def let_go(self) -> None:
        # One that comes from here on is let go at once, without an alarm that nobody stops.
        self._is_over = True
        if self._is_alarm_set:
            _stop_alarm()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for number in self._came:
            signal.raise_signal(number)

    def _hold_back(self, number: int, _: FrameType | None) -> None:
        self._came.setdefault(number)
        if not (self._is_over or self._is_alarm_set):
            self._is_alarm_set = True
            _set_alarm(_LONGEST_WAIT_SECONDS)


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
