"""The time, and how it passes."""

from __future__ import annotations

import time
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading


class Clock(Protocol):
    """Epoch seconds that never jump, and waiting; may be used by many threads at once."""

    def now(self) -> float:
        """Return the time, in epoch seconds."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Let seconds pass, or fewer when the event is set; returns whether it is set."""


# The real time.


class SteadyClock:
    """A `Clock` that does not jump when the machine's clock is set."""

    def __init__(self) -> None:
        """Begin with the machine's time."""
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the time, in epoch seconds."""
        return time.monotonic() + self._offset

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Let seconds pass, or fewer when the event is set; returns whether it is set."""
        return event.wait(min(seconds, TIMEOUT_MAX))
