"""The SDK streams: names, keys, schemas, records; no HTTP, no polling."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from singer_sdk import Stream, metrics
from singer_sdk import typing as th
from singer_sdk.exceptions import AbortedSyncFailedException, AbortedSyncPausedException
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from typing_extensions import override

from tap_looker_tasks.discovery import replication_key
from tap_looker_tasks.looker.json_text import MalformedAnswer, read_json
from tap_looker_tasks.looker.result import Result, one_array, read_result
from tap_looker_tasks.queries.body import next_bookmark
from tap_looker_tasks.records.columns import INTEGER, NUMBER, columns_in_schema, compare, vanished
from tap_looker_tasks.records.rows import RecordBatch, RecordType, RowReader
from tap_looker_tasks.records.timestamps import to_rfc3339
from tap_looker_tasks.singer.message_writer import ReadyJson, RecordChunk
from tap_looker_tasks.tasks.collector import NotLaunched
from tap_looker_tasks.tasks.launcher import Bookmark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context, Record

    from tap_looker_tasks.discovery import QueryStreamPlan
    from tap_looker_tasks.records.columns import Column
    from tap_looker_tasks.tasks.board import Running
    from tap_looker_tasks.tasks.collector import Outcome
    from tap_looker_tasks.tasks.stored_queries import ConfiguredQuery
    from tap_looker_tasks.tasks.sync import Sync

_COMPLETE = "complete"
_RAW_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
# Free objects carry no `properties` key: targets drop the column when it is there and empty.
_FREE_OBJECT = th.CustomType({"type": ["object", "null"]})
_FREE_OBJECTS = th.CustomType({"type": ["array", "null"], "items": {"type": ["object", "null"]}})


class _LookerStream(Stream):
    """A stream whose records are typed already."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    @property
    def takes_raw_json(self) -> bool:
        """Whether records reach the message writer as they are.

        Stream maps, flattening and BATCH files need decoded values; they cannot read the
        JSON that the message writer would pass through.
        """
        first, *others = self.stream_maps
        return (
            not others
            and type(first) is SameRecordTransform
            and not first.flattening_enabled
            and self.get_batch_config(self.config) is None
        )

    def selects(self, property_name: str) -> bool:
        """Tell whether the catalog selects a property."""
        return self.mask.get(("properties", property_name), True)


