"""Creates query tasks for configured queries, with bookmarks and changes merged in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tap_looker_tasks.queries.body import changed_copy, fingerprint, overrides_of
from tap_looker_tasks.queries.bookmark import from_bookmark
from tap_looker_tasks.queries.config import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_looker_tasks.looker.client import LookerClient
    from tap_looker_tasks.records.columns import Column
    from tap_looker_tasks.settings import Settings
    from tap_looker_tasks.tasks.stored_queries import ConfiguredQuery, StoredQueries, StoredQuery

_LIMIT_OF_LOOKER = 500


class Bookmark(NamedTuple):
    """Where an incremental query goes on.

    Attributes:
        column: of the replication key.
        value: what was delivered last; None at the beginning.
    """

    column: Column
    value: object


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
    def limit(self) -> int | None:
        """Most rows that Looker will send; None for all."""
        limit = int(self.body.get("limit") or _LIMIT_OF_LOOKER)
        return None if limit == UNLIMITED else limit

    @property
    def fingerprint(self) -> str:
        """Tells runs of the same query from those of a changed one."""
        return fingerprint(self.body)


def prepared(
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
    """Launches the queries of one run."""

    def __init__(
        self,
        queries: Mapping[str, ConfiguredQuery],
        bookmarks: Mapping[str, Bookmark],
        *,
        client: LookerClient,
        stored_queries: StoredQueries,
        settings: Settings,
    ) -> None:
        """Take queries, and bookmarks of incremental ones, by the name of the query."""
        self._queries = queries
        self._bookmarks = bookmarks
        self._client = client
        self._stored_queries = stored_queries
        self._settings = settings
        self._prepared: dict[str, PreparedQuery] = {}

    def prepare(self, query_name: str) -> PreparedQuery:
        """Make out what to run.

        Raises:
            RequestError: Looker does not have the query, or could not be asked.
            ValueError: the query cannot be made out.
        """
        if query_name not in self._prepared:
            query = self._queries[query_name]
            stored = self._stored_queries.find(query, self._client)
            bookmark = self._bookmarks.get(query_name)
            timezone = self._settings.query_timezone
            self._prepared[query_name] = prepared(query, stored, bookmark, timezone)
        return self._prepared[query_name]

    def launch(self, query_name: str) -> tuple[str, str]:
        """Create a query's task; returns the ids of task and query.

        Raises:
            RequestError: Looker does not have the query, or refuses to run it.
            ValueError: the query cannot be made out.
        """
        query = self._queries[query_name]
        wanted = self.prepare(query_name)
        query_id = wanted.query_id or self._client.create_query(wanted.body)
        query_task_id = self._client.create_query_task(
            query_id,
            self._settings.result_format,
            look_id=query.look_id,
            dashboard_id=query.dashboard_id,
        )
        return query_task_id, query_id
