"""`query_task_results`: one record per query task; syncing it follows the tasks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar

import msgspec
from singer_sdk import typing as th
from singer_sdk.helpers.types import Context, Record
from typing_extensions import override

from tap_looker_tasks.config import ConfiguredQuery, shard_of
from tap_looker_tasks.errors import SettingsError, TasksNotCompletedError
from tap_looker_tasks.queries import UNKNOWN_LIMITS, find_shortfalls
from tap_looker_tasks.records import ColumnMatch, RecordBatch, to_rfc3339
from tap_looker_tasks.results import MalformedResponseError, Result, one_array, read_result
from tap_looker_tasks.run import Idle, Run
from tap_looker_tasks.singer import PacedStateWriter, ReadyJson
from tap_looker_tasks.streams.base import (
    FREE_OBJECT,
    FREE_OBJECTS,
    KEY_TEXT,
    LookerStream,
    LookerTap,
    RowStream,
)
from tap_looker_tasks.tasks import (
    COMPLETE,
    ERROR,
    ExternalTask,
    Launched,
    LaunchedTask,
    LaunchFailed,
    Ledger,
    Outcome,
    ProgressEvent,
    QueryTask,
    claim_instance,
)
from tap_looker_tasks.watch import RunWatch
from tap_looker_tasks.wording import one_line

# A launch is in STATE after at most this many rows.
_ROWS_AT_ONCE = 2000
_TASKS_NAMED = 20
# For all tasks together, so that the line shows how many more there are.
_NAMES_LENGTH = 1800


# Column, type, description.
_COLUMNS: Mapping[str, tuple[Any, str]] = MappingProxyType(
    {
        "query_task_id": (KEY_TEXT, "Looker's ID of the task"),
        "status": (
            KEY_TEXT,
            "Looker's word in lower case, `absent` (Looker never reported this ID) or `timeout`",
        ),
        "query_name": (KEY_TEXT, "Name of the configured query; null for an external task"),
        "query_id": (KEY_TEXT, "Looker's ID of the query"),
        "look_id": (KEY_TEXT, "Looker's ID of the Look the query came from"),
        "dashboard_id": (KEY_TEXT, "Looker's ID of the dashboard the query came from"),
        "origin": (KEY_TEXT, "`given`: an external task; `launched`: a task of this tap"),
        "result_format": (KEY_TEXT, "Format of the result, recognized by its shape; null for text"),
        "result_source": (KEY_TEXT, "Source of Looker's result, such as `query` or `cache`"),
        "from_cache": (th.BooleanType, "Whether the result came from Looker's cache"),
        "attempt": (th.IntegerType, "Number of the launch, from 1"),
        "launched_at": (th.DateTimeType, "When this tap created the task"),
        "first_seen_at": (th.DateTimeType, "When Looker first reported the task"),
        "finished_at": (
            th.DateTimeType,
            "When the tap saw the final status; null while unfinished",
        ),
        "runtime_seconds": (th.NumberType, "Time the query took, as Looker reports it"),
        "row_count": (th.IntegerType, "Rows of the result"),
        "truncated": (th.BooleanType, "Whether a limit cut the result off"),
        "error_message": (th.StringType, "First error, in one line"),
        "errors": (FREE_OBJECTS, "Errors as Looker sent them"),
        "warnings": (FREE_OBJECTS, "Errors that Looker marks as not fatal"),
        "fields": (FREE_OBJECTS, "Fields of the result: name, label, type, category"),
        "data": (FREE_OBJECT, '`{"rows": [...]}` or `{"text": "..."}`; null without a result'),
    }
)


# Messages for statuses that come without one.
_MEANINGS = MappingProxyType(
    {
        "absent": "Looker never reported this ID; is it old, or another instance's?",
        "missing": "Looker shows no such task to this user; is it another user's or instance's?",
        "expired": "Looker no longer has the result; collect it within 5 minutes of its end",
        "killed": "a user stopped it in Looker",
        "timeout": "unfinished after task_timeout_seconds; raise it, or make the query smaller",
    }
)


class QueryTaskResultsStream(LookerStream):
    """One record per query task: its outcome and, unless a stream holds the rows, its result.

    Its sync follows the tasks: each one is delivered, rows first, as soon as its outcome is known,
    and then saved in state.
    """

    name = "query_task_results"
    primary_keys: ClassVar[tuple[str, ...]] = ("query_task_id",)
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        *(
            th.Property(name, type_, required=name == "query_task_id", description=description)
            for name, (type_, description) in _COLUMNS.items()
        )
    ).to_dict()

    def __init__(self, tap: LookerTap, states: PacedStateWriter, watch: RunWatch) -> None:
        """Write STATE to `states`, and show events on `watch`."""
        super().__init__(tap)
        self._states = states
        self._watch = watch
        self._run: Run | None = None
        # The selected streams of rows, by the query of their tasks.
        self._row_streams: dict[str | None, RowStream] = {}
        self._incomplete: list[str] = []
        self._not_launched: list[LaunchFailed] = []

    @property
    def is_test_run(self) -> bool:
        """Return whether only some records of each stream are requested."""
        return self.ABORT_AT_RECORD_COUNT is not None

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        if not self.is_test_run:
            yield from self._records()
            return
        # A test run would end with the first task, before other streams had their record.
        yield from [*self._records()][: self.ABORT_AT_RECORD_COUNT]
        self._report_incomplete()

    def _records(self) -> Iterator[Record]:
        streams = [s for s in self.child_streams if isinstance(s, RowStream) and s.selected]
        self._row_streams = {s.query.name if s.query else None: s for s in streams}
        # An interrupt ends the run from here on, wherever it comes.
        self._run = run = self._new_run()
        run.start()
        self._watch.begin(run.keepers, run.queued, run.tasks)
        for name, reason in self._tap.failures:
            self._note(LaunchFailed(name, reason))
        for event in run.events():
            match event:
                case Idle():
                    # Give the target everything so far.
                    self._states.write_state(self._tap.state)
                    self._watch.tick()
                case Outcome():
                    record, outcome = self._deliver(event, run)
                    # The SDK removes deselected columns from it.
                    yield {**record}
                    self._watch.note_delivered(outcome, record)
                    # Only now is the task's last record written.
                    run.save(
                        outcome,
                        record["runtime_seconds"],
                        is_complete=record["status"] == COMPLETE,
                        is_cached=record["from_cache"] is True,
                    )
                    self._states.write_if_due(self._tap.state)
                case _:
                    self._note(event)
            yield from self._take_failure_records()
        self.end_run(cancels=self.is_test_run)
        yield from self._take_failure_records()

    def _take_failure_records(self) -> Iterator[Record]:
        """Yield the records of queries that failed to launch since the last call."""
        while self._not_launched:
            failed = self._not_launched.pop(0)
            stream = self._row_streams.get(failed.query_name)
            query = stream.query if stream else None
            yield build_failure_record(failed, query, self._tap.clock.now())

    def _new_run(self) -> Run:
        settings = self._tap.settings
        if settings.nothing_configured:
            self.logger.warning("%s", settings.nothing_configured)
        if not claim_instance(self.stream_state, settings.base_url):
            msg = (
                "state: it belongs to another Looker instance than base_url; use a separate state "
                "for each instance, or, if the instance has moved, remove `instance` from "
                "query_task_results there"
            )
            raise SettingsError(msg)
        external_ids = [
            id_
            for id_ in self._tap.external_ids
            if shard_of(id_, settings.shard_count) == settings.shard_index
        ]
        streams = self._row_streams.values()
        keepers = {s.query.name: s.keeper for s in streams if s.query and s.keeper}
        if resuming := [name for name, keeper in keepers.items() if keeper.has_bookmark]:
            self.logger.info(
                "resuming from a bookmark, without rows whose replication key is null: %s",
                one_line(", ".join(resuming), _NAMES_LENGTH),
            )
        return Run(
            self._tap.new_launcher(keepers),
            Ledger(self.stream_state, external_ids),
            self.logger,
            None if self.is_test_run else settings.run_id,
        )

    @property
    def is_running(self) -> bool:
        """Return whether a sync has started and not ended."""
        return self._run is not None

    def end_run(self, *, cancels: bool) -> None:
        """End the run cleanly, at any point; it takes a few seconds at most.

        Nothing is written: the target may be gone.
        """
        if self._run is None:
            return
        for event in self._run.end(cancels=cancels):
            self._note_progress(event)
        self._watch.end()
        self._run = None

    def _note(self, event: ProgressEvent) -> None:
        self._note_progress(event)
        if isinstance(event, Launched):
            # A run that is killed must find the task again.
            self._states.write_now(self._tap.state)

    def _note_progress(self, event: ProgressEvent) -> None:
        self._watch.note(event)
        if isinstance(event, LaunchFailed):
            self._incomplete.append(f"{event.query_name} (not launched: {event.reason})")
            self._not_launched.append(event)

    @override
    def generate_child_contexts(
        self, record: Record, context: Context | None
    ) -> Iterable[Context | None]:
        # The SDK would sync every child for every task; `_deliver` syncs the one concerned.
        return ()

    @override
    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        """Write the last STATE, with everything delivered; only then report failures.

        Raises:
            TasksNotCompletedError: If tasks did not complete, and `fail_on_task_error` is on.
        """
        super().finalize_state_progress_markers(state)
        self._report_incomplete()

    def _report_incomplete(self) -> None:
        # It is the last line of the output.
        self._states.write_now(self._tap.state)
        if self._incomplete:
            fails = self.config.get("fail_on_task_error", True)
            report_incomplete(self._incomplete, self.logger, fails=fails)

    def _deliver(self, outcome: Outcome, run: Run) -> tuple[Record, Outcome]:
        """Deliver the task's rows; return its own record, and the final outcome."""
        task = outcome.task
        stream = self._row_streams.get(task.query_name if isinstance(task, LaunchedTask) else None)
        query = stream.query if stream else None
        entry = outcome.stored.take() if outcome.stored else None
        result, data = Result(status=outcome.status), None
        self._watch.note_delivering(outcome)
        try:
            if entry:
                result = read_result(entry)
            has_rows = result.row_count is not None
            match = stream.match(result) if stream and has_rows else ColumnMatch()
            result = _reject_unusable(result, outcome, stream, match)
            if entry:
                result, is_complete = self._check_completeness(result, task, query, match)
                if isinstance(task, ExternalTask) and self.selected and self.selects("data"):
                    data = self._data(result)
                if stream and result.row_count is not None:
                    batches = stream.batches(result, outcome, match)
                    noted = self._note_between(batches, outcome, run)
                    stream.deliver(outcome, result, match, noted, is_complete=is_complete)
        except MalformedResponseError as malformed:
            problem = f"the result cannot be read: {malformed}"
            outcome, data = replace(outcome, problem=problem), None
        source = entry.result_source if entry else None
        record = build_record(outcome, result, query, source, data)
        self._note_incomplete(outcome, record)
        return record, outcome

    def _note_incomplete(self, outcome: Outcome, record: Record) -> None:
        has_completed = record["status"] == COMPLETE and outcome.problem is None
        if outcome.finished_at is None or has_completed:
            return
        status = None if record["status"] == COMPLETE else record["status"]
        reason = record["error_message"] or _MEANINGS.get(record["status"])
        what = ": ".join(filter(None, (status, reason)))
        name = record["query_name"]
        self._incomplete.append(f"{record['query_task_id']} ({name + ', ' if name else ''}{what})")

    def _check_completeness(
        self, result: Result, task: QueryTask, query: ConfiguredQuery | None, match: ColumnMatch
    ) -> tuple[Result, bool]:
        """Return the result, marked as truncated if it may be, and whether it is complete."""
        if result.row_count is None or self.is_test_run:
            return result, False
        limits = task.limits if isinstance(task, LaunchedTask) else UNKNOWN_LIMITS
        shortfalls = [*find_shortfalls(result, limits, match.missing)]
        cuts = [shortfall for shortfall in shortfalls if shortfall.is_cut]
        for cut in cuts:
            advice = query.where_to_change(cut.limit) if query and cut.limit else None
            self.logger.warning(
                "%s: %s; there may be more%s",
                query.name if query else f"query task {task.query_task_id}",
                cut.reason,
                f"; {advice}" if advice else "",
            )
        return (replace(result, truncated=True) if cuts else result), not shortfalls

    def _note_between(
        self, batches: Iterator[RecordBatch], outcome: Outcome, run: Run
    ) -> Iterator[RecordBatch]:
        """Yield parts of the batches, and process other events after each."""
        for batch in batches:
            for part in batch.parts(_ROWS_AT_ONCE):
                yield part
                self._watch.note_rows(outcome, part.count)
                for event in run.news():
                    self._note(event)

    def _data(self, result: Result) -> dict[str, Any] | None:
        if result.text is not None:
            return {"text": result.text}
        if result.row_count is None:
            return None
        if not self.takes_raw_json:
            return {"rows": list(result.rows())}
        if result.is_long:
            # Unreadable rows must raise now: half a line cannot be taken back.
            for _ in result.flat_arrays():
                pass
            return {"rows": ReadyJson(one_array(result.flat_arrays()))}
        return {"rows": ReadyJson(tuple(one_array(result.flat_arrays())))}


