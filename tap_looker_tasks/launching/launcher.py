"""Launches of configured queries: bodies with bookmarks and changes, and their query tasks."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from tap_looker_tasks.config import ConfiguredQuery, QueryConfig, Settings
from tap_looker_tasks.errors import NotRunnableError, RequestRejectedError
from tap_looker_tasks.looker import Clock, Connection, LookerClient
from tap_looker_tasks.queries import (
    UNKNOWN_LIMITS,
    Limits,
    QueryKeeper,
    QueryState,
    body_problems,
    changed_copy,
    check_body,
    determining_parts,
    explore_body,
    fingerprint,
    from_bookmark,
    limits_of,
    merge_ids,
    requested_changes,
)
from tap_looker_tasks.records import table_calculations
from tap_looker_tasks.results import as_id, as_object, as_text
from tap_looker_tasks.tasks import Launch, LaunchedTask
from tap_looker_tasks.threads import Lookups

# Looker's `Dashboard`, and its merged results by ID.
Dashboard = tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """A query ready to run.

    Attributes:
        query_id: Looker's ID; None until Looker has stored the query.
        body: The query, with everything merged in; empty if its ID is known from an earlier run.
        fingerprint: Hash of its configuration.
        limits: Limits at which Looker cuts off its result, if known.
        server_table_calcs: Whether the launch must request table calculations.
        share_url: Address that shares it, if Looker gave one.
    """

    query_id: str | None
    body: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str | None = None
    limits: Limits = UNKNOWN_LIMITS
    server_table_calcs: bool = False
    share_url: str | None = None


def prepare_query(
    query: ConfiguredQuery,
    stored: StoredQuery,
    query_timezone: str,
    keeper: QueryKeeper | None = None,
) -> PreparedQuery:
    """Return a stored query with the configured changes, and the bookmark of `keeper`.

    Raises:
        ValueError: If the bookmark cannot be combined with the query.
    """
    query_timezone = query.config.time_zone(query_timezone)
    changes = requested_changes(stored.body, query.config, query_timezone, query.tile_filters)
    if keeper:
        config = query.config
        if keeper.column is None:
            config = msgspec.structs.replace(config, replication_key=None)
        for problem in body_problems(config, stored.body):
            msg = f"{query.config_path}.{problem}"
            raise ValueError(msg)
    if keeper and keeper.column:
        changes = from_bookmark(
            changes,
            stored.body,
            keeper.column,
            keeper.value,
            query_timezone,
            keeper.back(query_timezone),
        )
    copy = changed_copy(stored.body, changes)
    body = stored.body if copy is None else copy
    return PreparedQuery(
        stored.query_id if copy is None else None,
        body,
        limits=limits_of(body),
        server_table_calcs=bool(table_calculations(body)),
    )


def new_client(
    settings: Settings, clock: Clock, logger: logging.Logger, calls: Counter[str]
) -> LookerClient:
    """Build a client for the configured instance; it adds its calls to `calls`."""
    connection = Connection(
        base_url=settings.base_url,
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        verify=settings.ca_bundle or settings.verify_ssl,
        timeout_seconds=settings.http_timeout_seconds,
        max_tries=settings.http_max_tries,
        call_limit=settings.api_call_limit,
        max_response_bytes=settings.max_response_bytes,
    )
    return LookerClient(connection, clock=clock, logger=logger, calls=calls)


@dataclass(eq=False)
class Launcher:
    """Launches the queries of one run; safe for concurrent use by threads, one for each query.

    Attributes:
        keepers: Queries to launch, each with its state, by name.
        settings: Settings of the run.
        client: Client of Looker's API.
        stored_queries: Stored queries looked up so far.
        clock: Clock of the run.
    """

    keepers: Mapping[str, QueryKeeper]
    settings: Settings
    client: LookerClient
    stored_queries: StoredQueries
    clock: Clock
    _prepared: dict[str, PreparedQuery] = field(default_factory=dict, init=False)
    # Queries whose ID in state Looker no longer accepts.
    _rejected: set[str] = field(default_factory=set, init=False)

    def fingerprint(self, query_name: str) -> str:
        """Return a hash that changes when the query changes in the configuration or in Looker.

        Raises:
            RequestError: If it comes from a Look that Looker does not have or show.
            NotRunnableError: If the Look's query is missing.
        """
        keeper = self.keepers[query_name]
        query, look_query_id = keeper.query, None
        if query.config.look_id is not None:
            # Users may give a Look another query.
            stored = self.stored_queries.find(query)
            if stored.problem:
                raise NotRunnableError(stored.problem)
            look_query_id = stored.query_id
        return fingerprint_of(query, self.settings, look_query_id, keeper.value)

    def configuration(self, query_name: str) -> str:
        """Return a hash that changes when the query's configuration changes."""
        return fingerprint_of(self.keepers[query_name].query, self.settings)

    def prepare(self, query_name: str) -> None:
        """Look a query up, and store the body to run in Looker.

        A query with an unchanged configuration since its last run needs neither.

        Raises:
            RequestError: If Looker does not have the query, or a request fails.
            ValueError: If the query cannot be run as configured.
        """
        keeper = self.keepers[query_name]
        if keeper.query.problem:
            raise NotRunnableError(keeper.query.problem)
        requested = self.fingerprint(query_name)
        last_run = keeper.last_run
        is_known = last_run.query_id and last_run.fingerprint == requested
        if is_known and query_name not in self._rejected:
            query = PreparedQuery(last_run.query_id, limits=last_run.limits)
        else:
            stored = self.stored_queries.find(keeper.query)
            query = prepare_query(keeper.query, stored, self.settings.query_timezone, keeper)
        query_id, share_url = query.query_id, as_text(query.body.get("share_url"))
        if query_id is None:
            query_id, share_url = self.client.create_query(query.body)
        self._prepared[query_name] = replace(
            query, query_id=query_id, share_url=share_url, fingerprint=requested
        )

    def launch(self, launch: Launch) -> LaunchedTask:
        """Create the task of a prepared query.

        An ID from state that Looker rejects, as a restored instance does, is looked up again once.

        Raises:
            RequestError: If Looker rejects the launch, or the request fails.
        """
        name = launch.query_name
        is_from_state = not self._prepared[name].body
        try:
            return self._create_task(launch)
        except RequestRejectedError as error:
            if not is_from_state or error.http_status not in _ID_REJECTED:
                raise
        self._rejected.add(name)
        self.prepare(name)
        return self._create_task(launch)

    def _create_task(self, launch: Launch) -> LaunchedTask:
        name = launch.query_name
        prepared, source = self._prepared[name], self.keepers[name].query
        query_id = str(prepared.query_id)
        query_task_id = self.client.create_query_task(
            query_id,
            self.settings.result_format,
            look_id=source.look_id,
            dashboard_id=source.dashboard_id,
            server_table_calcs=prepared.server_table_calcs,
            cache=self.settings.cache if source.config.cache is None else source.config.cache,
        )
        return LaunchedTask(
            query_task_id,
            name,
            query_id,
            launch.attempt,
            launched_at=self.clock.now(),
            fingerprint=prepared.fingerprint,
            limits=prepared.limits,
            share_url=prepared.share_url,
            expected=self.keepers[name].last_run.expected,
        )

    def save(self, task: LaunchedTask, runtime: float | None, run_id: str | None) -> None:
        """Save in state the run of a query whose result is delivered.

        Args:
            task: Task of the query.
            runtime: Seconds it took; None if that is unknown or its result was cached.
            run_id: Name of the run, if it has one.
        """
        keeper = self.keepers[task.query_name]
        last_run = QueryState(
            fingerprint=task.fingerprint,
            configuration=self.configuration(task.query_name),
            body=self.stored_queries.body_to_keep(keeper, len(self.keepers)),
            query_id=task.query_id if self._is_reusable(task, keeper) else None,
            **msgspec.to_builtins(task.limits),
            content=keeper.query.content_path,
        )
        keeper.save(last_run, runtime, run_id)

    def _is_reusable(self, task: LaunchedTask, keeper: QueryKeeper) -> bool:
        """Return whether Looker's ID is enough to run the query once more."""
        if keeper.column:
            return False
        if prepared := self._prepared.get(task.query_name):
            return not prepared.server_table_calcs
        return keeper.last_run.query_id == task.query_id


