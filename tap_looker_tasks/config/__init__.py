"""Settings: their schema, environment variables, and the entries of `queries` and `dashboards`."""

from tap_looker_tasks.config.entries import (
    UNLIMITED,
    ConfiguredQuery,
    DashboardConfig,
    ExploreConfig,
    QueryConfig,
    name_problems,
    parse_ids_file,
    read_duration,
    shard_of,
    share_queries,
)
from tap_looker_tasks.config.environment import find_wrong_variables
from tap_looker_tasks.config.schema import build_config_schema, describe_settings, without_secrets
from tap_looker_tasks.config.settings import Settings, find_unknown_settings, refuse

__all__ = [
    "UNLIMITED",
    "ConfiguredQuery",
    "DashboardConfig",
    "ExploreConfig",
    "QueryConfig",
    "Settings",
    "build_config_schema",
    "describe_settings",
    "find_unknown_settings",
    "find_wrong_variables",
    "name_problems",
    "parse_ids_file",
    "read_duration",
    "refuse",
    "shard_of",
    "share_queries",
    "without_secrets",
]
