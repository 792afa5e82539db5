"""One HTTP request: sent in its turn, counted, and ended in time."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from math import inf
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from tap_looker_tasks.errors import (
    ApiCallLimitError,
    RequestError,
    ResponseTooLargeError,
    RetriableRequestError,
)
from tap_looker_tasks.looker.exchange import Exchange
from tap_looker_tasks.looker.http_errors import read_error, translate_errors
from tap_looker_tasks.looker.operation import Clock, Operation

LOGOUT = "logout"
# Results of 1 MB take more processor time with longer chunks, whose memory the system provides and
# clears page by page, and with shorter ones, between which threads switch.
_CHUNK_BYTES = 128 * 1024
_MAX_CONTENT_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_FIRST_REFUSAL = 300
_TOO_MANY_REQUESTS = 429
_PAUSE_SECONDS = 1.0
# More than are in use at any time: `max_connections` is 32 at most.
_MAX_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Connection:
    """Address of a Looker instance, credentials, and limits.

    Attributes:
        base_url: Scheme, host and port of the instance, without a path.
        client_id: Client ID of the API credentials.
        client_secret: Client secret of the API credentials.
        verify: Whether certificates are verified, or the file of the authority to trust.
        timeout_seconds: Maximum seconds without a byte, and until the response's header is
            complete.
        max_tries: Maximum number of tries of one operation.
        call_limit: Maximum number of requests, the last of them a logout; None for no limit.
        max_response_bytes: Maximum length of a response, unpacked; a longer one is rejected.
    """

    base_url: str
    client_id: str
    client_secret: str = field(repr=False)
    verify: bool | str
    timeout_seconds: float
    max_tries: int
    call_limit: int | None
    max_response_bytes: int


class LookerResponse:
    """A successful response, whose body is still to be read."""

    def __init__(self, exchange: Exchange, max_bytes: int) -> None:
        """Read the response of `exchange`, up to a length."""
        self._exchange = exchange
        self._max_bytes = max_bytes

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._exchange.response.status_code

    @property
    def content_type(self) -> str:
        """The media type, in lower case, without parameters; empty when there is none."""
        media_type = self._exchange.response.headers.get("Content-Type", "").partition(";")[0]
        return media_type.strip().lower()

    def chunks(self, longest: float = inf) -> Iterator[bytes]:
        """Yield the body, unpacked, as it arrives.

        Raises:
            ResponseTooLargeError: If it is longer than `max_response_bytes`, or than `longest`.
            RetriableRequestError: If the rest does not arrive.
        """
        operation = self._exchange.operation
        most = left = min(longest, self._max_bytes)
        chunks = self._exchange.read_pieces(_CHUNK_BYTES)
        while True:
            with translate_errors(operation):
                chunk = next(chunks, None)
            if chunk is None:
                return
            left -= len(chunk)
            if left < 0:
                msg = (
                    f"{operation.name}: the response from {operation.base_url} "
                    f"exceeds {most} bytes; add filters or raise max_response_bytes"
                )
                raise ResponseTooLargeError(msg, http_status=self.status)
            yield chunk

    def content(self) -> bytes:
        """Read the complete body.

        Raises:
            ResponseTooLargeError: If it is longer than any description in Looker's API.
        """
        return b"".join(self.chunks(_MAX_CONTENT_BYTES))


class Http:
    """Sends requests to one Looker; safe for concurrent use by threads."""

    def __init__(
        self, connection: Connection, *, clock: Clock, logger: logging.Logger, calls: Counter[str]
    ) -> None:
        """Prepare; nothing is sent yet."""
        self._connection = connection
        self._clock = clock
        self._logger = logger
        self._session = _new_session(connection)
        self._calls = calls
        self._lock = threading.Lock()
        self._aborted = threading.Event()
        self._in_progress: set[Exchange] = set()
        self._not_before = -inf

    def begin(self, name: str, max_seconds: float = inf) -> Operation:
        """Start an operation, which ends by `abort` or when its time is over."""
        with self._lock:
            ends_at = self._clock.now() + max_seconds
            return Operation(name, self._connection.base_url, ends_at, self._aborted)

    @contextmanager
    def send(
        self, operation: Operation, verb: str, path: str, *, is_long: bool = False, **request: Any
    ) -> Iterator[LookerResponse]:
        """Send one request; the connection is released when the context ends.

        Raises:
            RequestRejectedError: If Looker rejects the request.
            RetriableRequestError: If the request fails for a transient reason.
            UnreachableError: If the address or certificate is wrong.
            AbortedError: If the operation was aborted.
            ApiCallLimitError: If the limit of calls is used up.
        """
        self._wait_for_turn(operation)
        self._count(operation.name)
        exchange = Exchange(operation, self._clock, self._connection.timeout_seconds)
        with self._lock:
            self._in_progress.add(exchange)
        try:
            self._ask(exchange, verb, path, **request)
            response = LookerResponse(exchange, self._connection.max_response_bytes)
            self._logger.debug("%s: HTTP %s", operation.name, response.status)
            if response.status >= _FIRST_REFUSAL:
                raise self._rejection(exchange)
            if is_long:
                exchange.expect_long_body()
            yield response
        finally:
            with self._lock:
                self._in_progress.discard(exchange)
            exchange.close()

    def abort(self) -> None:
        """Abort every operation in progress, in all threads."""
        with self._lock:
            aborted, self._aborted = self._aborted, threading.Event()
            exchanges = [found for found in self._in_progress if found.operation.aborted is aborted]
        aborted.set()
        for exchange in exchanges:
            exchange.shut()

    def close(self) -> None:
        """Close all connections that no request uses."""
        self._session.close()

    def _wait_for_turn(self, operation: Operation) -> None:
        """Wait until Looker accepts requests again, unless the operation has to end before.

        A cleanup, such as cancelling a task, is sent early rather than not at all.

        Raises:
            RetriableRequestError: If no time is left.
            AbortedError: If the operation was aborted.
        """
        operation.check()
        if self._clock.now() >= operation.ends_at:
            msg = f"{operation.name}: not called, because the time of the run is over"
            raise RetriableRequestError(msg, safe_to_retry=True)
        while (left := self._not_before - self._clock.now()) > 0:
            if self._not_before >= operation.ends_at:
                return
            if self._clock.wait(operation.aborted, left):
                operation.check()

    def _count(self, operation: str) -> None:
        limit = self._connection.call_limit
        with self._lock:
            # One call is reserved for the logout.
            if limit is not None and operation != LOGOUT and self._calls.total() + 1 >= limit:
                msg = (
                    f"{operation}: not called, because the run has used its api_call_limit of "
                    f"{limit}"
                )
                raise ApiCallLimitError(msg)
            self._calls[operation] += 1

    def _ask(self, exchange: Exchange, verb: str, path: str, **request: Any) -> None:
        ask = partial(
            self._session.request,
            verb,
            f"{exchange.operation.base_url}/api/4.0/{path}",
            # Looker's API does not redirect; a sign-in page or a wrong address does.
            allow_redirects=False,
            stream=True,
            **request,
        )
        with translate_errors(exchange.operation):
            exchange.send(ask)

    def _rejection(self, exchange: Exchange) -> RequestError:
        response, operation, body = exchange.response, exchange.operation, b""
        # The status is enough, even if the body cannot be read.
        with suppress(RetriableRequestError), translate_errors(operation):
            body = next(exchange.read_pieces(_MAX_ERROR_BYTES), b"")
        error = read_error(response, body, operation)
        if isinstance(error, RetriableRequestError):
            self._slow_down(response, error.retry_after)
        return error

    def _slow_down(self, response: requests.Response, pause: float | None) -> None:
        """Delay all requests by the seconds Looker requests, or shortly if it is overloaded."""
        if pause is None:
            pause = _PAUSE_SECONDS if response.status_code == _TOO_MANY_REQUESTS else 0.0
        with self._lock:
            self._not_before = max(self._not_before, self._clock.now() + pause)


def _new_session(connection: Connection) -> requests.Session:
    """Build a session that keeps connections for the next requests of any thread."""
    session, adapter = requests.Session(), HTTPAdapter(pool_maxsize=_MAX_CONNECTIONS)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers["User-Agent"] = user_agent()
    # Unpack a little at a time, because a body may be much longer than its packed form.
    session.headers["Accept-Encoding"] = "gzip, deflate"
    # Looked up once: doing it for each request would take a tenth of the request's time.
    environment = session.merge_environment_settings(
        connection.base_url, {}, None, connection.verify, None
    )
    session.proxies, session.verify = environment["proxies"], environment["verify"]
    # Ignore credentials for this host in ~/.netrc also.
    session.trust_env = False
    return session


def user_agent() -> str:
    """Return the name and version of the tap, so that Looker's administrators see who calls."""
    return f"tap-looker-tasks/{version('tap-looker-tasks')} {requests.utils.default_user_agent()}"
