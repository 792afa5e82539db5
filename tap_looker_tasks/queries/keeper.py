"""State of a configured query: its bookmark, and its last run."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import msgspec

from tap_looker_tasks.config import ConfiguredQuery, read_duration
from tap_looker_tasks.queries.body import Limits, RunTime
from tap_looker_tasks.queries.bookmark import BETWEEN_ZONES
from tap_looker_tasks.records import DATE, Column

# A bookmark of an older release, or of another hand, may be later than any moment of today.
_LATEST = timedelta(days=2)
_DAY = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)", re.ASCII)
# Keys of a stream's bookmark that this tap and the SDK write.
_OWN_KEYS = frozenset(
    {
        *("replication_key", "replication_key_value", "time_zone", "query", "version", "run_id"),
        *("partitions", "progress_markers"),
        *("replication_key_signpost", "starting_replication_value"),
    }
)
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


class QueryState(Limits, frozen=True, kw_only=True, omit_defaults=True):
    """State of a query that was run, with the limits of its result.

    Attributes:
        fingerprint: Hash of its configuration, its Look's query and its bookmark.
        configuration: Hash of its configuration alone.
        query_id: Looker's ID of the query; None if the configuration alone does not determine it.
        runtimes_milliseconds: Times that its last runs took, the latest last, without results from
            the cache. Integers, because some targets cannot write state with fractions.
        body: The saved query that the configuration names, if it is short. Looker never changes a
            saved query, so no run looks it up again.
        content: Path of the content in Looker whose title names the stream.
    """

    fingerprint: str | None = None
    configuration: str | None = None
    query_id: str | None = None
    runtimes_milliseconds: tuple[int, ...] = ()
    body: dict[str, Any] | None = None
    content: str | None = None

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
        if self.has_bookmark:
            return self._found
        return None if self.column.column_type.is_number else self._start_date

    def back(self, query_timezone: str) -> timedelta:
        """Return how long before the bookmark the next run starts: `lookback`, more for a zone."""
        if not self.has_bookmark:
            return timedelta(0)
        lookback = self.query.config.lookback
        margin = BETWEEN_ZONES if self.is_of_another_zone(query_timezone) else timedelta(0)
        return margin + (read_duration(lookback) if lookback else timedelta(0))

    def is_of_another_zone(self, query_timezone: str) -> bool:
        """Return whether the bookmark is a day of another time zone."""
        is_day = self.column is not None and self.column.column_type is DATE
        return is_day and self.has_bookmark and self._bookmark.get("time_zone") != query_timezone

    @property
    def has_bookmark(self) -> bool:
        """True if state has a value of the replication key."""
        return self._found is not None

    @property
    def _found(self) -> object:
        """The value in state; other taps write Looker's name, a short name, or name and value."""
        if self.column is None:
            return None
        key = self._bookmark.get("replication_key")
        if key is None:
            named = map(self._bookmark.get, self._names)
            other = next((value for value in named if isinstance(value, str | int)), None)
            return self._bookmark.get("replication_key_value", other)
        return self._bookmark.get("replication_key_value") if self._is_own(key) else None

    def _is_own(self, key: object) -> bool:
        name = self.column.name if self.column else ""
        return key in self._names or name.endswith(f"__{key}")

    @property
    def problem(self) -> str | None:
        """Why the bookmark in state is unclear, so that a run would load everything again."""
        keys = self._bookmark.keys()
        if self.column is None or self.has_bookmark or not keys or keys & _OWN_KEYS:
            return None
        return (
            f"state: the bookmark of {self.query.name} has {', '.join(keys)} instead of "
            f"`replication_key_value`, the value of {self.column.name} to resume from; write that, "
            "or remove the bookmark to load everything again"
        )

    def drop_unusable(self, now: float) -> str | None:
        """Drop a bookmark of the future; return why the run does not resume from state.

        Args:
            now: Epoch seconds.
        """
        key = self._bookmark.get("replication_key")
        if self.column is None:
            return None
        if self.has_bookmark and self._is_future(now):
            reason = f"is in the future ({self._found}), and would skip all rows until then"
            for name in ("replication_key", "replication_key_value", "time_zone", *self._names):
                self._bookmark.pop(name, None)
        elif key is not None and not self._is_own(key):
            reason = f"is of {key}, while the replication key is {self.column.name}"
        else:
            return None
        start = "the start" if self.value is None else f"start_date ({self.value})"
        return f"{self.query.name}: the bookmark in state {reason}; loading from {start}"

    def _is_future(self, now: float) -> bool:
        if self.column is None or self.column.column_type.is_number:
            return False
        day = _DAY.match(str(self._found))
        latest = datetime.fromtimestamp(now, tz=UTC) + _LATEST
        return day is not None and "-".join(day.groups()) > latest.date().isoformat()

    def move(self, value: object, query_timezone: str) -> None:
        """Move the bookmark of an incremental query, once the last row up to it is written."""
        if self.column is not None and value is not None:
            for name in self._names:
                self._bookmark.pop(name, None)
            self._bookmark["replication_key"] = self.column.name
            self._bookmark["replication_key_value"] = value
            if not self.column.column_type.is_number:
                self._bookmark["time_zone"] = query_timezone

    @property
    def _names(self) -> tuple[str, ...]:
        return (self.column.name, self.column.field) if self.column else ()

    @property
    def last_run(self) -> QueryState:
        """The last run of the query in state; empty if it cannot be read."""
        try:
            return msgspec.convert(self._bookmark.get("query") or {}, QueryState, strict=False)
        except msgspec.ValidationError:
            return QueryState()

    def save(self, last_run: QueryState, runtime: float | None, run_id: str | None) -> None:
        """Save the run of the query, once its result is delivered.

        Args:
            last_run: State to save, without run times.
            runtime: Seconds the query took; None if that is unknown or the result was cached.
            run_id: Name of the tap's run; None for one without a name.
        """
        runtimes = [*self.last_run.runtimes_milliseconds]
        if runtime is not None:
            runtimes.append(round(runtime * 1000))
        state = msgspec.structs.replace(
            last_run, runtimes_milliseconds=tuple(runtimes[-_KEPT_RUN_TIMES:])
        )
        self._bookmark["query"] = msgspec.to_builtins(state)
        if run_id is None:
            self._bookmark.pop("run_id", None)
        else:
            self._bookmark["run_id"] = run_id

    def was_delivered_in(self, run_id: str, configuration: str) -> bool:
        """Return whether a run of this name delivered the query with this configuration."""
        is_unchanged = self.last_run.configuration == configuration
        return is_unchanged and self._bookmark.get("run_id") == run_id


def names_by_content(state: object) -> dict[str, set[str]]:
    """Return names of streams in Singer state, by the content whose title named them."""
    names: dict[str, set[str]] = {}
    match state:
        case {"bookmarks": dict(bookmarks)}:
            for name, bookmark in bookmarks.items():
                match bookmark:
                    case {"query": {"content": str(content)}}:
                        names.setdefault(content, set()).add(name)
    return names
