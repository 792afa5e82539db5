"""Singer output: messages on standard output, paced STATE, and BATCH files."""

from tap_looker_tasks.singer.interrupts import Interrupts as Interrupts
from tap_looker_tasks.singer.message_writer import (
    BatchFiles as BatchFiles,
    MessageWriter as MessageWriter,
    PacedStateWriter as PacedStateWriter,
    ReadyJson as ReadyJson,
    RecordChunk as RecordChunk,
    filter_record as filter_record,
)
