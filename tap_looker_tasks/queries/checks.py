"""What is wrong with a configured query, now that its Explore is known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from tap_looker_tasks.queries.bookmark import MOMENTS, can_combine
from tap_looker_tasks.records import (
    collisions,
    columns_of,
    custom_fields,
    describe_renamed,
    dimensions_of,
    query_fields,
)
from tap_looker_tasks.wording import suggest_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from tap_looker_tasks.config import QueryConfig
    from tap_looker_tasks.records import Column, ExploreField, KnownFields

_REFERENCE = re.compile(r"\$\{([\w.]+)")
_REFERENCE_TO_ALL = re.compile(r"\$\{[\w.]+:(total)\}")
_FUNCTION = re.compile(r"\b([A-Za-z_]+)\s*\(")
_TEXT = re.compile(r'"[^"]*"')
# <https://docs.cloud.google.com/looker/docs/functions-and-operators>: every other function, known
# or not, may look at other rows.
_OF_ONE_ROW = frozenset(
    {
        *("abs", "acos", "asin", "atan", "ceiling", "cos", "degrees", "exp", "floor", "int", "ln"),
        *("log", "mod", "number", "power", "radians", "round", "sin", "sqrt", "tan", "to_number"),
        *("concat", "contains", "length", "like", "lower", "position", "replace", "split"),
        *("starts_with", "substring", "to_string", "trim", "upper"),
        *("add_days", "add_hours", "add_minutes", "add_months", "add_seconds", "add_years"),
        *("date", "date_time", "diff_days", "diff_hours", "diff_minutes", "diff_months"),
        *("diff_seconds", "diff_years", "extract_days", "extract_hours", "extract_minutes"),
        *("extract_months", "extract_seconds", "extract_years", "now", "to_date", "trunc_days"),
        *("trunc_hours", "trunc_minutes", "trunc_months", "trunc_years", "matches_filter"),
        *("and", "case", "coalesce", "if", "in", "is_null", "not", "or", "to_yesno", "when"),
        *("greatest", "least", "pivot_column", "pivot_index", "pivot_offset", "pivot_row"),
        *("pivot_where",),
    }
)
# Types of LookML measures that Looker computes over the rows of a result.
_TYPES_OVER_ROWS = frozenset({"percent_of_previous", "percent_of_total", "running_total"})
# Looker filters them as dates, whatever their values are.
_NUMBERS_FILTERED_AS_DATES = frozenset({"date_raw", "date_year", "date_fiscal_year"})


def field_problems(
    config_path: str,
    config: QueryConfig,
    body: Mapping[str, Any],
    known: KnownFields,
    longest_name: int,
) -> list[str]:
    """Return what is wrong with the fields of a query, a line each, with its config path.

    Args:
        config_path: of the query, such as `queries[3]`.
        config: what is configured.
        body: the query itself.
        known: the fields that it may use.
        longest_name: bytes that the name of a column may have.
    """
    try:
        fields = {**known.fields, **custom_fields(body.get("dynamic_fields"))}
    except ValueError as error:
        return [f"{config_path}.dynamic_fields: {error}"]
    names = query_fields(body)
    filters = {**(config.explore.filters if config.explore else {}), **config.filters}
    columns = {column.field: column for column in columns_of(fields, body, longest_name)}
    in_explore = [
        *unknown(f"{config_path}.fields", names, fields, "field of the Explore"),
        *unknown(f"{config_path}.filters", filters, fields, "field of the Explore"),
    ]
    return [
        *(in_explore if known.are_all else ()),
        *(f"{config_path}.fields: {problem}" for problem in collisions(columns.values())),
        *unknown(f"{config_path}.primary_keys", config.key_fields, names, "field of the query"),
        *_auto_key_problems(config_path, config, body, fields),
        *_row_by_row_problems(config_path, config, body, fields),
        *_pivot_problems(config_path, config, body),
        *_replication_key_problems(
            config_path, config, body, columns, fields if known.are_typed else {}
        ),
    ]


def body_problems(config: QueryConfig, body: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the configuration asks of a query that it cannot do, each after its config key.

    An incremental query is computed row by row, and a filter expression holds beside all filters.
    """
    if config.replication_key:
        for name, reason in _computed_over_rows(body.get("dynamic_fields")):
            yield (
                f"replication_key: {name} is computed over the rows of the result ({reason}), so "
                "an incremental run would load wrong values; leave out one of the two"
            )
    filtered = {*_REFERENCE.findall(str(body.get("filter_expression") or ""))}
    for name in config.filters:
        if name in filtered:
            yield (
                f"filters: the query's filter expression filters {name} already, so that a filter "
                "cannot replace it"
            )


