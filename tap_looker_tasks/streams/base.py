"""What all streams share: records that are typed already, and the short way out."""

from __future__ import annotations

from abc import abstractmethod
from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar

from singer_sdk import Stream, metrics
from singer_sdk import typing as th
from singer_sdk.exceptions import AbortedSyncFailedException, AbortedSyncPausedException
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from typing_extensions import override

from tap_looker_tasks.errors import RowsLostError
from tap_looker_tasks.singer.message_writer import RecordChunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context, Record

    from tap_looker_tasks.looker.result import Result
    from tap_looker_tasks.records.rows import RecordBatch
    from tap_looker_tasks.tasks.actions import Outcome
    from tap_looker_tasks.tasks.launcher import RememberedQuery
    from tap_looker_tasks.tasks.stored_queries import ConfiguredQuery


# Free objects carry no `properties` key: targets drop the column when it is there and empty.
FREE_OBJECT = th.CustomType({"type": ["object", "null"]})
FREE_OBJECTS = th.CustomType({"type": ["array", "null"], "items": {"type": ["object", "null"]}})


class LookerStream(Stream):
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


class _ChunkCounter(metrics.Counter):
    """Counts the records of a chunk, which the SDK takes for one."""

    step = 1

    @override
    def increment(self, value: int = 1) -> None:
        super().increment(value * self.step)


class RowStream(LookerStream):
    """A stream of result rows, delivered one task after the other.

    Attributes:
        query: the query its tasks are launched for; None for external tasks.
    """

    state_partitioning_keys: ClassVar[tuple[str, ...]] = ()
    query: ConfiguredQuery | None = None
    _batches: Iterator[RecordBatch]

    def remember(self, query: RememberedQuery) -> None:
        """Have state remember the query that was run; external tasks have none."""

    @abstractmethod
    def batches(self, result: Result, query_task_id: str) -> Iterator[RecordBatch]:
        """Yield the records of a task."""

    @property
    def query_name(self) -> str | None:
        """Name of the query its tasks are launched for; None for external tasks."""
        return self.query.name if self.query else None

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
                chunk = RecordChunk(selected.lines(), len(batch))
                yield chunk
                self._check_written(chunk)
            else:
                yield from batch.records()

    def _check_written(self, chunk: RecordChunk) -> None:
        """Check that the SDK handed a chunk on: a copy would be one empty record.

        Raises:
            RowsLostError: it did not.
        """
        if not chunk.is_written:
            msg = (
                f"{self.name}: {chunk.count} rows did not reach the output, because singer-sdk "
                f"{version('singer-sdk')} does not pass records on as they are; install a version "
                "of it that this tap was made for"
            )
            raise RowsLostError(msg)

    @override
    def get_record_counter(
        self, *, endpoint: str | None = None, log_interval: float = metrics.DEFAULT_LOG_INTERVAL
    ) -> metrics.Counter:
        counter = super().get_record_counter(endpoint=endpoint, log_interval=log_interval)
        self._record_counter = _ChunkCounter(counter.metric, counter.tags, counter.log_interval)
        return self._record_counter

    def deliver(self, outcome: Outcome, result: Result, batches: Iterator[RecordBatch]) -> None:  # noqa: ARG002 - streams of queries look at them
        """Sync the rows of one task, given as `batches`."""
        self._batches = batches
        try:
            self.sync()
        except (AbortedSyncFailedException, AbortedSyncPausedException):
            self.logger.debug("stopped by the limit of a test run")
        finally:
            # The stream stays, its results must not.
            del self._batches
