"""`query_task_results`: one record per query task; syncing it follows the tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_looker_tasks.errors import TasksNotCompletedError
from tap_looker_tasks.queries import reached_limits
from tap_looker_tasks.results import MalformedResponseError, Result, one_array, read_result
from tap_looker_tasks.run import Idle
from tap_looker_tasks.singer import ReadyJson
from tap_looker_tasks.streams.base import LookerStream, RowStream
from tap_looker_tasks.streams.outcome_record import SCHEMA, build_record
from tap_looker_tasks.tasks import (
    COMPLETE,
    CancelFailed,
    Cancelled,
    ExternalTask,
    Launched,
    LaunchedTask,
    LaunchFailed,
    Outcome,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context, Record

    from tap_looker_tasks.config import ConfiguredQuery
    from tap_looker_tasks.records import RecordBatch
    from tap_looker_tasks.run import ActiveRun
    from tap_looker_tasks.singer import PacedStateWriter
    from tap_looker_tasks.streams.watching import RunWatch
    from tap_looker_tasks.tasks import Event, Ledger, ProgressEvent, QueryTask

# A launch is noted in state no later than after so many rows.
_ROWS_AT_ONCE = 2000
_TASKS_NAMED = 20


class QueryTaskResultsStream(LookerStream):
    """One record per query task: its outcome and, unless a stream holds the rows, its result.

    Syncing it is what follows the tasks: each one is delivered, rows first, as soon as its
    outcome is known, and then remembered in state.
    """

    name = "query_task_results"
    primary_keys: ClassVar[tuple[str, ...]] = ("query_task_id",)
    schema: ClassVar[dict[str, Any]] = dict(SCHEMA)

    def __init__(
        self,
        tap: Tap,
        states: PacedStateWriter,
        watch: RunWatch,
        start_run: Callable[[dict[str, Any], Sequence[RowStream]], ActiveRun],
        *,
        fails: bool,
    ) -> None:
        """Take what a sync needs.

        Args:
            tap: the tap.
            states: where STATE is written.
            watch: is told what happens.
            start_run: given this stream's bookmark and the selected ones.
            fails: whether the run fails when a task did not complete.
        """
        super().__init__(tap)
        self._states = states
        self._watch = watch
        self._start_run = start_run
        self._fails = fails
        self._following: ActiveRun | None = None
        self._row_streams: dict[str | None, RowStream] = {}
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
        self._row_streams = {stream.query_name: stream for stream in streams}
        self._following = following = self._start_run(self.stream_state, streams)
        # An interrupt ends what is followed by then, wherever it comes.
        following.collector.start()
        self._watch.begin(following)
        for event in following.collector.events():
            match event:
                case Idle():
                    # Let the target have everything so far.
                    self._states.write_state(self._tap.state)
                    self._watch.tick()
                case Outcome():
                    record, outcome = self._deliver(event, following)
                    # The SDK takes out of it what is deselected.
                    yield {**record}
                    self._watch.note_delivered(outcome, record)
                    # Only now is the task's last record out.
                    self._remember(outcome, record, following)
                case _:
                    self._note_now(event, following.ledger)
        self.end_following(cancels=self.is_test_run)

    @property
    def is_following(self) -> bool:
        """Whether a sync is in the middle of it."""
        return self._following is not None

    def end_following(self, *, cancels: bool) -> None:
        """End in good order, wherever it is; a few seconds at most.

        Nothing is written: the target may be gone.
        """
        following = self._following
        if following is None:
            return
        for event in following.collector.end(cancels=cancels):
            self._note_last(event, following.ledger)
        following.collector.close()
        self._watch.end()
        self._following = None

    def _note_last(self, event: Event, ledger: Ledger) -> None:
        match event:
            case Outcome(LaunchedTask() as task):
                # An interrupt may have come before its launch was noted.
                ledger.note_launched(task)
            case Outcome():
                pass
            case _:
                self._note(event, ledger)

    def _remember(self, outcome: Outcome, record: Record, following: ActiveRun) -> None:
        following.ledger.remember(outcome)
        stream = self._stream_of(outcome.task)
        if stream and isinstance(outcome.task, LaunchedTask) and record["status"] == COMPLETE:
            runtime = record["runtime_seconds"] or _observed_runtime(outcome, outcome.task)
            stream.remember(following.launcher.query_to_remember(outcome.task, runtime))
        self._states.write_if_due(self._tap.state)

    def _note_now(self, event: ProgressEvent, ledger: Ledger) -> None:
        self._note(event, ledger)
        if isinstance(event, Launched):
            # A run that is killed must find the task again.
            self._states.write_now(self._tap.state)

    def _note(self, event: ProgressEvent, ledger: Ledger) -> None:
        self._watch.note(event)
        match event:
            case Launched(task):
                ledger.note_launched(task)
            case LaunchFailed(query_name, reason):
                self._incomplete.append(f"{query_name} (not launched: {reason})")
            case Cancelled(task):
                ledger.note_cancelled(task)
            case CancelFailed(task, reason):
                ledger.note_to_cancel(task)
                self.logger.warning(
                    "query task %s is not cancelled: %s; the next run tries again",
                    task.query_task_id,
                    reason,
                )

    @override
    def generate_child_contexts(
        self, record: Record, context: Context | None
    ) -> Iterable[Context | None]:
        # The SDK would sync every child for every task; `_deliver` syncs the one concerned.
        return ()

    @override
    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        """Write the last STATE, everything being delivered now; only then report failures.

        Raises:
            TasksNotCompletedError: tasks did not complete, and `fail_on_task_error` is on.
        """
        super().finalize_state_progress_markers(state)
        self._states.write_now(self._tap.state)
        if self._incomplete:
            report_incomplete(self._incomplete, self.logger, fails=self._fails)

    def _deliver(self, outcome: Outcome, following: ActiveRun) -> tuple[Record, Outcome]:
        """Deliver the task's rows; return its own record, and the outcome as it turned out."""
        answer = outcome.answer.take() if outcome.answer else None
        result, data = Result(status=outcome.status), None
        self._watch.note_delivering(outcome)
        try:
            if answer:
                result = read_result(answer)
                result = self._check_truncation(result, outcome.task)
                data = self._data(result) if self._wants_data(outcome.task) else None
                self._deliver_rows(outcome, result, following)
        except MalformedResponseError as malformed:
            problem = f"the result cannot be read: {malformed}"
            outcome, data = replace(outcome, problem=problem), None
        query = self._query_of(outcome.task)
        source = answer.result_source if answer else None
        record = build_record(outcome, result, query, result_source=source, data=data)
        self._note_incomplete(outcome, record)
        return record, outcome

    def _note_incomplete(self, outcome: Outcome, record: Record) -> None:
        is_complete = record["status"] == COMPLETE and outcome.problem is None
        if outcome.finished_at is None or is_complete:
            return
        status = None if record["status"] == COMPLETE else record["status"]
        what = ": ".join(filter(None, (status, record["error_message"])))
        name = record["query_name"]
        self._incomplete.append(f"{record['query_task_id']} ({name + ', ' if name else ''}{what})")

    def _stream_of(self, task: QueryTask) -> RowStream | None:
        """Return the selected stream for the rows of a task."""
        return self._row_streams.get(task.query_name if isinstance(task, LaunchedTask) else None)

    def _query_of(self, task: QueryTask) -> ConfiguredQuery | None:
        stream = self._stream_of(task)
        return stream.query if stream else None

    def _check_truncation(self, result: Result, task: QueryTask) -> Result:
        """Return the result, marked as truncated when a limit may have cut it off."""
        if not isinstance(task, LaunchedTask) or result.row_count is None or self.is_test_run:
            return result
        reached = [*reached_limits(result, task.limits)]
        if not reached:
            return result
        query = self._query_of(task)
        for what, limit in reached:
            self.logger.warning(
                "%s: the result is at its limit (%s), there may be more; "
                "change `%s` of the query at %s",
                task.query_name,
                what,
                limit,
                query and query.config_path,
            )
        return replace(result, truncated=True)

    def _deliver_rows(self, outcome: Outcome, result: Result, following: ActiveRun) -> None:
        stream = self._stream_of(outcome.task)
        if stream and result.row_count is not None:
            batches = stream.batches(result, outcome.task.query_task_id)
            stream.deliver(outcome, result, self._note_between(batches, outcome, following))

    def _note_between(
        self, batches: Iterator[RecordBatch], outcome: Outcome, following: ActiveRun
    ) -> Iterator[RecordBatch]:
        """Yield parts of the batches, and act on what happens meanwhile after each."""
        for batch in batches:
            for part in batch.parts(_ROWS_AT_ONCE):
                yield part
                self._watch.note_rows(outcome, len(part))
                for event in following.collector.news():
                    self._note_now(event, following.ledger)

    def _wants_data(self, task: QueryTask) -> bool:
        return isinstance(task, ExternalTask) and self.selected and self.selects("data")

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


def _observed_runtime(outcome: Outcome, task: LaunchedTask) -> float | None:
    """Return the seconds a task took as the tap saw it: `json_bi` does not say."""
    if outcome.finished_at is None:
        return None
    return round(outcome.finished_at - task.launched_at, 3)


def report_incomplete(incomplete: Sequence[str], logger: logging.Logger, *, fails: bool) -> None:
    """Report the tasks that did not complete.

    Raises:
        TasksNotCompletedError: `fails` is on.
    """
    named = "; ".join(incomplete[:_TASKS_NAMED])
    more = len(incomplete) - _TASKS_NAMED
    tasks = "query task" if len(incomplete) == 1 else "query tasks"
    msg = f"{len(incomplete)} {tasks} did not complete: {named}"
    msg += f"; and {more} more, see query_task_results" if more > 0 else ""
    if fails:
        raise TasksNotCompletedError(msg)
    logger.warning("%s", msg)
