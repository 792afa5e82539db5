"""Call of the client: the time, how often it is tried, and the API token that all calls share."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import TIMEOUT_MAX, Event, Lock
from typing import Protocol

import backoff

from tap_looker_tasks.errors import AbortedError, RetriableRequestError


class Clock(Protocol):
    """Epoch seconds that never jump, and waiting; safe for concurrent use by threads."""

    def now(self) -> float:
        """Return the time, in epoch seconds."""

    def wait(self, event: Event, seconds: float) -> bool:
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

    def wait(self, event: Event, seconds: float) -> bool:
        """Wait for `seconds`, or until the event is set; return whether it is set."""
        return event.wait(min(seconds, TIMEOUT_MAX))


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
        self._logger.warning("%s; retrying in %.1f s", error.message, pause)
        if self._clock.wait(self._operation.aborted, pause):
            raise AbortedError(self._operation.name)


# One call of a client's method with all its tries, and its limit of time.


@dataclass(frozen=True, slots=True)
class Operation:
    """A call in progress.

    Attributes:
        name: Operation ID in Looker's API.
        base_url: Address of the Looker instance, which errors name.
        ends_at: Epoch seconds at which it ends in any case.
        aborted: Event that ends it immediately.
    """

    name: str
    base_url: str
    ends_at: float
    aborted: Event

    def check(self) -> None:
        """Check that the operation may continue.

        Raises:
            AbortedError: If the operation was aborted.
        """
        if self.aborted.is_set():
            raise AbortedError(self.name)


RENEWAL_SLACK_SECONDS = 60
# Characters that a header can carry. With others, such as a line break, HTTP libraries would raise
# errors that quote the token.
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Token:
    """The response to `POST /login`.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/ApiAuth/login>.

    Attributes:
        access_token: Token for the `Authorization` header of every other request.
        renew_at: Epoch seconds after which another token should be used.
    """

    access_token: str
    renew_at: float

    @property
    def header(self) -> dict[str, str]:
        """The header documented by Looker for API tokens."""
        return {"Authorization": f"token {self.access_token}"}


def token_from(response: object, now: float) -> Token:
    """Read the response to a login at `now`, in epoch seconds.

    Raises:
        ValueError: If the response has no usable token.
    """
    match response:
        case {"access_token": str(access_token), **rest} if _TOKEN.fullmatch(access_token):
            expires_in = rest.get("expires_in")
            lifetime = expires_in if isinstance(expires_in, int | float) else 3600
            # A token that lives shorter than the slack is still used for most of its life.
            return Token(access_token, now + max(lifetime - RENEWAL_SLACK_SECONDS, lifetime / 2))
    msg = "no usable access_token in the response to the login"
    raise ValueError(msg)


# The one token of all threads; one thread renews it.


class SharedToken:
    """Logs in when no valid token is left; other threads wait for the result."""

    def __init__(self, log_in: Callable[[Operation], Token], clock: Clock) -> None:
        """Start without a token."""
        self._log_in = log_in
        self._clock = clock
        self._token: Token | None = None
        self._lock = Lock()

    def get(self, operation: Operation, rejected: Token | None = None) -> Token:
        """Return a token, other than `rejected`, the one that Looker rejected.

        Raises:
            RequestError: If the login failed.
        """
        with self._held(operation):
            token = self._token
            if token is None or token is rejected or self._clock.now() >= token.renew_at:
                self._token = None
                self._token = token = self._log_in(operation)
            return token

    def forget(self, operation: Operation) -> Token | None:
        """Return the current token, if any, and stop using it."""
        with self._held(operation):
            token, self._token = self._token, None
            return token

    @contextmanager
    def _held(self, operation: Operation) -> Iterator[None]:
        left = max(0.0, min(operation.ends_at - self._clock.now(), TIMEOUT_MAX))
        if not self._lock.acquire(timeout=left):
            msg = f"{operation.name}: the login took too long; see http_timeout_seconds"
            raise RetriableRequestError(msg, safe_to_retry=True)
        try:
            operation.check()
            yield
        finally:
            self._lock.release()
