"""Signals SIGHUP, SIGINT and SIGTERM: recorded at any moment, raised between two lines."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# Not every system has the first, nor alarms.
_NAMES = ("SIGHUP", "SIGINT", "SIGTERM")
SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
# `nohup` has the others ignored.
_ALWAYS = (signal.SIGINT, signal.SIGTERM)
_HAS_ALARM = hasattr(signal, "setitimer")
# What shells report of a process that a signal ended: 129, 130 and 143.
_EXIT_CODE_OF_SIGNAL = 128
_SECONDS_BETWEEN_ALARMS = 0.25
_SECONDS_BETWEEN_RAISES = 0.5
_MAX_STILL_SECONDS = 2.0


class NoReaderError(OSError):
    """The run must end, and what it writes is not read."""


class Interrupts:
    """Raises `SystemExit` with code 128 + number after the first SIGHUP, SIGINT or SIGTERM.

    The handler only records a signal while a line is written; it is raised after the line. A line
    that is read, even slowly, is written to its end: only bytes taken count, not time. The handler
    may run between any two instructions, including a finalizer, in which Python drops exceptions;
    so an alarm and `check` raise again a recorded signal that did not end the run.

    Attributes:
        number: Number of the first signal; None before it.
    """

    def __init__(self, max_last_seconds: float = _MAX_STILL_SECONDS) -> None:
        """Start without handlers.

        Args:
            max_last_seconds: Seconds that a reader may stop for once the run is ending.
        """
        self._max_last_seconds = max_last_seconds
        self.number: int | None = None
        self._is_writing = False
        self._is_ending = False
        self._bytes_taken = self._bytes_seen = 0
        self._still_seconds = 0.0
        self._before: dict[int, Any] = {}

    def handle(self) -> None:
        """Set the handlers, if this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            before = signal.getsignal(number)
            is_by_nohup = number not in _ALWAYS and before == signal.SIG_IGN
            # Python cannot restore what it did not set.
            if before is None or is_by_nohup:
                continue
            self._before.setdefault(number, before)
            signal.signal(number, self._note)
        if _HAS_ALARM:
            self._before.setdefault(signal.SIGALRM, signal.getsignal(signal.SIGALRM))
            signal.signal(signal.SIGALRM, self._look_again)

    def end(self) -> None:
        """Raise nothing more, because the run is ending, which takes seconds."""
        self._is_ending = True
        if self.number is not None:
            self._set_alarm(0)

    def restore(self) -> None:
        """Set the handlers that were there before."""
        if self.number is not None:
            self._set_alarm(0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise `SystemExit` if a signal came and the run has not ended."""
        if self.number is not None and not self._is_ending:
            sys.exit(_EXIT_CODE_OF_SIGNAL + self.number)

    def find_end(self, error: BaseException | None) -> BaseException | None:
        """Return how the run ends: what fails after an interrupt may fail because of it."""
        # click also ends a command that succeeded by an exception.
        is_success = not isinstance(error, Exception) or getattr(error, "exit_code", None) == 0
        if self.number is None or is_success:
            return error
        return SystemExit(_EXIT_CODE_OF_SIGNAL + self.number)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Raise no signal while lines are written, and none after the reader is gone.

        Raises:
            NoReaderError: If a signal came and the output is no longer read.
        """
        self._is_writing = True
        try:
            if self.number is not None:
                self._set_alarm(_SECONDS_BETWEEN_ALARMS)
            yield
        finally:
            self._is_writing = False
            if self.number is not None:
                self._set_alarm(0 if self._is_ending else _SECONDS_BETWEEN_RAISES)
            self.check()

    def note_taken(self, size: int) -> None:
        """Record that `size` bytes of a line were taken."""
        self._bytes_taken += size

    def _note(self, number: int, _: FrameType | None) -> None:
        is_late = self._is_ending and not self._is_writing
        if self.number is not None or is_late:
            return
        self.number = number
        self._set_alarm(_SECONDS_BETWEEN_ALARMS if self._is_writing else _SECONDS_BETWEEN_RAISES)
        if not self._is_writing:
            self.check()

    def _set_alarm(self, seconds: float) -> None:
        self._bytes_seen, self._still_seconds = self._bytes_taken, 0.0
        if _HAS_ALARM and signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, seconds, seconds)

    def _look_again(self, *_: object) -> None:
        """Raise a signal again that was dropped, or interrupt the call that writes.

        That call then returns what was taken; if nothing is, it is given up.
        """
        if not self._is_writing:
            self.check()
            return
        if self._bytes_taken != self._bytes_seen:
            self._bytes_seen, self._still_seconds = self._bytes_taken, 0.0
            return
        self._still_seconds += _SECONDS_BETWEEN_ALARMS
        most = self._max_last_seconds if self._is_ending else _MAX_STILL_SECONDS
        if self._still_seconds >= most:
            msg = "the reader of standard output is gone"
            raise NoReaderError(msg)
