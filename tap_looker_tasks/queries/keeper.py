"""State of a configured query: its bookmark, and its last run."""

from __future__ import annotations

from datetime import timedelta
from statistics import median
from typing import Any

import msgspec

from tap_looker_tasks.config import ConfiguredQuery, read_duration
from tap_looker_tasks.queries.body import Limits, RunTime
from tap_looker_tasks.records import DATE, Column

_MARGIN = timedelta(days=1)
# Enough that one odd run time changes nothing, and that new run times count after three runs.
_KEPT_RUN_TIMES = 5


class StreamState(msgspec.Struct):
    """The keys of a stream's bookmark that the SDK and a keeper read.

    Attributes:
        partitions: Bookmarks by partition, which the SDK reads; the tap has none.
        progress_markers: The SDK's marks of a run that did not end.
        replication_key: Field of the bookmark.
        version: Version of a stream with full-table replication.
        query: Keys of `QueryState`.
    """

    partitions: list[dict[str, Any]] = []
    progress_markers: dict[str, Any] = {}
    replication_key: str | None = None
    version: int | None = None
    query: dict[str, Any] | None = None


class QueryState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """State of a query that was run.

    Attributes:
        fingerprint: Hash of its configuration, its Look's query and its bookmark.
        configuration: Hash of its configuration alone.
        query_id: Looker's ID of the query; None if the configuration alone does not determine it.
        runtimes_milliseconds: Times that its last runs took, the latest last, without results from
            the cache. Integers, because some targets cannot write state with fractions.
        body: The saved query that the configuration names, if it is short. Looker never changes a
            saved query, so no run looks it up again.
        row_limit: Maximum number of rows of its result.
        column_limit: Maximum number of pivot values.
    """

    fingerprint: str | None = None
    configuration: str | None = None
    query_id: str | None = None
    runtimes_milliseconds: tuple[int, ...] = ()
    body: dict[str, Any] | None = None
    row_limit: int | None = None
    column_limit: int | None = None

    @property
    def expected(self) -> RunTime | None:
        """Expected run time of the next run."""
        if not self.runtimes_milliseconds:
            return None
        middle = median(self.runtimes_milliseconds)
        spread = median(abs(each - middle) for each in self.runtimes_milliseconds)
        return RunTime(middle / 1000, spread / 1000)

    @property
    def limits(self) -> Limits:
        """Limits at which Looker cuts off its result."""
        return Limits(self.row_limit, self.column_limit)


class QueryKeeper:
    """The bookmark of a query's stream, updated as results are delivered.

    Its keys: `replication_key`, `replication_key_value` and `time_zone` of an incremental query;
    `query`, a `QueryState`; `run_id`, the name of the run that delivered it last.

    Attributes:
        query: The query to run.
        column: Column of the replication key; None if the query is not incremental.
    """

    def __init__(
        self,
        query: ConfiguredQuery,
        bookmark: dict[str, Any],
        column: Column | None = None,
        start_date: str | None = None,
    ) -> None:
        """Load the state of earlier runs; `start_date` is the first value of a moment."""
        self.query = query
        self.column = column
        self._bookmark = bookmark
        self._start_date = start_date

    @property
    def value(self) -> object:
        """The value an incremental query resumes from; None at the start."""
        if self.column is None:
            return None
        if self._has_value():
            older = self._bookmark.get(self.column.name)
            return self._bookmark.get("replication_key_value", older)
        return None if self.column.column_type.is_number else self._start_date

    def back(self, query_timezone: str) -> timedelta:
        """Return how long before the bookmark the next run starts: `lookback`, more for a zone."""
        if not self._has_value():
            return timedelta(0)
        lookback = self.query.config.lookback
        margin = _MARGIN if self.is_of_another_zone(query_timezone) else timedelta(0)
        return margin + (read_duration(lookback) if lookback else timedelta(0))

    def is_of_another_zone(self, query_timezone: str) -> bool:
        """Return whether the bookmark is a day of another time zone."""
        is_day = self.column is not None and self.column.column_type is DATE
        return is_day and self._has_value() and self._bookmark.get("time_zone") != query_timezone

    def _has_value(self) -> bool:
        """Return whether state has a value; older taps wrote Looker's name, or name and value."""
        if self.column is None:
            return False
        key = self._bookmark.get("replication_key")
        is_older = key is None and isinstance(self._bookmark.get(self.column.name), str | int)
        return is_older or key in {self.column.name, self.column.field}

    def move(self, value: object, query_timezone: str) -> None:
        """Move the bookmark of an incremental query, once the last row up to it is written."""
        if self.column is not None and value is not None:
            self._bookmark.pop(self.column.name, None)
            self._bookmark["replication_key"] = self.column.name
            self._bookmark["replication_key_value"] = value
            if not self.column.column_type.is_number:
                self._bookmark["time_zone"] = query_timezone

    @property
    def last_run(self) -> QueryState:
        """The last run of the query in state; empty if it cannot be read."""
        try:
            return msgspec.convert(self._bookmark.get("query") or {}, QueryState, strict=False)
        except msgspec.ValidationError:
            return QueryState()

    def save(self, last_run: QueryState, runtime: float | None) -> None:
        """Save the run of the query, once its result is delivered.

        Args:
            last_run: State to save, without run times.
            runtime: Seconds the query took; None if that is unknown or the result was cached.
        """
        runtimes = [*self.last_run.runtimes_milliseconds]
        if runtime is not None:
            runtimes.append(round(runtime * 1000))
        state = msgspec.structs.replace(
            last_run, runtimes_milliseconds=tuple(runtimes[-_KEPT_RUN_TIMES:])
        )
        self._bookmark["query"] = msgspec.to_builtins(state)

    def was_delivered_in(self, run_id: str, configuration: str) -> bool:
        """Return whether a run of this name delivered the query with this configuration."""
        is_unchanged = self.last_run.configuration == configuration
        return is_unchanged and self._bookmark.get("run_id") == run_id

    def note_delivered_in(self, run_id: str | None) -> None:
        """Save the name of the run that delivered the query last; None for a run without a name."""
        if run_id is None:
            self._bookmark.pop("run_id", None)
        else:
            self._bookmark["run_id"] = run_id
