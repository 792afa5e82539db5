"""Creates query tasks for configured queries, with bookmarks and changes merged in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_looker_tasks.queries import (
    Limits,
    changed_copy,
    configured_limits,
    fingerprint,
    from_bookmark,
    limits_of,
    overrides_of,
)
from tap_looker_tasks.records import has_table_calculations
from tap_looker_tasks.tasks import LaunchedTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_looker_tasks.config import ConfiguredQuery, Settings
    from tap_looker_tasks.launching.stored_queries import StoredQueries, StoredQuery
    from tap_looker_tasks.looker import Clock, LookerClient
    from tap_looker_tasks.records import Column
    from tap_looker_tasks.tasks import QueuedQuery


class Bookmark(NamedTuple):
    """Where an incremental query goes on.

    Attributes:
        column: of the replication key.
        value: what was delivered last; None at the beginning.
    """

    column: Column
    value: object


class QueryState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What state remembers of a query that was run.

    Attributes:
        fingerprint: of its configuration.
        query_id: Looker's id of the query; None when the configuration alone does not say all
            that is to be known of it.
        runtime_seconds: how long it took, in whole seconds: some targets cannot write state
            with a fraction in it.
        runtime_milliseconds: the same, to tell short queries apart.
        row_limit: of the query, when results do not tell whether it cut them off.
        column_limit: likewise.
    """

    fingerprint: str | None = None
    query_id: str | None = None
    runtime_seconds: int | None = None
    runtime_milliseconds: int | None = None
    row_limit: int | None = None
    column_limit: int | None = None

    @property
    def runtime(self) -> float | None:
        """How many seconds it took, as exactly as it is known."""
        if self.runtime_milliseconds is None:
            return self.runtime_seconds
        return self.runtime_milliseconds / 1000

    @property
    def unmarked_limits(self) -> Limits:
        """What results are cut off at without telling."""
        return Limits(self.row_limit, self.column_limit)

    @classmethod
    def from_state(cls, remembered: object) -> QueryState:
        """Read what state remembers; nothing, when it is of another shape."""
        try:
            return msgspec.convert(remembered or {}, cls, strict=False)
        except msgspec.ValidationError:
            return cls()


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """A query as it is to be run.

    Attributes:
        body: with everything merged in.
        query_id: of the stored query, when nothing is changed about it.
    """

    body: Mapping[str, Any]
    query_id: str | None

    @property
    def limits(self) -> Limits:
        """What its result is cut off at."""
        return limits_of(self.body)

    @property
    def server_table_calcs(self) -> bool:
        """Whether Looker must be asked to compute table calculations."""
        return has_table_calculations(self.body)


@dataclass(frozen=True, slots=True)
class _ReadyQuery:
    """A query that Looker can be told to run.

    Attributes:
        query_id: Looker's id.
        fingerprint: of its configuration.
        limits: what its result is cut off at, as far as it is known.
        unmarked_limits: those of them that leave no mark in the result.
        server_table_calcs: whether Looker must be told to compute table calculations.
    """

    query_id: str
    fingerprint: str
    limits: Limits
    unmarked_limits: Limits
    server_table_calcs: bool = False


def prepare_query(
    query: ConfiguredQuery, stored: StoredQuery, bookmark: Bookmark | None, query_timezone: str
) -> PreparedQuery:
    """Merge everything that is wanted into a stored query.

    Raises:
        ValueError: the bookmark cannot be merged in.
    """
    overrides = overrides_of(query.config, query.tile_filters)
    overrides = replace(overrides, query_timezone=query_timezone)
    if bookmark:
        overrides = from_bookmark(
            overrides, stored.body, bookmark.column, bookmark.value, query_timezone
        )
    copy = changed_copy(stored.body, overrides)
    if copy is None:
        return PreparedQuery(stored.body, stored.query_id)
    return PreparedQuery(copy, None)