def _computed_over_rows(dynamic_fields: object) -> Iterator[tuple[str, str]]:
    """Yield the table calculations that need other rows, each with what makes it need them."""
    if not dynamic_fields:
        return
    found = msgspec.json.decode(str(dynamic_fields), type=list[dict[str, Any]] | None) or ()
    for entry in found:
        name = entry.get("table_calculation")
        if not name or entry.get("is_disabled") is True:
            continue
        expression = entry.get("expression")
        if not isinstance(expression, str):
            if kind := entry.get("calculation_type"):
                yield name, str(kind)
            continue
        without_text = _TEXT.sub("", expression)
        functions = [f for f in _FUNCTION.findall(without_text) if f.lower() not in _OF_ONE_ROW]
        if used := next(iter([*functions, *_REFERENCE_TO_ALL.findall(without_text)]), None):
            yield name, used


def visible_fields(
    config: QueryConfig, body: Mapping[str, Any], known: KnownFields
) -> tuple[Mapping[str, Any], frozenset[str]]:
    """Return a query without the fields that its Explore does not show, and their names.

    Looker runs a saved query without the fields that an access grant hides from the user; those
    that are written in the configuration are checked instead.
    """
    if config.explore or not known.are_all:
        return body, frozenset()
    try:
        fields = {**known.fields, **custom_fields(body.get("dynamic_fields"))}
    except ValueError:
        return body, frozenset()
    hidden = frozenset(query_fields(body)) - fields.keys()
    kept = {
        key: [name for name in body.get(key) or () if name not in hidden]
        for key in ("fields", "pivots")
    }
    return ({**body, **kept} if hidden else body), hidden


def field_warnings(
    config_path: str, config: QueryConfig, columns: Iterable[Column], longest_name: int
) -> list[str]:
    """Return what to know of the columns of a query, a line each, with its config path."""
    columns = [*columns]
    renamed = describe_renamed({c.field: c.name for c in columns}, longest_name)
    repeated = (
        f"{config.replication_key} is in the database's time zone, so each run asks for a day "
        "more: without primary_keys its rows are loaded again"
        for column in columns
        if column.field == config.replication_key and not column.converts_time_zone
        if not config.primary_keys
    )
    return [
        *(f"{config_path}.fields: {line}" for line in renamed),
        *(f"{config_path}.replication_key: {line}" for line in repeated),
    ]


def _auto_key_problems(
    config_path: str,
    config: QueryConfig,
    body: Mapping[str, Any],
    known: Mapping[str, ExploreField],
) -> Iterator[str]:
    if config.has_auto_key:
        try:
            dimensions_of(known, body)
        except ValueError as error:
            yield f"{config_path}.primary_keys: {error}, so auto cannot be used; name the keys"


def _row_by_row_problems(
    config_path: str,
    config: QueryConfig,
    body: Mapping[str, Any],
    fields: Mapping[str, ExploreField],
) -> Iterator[str]:
    for problem in body_problems(config, body):
        yield f"{config_path}.{problem}"
    for name in query_fields(body) if config.replication_key else ():
        if name in fields and fields[name].type in _TYPES_OVER_ROWS:
            yield (
                f"{config_path}.replication_key: {name} is a {fields[name].type}, which Looker "
                "computes over the rows of the result, so an incremental run would load wrong "
                "values; leave out one of the two"
            )


def _pivot_problems(
    config_path: str, config: QueryConfig, body: Mapping[str, Any]
) -> Iterator[str]:
    missing = [name for name in body.get("pivots") or () if name not in config.key_fields]
    if config.key_fields and missing:
        yield (
            f"{config_path}.primary_keys: the query is pivoted, with a record for each pivot "
            f"value; only with {' and '.join(missing)} do keys tell records apart"
        )


def unknown(
    config_path: str, names: Iterable[str], known: Collection[str], what: str
) -> Iterator[str]:
    """Yield a line for each name that is not known, with those that may have been meant."""
    for name in names:
        if name not in known:
            yield f"{config_path}: {name} is not a {what}{suggest_names(name, known)}"


def _can_filter_from(column: Column) -> bool:
    if column.column_type.is_number:
        return column.looker_type not in _NUMBERS_FILTERED_AS_DATES
    return column.column_type in MOMENTS


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
    yield from unknown(f"{config_path}.replication_key", [key], columns, "field of the query")
    column = columns.get(key)
    if not column or key not in known:
        return
    if not _can_filter_from(column) or known[key].category == "table_calculation":
        what = column.looker_type or known[key].category or "field of an unknown type"
        yield (
            f"{config_path}.replication_key: {key} is a {what}; only a date, date-time or number "
            "that the database knows can be gone on from"
        )
        return
    if config.lookback and column.column_type.is_number:
        yield f"{config_path}.lookback: {key} is a number; a time can only be taken from a moment"
    filters = {**(body.get("filters") or {}), **config.filters}
    if not can_combine(column, filters.get(key)):
        yield (
            f"{config_path}.replication_key: a bookmark cannot be combined with the filter "
            f"{filters[key]!r} on the same field (a filter of '' in {config_path}.filters drops it)"
        )
