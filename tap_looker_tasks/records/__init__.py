"""Records of typed columns, from the fields and rows of Looker's results."""

from tap_looker_tasks.records.column_types import (
    DATE as DATE,
    DATE_TIME as DATE_TIME,
    DECIMAL_KEY as DECIMAL_KEY,
    LOCAL_DATE_TIME as LOCAL_DATE_TIME,
    NUMBER as NUMBER,
    ColumnType as ColumnType,
    decimal_type as decimal_type,
    read_decimal_size as read_decimal_size,
    read_number as read_number,
)
from tap_looker_tasks.records.columns import (
    Column as Column,
    ColumnMatch as ColumnMatch,
    collisions as collisions,
    column_in_schema as column_in_schema,
    columns_of as columns_of,
    dimensions_of as dimensions_of,
    find_type_changes as find_type_changes,
    match_columns as match_columns,
    query_fields as query_fields,
    stream_schema as stream_schema,
    table_calculations as table_calculations,
)
from tap_looker_tasks.records.fields import (
    ExploreField as ExploreField,
    KnownFields as KnownFields,
    custom_fields as custom_fields,
    dynamic_entries as dynamic_entries,
    explore_fields as explore_fields,
    fields_in_result as fields_in_result,
)
from tap_looker_tasks.records.keys import (
    MAX_KEY_LENGTH as MAX_KEY_LENGTH,
    QUERY_TASK_ID as QUERY_TASK_ID,
    ROW_KEY as ROW_KEY,
    ROW_NUMBER as ROW_NUMBER,
    column_name as column_name,
    describe_renamed as describe_renamed,
    find_column_name as find_column_name,
    key_fields_of as key_fields_of,
    row_keys_of as row_keys_of,
    shorten as shorten,
)
from tap_looker_tasks.records.rows import (
    KeyCheck as KeyCheck,
    RecordBatch as RecordBatch,
    RecordType as RecordType,
    RowReader as RowReader,
)
from tap_looker_tasks.records.timestamps import (
    from_rfc3339 as from_rfc3339,
    to_local as to_local,
    to_rfc3339 as to_rfc3339,
    to_utc as to_utc,
    zone_named as zone_named,
)
