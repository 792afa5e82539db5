"""Errors of `requests` and of Looker's responses, translated into the tap's exceptions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from html import unescape
from ssl import SSLCertVerificationError
from types import MappingProxyType
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
from requests import exceptions as http
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from tap_looker_tasks.errors import (
    RequestError,
    RequestRejectedError,
    RetriableRequestError,
    UnreachableError,
)
from tap_looker_tasks.looker.operation import MAX_RETRY_WAIT_SECONDS, Operation

_NO_RESPONSE = (
    *(http.ConnectionError, http.Timeout, ReadTimeoutError, SSLError),
    *(ConnectionError, TimeoutError),
)
# `NewConnectionError` includes names without an address, `RuntimeError` a thread not started.
_NEVER_SENT = (ConnectTimeoutError, NewConnectionError, RuntimeError)
_TOO_MANY_REQUESTS = 429
_FORBIDDEN = 403
# Permissions and objects that Looker requires, by operation.
_PERMISSIONS = MappingProxyType(
    {
        **dict.fromkeys(
            ("look", "search_looks"), "`see_looks`, and access to the folder of the Look"
        ),
        **dict.fromkeys(
            ("dashboard", "search_dashboards", "folder_dashboards"),
            "`see_user_dashboards` or `see_lookml_dashboards`, and access to the dashboard's "
            "folder",
        ),
        **dict.fromkeys(
            (
                *("all_lookml_models", "lookml_model_explore", "merge_query"),
                *("create_query", "query", "query_for_slug"),
            ),
            "`explore` on the model",
        ),
        **dict.fromkeys(
            ("create_query_task", "query_task_multi_results", "query_task_results"),
            "`access_data` on the model, and `explore` for a query that is not from a Look or tile",
        ),
        "run_query": "`access_data` and `explore` on the model, and `see_sql` for its SQL",
    }
)
_MAX_LENGTH = 200
_PAGE = re.compile(rb"\s*(?:<!doctype|<html|<head|<body|<title)\b", re.IGNORECASE)
_TITLE = re.compile(rb"<title\b[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_OVERLOADED = frozenset({502, 503, 504})
_PASSING_STATUSES = _OVERLOADED | {408, 429, 500}


@contextmanager
def translate_errors(operation: Operation) -> Iterator[None]:
    """Turn the exceptions of `requests` and `urllib3` into the tap's own.

    Raises:
        AbortedError: If the operation was aborted.
        RetriableRequestError: If Looker did not respond, or not in full.
        UnreachableError: If no request can be sent, or the certificate is not trusted.
    """
    try:
        yield
    except (HTTPError, OSError) as error:
        operation.check()
        raise _translated(error, operation) from None


def _translated(error: HTTPError | OSError, operation: Operation) -> RequestError:
    name, base_url = operation.name, operation.base_url
    if isinstance(error, _NO_RESPONSE):
        return _no_response(_causes(error), operation)
    if isinstance(error, http.InvalidHeader):
        # The library's message would quote the header. The tap's own headers are checked earlier.
        msg = (
            f"{name}: the response from {base_url} has contradictory or invalid headers; "
            "check any proxy before it"
        )
        return RetriableRequestError(msg)
    if isinstance(error, HTTPError):
        msg = (
            f"{name}: the response from {base_url} was cut short "
            f"({_message_of(_causes(error)[-1])}); check the network, and any proxy before Looker"
        )
        return RetriableRequestError(msg)
    msg = (
        f"{name}: cannot send a request to {base_url}: {_message_of(error)}; check base_url, "
        "ca_bundle and HTTPS_PROXY"
    )
    return UnreachableError(msg)


def _no_response(causes: list[BaseException], operation: Operation) -> RequestError:
    name, base_url = operation.name, operation.base_url
    why = _message_of(causes[-1])
    if any(isinstance(cause, SSLCertVerificationError) for cause in causes):
        msg = (
            f"{name}: the certificate of {base_url} is not trusted ({why}); "
            "set ca_bundle to your certificate authority's file"
        )
        return UnreachableError(msg)
    is_by_proxy = any(isinstance(cause, http.ProxyError) for cause in causes)
    what_to_check = "the proxy that HTTPS_PROXY names" if is_by_proxy else "base_url"
    msg = f"{name}: no response from {base_url} ({why}); check {what_to_check}"
    never_sent = any(isinstance(cause, _NEVER_SENT) for cause in causes)
    return RetriableRequestError(msg, safe_to_retry=never_sent)


def _causes(error: BaseException) -> list[BaseException]:
    """Return an exception and those behind it, the root last."""
    causes = [error]
    while (cause := causes[-1].__context__) is not None:
        causes.append(cause)
    return causes


def _message_of(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:_MAX_LENGTH]


def read_error(response: requests.Response, body: bytes, operation: Operation) -> RequestError:
    """Build the error for a response with an error status.

    Args:
        response: Response; its status and headers are read.
        body: Start of its body.
        operation: Operation of the request.
    """
    status = response.status_code
    msg = f"{operation.name}: {operation.base_url} returned HTTP {status}"
    if reported := _message_in(body) or page_in(body):
        msg += f" ({reported})"
    if advice := _advice(response, operation.name):
        msg += f"; {advice}"
    if status in _PASSING_STATUSES:
        retry_after = read_retry_after(response)
        too_many = status == _TOO_MANY_REQUESTS
        return RetriableRequestError(msg, retry_after=retry_after, safe_to_retry=too_many)
    return RequestRejectedError(msg, http_status=status)


def unreadable(operation: Operation, found: object) -> RetriableRequestError:
    """Build the error for a successful response that is not one of Looker's."""
    msg = (
        f"{operation.name}: {operation.base_url} did not return a Looker API response: {found}; "
        "check base_url and any proxy before it"
    )
    return RetriableRequestError(msg)


