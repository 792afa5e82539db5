"""`query_task_results`: one record per query task; syncing it follows the tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from singer_sdk import typing as th
from typing_extensions import override

from tap_looker_tasks.looker.json_text import MalformedAnswer
from tap_looker_tasks.looker.payload import read_result
from tap_looker_tasks.looker.result import Result, one_array
from tap_looker_tasks.records.timestamps import to_rfc3339
from tap_looker_tasks.singer.message_writer import ReadyJson
from tap_looker_tasks.streams.base import (
    COMPLETE,
    FREE_OBJECT,
    FREE_OBJECTS,
    LookerStream,
    RowStream,
)
from tap_looker_tasks.tasks.collector import (
    Cancelled,
    Launched,
    NotCancelled,
    NotLaunched,
    Outcome,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context, Record

    from tap_looker_tasks.singer.state_writer import PacedStateWriter
    from tap_looker_tasks.tasks.board import Running
    from tap_looker_tasks.tasks.stored_queries import ConfiguredQuery
    from tap_looker_tasks.tasks.sync import Sync


class QueryTaskResultsStream(LookerStream):
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
        th.Property("errors", FREE_OBJECTS, description="Errors as Looker sent them"),
        th.Property("warnings", FREE_OBJECTS, description="Errors that Looker marks as not fatal"),
        th.Property(
            "fields", FREE_OBJECTS, description="Fields of the result: name, label, type, category"
        ),
        th.Property(
            "data",
            FREE_OBJECT,
            description='`{"rows": [...]}` or `{"text": "..."}`; null without a result',
        ),
    ).to_dict()

    def __init__(
        self,
        tap: Tap,
        syncing: Callable[[dict[str, Any], list[RowStream]], AbstractContextManager[Sync]],
        end_sync: Callable[[Sequence[str]], None],
        states: PacedStateWriter,
    ) -> None:
        """Take the tap's ways to begin a sync, given this stream's bookmark, and to end it."""
        super().__init__(tap)
        self._states = states
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
        streams = [s for s in self.child_streams if isinstance(s, RowStream) and s.selected]
        with self._syncing(self.stream_state, streams) as sync:
            for event in sync.events():
                if isinstance(event, Outcome):
                    record, is_readable = self._deliver(event, sync)
                    yield record
                    # Only now is the task's last record out.
                    self._remember(event, sync, is_readable=is_readable)
                else:
                    self._note(event, sync)

    def _note(self, event: Launched | NotLaunched | Cancelled | NotCancelled, sync: Sync) -> None:
        match event:
            case Launched(task):
                sync.note_launch(task)
                # A run that is killed must find the task again.
                self._states.write_now(self._tap.state)
            case NotLaunched(query_name, reason):
                self._incomplete.append(f"{query_name} (not launched: {reason})")
            case Cancelled(task):
                sync.ledger.cancelled(task)
            case NotCancelled(task, reason):
                sync.ledger.note_to_cancel(task)
                self.logger.warning(
                    "query task %s is not cancelled: %s; the next run tries again",
                    task.query_task_id,
                    reason,
                )

    def _remember(self, outcome: Outcome, sync: Sync, *, is_readable: bool) -> None:
        if outcome.finished_at is None:
            sync.ledger.leave(outcome.task)
        elif is_readable:
            sync.ledger.remember(outcome.task, outcome.status)
        else:
            sync.ledger.forget(outcome.task)
        self._states.write_if_due(self._tap.state)

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
        if outcome.finished_at is not None and record["status"] != COMPLETE:
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
                sync.queries[name].config_path,
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