def fingerprint_of(
    query: ConfiguredQuery,
    settings: Settings,
    look_query_id: str | None = None,
    bookmark: object = None,
) -> str:
    """Hash all that determines the result of a configured query: equal in every run and process.

    The hash includes the instance, because another one has other queries under the same IDs.
    """
    config = msgspec.structs.replace(query.config, name="", url=None, primary_keys=())
    tile_body = query.tile_body and fingerprint(query.tile_body)
    determining = [
        settings.base_url,
        config,
        query.tile_filters,
        tile_body,
        settings.query_timezone,
        settings.result_format,
        look_query_id,
        bookmark,
    ]
    return hashlib.sha256(msgspec.json.encode(determining, order="deterministic")).hexdigest()


# Stored queries behind the configured ones, each fetched once.

_NOT_FOUND = 404
_ID_REJECTED = frozenset({_NOT_FOUND, 422})


@dataclass(frozen=True, slots=True)
class StoredQuery:
    """A query in Looker.

    Attributes:
        body: Looker's `Query`.
        query_id: Looker's ID; None for a query that is not stored yet, from the configuration or
            from a dashboard.
        title: Title of the Look.
        description: Description of the Look.
        problem: Reason why it must not run, though Looker still has it: its Look is in the trash.
    """

    body: Mapping[str, Any]
    query_id: str | None = None
    title: str | None = None
    description: str | None = None
    problem: str | None = None


_LOOK = "Look"
_NUMBERS_ARE_GONE = (
    "; since Looker 25.2, IDs of queries are slugs, not numbers: use url or query_slug"
)
# Bodies of all saved queries in state.
_MAX_BODIES_BYTES = 20_000