def _message_in(body: bytes) -> str | None:
    """Looker's `message`, when the body is an error of its API and not a page of a proxy."""
    try:
        error = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    match error:
        case {"message": str(message), "errors": [*details]}:
            reasons = filter(None, map(_reason, details))
            return ": ".join(filter(None, [message, "; ".join(reasons)]))[:_MAX_LENGTH]
        case {"message": str(message)}:
            return message[:_MAX_LENGTH]
    return None


def _reason(detail: object) -> str | None:
    """Read one of a validation error's `errors`: `model: must name a model (missing)`."""
    match detail:
        case {"field": str(field), "message": str(message), **rest}:
            code = rest.get("code")
            return f"{field}: {message} ({code})" if code else f"{field}: {message}"
        case {"message": str(reason)} | {"field": str(reason)} | {"code": str(reason)}:
            return reason
    return None


def page_in(body: bytes) -> str | None:
    """Describe a page of HTML, such as a proxy or a login form sends; None for anything else."""
    if _PAGE.match(body) is None:
        return None
    title = _TITLE.search(body)
    text = " ".join(unescape(title[1].decode(errors="replace")).split()) if title else ""
    return f"a page titled {text[:_MAX_LENGTH]!r}" if text else "a page without a title"


def _advice(response: requests.Response, operation: str) -> str | None:
    """Return what to change about an error, if its status shows that."""
    status = response.status_code
    if status == _FORBIDDEN:
        if permission := _PERMISSIONS.get(operation):
            return f"check that the API user has {permission}"
        # Looker also returns 403 at another port or path. The login adds what to check.
        return None if operation == "login" else "check the port and the path of base_url"
    if status == _TOO_MANY_REQUESTS:
        return "lower max_connections or max_concurrent_tasks, or run at another time"
    if status in _OVERLOADED:
        return "Looker, or a proxy before it, is overloaded or restarting"
    if response.is_redirect:
        # The rest of an address may hold a secret.
        place = urlsplit(urljoin(response.url, response.headers["Location"]))
        where = f"{place.scheme}://{place.hostname}{place.path}"[:_MAX_LENGTH]
        return f"it redirects to {where!r}; set base_url to the address of Looker's API"
    return None


def read_retry_after(response: requests.Response) -> float | None:
    """Return the seconds to wait; None when the header is missing or makes no sense.

    <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>
    """
    text = response.headers.get("Retry-After", "")
    try:
        seconds = float(text) if text.strip().isdecimal() else _seconds_until(text, response)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_WAIT_SECONDS)


def _seconds_until(http_date: str, response: requests.Response) -> float:
    """Return the seconds from the response's time, by the server's own clock."""
    sent_at = parsedate_to_datetime(response.headers.get("Date", ""))
    return (parsedate_to_datetime(http_date) - sent_at).total_seconds()