class QueryTaskResultsStream(_LookerStream):
    """One record per query task: its outcome and, unless a stream holds the rows, its result.

    Syncing it is what follows the tasks: each one is delivered, rows first, as soon as its
    outcome is known, and then remembered in state.
    """

    name = "query_task_results"
    primary_keys: ClassVar[tuple[str, ...]] = ("query_task_id",)
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property(
            "query_task_id", th.StringType, required=True, description="Looker's id of the task"
        ),
        th.Property(
            "status",
            th.StringType,
            description="Looker's word in lower case; or `absent`: Looker never answered for "
            "this id; or `timeout`: unfinished after `task_timeout_seconds`",
        ),
        th.Property(
            "query_name",
            th.StringType,
            description="Name of the configured query; null for a task made elsewhere",
        ),
        th.Property("query_id", th.StringType, description="Looker's id of the query"),
        th.Property(
            "look_id", th.StringType, description="Looker's id of the Look the query came from"
        ),
        th.Property(
            "dashboard_id",
            th.StringType,
            description="Looker's id of the dashboard the query came from",
        ),
        th.Property(
            "origin", th.StringType, description="`given`: made elsewhere; `launched`: by this tap"
        ),
        th.Property(
            "result_format",
            th.StringType,
            description="Format of the result, as its shape tells; null for text",
        ),
        th.Property(
            "result_source",
            th.StringType,
            description="Where Looker took the result from, such as `query` or `cache`",
        ),
        th.Property(
            "from_cache", th.BooleanType, description="Whether the result came from Looker's cache"
        ),
        th.Property("attempt", th.IntegerType, description="Number of the launch, from 1"),
        th.Property("launched_at", th.DateTimeType, description="When this tap created the task"),
        th.Property(
            "first_seen_at", th.DateTimeType, description="When Looker first answered for the task"
        ),
        th.Property(
            "finished_at",
            th.DateTimeType,
            description="When the tap saw the final status; null while unfinished",
        ),
        th.Property(
            "runtime_seconds",
            th.NumberType,
            description="Time the query took, as Looker reports it",
        ),
        th.Property("row_count", th.IntegerType, description="Rows of the result"),
        th.Property(
            "truncated", th.BooleanType, description="Whether a row limit cut the result off"
        ),
        th.Property("error_message", th.StringType, description="First error, in one line"),
        th.Property("errors", _FREE_OBJECTS, description="Errors as Looker sent them"),
        th.Property("warnings", _FREE_OBJECTS, description="Errors that Looker marks as not fatal"),
        th.Property(
            "fields", _FREE_OBJECTS, description="Fields of the result: name, label, type, category"
        ),
        th.Property(
            "data",
            _FREE_OBJECT,
            description='`{"rows": [...]}` or `{"text": "..."}`; null without a result',
        ),
    ).to_dict()

    def __init__(
        self,
        tap: Tap,
        syncing: Callable[[dict[str, Any], list[QueryStream]], AbstractContextManager[Sync]],
        end_sync: Callable[[Sequence[str]], None],
    ) -> None:
        """Take the tap's ways to begin a sync, given this stream's bookmark, and to end it."""
        super().__init__(tap)
        self._syncing = syncing
        self._end_sync = end_sync
        self._incomplete: list[str] = []

    @property
    def is_test_run(self) -> bool:
        """Whether no more than some records of each stream are wanted."""
        return self.ABORT_AT_RECORD_COUNT is not None

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        records = self._records()
        # A test run would end with the first task, before other streams had their record.
        yield from [*records][: self.ABORT_AT_RECORD_COUNT] if self.is_test_run else records

    def _records(self) -> Iterator[Record]:
        streams = [s for s in self.child_streams if isinstance(s, QueryStream) and s.selected]
        with self._syncing(self.stream_state, streams) as sync:
            for outcome in sync.outcomes():
                if isinstance(outcome, NotLaunched):
                    self._incomplete.append(
                        f"{outcome.query_name} (not launched: {outcome.reason})"
                    )
                    continue
                record, is_readable = self._deliver(outcome, sync)
                yield record
                # Only now is the task's last record out.
                if outcome.finished_at is None:
                    sync.ledger.leave(outcome.task)
                elif is_readable:
                    sync.ledger.remember(outcome.task, outcome.status)
                else:
                    sync.ledger.forget(outcome.task)
                sync.write_state_if_due()

    @override
    def generate_child_contexts(
        self, record: Record, context: Context | None
    ) -> Iterable[Context | None]:
        # The SDK would sync every child for every task; `_deliver` syncs the one concerned.
        return ()

    @override
    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        """Everything is delivered now."""
        super().finalize_state_progress_markers(state)
        self._end_sync(self._incomplete)

    def _deliver(self, outcome: Outcome, sync: Sync) -> tuple[Record, bool]:
        """Deliver the task's rows; returns its own record, and whether its result was readable."""
        task = outcome.task
        record = _record_of_task(outcome, sync.queries.get(task.query_name or ""))
        named = (
            f"{task.query_task_id} ({task.query_name}, "
            if task.query_name
            else (f"{task.query_task_id} (")
        )
        try:
            result = read_result(outcome.answer) if outcome.answer else None
            if result:
                record |= self._record_of_result(result, task)
                self._note_truncation(record, task, sync)
                self._sync_rows(outcome, result)
        except MalformedAnswer as malformed:
            record["error_message"] = f"the result cannot be read: {malformed}"
            self._incomplete.append(f"{named}{record['error_message']})")
            return record, False
        if outcome.finished_at is not None and record["status"] != _COMPLETE:
            reason = f": {record['error_message']}" if record["error_message"] else ""
            self._incomplete.append(f"{named}{record['status']}{reason})")
        return record, outcome.problem is None

    def _note_truncation(self, record: Record, task: Running, sync: Sync) -> None:
        """Say when a limit may have cut a result off."""
        name, row_count = task.query_name, record["row_count"]
        if name is None or row_count is None:
            return
        if record["truncated"] or sync.is_cut_off(name, row_count):
            record["truncated"] = True
            self.logger.warning(
                "%s: the result of %d rows is as long as its limit allows, there may be more; "
                "change `limit` at %s",
                name,
                row_count,
                sync.queries[name].place,
            )

    def _sync_rows(self, outcome: Outcome, result: Result) -> None:
        for stream in self.child_streams:
            if not isinstance(stream, RowStream) or not stream.selected:
                continue
            if stream.query_name == outcome.task.query_name and result.row_count is not None:
                stream.deliver(outcome, result)

    def _record_of_result(self, result: Result, task: Running) -> Record:
        return {
            "status": result.status,
            "result_format": result.result_format,
            "from_cache": result.from_cache,
            "runtime_seconds": result.runtime_seconds,
            "row_count": result.row_count,
            "truncated": result.truncated,
            "error_message": result.error_message,
            "errors": list(result.errors),
            "warnings": list(result.warnings),
            "fields": result.fields and [msgspec.to_builtins(field) for field in result.fields],
            "data": self._data(result) if self._wants_data(task) else None,
        }

    def _wants_data(self, task: Running) -> bool:
        return task.query_name is None and self.selected and self.selects("data")

    def _data(self, result: Result) -> dict[str, Any] | None:
        if result.text is not None:
            return {"text": result.text}
        if result.row_count is None:
            return None
        if not self.takes_raw_json:
            return {"rows": list(result.rows())}
        if result.is_long:
            # Whatever cannot be read must show now: half a line cannot be taken back.
            for _ in result.flat_arrays():
                pass
            return {"rows": ReadyJson(one_array(result.flat_arrays()))}
        return {"rows": ReadyJson(tuple(one_array(result.flat_arrays())))}


