"""The record of `query_task_results`: its columns, and how each is filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk import typing as th

from tap_looker_tasks.records import to_rfc3339
from tap_looker_tasks.streams.base import FREE_OBJECT, FREE_OBJECTS, KEY_TEXT
from tap_looker_tasks.tasks import LaunchedTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_looker_tasks.config import ConfiguredQuery
    from tap_looker_tasks.results import Result
    from tap_looker_tasks.tasks import Outcome

SCHEMA: Mapping[str, Any] = th.PropertiesList(
    th.Property("query_task_id", KEY_TEXT, required=True, description="Looker's id of the task"),
    th.Property(
        "status",
        KEY_TEXT,
        description="Looker's word in lower case; or `absent`: Looker never answered for "
        "this id; or `timeout`: unfinished after `task_timeout_seconds`",
    ),
    th.Property(
        "query_name",
        KEY_TEXT,
        description="Name of the configured query; null for an external task",
    ),
    th.Property("query_id", KEY_TEXT, description="Looker's id of the query"),
    th.Property("look_id", KEY_TEXT, description="Looker's id of the Look the query came from"),
    th.Property(
        "dashboard_id",
        KEY_TEXT,
        description="Looker's id of the dashboard the query came from",
    ),
    th.Property(
        "origin",
        KEY_TEXT,
        description="`given`: an external task; `launched`: one of this tap",
    ),
    th.Property(
        "result_format",
        KEY_TEXT,
        description="Format of the result, as its shape tells; null for text",
    ),
    th.Property(
        "result_source",
        KEY_TEXT,
        description="Where Looker took the result from, such as `query` or `cache`",
    ),
    th.Property(
        "from_cache", th.BooleanType, description="Whether the result came from Looker's cache"
    ),
    th.Property("attempt", th.IntegerType, description="Number of the launch, from 1"),
    th.Property("launched_at", th.DateTimeType, description="When this tap created the task"),
    th.Property(
        "first_seen_at", th.DateTimeType, description="When Looker first answered for the task"
    ),
    th.Property(
        "finished_at",
        th.DateTimeType,
        description="When the tap saw the final status; null while unfinished",
    ),
    th.Property(
        "runtime_seconds",
        th.NumberType,
        description="Time the query took, as Looker reports it",
    ),
    th.Property("row_count", th.IntegerType, description="Rows of the result"),
    th.Property("truncated", th.BooleanType, description="Whether a limit cut the result off"),
    th.Property("error_message", th.StringType, description="First error, in one line"),
    th.Property("errors", FREE_OBJECTS, description="Errors as Looker sent them"),
    th.Property("warnings", FREE_OBJECTS, description="Errors that Looker marks as not fatal"),
    th.Property(
        "fields", FREE_OBJECTS, description="Fields of the result: name, label, type, category"
    ),
    th.Property(
        "data",
        FREE_OBJECT,
        description='`{"rows": [...]}` or `{"text": "..."}`; null without a result',
    ),
).to_dict()


def build_record(
    outcome: Outcome,
    result: Result,
    query: ConfiguredQuery | None,
    *,
    result_source: str | None = None,
    data: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the record of a task.

    Args:
        outcome: what is known of the task.
        result: what Looker sent with it; empty but for the status when that was nothing.
        query: the one that the tap launched it for.
        result_source: where Looker took the result from.
        data: the result itself, when it is wanted here.
    """
    task = outcome.task
    launched = task if isinstance(task, LaunchedTask) else None
    return {
        "query_task_id": task.query_task_id,
        "status": result.status,
        **_source_of(launched, query),
        "origin": "launched" if launched else "given",
        "result_format": result.result_format,
        "result_source": result_source,
        "from_cache": result.from_cache,
        "attempt": launched.attempt if launched else 1,
        "launched_at": _moment(launched.launched_at if launched else None),
        "first_seen_at": _moment(outcome.first_seen_at),
        "finished_at": _moment(outcome.finished_at),
        "runtime_seconds": result.runtime_seconds,
        "row_count": result.row_count,
        "truncated": result.truncated,
        "error_message": outcome.problem or result.error_message,
        "errors": list(result.errors),
        "warnings": list(result.warnings),
        "fields": result.fields and [msgspec.to_builtins(field) for field in result.fields],
        "data": data,
    }


def _source_of(task: LaunchedTask | None, query: ConfiguredQuery | None) -> dict[str, Any]:
    return {
        "query_name": task.query_name if task else None,
        "query_id": task.query_id if task else None,
        "look_id": query.look_id if query else None,
        "dashboard_id": query.dashboard_id if query else None,
    }


def _moment(epoch_seconds: float | None) -> str | None:
    return None if epoch_seconds is None else to_rfc3339(epoch_seconds)
