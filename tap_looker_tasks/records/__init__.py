"""Looker field -> column -> record."""

from tap_looker_tasks.records.column_types import (
    DATE,
    DATE_TIME,
    LOCAL_DATE_TIME,
    NUMBERS,
    read_number,
)
from tap_looker_tasks.records.columns import (
    Column,
    collisions,
    column_in_schema,
    columns_of,
    find_type_changes,
    has_table_calculations,
    query_fields,
    stream_schema,
)
from tap_looker_tasks.records.fields import (
    ExploreField,
    KnownFields,
    custom_fields,
    explore_fields,
    fields_in_result,
)
from tap_looker_tasks.records.matching import ColumnMatch, match_columns
from tap_looker_tasks.records.names import (
    QUERY_TASK_ID,
    ROW_NUMBER,
    column_name,
    describe_renamed,
    find_column_name,
    shorten,
)
from tap_looker_tasks.records.rows import KeyCheck, RecordBatch, RecordType, RowReader
from tap_looker_tasks.records.timestamps import (
    from_rfc3339,
    to_local,
    to_rfc3339,
    to_utc,
    zone_named,
)

__all__ = [
    "DATE",
    "DATE_TIME",
    "LOCAL_DATE_TIME",
    "NUMBERS",
    "QUERY_TASK_ID",
    "ROW_NUMBER",
    "Column",
    "ColumnMatch",
    "ExploreField",
    "KeyCheck",
    "KnownFields",
    "RecordBatch",
    "RecordType",
    "RowReader",
    "collisions",
    "column_in_schema",
    "column_name",
    "columns_of",
    "custom_fields",
    "describe_renamed",
    "explore_fields",
    "fields_in_result",
    "find_column_name",
    "find_type_changes",
    "from_rfc3339",
    "has_table_calculations",
    "match_columns",
    "query_fields",
    "read_number",
    "shorten",
    "stream_schema",
    "to_local",
    "to_rfc3339",
    "to_utc",
    "zone_named",
]
