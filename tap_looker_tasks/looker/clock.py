"""The time, and how it passes."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Epoch seconds that never jump, and waiting."""

    def now(self) -> float:
        """Return the time, in epoch seconds."""

    def sleep(self, seconds: float) -> None:
        """Let seconds pass; may raise to end the caller's work early."""
