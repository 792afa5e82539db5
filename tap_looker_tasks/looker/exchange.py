"""One request and its response: in time, or ended by another thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import (
    CancelledError,
    Future,
    InvalidStateError,
    TimeoutError as NotInTimeError,
)
from contextlib import suppress
from threading import Event, Thread
from urllib.parse import urlsplit

from requests import Response
from urllib3.exceptions import HTTPError

from tap_looker_tasks.looker.operation import Clock, Operation

_CONNECT_TIMEOUT_SECONDS = 30
_LEAST_BYTES = 1024
# Sockets do not accept much longer times.
_MAX_STEP_SECONDS = 1_000_000
# The limits of `requests` come first, because their errors name the step that took too long.
_SLACK_SECONDS = 0.25


class Exchange:
    """Limits the time of a request and its response; another thread can end them.

    The header must arrive within the timeout. After it, either the rest must arrive within another
    timeout or, for a long body, enough bytes in each such time. Time in which no thread reads does
    not count. Nothing continues beyond the end of the operation.

    `requests` limits each step of a connection, but not their sum, and a resolver not at all. So a
    second thread sends the request, and the first does not wait for it longer than allowed. Then
    the second one watches the body, and shuts the connection when it is due.

    Attributes:
        operation: Operation that the request is a try of.
    """

    def __init__(self, operation: Operation, clock: Clock, timeout_seconds: float) -> None:
        """Start now."""
        self.operation = operation
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._due_at = clock.now() + timeout_seconds
        self._response: Future[Response] = Future()
        self._is_over = Event()
        self._is_long = self._is_reading = self._is_late = False
        self._paused_at = 0.0
        self._bytes = 0

    @property
    def response(self) -> Response:
        """The response, once it is there.

        Raises:
            RequestException: If the request failed.
        """
        return self._response.result()

    def send(self, request: Callable[..., Response]) -> None:
        """Call `request` with a timeout, and wait for the header of its response.

        Raises:
            TimeoutError: If the header does not arrive in time.
            AbortedError: If the operation was aborted.
            ConnectionError: If the system starts no thread.
            RequestException: If the request fails.
        """
        left = self._seconds_left()
        if left > 0:
            timeout = (min(left, _CONNECT_TIMEOUT_SECONDS), left)
            arguments = (request, timeout)
            try:
                Thread(target=self._follow, args=arguments, name="request", daemon=True).start()
            except RuntimeError as error:
                # There may be a thread later.
                raise ConnectionError(str(error)) from error
            with suppress(CancelledError, NotInTimeError):
                self._response.exception(left + _SLACK_SECONDS)
        if self._response.cancel():
            self.operation.check()
            host = urlsplit(self.operation.base_url).netloc
            msg = f"timed out looking up the address of {host}, or receiving a header from it"
            raise TimeoutError(msg)
        self._response.result()

    def _follow(self, request: Callable[..., Response], timeout: tuple[float, float]) -> None:
        try:
            response = request(timeout=timeout)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            with suppress(InvalidStateError):
                self._response.set_exception(error)
            return
        try:
            self._response.set_result(response)
        except InvalidStateError:
            # No thread waits for it any more.
            response.close()
            return
        while not self._is_over.wait(max(self._seconds_left(), _SLACK_SECONDS)):
            if self._is_reading and self._seconds_left() <= 0:
                self._is_late = True
                self.shut()
                return

    def expect_long_body(self) -> None:
        """Continue while bytes arrive."""
        self._is_long = True
        self._paused_at = self._clock.now()
        self._due_at = self._paused_at + self._timeout_seconds

    def read_pieces(self, length: int) -> Iterator[bytes]:
        """Yield the body, unpacked, in pieces of about `length` bytes.

        Raises:
            AbortedError: If the operation was aborted.
            OSError: If the rest does not arrive, or not in time.
            HTTPError: If the rest does not arrive, or cannot be unpacked.
        """
        failure: Exception | None = None
        while failure is None:
            parts: list[bytes] = []
            size = 0
            try:
                while size < length and (part := self._read(length)):
                    parts.append(part)
                    size += len(part)
            except (OSError, HTTPError) as error:
                failure = error
            if parts:
                yield b"".join(parts)
            elif failure is None:
                return
        raise failure

    def _read(self, length: int) -> bytes:
        """Read what is there of the body, or what arrives next."""
        raw = self.response.raw
        if self._is_long:
            self._due_at += self._clock.now() - self._paused_at
        self._is_late |= self._seconds_left() <= 0
        self._check_in_time()
        self._is_reading = True
        try:
            part: bytes = raw.read1(length, decode_content=True)
        finally:
            self._is_reading = False
            self._paused_at = self._clock.now()
            # Otherwise the connection that was shut would be the cause, or look like the end.
            self._check_in_time()
        if self._is_long and raw.tell() >= self._bytes + _LEAST_BYTES:
            self._bytes = raw.tell()
            self._due_at = self._paused_at + self._timeout_seconds
        return part

    def _seconds_left(self) -> float:
        return min(min(self._due_at, self.operation.ends_at) - self._clock.now(), _MAX_STEP_SECONDS)

    def _check_in_time(self) -> None:
        self.operation.check()
        if self._is_late:
            msg = "timed out waiting for the response"
            raise TimeoutError(msg)

    def shut(self) -> None:
        """End the exchange from another thread."""
        if not self._response.cancel() and not self._response.exception():
            # The body may be complete, or be closed at this moment.
            with suppress(OSError, RuntimeError, ValueError):
                self.response.raw.shutdown()

    def close(self) -> None:
        """Release the connection, whether the body was read or not."""
        self._is_over.set()
        if not self._response.cancel() and not self._response.exception():
            self.response.close()
