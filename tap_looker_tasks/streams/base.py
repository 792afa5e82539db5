"""The base of all streams: records that are already typed, and a short path to the output."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import version
from itertools import islice
from typing import Any, ClassVar

from singer_sdk import Stream, Tap, metrics, typing as th
from singer_sdk.batch import Batcher
from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig, BatchFileFormat
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.helpers.types import Context, Record
from singer_sdk.mapper import SameRecordTransform
from typing_extensions import override

from tap_looker_tasks.config import ConfiguredQuery, Settings
from tap_looker_tasks.errors import RowsLostError, SettingsError, StorageError
from tap_looker_tasks.launching import Launcher, StoredQueries
from tap_looker_tasks.looker import Clock, LookerClient
from tap_looker_tasks.queries import QueryKeeper
from tap_looker_tasks.records import MAX_KEY_LENGTH, ColumnMatch, RecordBatch
from tap_looker_tasks.results import Result
from tap_looker_tasks.singer import BatchFiles, RecordChunk, filter_record
from tap_looker_tasks.tasks import Outcome

# Free objects have no `properties` key: targets drop the column if it is there and empty.
FREE_OBJECT = th.CustomType({"type": ["object", "null"]})
# MariaDB and SQL Server reject a key of unlimited text.
KEY_TEXT = th.StringType(max_length=MAX_KEY_LENGTH)
FREE_OBJECTS = th.CustomType({"type": ["array", "null"], "items": {"type": ["object", "null"]}})


class LookerTap(Tap):
    """The parts of the tap that streams use when they sync."""

    clock: Clock
    # Streams that cannot run because of a change in Looker, each with the reason.
    failures: tuple[tuple[str, str], ...] = ()

    @cached_property
    def settings(self) -> Settings:
        """The validated configuration.

        Raises:
            SettingsError: If a value is missing or wrong.
        """
        return Settings.from_config(self.config)

    @cached_property
    @abstractmethod
    def stored_queries(self) -> StoredQueries:
        """Queries looked up so far, shared by discovery and sync."""

    @cached_property
    @abstractmethod
    def external_ids(self) -> tuple[str, ...]:
        """IDs of external tasks, each once.

        Raises:
            SettingsError: If their file cannot be read.
        """

    @property
    @abstractmethod
    def client(self) -> LookerClient:
        """The only client of a command: discovery and sync share its login."""

    def new_launcher(self, keepers: Mapping[str, QueryKeeper]) -> Launcher:
        """Build the launcher of these queries, each with its state, by name."""
        return Launcher(keepers, self.settings, self.client, self.stored_queries, self.clock)


class LookerStream(Stream):
    """A stream whose records are typed already."""

    _tap: LookerTap
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE
    _schema_is_written = False

    def __init__(self, tap: LookerTap, **given: Any) -> None:
        """Keep the tap, and pass the other arguments to the SDK's stream."""
        super().__init__(tap, **given)
        # A record of this logger does not pass the filters of its parents.
        self.logger.addFilter(filter_record)

    @property
    def takes_raw_json(self) -> bool:
        """Return whether records reach the message writer, or a BATCH file, unchanged.

        Stream maps, flattening and Parquet files need decoded values, and cannot read the raw JSON
        of the message writer.
        """
        first, *others = self.stream_maps
        batches = self.get_batch_config(self.config)
        return (
            not others
            and type(first) is SameRecordTransform
            and not first.flattening_enabled
            and (batches is None or batches.encoding.format == BatchFileFormat.JSONL)
        )

    @property  # type: ignore[explicit-override] # mypy does not see it beside a setter
    @override
    def selected(self) -> bool:
        return super().selected

    @selected.setter
    def selected(self, value: bool | None) -> None:
        """Leave the selection unchanged: `--test` would select every stream."""

    @override
    def _write_schema_message(self) -> None:
        # The SDK writes it at each sync, of which there is one for each task.
        if self.selected and not self._schema_is_written:
            super()._write_schema_message()
            self._schema_is_written = True

    @override
    def get_batch_config(self, config: Mapping[str, Any]) -> BatchConfig | None:
        # Each record is saved in state once it is written; only rows wait for a file.
        return None

    def selects(self, property_name: str) -> bool:
        """Return whether the catalog selects a property."""
        return self.mask.get(("properties", property_name), True)


