"""The Singer streams: names, keys, schemas, records."""

from tap_looker_tasks.streams.base import LookerTap
from tap_looker_tasks.streams.outcomes import QueryTaskResultsStream
from tap_looker_tasks.streams.rows import QueryStream, QueryTaskRowsStream

__all__ = ["LookerTap", "QueryStream", "QueryTaskResultsStream", "QueryTaskRowsStream"]
