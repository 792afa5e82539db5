"""Singer output: messages on standard output, paced STATE, and BATCH files."""

from tap_looker_tasks.singer.interrupts import Interrupts
from tap_looker_tasks.singer.message_writer import (
    BatchFiles,
    MessageWriter,
    PacedStateWriter,
    ReadyJson,
    RecordChunk,
    filter_record,
)

__all__ = [
    "BatchFiles",
    "Interrupts",
    "MessageWriter",
    "PacedStateWriter",
    "ReadyJson",
    "RecordChunk",
    "filter_record",
]
