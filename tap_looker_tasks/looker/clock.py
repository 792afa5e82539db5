"""The time and waiting, as a parameter: tests use a clock that does not wait."""

from __future__ import annotations

import time
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading


class Clock(Protocol):
    """Epoch seconds that never jump, and waiting; safe for concurrent use by threads."""

    def now(self) -> float:
        """Return the time, in epoch seconds."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for `seconds`, or until the event is set; return whether it is set."""


# The machine's time.


class SteadyClock:
    """A `Clock` that does not jump when the machine's clock is set."""

    def __init__(self) -> None:
        """Start with the machine's time."""
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the time, in epoch seconds."""
        return time.monotonic() + self._offset

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for `seconds`, or until the event is set; return whether it is set."""
        return event.wait(min(seconds, TIMEOUT_MAX))
