"""The only HTTP: one method per Looker operation, named after its operationId."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from math import inf
from socket import gaierror
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import backoff
import msgspec
import requests
from requests import exceptions as http
from urllib3.exceptions import ConnectTimeoutError

from tap_looker_tasks.errors import (
    ApiCallLimitError,
    LoginRefusedError,
    RefusedRequestError,
    RequestError,
    RetriableRequestError,
)
from tap_looker_tasks.looker.auth import Token, token_from
from tap_looker_tasks.looker.json_text import MalformedAnswer
from tap_looker_tasks.looker.multi_results import split_answers
from tap_looker_tasks.looker.read_ahead import call_ahead, read_ahead
from tap_looker_tasks.looker.spool import Spool

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from tap_looker_tasks.looker.multi_results import TaskAnswer
    from tap_looker_tasks.settings import Settings

_T = TypeVar("_T")

_FIELD_METADATA = "name,type,label,description,convert_tz"
_EXPLORE_METADATA = f"fields(dimensions({_FIELD_METADATA}),measures({_FIELD_METADATA}))"
_CHUNK_BYTES = 1 << 20
_CHUNKS_AHEAD = 2
_LONGEST_PAUSE_SECONDS = 60
_LONGEST_CONNECT_SECONDS = 30
_LONGEST_LOGOUT_SECONDS = 5
_UNAUTHORIZED = 401
_NOT_FOUND = 404
_TOO_MANY_REQUESTS = 429
_FIRST_REFUSAL = 300
_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})


def user_agent() -> str:
    """Name the tap and its version, so that Looker's administrators see who calls."""
    return f"tap-looker-tasks/{version('tap-looker-tasks')} {requests.utils.default_user_agent()}"


