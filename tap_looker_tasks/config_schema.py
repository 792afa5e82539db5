"""Declares the settings to the SDK, for `--about` and its checks."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

from tap_looker_tasks.settings import setting_defaults

_DEFAULTS = dict(setting_defaults())
_OBJECTS = th.CustomType({"type": ["array", "null"], "items": {"type": "object"}})


def _setting(
    name: str,
    type_: type[th.JSONTypeHelper[Any]] | th.JSONTypeHelper[Any],
    title: str,
    description: str,
    **more: Any,
) -> th.Property[Any]:
    default = _DEFAULTS.get(name)
    return th.Property(
        name,
        type_,
        title=title,
        description=description,
        required=name not in _DEFAULTS,
        default=default if isinstance(default, bool | int | float | str) else None,
        **more,
    )


CONFIG_JSONSCHEMA: dict[str, Any] = th.PropertiesList(
    _setting(
        "base_url",
        th.StringType,
        "Base URL",
        "Address of the Looker instance, with or without port or `/api/4.0`; "
        "https, or http on loopback only",
    ),
    _setting(
        "client_id", th.StringType, "Client ID", "Client ID of the API credentials", secret=True
    ),
    _setting(
        "client_secret",
        th.StringType,
        "Client secret",
        "Client secret of the API credentials",
        secret=True,
    ),
    _setting("verify_ssl", th.BooleanType, "Verify TLS", "Whether to verify TLS certificates"),
    _setting(
        "ca_bundle",
        th.StringType,
        "CA bundle",
        "Path of a file with your own certificate authority's certificates",
    ),
    _setting(
        "query_task_ids",
        th.ArrayType(th.StringType),
        "Query task IDs",
        "Query tasks made elsewhere, to follow",
    ),
    _setting(
        "query_task_ids_file",
        th.StringType,
        "Query task IDs file",
        "Path of a file with query tasks to follow: one id a line, or JSON lines with "
        "`query_task_id`",
    ),
    _setting(
        "queries",
        _OBJECTS,
        "Queries",
        "Queries to launch, one typed stream each: objects with `name`, one of `query_id`, "
        "`query_slug`, `look_id` and `explore`, and optionally `limit`, `filters`, `primary_keys` "
        "and `replication_key`",
    ),
    _setting(
        "dashboards",
        _OBJECTS,
        "Dashboards",
        "Dashboards whose tiles to launch, one typed stream each: objects with `dashboard_id`, "
        "`name` (what the streams' names begin with) and optionally `filters`",
    ),
    _setting(
        "start_date",
        th.DateTimeType,
        "Start date",
        "First bookmark of incremental queries by date or date-time",
    ),
    _setting(
        "query_timezone",
        th.StringType,
        "Query time zone",
        "Time zone that launched queries run in, by its IANA name",
    ),
    _setting(
        "result_format",
        th.StringType,
        "Result format",
        "Format to ask for when launching",
        allowed_values=["json_detail", "json_bi"],
    ),
    _setting(
        "wait_for_completion",
        th.BooleanType,
        "Wait for completion",
        "Whether to wait until every task has finished; if not, take one look at each and "
        "leave the rest to the next run",
    ),
    _setting(
        "task_timeout_seconds",
        th.NumberType,
        "Task timeout",
        "Seconds after which an unfinished task gets the status `timeout` and, if launched by "
        "the tap, is cancelled",
    ),
    _setting(
        "sync_timeout_seconds",
        th.NumberType,
        "Sync timeout",
        "Seconds after which a run ends in good order; unfinished launched tasks stay in state "
        "and are resumed",
    ),
    _setting(
        "max_concurrent_tasks",
        th.IntegerType,
        "Concurrent tasks",
        "Tasks launched and unfinished at once",
    ),
    _setting(
        "batch_size",
        th.IntegerType,
        "Batch size",
        "Query task ids per `multi_results` request, at most 250",
    ),
    _setting(
        "poll_interval_seconds",
        th.NumberType,
        "Poll interval",
        "Seconds between the first polls, and the shortest pause",
    ),
    _setting(
        "poll_max_interval_seconds",
        th.NumberType,
        "Longest poll interval",
        "Longest pause between polls, in seconds; the pause grows while nothing finishes",
    ),
    _setting(
        "expired_grace_seconds",
        th.NumberType,
        "Grace for expired tasks",
        "Seconds for which `expired`, `absent` and `missing` must last before they are believed",
    ),
    _setting(
        "max_task_attempts",
        th.IntegerType,
        "Task attempts",
        "Launches per query and run, when a task expires or is lost",
    ),
    _setting(
        "on_interrupt",
        th.StringType,
        "On interrupt",
        "What SIGINT and SIGTERM do with tasks launched by the tap: `cancel` them, or `leave` "
        "them in state for the next run",
        allowed_values=["cancel", "leave"],
    ),
    _setting(
        "fail_on_task_error",
        th.BooleanType,
        "Fail on task error",
        "Whether to end with exit code 1, after everything else is delivered, when a task "
        "did not complete",
    ),
    _setting(
        "http_timeout_seconds",
        th.NumberType,
        "HTTP timeout",
        "Seconds one request may wait for an answer",
    ),
    _setting(
        "http_max_tries",
        th.IntegerType,
        "HTTP tries",
        "Tries per request before the run gives up",
    ),
    _setting(
        "api_call_limit",
        th.IntegerType,
        "API call limit",
        "Calls of Looker's API that a run may make; it ends in good order before it makes more",
    ),
    _setting(
        "shard_count",
        th.IntegerType,
        "Shards",
        "Number of taps that share the tasks and queries",
    ),
    _setting(
        "shard_index",
        th.IntegerType,
        "Shard",
        "Which share this tap follows and launches, from 0",
    ),
).to_dict()