def _reject_unusable(
    result: Result, outcome: Outcome, stream: RowStream | None, match: ColumnMatch
) -> Result:
    """Return the result; an error if a query's rows, or their keys, are missing from it."""
    if result.status != COMPLETE or outcome.finished_at is None:
        return result
    problem = stream.find_problem(result, match) if stream else None
    if isinstance(outcome.task, LaunchedTask) and result.row_count is None:
        problem = "complete, but Looker sent no rows; run again"
    if problem is None:
        return result
    return replace(result, status=ERROR, error_message=problem, row_count=None, arrays=())


def report_incomplete(incomplete: Sequence[str], logger: logging.Logger, *, fails: bool) -> None:
    """Report the tasks that did not complete.

    Raises:
        TasksNotCompletedError: If `fails` is on.
    """
    most = _NAMES_LENGTH // min(len(incomplete), _TASKS_NAMED)
    named = "; ".join(one_line(text, most) for text in incomplete[:_TASKS_NAMED])
    more = len(incomplete) - _TASKS_NAMED
    tasks = "query task" if len(incomplete) == 1 else "query tasks"
    msg = f"{len(incomplete)} {tasks} did not complete: {named}"
    msg += f"; and {more} more, see query_task_results" if more > 0 else ""
    if fails:
        raise TasksNotCompletedError(msg)
    logger.warning("%s", msg)


