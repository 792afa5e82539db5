"""The Singer streams: names, keys, schemas, records."""

from tap_looker_tasks.streams.base import LookerTap as LookerTap
from tap_looker_tasks.streams.outcomes import QueryTaskResultsStream as QueryTaskResultsStream
from tap_looker_tasks.streams.rows import (
    QueryStream as QueryStream,
    QueryTaskRowsStream as QueryTaskRowsStream,
)
