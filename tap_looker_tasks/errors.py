"""The exceptions, by what the caller can do about them."""

from __future__ import annotations

import logging
from typing import IO, Any

import click
from typing_extensions import override

# The tap's own.
_LOGGER = "tap-looker-tasks"
# EX_CONFIG of sysexits.h: schedulers need not try again.
_CONFIGURATION_EXIT_CODE = 78


class TapError(click.ClickException):
    """An error whose message is for the person who runs the tap.

    The command line logs it, as the last line, and ends with its exit code, whichever command ran.

    Attributes:
        lines: The lines of the message, more than one if several things are wrong.
    """

    def __init__(self, *lines: str) -> None:
        """Take the lines of the message, of which only the first is not indented."""
        super().__init__("\n  ".join(lines))
        self.lines = lines

    @override
    def show(self, file: IO[Any] | None = None) -> None:
        """Log the message at level ERROR, by which schedulers know what a run failed of."""
        logging.getLogger(_LOGGER).error("\n  ".join(["%s"] * len(self.lines)), *self.lines)


class RunError(TapError):
    """The run cannot go on."""


class QueryError(TapError):
    """One query or query task cannot go on; the others can."""


class SettingsError(RunError):
    """The configuration must be changed; the message names the setting."""

    exit_code = _CONFIGURATION_EXIT_CODE


class SpoolError(RunError):
    """A large result cannot be stored in a temporary file, or read from it."""


class TasksNotCompletedError(RunError):
    """Everything was delivered, but some tasks did not complete."""


class StorageError(RunError):
    """A BATCH file cannot be stored."""


class TargetClosedError(RunError):
    """What the tap writes is not taken any more."""


class RowsLostError(RunError):
    """The SDK did not hand rows on to the message writer."""


class LookWithoutQueryError(QueryError, ValueError):
    """A configured Look cannot be run, because its query is not there."""


class StillRunningError(QueryError):
    """A task that was to be cancelled still runs, and cannot be stopped."""


class RequestError(TapError):
    """A request to Looker failed; the message names the operation and the address."""


class AbortedError(RequestError):
    """The request was given up, because everything in progress was to end."""

    def __init__(self, operation: str) -> None:
        """Name the operation."""
        super().__init__(f"{operation}: given up")


class RetriableRequestError(RequestError):
    """The same request may succeed later.

    Attributes:
        retry_after: seconds Looker asked to wait, if it did.
        safe_to_retry: whether it is sure that Looker did nothing.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, safe_to_retry: bool = False
    ) -> None:
        """Keep what is known of the failure beside the message."""
        super().__init__(message)
        self.retry_after = retry_after
        self.safe_to_retry = safe_to_retry


class UnreachableError(RequestError, RunError):
    """There is no Looker at the address, or none that can be trusted."""


class RequestRejectedError(RequestError, QueryError):
    """Looker will give the same answer again.

    Attributes:
        http_status: the status code of the answer.
    """

    def __init__(self, message: str, *, http_status: int) -> None:
        """Keep the status code beside the message."""
        super().__init__(message)
        self.http_status = http_status


class ResponseTooLargeError(RequestRejectedError):
    """The answer is longer than `max_response_bytes`, or than memory should hold."""


class LoginFailedError(RequestError, RunError):
    """Looker does not accept the credentials, or there is no Looker."""

    exit_code = _CONFIGURATION_EXIT_CODE


class ApiCallLimitError(RequestError, RunError):
    """The request was not made, because `api_call_limit` does not allow for it."""
