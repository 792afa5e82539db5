"""The SDK streams: names, keys, schemas, records; no HTTP, no polling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from singer_sdk import Stream
from singer_sdk import typing as th
from singer_sdk.exceptions import AbortedSyncFailedException, AbortedSyncPausedException
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from typing_extensions import override

from tap_looker_tasks.answers import MalformedAnswer
from tap_looker_tasks.results import Result, read_result
from tap_looker_tasks.timestamp import to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context, Record

    from tap_looker_tasks.ledger import Ledger
    from tap_looker_tasks.runner import Outcome

    Following = Callable[[dict[str, Any]], AbstractContextManager[tuple[Ledger, Iterator[Outcome]]]]

_COMPLETE = "complete"
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
        self, tap: Tap, following: Following, end_sync: Callable[[Sequence[str]], None]
    ) -> None:
        """Take the tap's ways to follow tasks, given this stream's bookmark, and to end."""
        super().__init__(tap)
        self._following = following
        self._end_sync = end_sync
        self._incomplete: list[str] = []

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        with self._following(self.stream_state) as (ledger, outcomes):
            for outcome in outcomes:
                record, is_readable = self._deliver(outcome)
                yield record
                # Only now is the task's last record out.
                if outcome.finished_at is None:
                    ledger.leave(outcome.task)
                elif is_readable:
                    ledger.remember(outcome.task.query_task_id, outcome.status)

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

    def _deliver(self, outcome: Outcome) -> tuple[Record, bool]:
        """Deliver the task's rows; returns its own record, and whether its result was readable."""
        query_task_id = outcome.task.query_task_id
        record = _record_of_task(outcome)
        try:
            result = read_result(outcome.answer) if outcome.answer else None
            if result:
                self._sync_rows(query_task_id, result)
                record |= self._record_of_result(result)
        except MalformedAnswer as malformed:
            record["error_message"] = f"the result cannot be read: {malformed}"
            self._incomplete.append(f"{query_task_id} ({record['error_message']})")
            return record, False
        if outcome.finished_at is not None and record["status"] != _COMPLETE:
            reason = f": {record['error_message']}" if record["error_message"] else ""
            self._incomplete.append(f"{query_task_id} ({record['status']}{reason})")
        return record, True

    def _sync_rows(self, query_task_id: str, result: Result) -> None:
        for stream in self.child_streams:
            if isinstance(stream, QueryTaskRowsStream) and stream.selected and result.row_count:
                stream.deliver(query_task_id, result)

    def _record_of_result(self, result: Result) -> Record:
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
            "data": self._data(result) if self.selected and self.selects("data") else None,
        }

    def _data(self, result: Result) -> dict[str, Any] | None:
        if result.text is not None:
            return {"text": result.text}
        if result.row_count is None:
            return None
        return {"rows": result.rows_json() if self.takes_raw_json else list(result.rows())}


class QueryTaskRowsStream(_LookerStream):
    """One record per result row of tasks made elsewhere."""

    name = "query_task_rows"
    primary_keys: ClassVar[tuple[str, ...]] = ("query_task_id", "row_number")
    parent_stream_type = QueryTaskResultsStream
    state_partitioning_keys: ClassVar[tuple[str, ...]] = ()
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

    _result: Result

    def deliver(self, query_task_id: str, result: Result) -> None:
        """Sync the rows of one task."""
        self._result = result
        try:
            self.sync({"query_task_id": query_task_id})
        except (AbortedSyncFailedException, AbortedSyncPausedException):
            self.logger.debug("stopped by the limit of a test run")

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        query_task_id = context and context["query_task_id"]
        rows: Iterable[object] = self._result.rows()
        if self.takes_raw_json:
            rows = msgspec.json.decode(self._result.rows_json(), type=list[msgspec.Raw])
        for row_number, row in enumerate(rows, start=1):
            yield {"query_task_id": query_task_id, "row_number": row_number, "row": row}


def _record_of_task(outcome: Outcome) -> Record:
    """What is known of a task without its result."""
    task = outcome.task
    return {
        "query_task_id": task.query_task_id,
        "status": outcome.status,
        "query_name": task.query_name,
        "query_id": None,
        "look_id": None,
        "dashboard_id": None,
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
        "error_message": None,
        "errors": [],
        "warnings": [],
        "fields": None,
        "data": None,
    }


def _moment(epoch_seconds: float | None) -> str | None:
    return None if epoch_seconds is None else to_rfc3339(epoch_seconds)