class RowStream(LookerStream):
    """A stream of result rows, delivered one task after the other.

    Attributes:
        query: Query that its tasks are launched for; None for external tasks.
    """

    state_partitioning_keys: ClassVar[tuple[str, ...]] = ()
    query: ConfiguredQuery | None = None
    _batches: Iterator[RecordBatch]

    @override
    def _write_activate_version_message(self, full_table_version: int) -> None:
        if self.get_batch_config(self.config) is None:
            super()._write_activate_version_message(full_table_version)
            return
        # Rows of a BATCH have no version: targets would delete them as old rows.
        self.logger.warning(
            "%s: rows of earlier runs stay in the target, because `batch_config` activates no "
            "version",
            self.name,
        )

    @abstractmethod
    def batches(
        self, result: Result, outcome: Outcome, match: ColumnMatch
    ) -> Iterator[RecordBatch]:
        """Yield the records of a task."""

    @property
    def keeper(self) -> QueryKeeper | None:
        """State of its query; None for external tasks."""
        return None

    @property
    def goes_in_chunks(self) -> bool:
        """Return whether records reach the message writer in chunks, by a shorter path."""
        return self.takes_raw_json and self.ABORT_AT_RECORD_COUNT is None

    @override
    def get_batch_config(self, config: Mapping[str, Any]) -> BatchConfig | None:
        """Return the configuration of BATCH for the rows.

        Raises:
            SettingsError: If `batch_config` lacks something.
        """
        # A test run needs a record.
        if self.ABORT_AT_RECORD_COUNT is not None:
            return None
        try:
            return super(LookerStream, self).get_batch_config(config)
        except TypeError as error:
            msg = (
                f"batch_config: needs `encoding` with `format`, and `storage` with `root`: {error}"
            )
            raise SettingsError(msg) from None

    @override
    def get_batches(
        self, batch_config: BatchConfig, context: Context | None = None
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Yield the files of one task's rows.

        Raises:
            StorageError: If a file cannot be stored, or rows cannot be written in its format.
        """
        records: Iterator[Record] = self._sync_records(context, write_messages=False)
        if not self.goes_in_chunks:
            records = self._map_records(records)
        file_format = batch_config.encoding.format
        if file_format == BatchFileFormat.JSONL:
            for url in BatchFiles(batch_config, self.tap_name, self.name).write(records):
                yield batch_config.encoding, [url]
            return
        try:
            for manifest in Batcher(self.tap_name, self.name, batch_config).get_batches(records):
                yield batch_config.encoding, manifest
        except ImportError as error:
            msg = f"batch_config: {error}; install tap-looker-tasks[{file_format}]"
            raise StorageError(msg) from error
        except (ArithmeticError, OSError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            msg = f"batch_config: {self.name} cannot be written as {file_format}: {reason}"
            raise StorageError(msg) from error

    def _map_records(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield records after selection and stream maps, which the SDK's files ignore.

        Raises:
            SettingsError: If stream maps make several streams of this one.
        """
        first, *others = self.stream_maps
        if others:
            msg = f"stream_maps: {self.name} cannot become several streams with `batch_config`"
            raise SettingsError(msg)
        for record in records:
            mapped = first.transform({name: record[name] for name in record if self.selects(name)})
            if mapped is not None:
                yield mapped

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        # With one record more than a test run needs, the SDK would end it as a failure.
        return islice(self._records(), self.ABORT_AT_RECORD_COUNT)

    def _records(self) -> Iterator[Record]:
        for batch in self._batches:
            if self.goes_in_chunks:
                # The SDK counts a chunk as one record.
                self._record_counter.increment(batch.count - 1)
                # The SDK removes deselected columns, but not within a chunk.
                selected = batch.select_columns([*filter(self.selects, batch.type.names)])
                chunk = RecordChunk(selected.lines(), batch.count)
                yield chunk
                self._check_written(chunk)
            else:
                yield from batch.records()

    def _check_written(self, chunk: RecordChunk) -> None:
        """Check that the SDK passed on a chunk: a copy would be one empty record.

        Raises:
            RowsLostError: If it did not.
        """
        if not chunk.is_written:
            msg = (
                f"{self.name}: {chunk.count} rows did not reach the output, because singer-sdk "
                f"{version('singer-sdk')} changes records on their way; install the version that "
                "this tap requires"
            )
            raise RowsLostError(msg)

    @override
    def get_record_counter(
        self, *, endpoint: str | None = None, log_interval: float = metrics.DEFAULT_LOG_INTERVAL
    ) -> metrics.Counter:
        self._record_counter = super().get_record_counter(
            endpoint=endpoint, log_interval=log_interval
        )
        return self._record_counter

    def match(self, result: Result) -> ColumnMatch:  # noqa: ARG002 - streams of queries look at it
        """Return the requested columns that a result has.

        Raises:
            MalformedResponseError: If a row cannot be understood.
        """
        return ColumnMatch()

    def find_problem(self, result: Result, match: ColumnMatch) -> str | None:  # noqa: ARG002 - as above
        """Return why no row of a result can be delivered, in one line; None if all can."""
        return None

    def deliver(
        self,
        outcome: Outcome,  # noqa: ARG002 - as above
        result: Result,  # noqa: ARG002 - as above
        match: ColumnMatch,  # noqa: ARG002 - as above
        batches: Iterator[RecordBatch],
        *,
        is_complete: bool,  # noqa: ARG002 - as above
    ) -> None:
        """Sync the rows of one task from `batches`; `is_complete` is whether these are complete."""
        self._batches = batches
        try:
            self.sync()
        finally:
            # The stream stays, but its results must not.
            del self._batches
