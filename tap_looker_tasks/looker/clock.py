"""The time, and how it passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading


class Clock(Protocol):
    """Epoch seconds that never jump, and waiting; may be used by many threads at once."""

    def now(self) -> float:
        """Return the time, in epoch seconds."""

    def sleep(self, seconds: float) -> None:
        """Let seconds pass; may raise to end the caller's work early."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Let seconds pass, or fewer when the event is set; returns whether it is set."""
