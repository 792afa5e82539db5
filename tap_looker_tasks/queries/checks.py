"""Checks of a configured query against the fields of its Explore."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tap_looker_tasks.config import QueryConfig
from tap_looker_tasks.queries.body import body_problems
from tap_looker_tasks.queries.bookmark import MOMENTS, can_combine
from tap_looker_tasks.records import (
    Column,
    ExploreField,
    KnownFields,
    collisions,
    columns_of,
    custom_fields,
    describe_renamed,
    dimensions_of,
    query_fields,
)
from tap_looker_tasks.wording import find_unknown

# Types of LookML measures that Looker computes over the rows of a result.
_TYPES_OVER_ROWS = frozenset({"percent_of_previous", "percent_of_total", "running_total"})
# Types that Looker filters as dates, even if their values are not.
_NUMBERS_FILTERED_AS_DATES = frozenset({"date_raw", "date_year", "date_fiscal_year"})


def field_problems(
    config_path: str,
    config: QueryConfig,
    body: Mapping[str, Any],
    known: KnownFields,
    max_name_bytes: int,
) -> list[str]:
    """Return the problems of a query's fields, one line each, with the config path.

    Args:
        config_path: Config path of the query, such as `queries[3]`.
        config: Configured query.
        body: Body of the query, whose `dynamic_fields` could be read when it was prepared.
        known: Fields that it may use.
        max_name_bytes: Maximum bytes of a column's name.
    """
    fields = {**known.fields, **custom_fields(body.get("dynamic_fields"))}
    names = query_fields(body)
    filters = {**(config.explore.filters if config.explore else {}), **config.filters}
    columns = {column.field: column for column in columns_of(fields, body, max_name_bytes)}
    in_explore = (
        *find_unknown("fields", names, fields, "field of the Explore"),
        *find_unknown("filters", filters, fields, "field of the Explore"),
    )
    problems = (
        *(in_explore if known.are_all else ()),
        *(f"fields: {problem}" for problem in collisions(columns.values())),
        *find_unknown("primary_keys", config.key_fields, names, "field of the query"),
        *_auto_key_problems(config, body, fields),
        *body_problems(config, body),
        *_row_by_row_problems(config, names, fields),
        *_pivot_problems(config, body),
        *_replication_key_problems(
            config_path, config, body, columns, fields if known.are_typed else {}
        ),
    )
    return [f"{config_path}.{problem}" for problem in problems]


def visible_fields(
    config: QueryConfig, body: Mapping[str, Any], known: KnownFields
) -> tuple[Mapping[str, Any], frozenset[str]]:
    """Return a query without the fields that its Explore does not show, and their names.

    Looker runs a saved query without the fields that an access grant hides from the user; fields in
    the configuration are checked instead.
    """
    if config.explore or not known.are_all:
        return body, frozenset()
    fields = {**known.fields, **custom_fields(body.get("dynamic_fields"))}
    hidden = frozenset(query_fields(body)) - fields.keys()
    kept = {
        key: [name for name in body.get(key) or () if name not in hidden]
        for key in ("fields", "pivots")
    }
    return ({**body, **kept} if hidden else body), hidden


def field_warnings(
    config_path: str, config: QueryConfig, columns: Iterable[Column], max_name_bytes: int
) -> list[str]:
    """Return warnings about the columns of a query, one line each, with the config path."""
    columns = [*columns]
    renamed = describe_renamed({c.field: c.name for c in columns}, max_name_bytes)
    repeated = (
        f"{config.replication_key} is in the database's time zone, so each run loads the last day "
        "again; set primary_keys so that its rows replace the earlier ones"
        for column in columns
        if column.field == config.replication_key and not column.converts_time_zone
        if not config.primary_keys
    )
    return [
        *(f"{config_path}.fields: {line}" for line in renamed),
        *(f"{config_path}.replication_key: {line}" for line in repeated),
    ]


def _auto_key_problems(
    config: QueryConfig, body: Mapping[str, Any], known: Mapping[str, ExploreField]
) -> Iterator[str]:
    if config.has_auto_key:
        try:
            dimensions_of(known, body)
        except ValueError as error:
            yield f"primary_keys: {error}, so auto cannot be used; name the keys"


def _row_by_row_problems(
    config: QueryConfig, names: Iterable[str], known: Mapping[str, ExploreField]
) -> Iterator[str]:
    for name in names if config.replication_key else ():
        if name in known and known[name].type in _TYPES_OVER_ROWS:
            yield (
                f"replication_key: {name} is a {known[name].type}, which Looker computes over the "
                "rows of the result, so an incremental run would load wrong values; leave out one "
                "of the two"
            )


def _pivot_problems(config: QueryConfig, body: Mapping[str, Any]) -> Iterator[str]:
    missing = [name for name in body.get("pivots") or () if name not in config.key_fields]
    if config.key_fields and missing:
        yield (
            "primary_keys: the query is pivoted, with a record for each pivot value; only with "
            f"{' and '.join(missing)} do keys distinguish records"
        )


def _replication_key_problems(
    config_path: str,
    config: QueryConfig,
    body: Mapping[str, Any],
    columns: Mapping[str, Column],
    known: Mapping[str, ExploreField],
) -> Iterator[str]:
    key = config.replication_key
    if key is None:
        return
    yield from find_unknown("replication_key", [key], columns, "field of the query")
    column = columns.get(key)
    if not column or key not in known:
        return
    if not _can_filter_from(column) or known[key].category == "table_calculation":
        what = column.looker_type or known[key].category or "field of an unknown type"
        yield (
            f"replication_key: {key} is a {what}; choose a date, date-time or number of the "
            "database"
        )
        return
    if config.lookback and column.column_type.is_number:
        yield f"lookback: {key} is a number, but a lookback requires a date or date-time"
    filters = {**(body.get("filters") or {}), **config.filters}
    if not can_combine(filters.get(key), with_number=column.column_type.is_number):
        yield (
            f"replication_key: a bookmark cannot be combined with the filter {filters[key]!r} on "
            f"the same field (a filter of '' in {config_path}.filters drops it)"
        )


def _can_filter_from(column: Column) -> bool:
    if column.column_type.is_number:
        return column.looker_type not in _NUMBERS_FILTERED_AS_DATES
    return column.column_type in MOMENTS