@dataclass(frozen=True, eq=False)
class StoredQueries:
    """Cache of stored queries and dashboards; safe for concurrent use by threads.

    Attributes:
        client: Client of Looker's API.
        settings: Settings of the run.
        earlier_state: Singer state of the last run, if there is one.
    """

    client: LookerClient
    settings: Settings
    earlier_state: object = None
    _lookups: Lookups[tuple[str, str], StoredQuery] = field(default_factory=Lookups, init=False)
    _dashboards: Lookups[str, Dashboard] = field(default_factory=Lookups, init=False)
    _bodies: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict, init=False)

    def find(self, query: ConfiguredQuery) -> StoredQuery:
        """Look up the query behind a configured one.

        Raises:
            RequestError: If Looker does not have or show it, or a request fails.
            NotRunnableError: If there is a Look, but its query is missing.
            ValueError: If Looker's response is not a query.
        """
        if query.config.explore is not None:
            return StoredQuery(explore_body(query.config.explore, self.settings.query_timezone))
        if query.tile_body:
            return _read_query(query.tile_body, title=query.title)
        source, id_ = _source_of(query.config)

        def look_up() -> StoredQuery:
            earlier = self._earlier_body(query)
            found = _read_query(earlier) if earlier else _look_up(source, id_, self.client)
            if source != _LOOK:
                # A Look may get another query, but saved queries never change.
                self._bodies[source, id_] = found.body
            return found

        return self._lookups.find((source, id_), look_up)

    def _earlier_body(self, query: ConfiguredQuery) -> dict[str, Any] | None:
        """Return the saved query's body in state, if the query's configuration has not changed."""
        match self.earlier_state:
            case {"bookmarks": {query.name: dict(bookmark)}}:
                last_run = QueryKeeper(query, bookmark).last_run
                is_unchanged = last_run.configuration == fingerprint_of(query, self.settings)
                return last_run.body if is_unchanged else None
        return None

    def dashboard(self, dashboard_id: str) -> Dashboard:
        """Look up a dashboard, and the merged results in it that this user can see.

        Raises:
            RequestError: If Looker does not have or show the dashboard, or a request fails.
        """

        def look_up() -> Dashboard:
            with name_what_is_not_there(f"dashboard {dashboard_id}"):
                found = self.client.dashboard(dashboard_id)
            merged: dict[str, Mapping[str, Any]] = {}
            for merge_id in merge_ids(found):
                with suppress(RequestRejectedError):
                    merged[merge_id] = self.client.merge_query(merge_id)
            return found, merged

        return self._dashboards.find(dashboard_id, look_up)

    def body_to_keep(self, keeper: QueryKeeper, queries: int) -> dict[str, Any] | None:
        """Return the saved query behind a configured one, if state has room for it.

        State is written often, so all bodies together are kept short.
        """
        body = self._bodies.get(_source_of(keeper.query.config))
        if body is None:
            return keeper.last_run.body
        kept = {"id": body.get("id"), **determining_parts(body)}
        return kept if len(msgspec.json.encode(kept)) <= _MAX_BODIES_BYTES // queries else None


@contextmanager
def name_what_is_not_there(what: str, way_out: str = "") -> Iterator[None]:
    """Name the object in the error when Looker does not find it.

    Raises:
        RequestRejectedError: If Looker's response is HTTP 404.
    """
    try:
        yield
    except RequestRejectedError as error:
        if error.http_status != _NOT_FOUND:
            raise
        msg = f"there is no {what}, or this user cannot see it{way_out}"
        raise RequestRejectedError(msg, http_status=_NOT_FOUND) from None


def _source_of(config: QueryConfig) -> tuple[str, str]:
    if config.query_id is not None:
        return "query", str(config.query_id)
    if config.query_slug is not None:
        return "query with the slug", config.query_slug
    return _LOOK, str(config.look_id)


def _look_up(source: str, id_: str, client: LookerClient) -> StoredQuery:
    way_out = _NUMBERS_ARE_GONE if source == "query" and id_.isdecimal() else ""
    with name_what_is_not_there(f"{source} {id_}", way_out):
        if source == _LOOK:
            return _read_look(id_, client.look(id_))
        body = client.query(id_) if source == "query" else client.query_for_slug(id_)
    return _read_query(body)


def _read_look(look_id: str, look: Mapping[str, Any]) -> StoredQuery:
    body = as_object(look.get("query"))
    problem = (
        f"Look {look_id} is deleted; restore it in Looker, or remove it here"
        if look.get("deleted")
        else None
    )
    if not body:
        raise NotRunnableError(problem or f"Look {look_id} has no query")
    described = as_text(look.get("title")), as_text(look.get("description"))
    return replace(_read_query(body, *described), problem=problem)


def _read_query(
    body: Mapping[str, Any], title: str | None = None, description: str | None = None
) -> StoredQuery:
    query_id = as_id(body.get("id"))
    return StoredQuery(check_body(body), query_id, title, description)
