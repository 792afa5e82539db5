"""The Singer streams: names, keys, schemas, records."""

from tap_looker_tasks.streams.base import RowStream
from tap_looker_tasks.streams.outcomes import QueryTaskResultsStream
from tap_looker_tasks.streams.rows import QueryStream, QueryTaskRowsStream
from tap_looker_tasks.streams.watching import RunWatch

__all__ = [
    "QueryStream",
    "QueryTaskResultsStream",
    "QueryTaskRowsStream",
    "RowStream",
    "RunWatch",
]