# Records of tasks.


def build_record(
    outcome: Outcome,
    result: Result,
    query: ConfiguredQuery | None,
    result_source: str | None,
    data: dict[str, Any] | None,
) -> dict[str, Any]:
    """Build the record of a task.

    Args:
        outcome: Outcome of the task.
        result: Result that Looker sent; empty except for the status if there was none.
        query: Query that the tap launched it for.
        result_source: Source of the result in Looker.
        data: The payload, if it is part of the record.
    """
    task = outcome.task
    launched = task if isinstance(task, LaunchedTask) else None
    return {
        "query_task_id": task.query_task_id,
        "status": result.status,
        **_source_of(launched, query),
        "origin": "launched" if launched else "given",
        "result_format": result.result_format,
        "result_source": result_source,
        "from_cache": result.from_cache,
        "attempt": launched.attempt if launched else 1,
        "launched_at": _moment(launched.launched_at if launched else None),
        "first_seen_at": _moment(outcome.followed.first_seen_at),
        "finished_at": _moment(outcome.finished_at),
        "runtime_seconds": result.runtime_seconds,
        "row_count": result.row_count,
        "truncated": result.truncated,
        "error_message": outcome.problem or result.error_message,
        "errors": list(result.errors),
        "warnings": list(result.warnings),
        "fields": result.fields and [msgspec.to_builtins(field) for field in result.fields],
        "data": data,
    }


def build_failure_record(
    failed: LaunchFailed, query: ConfiguredQuery | None, now: float
) -> dict[str, Any]:
    """Build the record of a query that failed to launch, so that alerts by SQL include it.

    Args:
        failed: Name of the query, and the message of the error.
        query: Configured query, if it is known.
        now: Epoch seconds.
    """
    moment = to_rfc3339(now)
    return dict.fromkeys(_COLUMNS) | {
        "query_task_id": f"not-launched-{failed.query_name}-{moment}",
        "status": "error",
        "query_name": failed.query_name,
        "look_id": query.look_id if query else None,
        "dashboard_id": query.dashboard_id if query else None,
        "origin": "launched",
        "finished_at": moment,
        "error_message": failed.reason,
        "errors": [],
        "warnings": [],
    }


def _source_of(task: LaunchedTask | None, query: ConfiguredQuery | None) -> dict[str, Any]:
    return {
        "query_name": task.query_name if task else None,
        "query_id": task.query_id if task else None,
        "look_id": query.look_id if query else None,
        "dashboard_id": query.dashboard_id if query else None,
    }


def _moment(epoch_seconds: float | None) -> str | None:
    return None if epoch_seconds is None else to_rfc3339(epoch_seconds)