class Launcher:
    """Launches the queries of one run; for any thread, one for each query at a time."""

    def __init__(  # noqa: PLR0913 - what is known of queries, and what is needed to run them
        self,
        queries: Mapping[str, ConfiguredQuery],
        bookmarks: Mapping[str, Bookmark],
        remembered: Mapping[str, QueryState],
        *,
        client: LookerClient,
        stored_queries: StoredQueries,
        settings: Settings,
        clock: Clock,
    ) -> None:
        """Take queries, bookmarks of incremental ones, and what state remembers, by name."""
        self._queries = queries
        self._bookmarks = bookmarks
        self._remembered = remembered
        self._client = client
        self._stored_queries = stored_queries
        self._settings = settings
        self._clock = clock
        self._ready: dict[str, _ReadyQuery] = {}

    def fingerprint(self, query_name: str) -> str:
        """Return what tells runs of a query from those of one that was changed since.

        Raises:
            RequestError: it comes from a Look, which Looker does not have or show.
            LookWithoutQueryError: the Look's query is not there.
        """
        query = self._queries[query_name]
        look_query_id = None
        if query.config.look_id is not None:
            # People may give a Look another query.
            look_query_id = self._stored_queries.find(query, self._client).query_id
        bookmark = self._bookmarks.get(query_name)
        return fingerprint_of(
            query,
            look_query_id,
            bookmark and bookmark.value,
            base_url=self._settings.base_url,
            query_timezone=self._settings.query_timezone,
            result_format=self._settings.result_format,
        )

    def prepare(self, query_name: str) -> None:
        """Look a query up, and have Looker store what is to be run.

        A query that is configured as it was when it was last run needs neither.

        Raises:
            RequestError: Looker does not have the query, or could not be asked.
            ValueError: the query cannot be run as configured.
        """
        wanted = self.fingerprint(query_name)
        remembered = self._remembered.get(query_name)
        if remembered and remembered.query_id and remembered.fingerprint == wanted:
            unmarked = remembered.unmarked_limits
            limits = unmarked.or_else(configured_limits(self._queries[query_name].config))
            self._ready[query_name] = _ReadyQuery(remembered.query_id, wanted, limits, unmarked)
            return
        query = self._queries[query_name]
        stored = self._stored_queries.find(query, self._client)
        run = prepare_query(
            query, stored, self._bookmarks.get(query_name), self._settings.query_timezone
        )
        query_id = run.query_id or self._client.create_query(run.body)
        unmarked = run.limits.unmarked(self._settings.result_format)
        self._ready[query_name] = _ReadyQuery(
            query_id, wanted, run.limits, unmarked, run.server_table_calcs
        )

    def launch(self, query: QueuedQuery) -> LaunchedTask:
        """Create the task of a query that is prepared.

        Raises:
            RequestError: Looker refuses to run it, or could not be asked.
        """
        ready, source = self._ready[query.query_name], self._queries[query.query_name]
        query_task_id = self._client.create_query_task(
            ready.query_id,
            self._settings.result_format,
            look_id=source.look_id,
            dashboard_id=source.dashboard_id,
            server_table_calcs=ready.server_table_calcs,
            cache=self._settings.cache if source.config.cache is None else source.config.cache,
        )
        return LaunchedTask(
            query_task_id,
            query.query_name,
            ready.query_id,
            query.attempt,
            launched_at=self._clock.now(),
            fingerprint=ready.fingerprint,
            limits=ready.limits,
            unmarked_limits=ready.unmarked_limits,
        )

    def query_to_remember(self, task: LaunchedTask, runtime: float | None) -> QueryState:
        """Return what state should remember of a query whose result is delivered."""
        return QueryState(
            fingerprint=task.fingerprint,
            query_id=task.query_id if self._is_reusable(task) else None,
            runtime_seconds=None if runtime is None else ceil(runtime),
            runtime_milliseconds=None if runtime is None else round(runtime * 1000),
            **task.unmarked_limits.known(),
        )

    def _is_reusable(self, task: LaunchedTask) -> bool:
        """Return whether Looker's id is all that is needed to run the query once more."""
        if task.query_name in self._bookmarks:
            return False
        if ready := self._ready.get(task.query_name):
            return not ready.server_table_calcs
        remembered = self._remembered.get(task.query_name)
        return remembered is not None and remembered.query_id == task.query_id


def fingerprint_of(
    query: ConfiguredQuery,
    look_query_id: str | None,
    bookmark: object,
    *,
    base_url: str,
    query_timezone: str,
    result_format: str,
) -> str:
    """Hash what determines the result of a configured query: the same in every run and process.

    The instance is a part of it: another one has other queries under the same ids.
    """
    config = msgspec.structs.replace(query.config, name="", primary_keys=())
    tile_body = query.tile_body and fingerprint(query.tile_body)
    determining = [
        base_url,
        config,
        query.tile_filters,
        tile_body,
        query_timezone,
        result_format,
        look_query_id,
        bookmark,
    ]
    return hashlib.sha256(msgspec.json.encode(determining, order="deterministic")).hexdigest()
