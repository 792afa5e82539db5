"""Streams of result rows: `query_task_rows`, and one per configured query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import msgspec
from singer_sdk import typing as th
from singer_sdk.helpers.types import Context, Record
from singer_sdk.singerlib import Catalog
from typing_extensions import override

from tap_looker_tasks.config import ConfiguredQuery, reject_problems
from tap_looker_tasks.launching import QueryStreamPlan, catalog_problems
from tap_looker_tasks.queries import BookmarkAdvance, QueryKeeper
from tap_looker_tasks.records import (
    ROW_KEY,
    ColumnMatch,
    KeyCheck,
    RecordBatch,
    RecordType,
    RowReader,
    column_in_schema,
    find_type_changes,
    key_fields_of,
    match_columns,
    row_keys_of,
)
from tap_looker_tasks.results import Result, read_json
from tap_looker_tasks.streams.base import FREE_OBJECT, KEY_TEXT, LookerTap, RowStream
from tap_looker_tasks.streams.outcomes import QueryTaskResultsStream
from tap_looker_tasks.tasks import LaunchedTask, Outcome

_ROWS_OF_A_TEST_RUN = 5
_RAW_ROWS = msgspec.json.Decoder(list[msgspec.Raw])


class QueryTaskRowsStream(RowStream):
    """One record per result row of external tasks."""

    parent_stream_type = QueryTaskResultsStream
    name = "query_task_rows"
    primary_keys: ClassVar[tuple[str, ...]] = ("query_task_id", "row_number")
    selected_by_default = False
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property(
            "query_task_id", KEY_TEXT, required=True, description="Looker's ID of the task"
        ),
        th.Property(
            "row_number",
            th.IntegerType,
            required=True,
            description="Place of the row in the result, from 1",
        ),
        th.Property("row", FREE_OBJECT, description='The row: `{"<view.field>": value}`'),
    ).to_dict()

    @cached_property
    def _record_type(self) -> RecordType:
        return RecordType([name for name in self.schema["properties"] if self.selects(name)])

    @override
    def batches(
        self, result: Result, outcome: Outcome, match: ColumnMatch
    ) -> Iterator[RecordBatch]:
        first = 1
        for rows in self._rows_at_once(result):
            count = len(rows)
            columns = {
                "query_task_id": [outcome.task.query_task_id] * count,
                "row_number": range(first, first + count),
                "row": rows,
            }
            selected = [columns[name] for name in self._record_type.names]
            yield RecordBatch(self._record_type, selected, count)
            first += count

    def _rows_at_once(self, result: Result) -> Iterator[Sequence[object]]:
        if not self.goes_in_chunks:
            return result.rows_at_once()
        return (read_json(_RAW_ROWS.decode, array) for array in result.flat_arrays())


class QueryStream(RowStream):
    """One record per row of a configured query, in typed columns."""

    parent_stream_type = QueryTaskResultsStream
    # Values of the replication key in rows that were read to the end.
    _latest: object = None

    def __init__(self, tap: LookerTap, plan: QueryStreamPlan) -> None:
        """Keep the plan of the query's stream."""
        self.query: ConfiguredQuery = plan.query
        super().__init__(tap, name=plan.query.name, schema=dict(plan.schema))
        self.primary_keys = plan.key_properties
        self.replication_key = plan.replication_key

    @cached_property
    @override
    def keeper(self) -> QueryKeeper:
        """State of the query.

        Raises:
            SettingsError: If its bookmark is unclear.
        """
        field = self.query.config.replication_key if self._is_incremental else None
        column = None if field is None else column_in_schema(self.schema, field)
        start_date = self.config.get("start_date")
        keeper = QueryKeeper(self.query_to_run, self.stream_state, column, start_date)
        reject_problems([keeper.problem] if keeper.problem else [])
        if warning := keeper.drop_unusable(self._tap.clock.now()):
            self.logger.warning("%s", warning)
        return keeper

    @property
    def query_to_run(self) -> ConfiguredQuery:
        """The query to launch; in a test run, for a few rows only."""
        if self.ABORT_AT_RECORD_COUNT is None:
            return self.query
        config = msgspec.structs.replace(self.query.config, limit=_ROWS_OF_A_TEST_RUN)
        return replace(self.query, config=config)

    @property
    def _time_zone(self) -> str:
        return self.query.config.time_zone(self._tap.settings.query_timezone)

    @property
    def _is_incremental(self) -> bool:
        return self.replication_key is not None and self.replication_method == "INCREMENTAL"

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Use the keys and the replication method of a catalog.

        Raises:
            SettingsError: If they do not match its schema, or the configured query.
        """
        super().apply_catalog(catalog)
        reject_problems(
            catalog_problems(
                QueryStreamPlan(self.query, self.schema),
                key_properties=self.primary_keys,
                replication_key=self.replication_key,
                replication_method=self.replication_method,
            )
        )

    @override
    def find_problem(self, result: Result, match: ColumnMatch) -> str | None:
        lost = [name for name in match.missing if name in self.primary_keys]
        if known := {field.name for field in result.fields or ()}:
            lost += [field for field in key_fields_of(self.schema) if field not in known]
        if not lost:
            return None
        return (
            f"the result is without the key {' and '.join(lost)}; discover again, or change "
            f"primary_keys of {self.query.config_path}"
        )

    @override
    def deliver(
        self,
        outcome: Outcome,
        result: Result,
        match: ColumnMatch,
        batches: Iterator[RecordBatch],
        *,
        is_complete: bool,
    ) -> None:
        for message in (*find_type_changes(match.columns, result.fields), *match.differences):
            self.logger.warning("%s: %s", self.name, message)
        if self._may_activate(is_complete=is_complete) and outcome.finished_at is not None:
            self._stream_version = self._next_version(outcome.finished_at)
        super().deliver(outcome, result, match, batches, is_complete=is_complete)
        self.keeper.move(self._latest, self._time_zone)
        if self._stream_version is not None:
            # Targets may delete all rows that this run did not deliver, since its rows are
            # complete.
            self._write_activate_version_message(self._stream_version)

    @override
    def batches(
        self, result: Result, outcome: Outcome, match: ColumnMatch
    ) -> Iterator[RecordBatch]:
        time_zone = result.time_zone or self._time_zone
        row_keys = row_keys_of(self.schema, result)
        reader = RowReader(match.columns, time_zone, row_keys)
        advance = self._begin_advance(match, outcome)
        named = [c.name for c in match.columns if c.name in self.primary_keys]
        keys = KeyCheck([ROW_KEY] if row_keys else named)
        for batch in reader.batches(result, outcome.task.query_task_id):
            yield batch
            keys.add(batch)
            if advance is not None:
                name = str(self.replication_key)
                others = (batch.column(c.name) for c in match.columns if c.name != name)
                advance.add(batch.column(name), others)
        shown = advance.problems if advance else []
        for problem in (*reader.problems, *keys.problems, *shown):
            self.logger.warning("%s: %s", self.name, problem)
        self._latest = advance.value if advance else None

    def _begin_advance(self, match: ColumnMatch, outcome: Outcome) -> BookmarkAdvance | None:
        """Start moving the bookmark; return None if the end of the result is unknown."""
        key, task = self.keeper.column, outcome.task
        if key is None or key.name in match.missing or not isinstance(task, LaunchedTask):
            return None
        is_comparable = not self.keeper.is_of_another_zone(self._time_zone)
        return BookmarkAdvance(
            key,
            self.keeper.value if is_comparable else None,
            launched_at=task.launched_at,
            finished_at=outcome.finished_at or task.launched_at,
            query_timezone=self._time_zone,
        )

    def _next_version(self, now: float) -> int:
        """Return a version above that of every earlier run, and save it.

        Targets keep the rows of the highest version; the clock may have been set back since the
        last.
        """
        version, last = int(now * 1000), self.stream_state.get("version")
        if isinstance(last, int) and last >= version:
            self.logger.warning(
                "%s: version %s in state is ahead of this machine's clock (%s); using the next "
                "version. Check the clock",
                self.name,
                last,
                version,
            )
            version = last + 1
        self.stream_state["version"] = version
        return version

    def _may_activate(self, *, is_complete: bool) -> bool:
        """Return whether the rows are complete, so that those of earlier runs may be deleted."""
        if self._is_incremental or self.ABORT_AT_RECORD_COUNT is not None:
            return False
        if not is_complete:
            self.logger.warning(
                "%s: rows of earlier runs stay in the target, because the result may be incomplete",
                self.name,
            )
        return is_complete

    @override
    def _increment_stream_state(
        self, latest_record: Record, *, context: Context | None = None
    ) -> None:
        # The SDK would move the bookmark with every record, without knowing Looker's types.
        pass

    @override
    def match(self, result: Result) -> ColumnMatch:
        return match_columns(
            self.schema,
            result,
            lambda name: (
                self.selects(name) or name == self.replication_key or name in self.primary_keys
            ),
        )
