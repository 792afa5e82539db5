"""How often an operation is tried, and the pauses between."""

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
    """Counts the tries of one operation and pauses between them."""

    def __init__(
        self, operation: Operation, max_tries: int, *, clock: Clock, logger: logging.Logger
    ) -> None:
        """Begin before the first try."""
        self._operation = operation
        self._max_tries = max_tries
        self._clock = clock
        self._logger = logger
        self.reset_tries()

    def reset_tries(self) -> None:
        """Forget the tries so far, as one of them got on."""
        self._tries_left = self._max_tries
        self._pauses = backoff.expo(max_value=MAX_RETRY_WAIT_SECONDS)
        next(self._pauses)

    def wait_or_raise(self, error: RetriableRequestError) -> None:
        """Wait for the next try.

        Raises:
            RetriableRequestError: If no tries are left.
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


# One call of a method of the client, with all its tries: what it is, and how long it may go on.


@dataclass(frozen=True, slots=True)
class Operation:
    """A call that has begun.

    Attributes:
        name: Looker's operationId.
        ends_at: epoch seconds by which it is over, whatever happens.
        aborted: set when it is to end at once.
    """

    name: str
    ends_at: float
    aborted: Event

    def check(self) -> None:
        """Check that it may go on.

        Raises:
            AbortedError: If it may not.
        """
        if self.aborted.is_set():
            raise AbortedError(self.name)
