"""Exceptions, grouped by what the caller can do about them."""

from __future__ import annotations

import logging
from typing import IO, Any

import click
from typing_extensions import override

# Raised by the tap itself.
_LOGGER = "tap-looker-tasks"
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
# EX_CONFIG of sysexits.h: schedulers need not retry.
_CONFIGURATION_EXIT_CODE = 78


class TapError(click.ClickException):
    """An error whose message is for the user of the tap.

    The command line logs the message as its last line, and exits with the error's exit code.

    Attributes:
        lines: The lines of the message, more than one if several things are wrong.
    """

    def __init__(self, *lines: str) -> None:
        """Take the lines of the message, of which only the first is not indented."""
        super().__init__("\n  ".join(lines))
        self.lines = lines

    @override
    def show(self, file: IO[Any] | None = None) -> None:
        """Log the message at level ERROR, at which schedulers look for the reason of a failure."""
        logging.getLogger(_LOGGER).error("\n  ".join(["%s"] * len(self.lines)), *self.lines)


class RunError(TapError):
    """The run cannot continue."""


class QueryError(TapError):
    """One query or query task cannot continue; the others can."""


class SettingsError(RunError):
    """The configuration must be changed; the message names the setting."""

    exit_code = _CONFIGURATION_EXIT_CODE


class SpoolError(RunError):
    """A large result cannot be stored in a temporary file, or read from it."""


class TasksNotCompletedError(RunError):
    """Everything was delivered, but some tasks did not complete."""


class NoThreadError(RunError):
    """The system does not start a thread for the tap."""


class StorageError(RunError):
    """A BATCH file cannot be stored."""


class TargetClosedError(RunError):
    """The target has stopped reading the tap's output."""


class RowsLostError(RunError):
    """The SDK did not pass rows to the message writer."""


class NotRunnableError(QueryError, ValueError):
    """A configured query, Look or tile cannot run, because of its content in Looker."""


class StillRunningError(QueryError):
    """A task to be cancelled still runs, and cannot be stopped."""


class RequestError(TapError):
    """A request to Looker failed; the message names the operation and the address."""


class AbortedError(RequestError):
    """The request was aborted because everything in progress had to end."""

    def __init__(self, operation: str) -> None:
        """Name the operation."""
        super().__init__(f"{operation}: stopped, because the run is ending")


class RetriableRequestError(RequestError):
    """The same request may succeed later.

    Attributes:
        retry_after: Seconds that Looker requested to wait; None if it requested nothing.
        safe_to_retry: Whether Looker certainly did nothing.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, safe_to_retry: bool = False
    ) -> None:
        """Keep what is known of the failure beside the message."""
        super().__init__(message)
        self.retry_after = retry_after
        self.safe_to_retry = safe_to_retry


class UnreachableError(RequestError, RunError):
    """No Looker was found at the address, or none whose certificate can be trusted."""


class RequestRejectedError(RequestError, QueryError):
    """Looker rejected the request, and would reject it again.

    Attributes:
        http_status: HTTP status code of the response.
    """

    def __init__(self, message: str, *, http_status: int) -> None:
        """Keep the status code beside the message."""
        super().__init__(message)
        self.http_status = http_status

    @property
    def is_about_content(self) -> bool:
        """True if the reason can be the requested content: neither a redirect nor the token."""
        return self.http_status >= _BAD_REQUEST and self.http_status != _UNAUTHORIZED


class ResponseTooLargeError(RequestRejectedError):
    """The response is longer than `max_response_bytes`, or too large for memory."""


class LoginFailedError(RequestError, RunError):
    """Looker rejected the credentials, or the address is not that of a Looker."""

    exit_code = _CONFIGURATION_EXIT_CODE


class ApiCallLimitError(RequestError, RunError):
    """The request was not sent because `api_call_limit` does not allow another one."""
