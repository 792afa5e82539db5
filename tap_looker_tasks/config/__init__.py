"""Settings: their schema, environment variables, and the entries of `queries` and `dashboards`."""

from tap_looker_tasks.config.addresses import page_of, read_address, write_address
from tap_looker_tasks.config.entries import (
    AUTO,
    UNLIMITED,
    ConfiguredQuery,
    DashboardConfig,
    ExploreConfig,
    QueryConfig,
    TileConfig,
    name_problems,
    parse_ids_file,
    read_duration,
    shard_of,
    share_queries,
)
from tap_looker_tasks.config.schema import (
    build_config_schema,
    describe_settings,
    find_wrong_variables,
    without_secrets,
)
from tap_looker_tasks.config.settings import (
    Settings,
    find_unknown_settings,
    refuse,
    refuse_sdk_errors,
)

__all__ = [
    "AUTO",
    "UNLIMITED",
    "ConfiguredQuery",
    "DashboardConfig",
    "ExploreConfig",
    "QueryConfig",
    "Settings",
    "TileConfig",
    "build_config_schema",
    "describe_settings",
    "find_unknown_settings",
    "find_wrong_variables",
    "name_problems",
    "page_of",
    "parse_ids_file",
    "read_address",
    "read_duration",
    "refuse",
    "refuse_sdk_errors",
    "shard_of",
    "share_queries",
    "without_secrets",
    "write_address",
]
