"""The one token of all threads, renewed by one of them."""

from __future__ import annotations

from contextlib import contextmanager
from threading import TIMEOUT_MAX, Lock
from typing import TYPE_CHECKING

from tap_looker_tasks.errors import RetriableRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_looker_tasks.looker.auth import Token
    from tap_looker_tasks.looker.clock import Clock
    from tap_looker_tasks.looker.operation import Operation


class SharedToken:
    """Logs in when there is no token that is good; the others wait for it meanwhile."""

    def __init__(self, log_in: Callable[[Operation], Token], clock: Clock) -> None:
        """Begin without a token."""
        self._log_in = log_in
        self._clock = clock
        self._token: Token | None = None
        self._lock = Lock()

    def get(self, operation: Operation, refused: Token | None = None) -> Token:
        """Return a token, other than the one that Looker refused.

        Raises:
            RequestError: the login failed.
        """
        with self._held(operation):
            token = self._token
            if token is None or token is refused or self._clock.now() >= token.renew_at:
                self._token = None
                self._token = token = self._log_in(operation)
            return token

    def forget(self, operation: Operation) -> Token | None:
        """Return the token, if there is one, and do not use it any more."""
        with self._held(operation):
            token, self._token = self._token, None
            return token

    @contextmanager
    def _held(self, operation: Operation) -> Iterator[None]:
        left = max(0.0, min(operation.ends_at - self._clock.now(), TIMEOUT_MAX))
        if not self._lock.acquire(timeout=left):
            msg = f"{operation.name}: the login took too long"
            raise RetriableRequestError(msg, safe_to_retry=True)
        try:
            operation.check()
            yield
        finally:
            self._lock.release()
