"""Settings: their schema, environment variables, and the entries of `queries` and `dashboards`."""

from tap_looker_tasks.config.addresses import page_of as page_of, read_address as read_address
from tap_looker_tasks.config.entries import (
    AUTO as AUTO,
    UNLIMITED as UNLIMITED,
    ConfiguredQuery as ConfiguredQuery,
    DashboardConfig as DashboardConfig,
    ExploreConfig as ExploreConfig,
    QueryConfig as QueryConfig,
    TileConfig as TileConfig,
    name_problems as name_problems,
    parse_ids_file as parse_ids_file,
    read_duration as read_duration,
    shard_of as shard_of,
    share_queries as share_queries,
)
from tap_looker_tasks.config.schema import (
    build_config_schema as build_config_schema,
    describe_settings as describe_settings,
    find_wrong_variables as find_wrong_variables,
    without_secrets as without_secrets,
)
from tap_looker_tasks.config.settings import (
    Settings as Settings,
    find_unknown_settings as find_unknown_settings,
    reject_problems as reject_problems,
    reject_sdk_errors as reject_sdk_errors,
)