class LookerClient:
    """Calls Looker's API 4.0 on behalf of one set of credentials.

    Every operation raises `RetriableRequestError` when it kept failing for a reason that may
    pass, `RefusedRequestError` when Looker refused it, `LoginRefusedError` when it refused the
    credentials, another `RequestError` when the address or certificate is wrong, and
    `ApiCallLimitError` when `api_call_limit` is used up.

    Attributes:
        calls: requests made, by operation.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        session: requests.Session,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        logger: logging.Logger,
        calls: Counter[str] | None = None,
    ) -> None:
        """Prepare; the first operation logs in. Calls are counted on from `calls`."""
        self._settings = settings
        self._session = session
        self._session.verify = settings.ca_bundle or settings.verify_ssl
        self._session.headers["User-Agent"] = user_agent()
        # Without one, requests would take credentials for this host from ~/.netrc.
        self._session.auth = _as_prepared
        self._clock = clock
        self._sleep = sleep
        self._logger = logger
        self._token: Token | None = None
        self._ahead: tuple[tuple[str, ...], Future[requests.Response]] | None = None
        self.calls: Counter[str] = Counter() if calls is None else calls

    def query_task_multi_results(
        self, query_task_ids: Collection[str], following: Collection[str] = ()
    ) -> Iterator[tuple[str, TaskAnswer | MalformedAnswer]]:
        """Ask for many tasks at once; yields (task id, what Looker says of it).

        Each id is yielded once at most, however often the request had to be repeated. As soon
        as the answer has come, Looker is asked for the tasks to be asked for next.
        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/query_task_multi_results>
        """
        wanted = dict.fromkeys(query_task_ids)
        repeats = self._repeats()
        while error := (yield from self._answers_while_they_come(wanted, following)):
            if not wanted:
                return
            repeats.pause_or_raise(error)

    def _answers_while_they_come(
        self, wanted: dict[str, None], following: Collection[str]
    ) -> Generator[tuple[str, TaskAnswer | MalformedAnswer], None, RetriableRequestError | None]:
        """Yield what comes of the tasks wanted, and want them no more; returns what cut it off."""
        operation = "query_task_multi_results"
        try:
            with self._multi_results(wanted) as response:
                body = self._chunks_then_ask(response, following)
                chunks = read_ahead(body, _CHUNKS_AHEAD)
                for query_task_id, answer in split_answers(chunks, Spool):
                    if query_task_id in wanted:
                        del wanted[query_task_id]
                        yield query_task_id, answer
        except MalformedAnswer as malformed:
            return self._unreadable(operation, malformed)
        except RetriableRequestError as error:
            return error
        return None

    def _chunks_then_ask(
        self, response: requests.Response, following: Collection[str]
    ) -> Iterator[bytes]:
        yield from _chunks(response, "query_task_multi_results")
        if following and self._ahead is None:
            ids = tuple(following)
            self._ahead = ids, call_ahead(lambda: self._multi_results_now(ids))

    def _multi_results(self, query_task_ids: Iterable[str]) -> requests.Response:
        """Take the answer that was asked for ahead, if it is that for these tasks."""
        ids = tuple(query_task_ids)
        if self._ahead and self._ahead[0] == ids:
            (_, answer), self._ahead = self._ahead, None
            return answer.result()
        self._forget_ahead()
        return self._multi_results_now(ids)

    def _multi_results_now(self, query_task_ids: tuple[str, ...]) -> requests.Response:
        path = "query_tasks/multi_results?query_task_ids=" + ",".join(query_task_ids)
        return self._response("query_task_multi_results", "GET", path)

    def _forget_ahead(self) -> None:
        if self._ahead:
            (_, answer), self._ahead = self._ahead, None
            answer.add_done_callback(_close)

    def query_task_results(self, query_task_id: str) -> bytes:
        """Get one finished task's result, as it is.

        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/query_task_results>
        """
        return self._repeated(
            lambda: self._body("query_task_results", "GET", f"query_tasks/{query_task_id}/results")
        )

    def create_query_task(
        self,
        query_id: str,
        result_format: str,
        *,
        look_id: str | None = None,
        dashboard_id: str | None = None,
    ) -> str:
        """Have Looker start a query; returns the task's id.

        It is asked once only: a query costs money, and Looker may have started it although the
        answer got lost. A `RetriableRequestError` tells whether that can be so.
        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/create_query_task>
        """
        operation = "create_query_task"
        task = {
            "query_id": query_id,
            "result_format": result_format,
            "source": "tap-looker-tasks",
            "look_id": look_id,
            "dashboard_id": dashboard_id,
        }
        body = {name: value for name, value in task.items() if value is not None}
        answer = self._object(operation, "POST", "query_tasks", json=body)
        match answer:
            case {"id": str(query_task_id)} if query_task_id:
                return query_task_id
        unreadable = self._unreadable(operation, ValueError("no id of a task"))
        raise unreadable

    def kill_query(self, query_task_id: str, *, longest_seconds: float = inf) -> None:
        """Cancel a task, unless it had finished.

        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/kill_query>
        """
        path = f"running_queries/{query_task_id}"
        try:
            self._response("kill_query", "DELETE", path, longest_seconds=longest_seconds).close()
        except RefusedRequestError as error:
            if error.http_status != _NOT_FOUND:
                raise

    def create_query(self, body: Mapping[str, Any]) -> str:
        """Store a query, or find the one like it; returns its id.

        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/create_query>
        """
        # Looker answers the same body with the same query: it may be asked again.
        answer = self._repeated(lambda: self._object("create_query", "POST", "queries", json=body))
        return str(answer.get("id"))

    def query(self, query_id: str) -> dict[str, Any]:
        """Get a query: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/query>."""
        return self._repeated(lambda: self._object("query", "GET", f"queries/{_part(query_id)}"))

    def query_for_slug(self, slug: str) -> dict[str, Any]:
        """Get a query: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/query_for_slug>."""
        path = f"queries/slug/{_part(slug)}"
        return self._repeated(lambda: self._object("query_for_slug", "GET", path))

    def look(self, look_id: str) -> dict[str, Any]:
        """Get a Look: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Look/look>."""
        return self._repeated(lambda: self._object("look", "GET", f"looks/{_part(look_id)}"))

    def dashboard_dashboard_elements(self, dashboard_id: str) -> list[dict[str, Any]]:
        """Get a dashboard's tiles: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Dashboard/dashboard_dashboard_elements>."""
        operation = "dashboard_dashboard_elements"
        path = f"dashboards/{_part(dashboard_id)}/dashboard_elements"
        return self._repeated(lambda: self._decoded(operation, list[dict[str, Any]], "GET", path))

    def lookml_model_explore(self, model: str, explore: str) -> dict[str, Any]:
        """Get the fields of an Explore: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/LookmlModel/lookml_model_explore>."""
        operation = "lookml_model_explore"
        path = f"lookml_models/{_part(model)}/explores/{_part(explore)}?fields={_EXPLORE_METADATA}"
        return self._repeated(lambda: self._object(operation, "GET", path))

    def run_query(self, query_id: str, *, limit: int) -> bytes:
        """Run a query and wait for its result in `json_detail`, as it is.

        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/run_query>
        """
        path = f"queries/{_part(query_id)}/run/json_detail?limit={limit}"
        return self._repeated(lambda: self._body("run_query", "GET", path))

    def close(self) -> None:
        """Log out, and close the session."""
        self.logout()
        self._session.close()

    def logout(self) -> None:
        """Give the token back, if there is one; a token that stays expires by itself.

        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/ApiAuth/logout>
        """
        self._forget_ahead()
        if self._token is None:
            return
        try:
            self._send(
                "logout",
                "DELETE",
                "logout",
                headers=self._token.header,
                longest_seconds=_LONGEST_LOGOUT_SECONDS,
            ).close()
        except RequestError as error:
            self._logger.debug("%s", error)
        self._token = None

    def _repeated(self, attempt: Callable[[], _T]) -> _T:
        repeats = self._repeats()
        while True:
            try:
                return attempt()
            except RetriableRequestError as error:  # noqa: PERF203 - a request costs far more
                repeats.pause_or_raise(error)

    def _repeats(self) -> _Repeats:
        return _Repeats(self._settings.http_max_tries, self._sleep, self._logger)

    def _body(self, operation: str, verb: str, path: str, **request: Any) -> bytes:
        with (
            self._response(operation, verb, path, **request) as response,
            _translated(operation, self._settings.base_url),
        ):
            return response.content

    def _object(self, operation: str, verb: str, path: str, **request: Any) -> dict[str, Any]:
        return self._decoded(operation, dict[str, Any], verb, path, **request)

    def _decoded(self, operation: str, type_: type[_T], verb: str, path: str, **request: Any) -> _T:
        """Ask for something in JSON."""
        body = self._body(operation, verb, path, **request)
        try:
            return msgspec.json.decode(body, type=type_)
        except ValueError as malformed:
            unreadable = self._unreadable(operation, malformed)
        raise unreadable

    def _response(self, operation: str, verb: str, path: str, **request: Any) -> requests.Response:
        """Send with a token; a token that Looker no longer accepts is replaced once."""
        token = self._valid_token()
        try:
            return self._send(operation, verb, path, headers=token.header, **request)
        except RefusedRequestError as error:
            if error.http_status != _UNAUTHORIZED:
                raise
        self._token = None
        return self._send(operation, verb, path, headers=self._valid_token().header, **request)

    def _valid_token(self) -> Token:
        if self._token is None or self._clock() >= self._token.renew_at:
            self._token = self._login()
        return self._token

    def _login(self) -> Token:
        """Log in: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/ApiAuth/login>."""
        credentials = {
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret,
        }
        try:
            with (
                self._send("login", "POST", "login", data=credentials) as response,
                _translated("login", self._settings.base_url),
            ):
                return token_from(msgspec.json.decode(response.content), self._clock())
        except RefusedRequestError as error:
            msg = f"{error.message}; check client_id and client_secret, and base_url"
            raise LoginRefusedError(msg) from None
        except ValueError as malformed:
            unreadable = self._unreadable("login", malformed)
            raise unreadable from None

    def _send(
        self,
        operation: str,
        verb: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        longest_seconds: float = inf,
        **request: Any,
    ) -> requests.Response:
        """Make one request; returns an answer of success only."""
        self._count(operation)
        timeout = min(self._settings.http_timeout_seconds, longest_seconds)
        with _translated(operation, self._settings.base_url):
            response = self._session.request(
                verb,
                f"{self._settings.base_url}/api/4.0/{path}",
                headers=headers,
                timeout=(min(timeout, _LONGEST_CONNECT_SECONDS), timeout),
                # Looker's API does not redirect; a sign-in page or a wrong address does.
                allow_redirects=False,
                stream=True,
                **request,
            )
        self._logger.debug("%s: HTTP %s", operation, response.status_code)
        if response.status_code < _FIRST_REFUSAL:
            return response
        with response:
            raise _error_of(response, operation, self._settings.base_url)

    def _count(self, operation: str) -> None:
        limit = self._settings.api_call_limit
        # One call is kept for the logout.
        if limit is not None and operation != "logout" and self.calls.total() + 1 >= limit:
            msg = f"{operation}: not called, because api_call_limit is {limit}"
            raise ApiCallLimitError(msg)
        self.calls[operation] += 1

    def _unreadable(self, operation: str, malformed: ValueError) -> RetriableRequestError:
        msg = (
            f"{operation}: {self._settings.base_url} did not answer as Looker's API does: "
            f"{malformed}; check base_url, and what stands between here and Looker"
        )
        return RetriableRequestError(msg)


