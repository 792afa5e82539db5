"""Tries of an operation, and the waits between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import backoff

from tap_looker_tasks.errors import AbortedError

if TYPE_CHECKING:
    import logging
    from threading import Event

    from tap_looker_tasks.errors import RetriableRequestError
    from tap_looker_tasks.looker.clock import Clock

MAX_RETRY_WAIT_SECONDS = 60


class RetryState:
    """Counts the tries of one operation, and waits between them."""

    def __init__(
        self, operation: Operation, max_tries: int, *, clock: Clock, logger: logging.Logger
    ) -> None:
        """Start before the first try."""
        self._operation = operation
        self._max_tries = max_tries
        self._clock = clock
        self._logger = logger
        self.reset_tries()

    def reset_tries(self) -> None:
        """Reset the count of tries, because one of them got results."""
        self._tries_left = self._max_tries
        self._pauses = backoff.expo(max_value=MAX_RETRY_WAIT_SECONDS)
        next(self._pauses)

    def wait_or_raise(self, error: RetriableRequestError) -> None:
        """Wait before the next attempt.

        Raises:
            RetriableRequestError: If no attempts or no time are left.
            AbortedError: If the operation was aborted.
        """
        self._tries_left -= 1
        if self._tries_left <= 0:
            raise error
        pause = error.retry_after
        if pause is None:
            pause = backoff.full_jitter(next(self._pauses))
        self._logger.warning("%s; trying again in %.1f s", error.message, pause)
        if self._clock.wait(self._operation.aborted, pause):
            raise AbortedError(self._operation.name)


# One call of a client's method with all its tries, and its limit of time.


@dataclass(frozen=True, slots=True)
class Operation:
    """A call in progress.

    Attributes:
        name: Operation ID in Looker's API.
        ends_at: Epoch seconds at which it ends in any case.
        aborted: Event that ends it immediately.
    """

    name: str
    ends_at: float
    aborted: Event

    def check(self) -> None:
        """Check that the operation may continue.

        Raises:
            AbortedError: If the operation was aborted.
        """
        if self.aborted.is_set():
            raise AbortedError(self.name)
