"""Results in Looker's JSON: a stream of bytes is split into entries, payloads and results.

`split_answers` splits a batch's body while it arrives, `read_body` reads a single result, and
`read_result` turns a task's payload in any format into a `Result` with rows.
"""

from tap_looker_tasks.results.entries import NotAResultError, TaskEntry, read_body, split_answers
from tap_looker_tasks.results.json_stream import RowArrays
from tap_looker_tasks.results.json_text import (
    MalformedResponseError,
    UnexpectedJsonError,
    as_id,
    as_object,
    as_objects,
    as_text,
    quoted,
    read_json,
)
from tap_looker_tasks.results.payload import read_result
from tap_looker_tasks.results.result import (
    OBJECT_OF_RAWS,
    ROWS,
    Field,
    Pivot,
    Result,
    first_byte,
    one_array,
)

__all__ = [
    "OBJECT_OF_RAWS",
    "ROWS",
    "Field",
    "MalformedResponseError",
    "NotAResultError",
    "Pivot",
    "Result",
    "RowArrays",
    "TaskEntry",
    "UnexpectedJsonError",
    "as_id",
    "as_object",
    "as_objects",
    "as_text",
    "first_byte",
    "one_array",
    "quoted",
    "read_body",
    "read_json",
    "read_result",
    "split_answers",
]