class _ChunkCounter(metrics.Counter):
    """Counts the records of a chunk, which the SDK takes for one."""

    step = 1

    @override
    def increment(self, value: int = 1) -> None:
        super().increment(value * self.step)


class RowStream(_LookerStream):
    """A stream of result rows, delivered one task after the other.

    Attributes:
        query_name: the query its tasks are launched for; None for those made elsewhere.
    """

    parent_stream_type = QueryTaskResultsStream
    state_partitioning_keys: ClassVar[tuple[str, ...]] = ()
    query_name: str | None = None
    _batches: Iterator[RecordBatch]

    @abstractmethod
    def batches(self, result: Result, query_task_id: str) -> Iterator[RecordBatch]:
        """Yield the records of a task."""

    @property
    def goes_in_chunks(self) -> bool:
        """Whether records take the short way to the message writer, many at a time."""
        return self.takes_raw_json and self.ABORT_AT_RECORD_COUNT is None

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        for batch in self._batches:
            if self.goes_in_chunks:
                self._record_counter.step = len(batch)
                # The SDK leaves out what is deselected, but does not look into a chunk.
                selected = batch.only([*filter(self.selects, batch.type.names)])
                yield RecordChunk(selected.lines(), len(batch))
            else:
                yield from batch.records()

    @override
    def get_record_counter(
        self, *, endpoint: str | None = None, log_interval: float = metrics.DEFAULT_LOG_INTERVAL
    ) -> metrics.Counter:
        counter = super().get_record_counter(endpoint=endpoint, log_interval=log_interval)
        self._record_counter = _ChunkCounter(counter.metric, counter.tags, counter.log_interval)
        return self._record_counter

    def deliver(self, outcome: Outcome, result: Result) -> None:
        """Sync the rows of one task."""
        self._batches = self.batches(result, outcome.task.query_task_id)
        try:
            self.sync()
        except (AbortedSyncFailedException, AbortedSyncPausedException):
            self.logger.debug("stopped by the limit of a test run")
        finally:
            # The stream stays, its results must not.
            del self._batches


class QueryTaskRowsStream(RowStream):
    """One record per result row of tasks made elsewhere."""

    name = "query_task_rows"
    primary_keys: ClassVar[tuple[str, ...]] = ("query_task_id", "row_number")
    selected_by_default = False
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property(
            "query_task_id", th.StringType, required=True, description="Looker's id of the task"
        ),
        th.Property(
            "row_number",
            th.IntegerType,
            required=True,
            description="Place of the row in the result, from 1",
        ),
        th.Property("row", _FREE_OBJECT, description='The row: `{"<view.field>": value}`'),
    ).to_dict()

    @cached_property
    def _record_type(self) -> RecordType:
        return RecordType([name for name in self.schema["properties"] if self.selects(name)])

    @override
    def batches(self, result: Result, query_task_id: str) -> Iterator[RecordBatch]:
        first = 1
        for rows in self._rows_at_once(result):
            columns = {
                "query_task_id": [query_task_id] * len(rows),
                "row_number": range(first, first + len(rows)),
                "row": rows,
            }
            yield RecordBatch(self._record_type, [columns[n] for n in self._record_type.names])
            first += len(rows)

    def _rows_at_once(self, result: Result) -> Iterator[Sequence[object]]:
        if not self.goes_in_chunks:
            return result.rows_at_once()
        return (read_json(_RAW_ROWS.decode, array) for array in result.flat_arrays())


