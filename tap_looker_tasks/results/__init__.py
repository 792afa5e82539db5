"""Results in Looker's JSON: a stream of bytes is split into entries, payloads and results.

`split_entries` splits a batch's body while it arrives, `read_body` reads a single result, and
`read_result` turns a task's payload in any format into a `Result` with rows.
"""

from tap_looker_tasks.results.entries import (
    NotAResultError as NotAResultError,
    TaskEntry as TaskEntry,
    read_body as read_body,
    split_entries as split_entries,
)
from tap_looker_tasks.results.json_stream import RowArrays as RowArrays
from tap_looker_tasks.results.json_text import (
    MalformedResponseError as MalformedResponseError,
    UnexpectedJsonError as UnexpectedJsonError,
    as_id as as_id,
    as_object as as_object,
    as_objects as as_objects,
    as_text as as_text,
    quoted as quoted,
    read_json as read_json,
)
from tap_looker_tasks.results.payload import read_result as read_result
from tap_looker_tasks.results.result import (
    OBJECT_OF_RAWS as OBJECT_OF_RAWS,
    ROWS as ROWS,
    Field as Field,
    Pivot as Pivot,
    Result as Result,
    first_byte as first_byte,
    one_array as one_array,
)
