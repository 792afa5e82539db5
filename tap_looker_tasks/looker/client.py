"""Looker's API: `LookerClient` has one method per operation, named after its operationId."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from tap_looker_tasks.errors import (
    LoginFailedError,
    RequestError,
    RequestRejectedError,
    RetriableRequestError,
)
from tap_looker_tasks.looker.http import LOGOUT, Connection, Http, LookerResponse
from tap_looker_tasks.looker.http_errors import page_in, unreadable
from tap_looker_tasks.looker.operation import (
    Clock,
    Operation,
    RetryState,
    SharedToken,
    Token,
    token_from,
)
from tap_looker_tasks.results import (
    MalformedResponseError,
    NotAResultError,
    RowArrays,
    TaskEntry,
    as_id,
    as_text,
    read_body,
    split_entries,
)

# A task's entry in a response, or the reason why it cannot be read.
_Entry = TaskEntry | MalformedResponseError

_T = TypeVar("_T")

_FIELD_METADATA = (
    "name,type,label,description,convert_tz,datatype,is_fiscal,time_interval,primary_key,hidden"
)
_FIELD_GROUPS = ("dimensions", "measures", "filters", "parameters")
_EXPLORE_METADATA = f"fields({','.join(f'{group}({_FIELD_METADATA})' for group in _FIELD_GROUPS)})"
_DASHBOARD_PARTS = "title,deleted,dashboard_filters,dashboard_elements"
_CONTENT_PARTS = "id,title,folder(name)"
_MODEL_PARTS = "name,explores(name,label,description,hidden)"
_ROLE_PARTS = "name,permission_set(permissions),model_set(models)"
_UNAUTHORIZED = 401
_NOT_FOUND = 404
_NOT_READY = frozenset({202, 204})


class LookerClient:
    """Client of Looker's API 4.0 for one set of credentials; safe for concurrent use by threads.

    Every operation raises `RetriableRequestError` if its tries failed for transient reasons,
    `RequestRejectedError` if Looker rejected it, `LoginFailedError` if Looker rejected the
    credentials, `UnreachableError` if the address or certificate is wrong, `ApiCallLimitError` if
    the limit of calls is used up, and `AbortedError` if `abort` ended it. An operation with
    `max_seconds` takes no longer, even on a stalled network.

    Attributes:
        calls: Number of requests sent, by operation.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        clock: Clock,
        logger: logging.Logger,
        calls: Counter[str] | None = None,
    ) -> None:
        """Prepare; the first operation logs in. New calls are added to `calls`."""
        self.calls: Counter[str] = Counter() if calls is None else calls
        self._connection = connection
        self._clock = clock
        self._logger = logger
        self._http = Http(connection, clock=clock, logger=logger, calls=self.calls)
        self._token = SharedToken(self._login, clock)

    def query_task_multi_results(
        self,
        query_task_ids: Collection[str],
        *,
        new_rows: Callable[[], RowArrays],
        max_tries: int | None = None,
        max_seconds: float = inf,
    ) -> Iterator[tuple[str, _Entry]]:
        """Poll many tasks in one request; yield (task id, its entry or why it cannot be read).

        Each id is yielded at most once, even if the request is repeated. The rows of a long result
        go to what `new_rows` returns. After a response that was cut off, the tasks still missing
        are requested again; a try that yielded a task resets the count of tries.
        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/query_task_multi_results>
        """
        operation = self._http.begin("query_task_multi_results", max_seconds)
        requested = dict.fromkeys(query_task_ids)
        repeats = self._repeats(operation, max_tries)
        while True:
            before = len(requested)
            error = yield from self._entries_on_arrival(operation, requested, new_rows)
            if error is None or not requested:
                return
            if len(requested) < before:
                repeats.reset_tries()
            repeats.wait_or_raise(error)

    def _entries_on_arrival(
        self, operation: Operation, requested: dict[str, None], new_rows: Callable[[], RowArrays]
    ) -> Generator[tuple[str, _Entry], None, RetriableRequestError | None]:
        """Yield entries of tasks, and remove these from `requested`; return the failure."""
        path = "query_tasks/multi_results?query_task_ids=" + ",".join(map(_part, requested))
        try:
            with self._send(operation, "GET", path, is_long=True) as response:
                for query_task_id, entry in split_entries(response.chunks(), new_rows):
                    if query_task_id in requested:
                        del requested[query_task_id]
                        yield query_task_id, entry
                    elif isinstance(entry, TaskEntry) and entry.rows is not None:
                        entry.rows.clear()
        except MalformedResponseError as malformed:
            return unreadable(operation, malformed)
        except RetriableRequestError as error:
            return error
        return None

    def query_task_results(
        self, query_task_id: str, *, new_rows: Callable[[], RowArrays]
    ) -> TaskEntry:
        """Get one finished task's result in any format; text becomes a JSON string.

        The rows of a long result go to what `new_rows` returns. A page instead of a result is a
        `RequestRejectedError`; a result that is broken or not ready yet is a
        `RetriableRequestError`.
        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/query_task_results>
        """
        path = f"query_tasks/{_part(query_task_id)}/results"
        return self._result("query_task_results", path, new_rows)

    def _result(self, name: str, path: str, new_rows: Callable[[], RowArrays]) -> TaskEntry:
        operation = self._http.begin(name)

        def ask() -> TaskEntry:
            with self._send(operation, "GET", path, is_long=True) as response:
                return self._read_result(operation, response, new_rows)

        return self._repeated(operation, ask)

    def _read_result(
        self, operation: Operation, response: LookerResponse, new_rows: Callable[[], RowArrays]
    ) -> TaskEntry:
        if response.status in _NOT_READY:
            msg = f"{operation.name}: {operation.base_url} reported that the result is not ready"
            raise RetriableRequestError(msg, safe_to_retry=True)
        try:
            return read_body(response.content_type, response.chunks(), new_rows)
        except NotAResultError as error:
            msg = f"{operation.name}: {operation.base_url} returned no result: {error}"
            raise RequestRejectedError(msg, http_status=response.status) from None
        except MalformedResponseError as malformed:
            raise unreadable(operation, malformed) from None

    def create_query_task(
        self,
        query_id: str,
        result_format: str,
        *,
        look_id: str | None = None,
        dashboard_id: str | None = None,
        server_table_calcs: bool = False,
        cache: bool = True,
    ) -> str:
        """Launch a query; return the task's id.

        The request is never retried, because a query costs money, and Looker may have started it
        although the response got lost: `RetriableRequestError.safe_to_retry` is False then. Looker
        computes table calculations only if `server_table_calcs` is set, and ignores its cache if
        `cache` is false.
        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/create_query_task>
        """
        operation = self._http.begin("create_query_task")
        task = {
            "query_id": query_id,
            "result_format": result_format,
            "source": "tap-looker-tasks",
            "look_id": look_id,
            "dashboard_id": dashboard_id,
        }
        body = {name: value for name, value in task.items() if value is not None}
        flags = {"server_table_calcs=true": server_table_calcs, "cache=false": not cache}
        requested = "&".join(flag for flag, is_set in flags.items() if is_set)
        path = f"query_tasks?{requested}" if requested else "query_tasks"
        created = self._decoded(operation, dict[str, Any], "POST", path, json=body)
        return self._id_in(operation, created)

    def kill_query(self, query_task_id: str, *, max_seconds: float = inf) -> bool:
        """Cancel a task; return False if Looker does not find it among running tasks.

        In that case it may have finished, or this user cannot stop it.
        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/kill_query>
        """
        operation = self._http.begin("kill_query", max_seconds)
        path = f"running_queries/{_part(query_task_id)}"
        try:
            with self._send(operation, "DELETE", path):
                return True
        except RequestRejectedError as error:
            if error.http_status != _NOT_FOUND:
                raise
            return False

    def create_query(self, body: Mapping[str, Any]) -> tuple[str, str | None]:
        """Store a query, or find the stored one; return its id, and the address that shares it.

        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/create_query>
        """
        operation = self._http.begin("create_query")
        # Looker returns the same query for the same body, so the request can be retried.
        created = self._repeated(
            operation,
            lambda: self._decoded(operation, dict[str, Any], "POST", "queries", json=body),
        )
        return self._id_in(operation, created), as_text(created.get("share_url"))

    def query(self, query_id: str) -> dict[str, Any]:
        """Get a query: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/query>."""
        return self._object("query", f"queries/{_part(query_id)}")

    def query_for_slug(self, slug: str) -> dict[str, Any]:
        """Get a query: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/query_for_slug>."""
        return self._object("query_for_slug", f"queries/slug/{_part(slug)}")

    def look(self, look_id: str) -> dict[str, Any]:
        """Get a Look: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Look/look>."""
        return self._object("look", f"looks/{_part(look_id)}")

    def dashboard(self, dashboard_id: str) -> dict[str, Any]:
        """Get a dashboard's title, filters and tiles: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Dashboard/dashboard>."""
        path = f"dashboards/{_part(dashboard_id)}?fields={_DASHBOARD_PARTS}"
        return self._object("dashboard", path)

    def merge_query(self, merge_query_id: str) -> dict[str, Any]:
        """Get the source queries of merged results: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/merge_query>."""
        path = f"merge_queries/{_part(merge_query_id)}"
        return self._object("merge_query", path)

    def lookml_model_explore(self, model: str, explore: str) -> dict[str, Any]:
        """Get the fields of an Explore: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/LookmlModel/lookml_model_explore>."""
        path = f"lookml_models/{_part(model)}/explores/{_part(explore)}?fields={_EXPLORE_METADATA}"
        return self._object("lookml_model_explore", path)

    def versions(self) -> dict[str, Any]:
        """Get the versions of Looker and its API: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Config/versions>."""
        return self._object("versions", "versions")

    def me(self) -> dict[str, Any]:
        """Get the user whose credentials these are: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/User/me>."""
        return self._object("me", "user")

    def all_timezones(self) -> list[dict[str, Any]]:
        """Get the time zones that Looker offers: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Config/all_timezones>."""
        return self._objects("all_timezones", "timezones")

    def user_roles(self, user_id: str) -> list[dict[str, Any]]:
        """Get a user's roles, with permissions and models: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/User/user_roles>."""
        path = f"users/{_part(user_id)}/roles?fields={_ROLE_PARTS}"
        return self._objects("user_roles", path)

    def search_looks(self, title: str, *, limit: int) -> list[dict[str, Any]]:
        """Find Looks by title, most viewed first: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Look/search_looks>.

        `title` is a pattern in which `%` matches anything.
        """
        path = f"looks/search?{_search_by_title(title, limit)}"
        return self._objects("search_looks", path)

    def search_dashboards(self, title: str, *, limit: int) -> list[dict[str, Any]]:
        """Find dashboards as `search_looks` does: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Dashboard/search_dashboards>.

        LookML dashboards are not among them.
        """
        path = f"dashboards/search?{_search_by_title(title, limit)}"
        return self._objects("search_dashboards", path)

    def folder_dashboards(self, folder_id: str) -> list[dict[str, Any]]:
        """Get the dashboards of a folder; `lookml` has those of LookML: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Folder/folder_dashboards>."""
        path = f"folders/{_part(folder_id)}/dashboards?fields={_CONTENT_PARTS}"
        return self._objects("folder_dashboards", path)

    def all_lookml_models(self) -> list[dict[str, Any]]:
        """Get the models and their Explores: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/LookmlModel/all_lookml_models>."""
        path = f"lookml_models?fields={_MODEL_PARTS}"
        return self._objects("all_lookml_models", path)

    def query_sql(self, query_id: str) -> str:
        """Get the SQL that Looker would run for a query, which it does not run.

        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/run_query>
        """
        operation = self._http.begin("run_query")

        def ask() -> str:
            path = f"queries/{_part(query_id)}/run/sql"
            with self._send(operation, "GET", path) as response:
                return response.content().decode(errors="replace")

        return self._repeated(operation, ask)

    def run_query(
        self, query_id: str, *, limit: int, server_table_calcs: bool = False
    ) -> TaskEntry:
        """Run a query and wait for its result in `json_detail`.

        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/run_query>
        """
        path = f"queries/{_part(query_id)}/run/json_detail?limit={limit}"
        if server_table_calcs:
            path += "&server_table_calcs=true"
        return self._result("run_query", path, list)

    def abort(self) -> None:
        """Abort every operation in progress, in all threads; later ones are not affected.

        Aborted operations raise `AbortedError`.
        """
        self._http.abort()

    def close(self, max_seconds: float = inf) -> None:
        """Abort everything in progress, log out within `max_seconds`, and close all sessions."""
        self.abort()
        self.logout(max_seconds)
        self._http.close()

    def logout(self, max_seconds: float = inf) -> None:
        """Release the token, if there is one; a token that stays expires on its own.

        <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/ApiAuth/logout>
        """
        operation = self._http.begin(LOGOUT, max_seconds)
        try:
            if token := self._token.forget(operation):
                with self._http.send(operation, "DELETE", "logout", headers=token.header):
                    pass
        except RequestError as error:
            self._logger.debug("%s", error)

    def _repeats(self, operation: Operation, max_tries: int | None = None) -> RetryState:
        tries = self._connection.max_tries if max_tries is None else max_tries
        return RetryState(operation, tries, clock=self._clock, logger=self._logger)

    def _repeated(self, operation: Operation, attempt: Callable[[], _T]) -> _T:
        repeats = self._repeats(operation)
        while True:
            try:
                return attempt()
            except RetriableRequestError as error:
                repeats.wait_or_raise(error)

    def _object(self, name: str, path: str) -> dict[str, Any]:
        return self._get(name, path, dict[str, Any])

    def _objects(self, name: str, path: str) -> list[dict[str, Any]]:
        return self._get(name, path, list[dict[str, Any]])

    def _get(self, name: str, path: str, type_: type[_T]) -> _T:
        operation = self._http.begin(name)
        return self._repeated(operation, lambda: self._decoded(operation, type_, "GET", path))

    def _decoded(
        self, operation: Operation, type_: type[_T], verb: str, path: str, **request: Any
    ) -> _T:
        """Request something in JSON."""
        with self._send(operation, verb, path, **request) as response:
            body = response.content()
        try:
            return msgspec.json.decode(body, type=type_)
        except (ValueError, RecursionError) as malformed:
            found = page_in(body) or malformed
            raise unreadable(operation, found) from None

    def _id_in(self, operation: Operation, created: dict[str, Any]) -> str:
        if id_ := as_id(created.get("id")):
            return id_
        raise unreadable(operation, "no id in the response")

    @contextmanager
    def _send(
        self, operation: Operation, verb: str, path: str, **request: Any
    ) -> Iterator[LookerResponse]:
        """Send with a token; a token that Looker rejects is replaced once."""
        with ExitStack() as stack:
            ask = partial(self._http.send, operation, verb, path, **request)
            token = self._token.get(operation)
            try:
                response = stack.enter_context(ask(headers=token.header))
            except RequestRejectedError as error:
                if error.http_status != _UNAUTHORIZED:
                    raise
                token = self._token.get(operation, rejected=token)
                response = stack.enter_context(ask(headers=token.header))
            yield response

    def _login(self, operation: Operation) -> Token:
        """Log in: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/ApiAuth/login>."""
        login = replace(operation, name="login")
        credentials = {
            "client_id": self._connection.client_id,
            "client_secret": self._connection.client_secret,
        }
        try:
            with self._http.send(login, "POST", "login", data=credentials) as response:
                return token_from(msgspec.json.decode(response.content()), self._clock.now())
        except RequestRejectedError as error:
            msg = f"{error.message}; check client_id and client_secret, and base_url"
            raise LoginFailedError(msg) from None
        except RetriableRequestError as error:
            # The operation itself was certainly not performed.
            error.safe_to_retry = True
            raise
        except (ValueError, RecursionError) as malformed:
            raise unreadable(login, malformed) from None


def _search_by_title(title: str, limit: int) -> str:
    parameters = {
        "title": title,
        "limit": limit,
        "sorts": "view_count desc",
        "fields": _CONTENT_PARTS,
    }
    return urlencode({name: value for name, value in parameters.items() if value})


def _part(text: str) -> str:
    """One part of a path, with special characters encoded."""
    return quote(text, safe="")