class QueryStream(RowStream):
    """One record per row of a configured query, in typed columns."""

    def __init__(self, tap: Tap, plan: QueryStreamPlan, query_timezone: str) -> None:
        """Take what is known of the query, and the time zone its results are told in."""
        self.query = plan.query
        self.query_name = plan.query.name
        self._query_timezone = query_timezone
        super().__init__(tap, name=plan.query.name, schema=dict(plan.schema))
        self.primary_keys = plan.key_properties
        self.replication_key = replication_key(plan.query)

    @property
    def bookmark(self) -> Bookmark | None:
        """Where an incremental query goes on; None for a query that is not incremental."""
        field = self.query.config.replication_key
        if field is None or self.replication_key is None:
            return None
        (column,) = columns_in_schema(self.schema, [field])
        state = self.stream_state
        if state.get("replication_key") == self.replication_key:
            return Bookmark(column, state.get("replication_key_value"))
        is_moment = column.kind not in {NUMBER, INTEGER}
        return Bookmark(column, self.config.get("start_date") if is_moment else None)

    @override
    def deliver(self, outcome: Outcome, result: Result) -> None:
        for difference in compare(self._columns(result), result.fields):
            self.logger.warning("%s: %s", self.name, difference)
        for name in vanished(self.schema, result.fields):
            self.logger.warning("%s: %s is not in the result any more", self.name, name)
        is_whole = self.replication_key is None and self.ABORT_AT_RECORD_COUNT is None
        if is_whole and outcome.finished_at is not None:
            self._stream_version = int(outcome.finished_at * 1000)
        super().deliver(outcome, result)
        if self._stream_version is not None:
            # Targets may drop what this run did not deliver, now that all of it is there.
            self._write_activate_version_message(self._stream_version)

    @override
    def batches(self, result: Result, query_task_id: str) -> Iterator[RecordBatch]:
        time_zone = result.time_zone or self._query_timezone
        reader = RowReader(self._columns(result), time_zone)
        bookmark = self.bookmark
        latest: list[object] = [] if bookmark is None else [bookmark.value]
        for batch in reader.batches(result, query_task_id):
            yield batch
            if bookmark is not None:
                values = batch.column(bookmark.column.name)
                latest = [next_bookmark(bookmark.column, [*latest, *values])]
        for problem in reader.problems:
            self.logger.warning("%s: %s", self.name, problem)
        if bookmark is not None and latest[0] is not None:
            # Only now is the last row out.
            self.stream_state["replication_key"] = self.replication_key
            self.stream_state["replication_key_value"] = latest[0]

    @override
    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        # The SDK would move the bookmark with every record, and not know Looker's types.
        pass

    def _columns(self, result: Result) -> tuple[Column, ...]:
        """The columns wanted; all of them when the result does not name its fields."""
        fields = [field.name for field in result.fields or ()]
        return tuple(
            column
            for column in columns_in_schema(self.schema, fields)
            if self.selects(column.name) or column.name == self.replication_key
        )


def _record_of_task(outcome: Outcome, query: ConfiguredQuery | None) -> Record:
    """What is known of a task without its result."""
    task = outcome.task
    return {
        "query_task_id": task.query_task_id,
        "status": outcome.status,
        "query_name": task.query_name,
        "query_id": task.query_id,
        "look_id": query and query.look_id,
        "dashboard_id": query and query.dashboard_id,
        "origin": "given" if task.query_name is None else "launched",
        "result_format": None,
        "result_source": outcome.answer and outcome.answer.result_source,
        "from_cache": None,
        "attempt": task.attempt,
        "launched_at": _moment(task.launched_at),
        "first_seen_at": _moment(task.first_seen_at),
        "finished_at": _moment(outcome.finished_at),
        "runtime_seconds": None,
        "row_count": None,
        "truncated": None,
        "error_message": outcome.problem,
        "errors": [],
        "warnings": [],
        "fields": None,
        "data": None,
    }


def _moment(epoch_seconds: float | None) -> str | None:
    return None if epoch_seconds is None else to_rfc3339(epoch_seconds)