class _Repeats:
    """Counts the tries of one operation and pauses between them."""

    def __init__(
        self, max_tries: int, sleep: Callable[[float], None], logger: logging.Logger
    ) -> None:
        self._tries_left = max_tries
        self._sleep = sleep
        self._logger = logger
        self._pauses = backoff.expo(max_value=_LONGEST_PAUSE_SECONDS)
        next(self._pauses)

    def pause_or_raise(self, error: RetriableRequestError) -> None:
        self._tries_left -= 1
        if self._tries_left <= 0:
            raise error
        pause = error.retry_after
        if pause is None:
            pause = backoff.full_jitter(next(self._pauses))
        self._logger.warning("%s; trying again in %.1f s", error.message, pause)
        self._sleep(pause)


def _part(text: str) -> str:
    """One part of a path, whatever is in it."""
    return quote(text, safe="")


def _close(answer: Future[requests.Response]) -> None:
    if answer.exception() is None:
        answer.result().close()


def _as_prepared(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _chunks(response: requests.Response, operation: str) -> Iterator[bytes]:
    with _translated(operation, response.url.partition("/api/")[0]):
        yield from response.iter_content(_CHUNK_BYTES)


@contextmanager
def _translated(operation: str, base_url: str) -> Iterator[None]:
    """Turn the exceptions of `requests` into the tap's own."""
    try:
        yield
    except http.SSLError as error:
        why = _said(_root_cause(error))
        msg = (
            f"{operation}: the certificate of {base_url} is not trusted ({why}); "
            "set ca_bundle to your certificate authority's file"
        )
        raise RequestError(msg) from None
    except (http.ConnectionError, http.Timeout) as error:
        cause = _root_cause(error)
        msg = f"{operation}: no answer from {base_url} ({_said(cause)}); check base_url"
        never_sent = isinstance(cause, ConnectionRefusedError | gaierror | ConnectTimeoutError)
        raise RetriableRequestError(msg, safe_to_retry=never_sent) from None
    except (http.ChunkedEncodingError, http.ContentDecodingError) as error:
        msg = f"{operation}: the answer of {base_url} was cut short ({_said(_root_cause(error))})"
        raise RetriableRequestError(msg) from None
    except (http.RequestException, OSError) as error:
        msg = f"{operation}: cannot ask {base_url}: {error}"
        raise RequestError(msg) from None


def _root_cause(error: BaseException) -> BaseException:
    while error.__context__ is not None:
        error = error.__context__
    return error


def _said(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:200]


def _error_of(response: requests.Response, operation: str, base_url: str) -> RequestError:
    status = response.status_code
    msg = f"{operation}: {base_url} answered HTTP {status}"
    if said := _message_in(response):
        msg += f" ({said})"
    if status in _PASSING_STATUSES:
        retry_after = read_retry_after(response)
        too_many = status == _TOO_MANY_REQUESTS
        return RetriableRequestError(msg, retry_after=retry_after, safe_to_retry=too_many)
    return RefusedRequestError(msg, http_status=status)


def _message_in(response: requests.Response) -> str | None:
    """Looker's `message`, when the body is an error of its API and not a page of a proxy."""
    try:
        body = msgspec.json.decode(response.content)
    except (ValueError, http.RequestException):
        return None
    match body:
        case {"message": str(message)}:
            return message[:200]
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
    return min(max(seconds, 0.0), _LONGEST_PAUSE_SECONDS)


def _seconds_until(http_date: str, response: requests.Response) -> float:
    """Return the seconds from the moment of the answer, by the server's own clock."""
    sent_at = parsedate_to_datetime(response.headers.get("Date", ""))
    return (parsedate_to_datetime(http_date) - sent_at).total_seconds()
