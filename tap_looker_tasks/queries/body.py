"""Bodies of queries to create, from a configured query, Look or tile."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

from tap_looker_tasks.config import UNLIMITED, ExploreConfig, QueryConfig
from tap_looker_tasks.records import dynamic_entries
from tap_looker_tasks.results import Result

_NOT_WRITABLE = frozenset(
    {
        *("can", "id", "client_id", "slug", "has_table_calculations"),
        *("share_url", "expanded_share_url", "url"),
    }
)
# The appearance of a query in Looker has no influence on its rows.
_NO_INFLUENCE = _NOT_WRITABLE | {"vis_config", "filter_config", "visible_ui_sections"}
NOTHING: tuple[object, ...] = (None, "", [], {}, (), False)
_REFERENCE = re.compile(r"\$\{([\w.]+)")
_REFERENCE_TO_ALL = re.compile(r"\$\{[\w.]+:(total)\}")
_FUNCTION = re.compile(r"\b([A-Za-z_]+)\s*\(")
_TEXT = re.compile(r'"[^"]*"')
# Functions of <https://docs.cloud.google.com/looker/docs/functions-and-operators> without other
# rows; every other function, known or not, may use them.
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


class _Query(msgspec.Struct):
    """The parts of Looker's `Query` that the tap reads."""

    model: str
    view: str
    fields: list[str] | None = None
    pivots: list[str] | None = None
    sorts: list[str] | None = None
    filters: dict[str, Any] | None = None
    dynamic_fields: str | None = None
    limit: int | Annotated[str, msgspec.Meta(pattern=r"^(-?\d+)?$")] | None = None


def explore_body(config: ExploreConfig, query_timezone: str) -> dict[str, Any]:
    """Return the body of a query that the configuration defines itself."""
    body = msgspec.to_builtins(config, builtin_types=())
    body["view"] = body.pop("explore")
    body["dynamic_fields"] = config.dynamic_fields_text
    if config.column_limit is not None:
        body["column_limit"] = str(config.column_limit)
    body["query_timezone"] = config.query_timezone or query_timezone
    return {
        key: [*value] if isinstance(value, tuple) else value
        for key, value in body.items()
        if value not in NOTHING
    }


def check_body(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the validated body of Looker's query; without Looker's own keys if it is new.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Query>

    Raises:
        ValueError: If its shape differs from the one that Looker documents.
    """
    try:
        msgspec.convert(body, _Query)
    except msgspec.ValidationError as error:
        msg = f"this is not a query in Looker's format: {error}"
        raise ValueError(msg) from None
    filters = body.get("filters") or {}
    if (texts := _as_texts(filters)) != filters:
        body = {**body, "filters": texts}
    if body.get("id") not in NOTHING:
        return body
    return {key: value for key, value in body.items() if key not in _NOT_WRITABLE}


def _as_texts(filters: Mapping[str, object]) -> dict[str, str]:
    """Return filters as text: some API clients store numbers, booleans or lists of one.

    Raises:
        ValueError: If a filter is something else.
    """
    texts = {}
    for name, found in filters.items():
        value = found[0] if isinstance(found, list) and len(found) == 1 else found
        if isinstance(value, bool | int | float):
            value = msgspec.json.encode(value).decode()
        if isinstance(value, str):
            texts[name] = value
        elif value is not None:
            shown = msgspec.json.encode(found)[:50].decode()
            msg = f"its filter on {name} is {shown}, not text; save the query again in Looker"
            raise ValueError(msg)
    return texts


def requested_changes(
    body: Mapping[str, Any],
    config: QueryConfig,
    query_timezone: str,
    tile_filters: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the parts of a query that the configuration requests.

    Args:
        body: Body of the query.
        config: Configured query, whose filters override those of `tile_filters` and `body`.
        query_timezone: Time zone to run the query in.
        tile_filters: Filters of the tile's dashboard, by field.
    """
    changes: dict[str, Any] = {"query_timezone": query_timezone}
    if config.limit is not None:
        changes["limit"] = str(config.limit)
    if config.column_limit is not None:
        changes["column_limit"] = str(config.column_limit)
    if filters := {**(tile_filters or {}), **config.filters}:
        changes["filters"] = {**(body.get("filters") or {}), **filters}
    return changes


def changed_copy(body: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the body of a changed copy; None if the query needs no change."""
    changed = {
        key: value
        for key, value in changes.items()
        if _significant(body.get(key)) != _significant(value)
    }
    if not changed:
        return None
    kept = {key: value for key, value in body.items() if key not in _NOT_WRITABLE}
    # In Looker's own pages, `filter_config` would override `filters`.
    return {**kept, **changed, "filter_config": None}


def determining_parts(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts that determine the rows of a query, without empty ones."""
    return {k: v for k, v in body.items() if k not in _NO_INFLUENCE and v not in NOTHING}


def fingerprint(body: Mapping[str, Any]) -> str:
    """Hash the parts that determine a query's rows: equal in every run and process."""
    determining = {key: _significant(v) for key, v in determining_parts(body).items()}
    text = msgspec.json.encode(determining, order="deterministic")
    return hashlib.sha256(text).hexdigest()


def _significant(value: object) -> object:
    """Return one form of what Looker treats as equal: limits as text or numbers, empty values."""
    if value in NOTHING:
        return None
    return str(value) if isinstance(value, int) else value


# Run times and result limits of a query.


class RunTime(NamedTuple):
    """Run time of a query, from its last runs.

    Attributes:
        seconds: Median of the run times.
        spread: Median deviation from it, in seconds.
    """

    seconds: float
    spread: float = 0.0


_ROWS_BY_DEFAULT = 500
_MAX_COLUMNS = 200
# Looker's default and its maximum.
_COLUMN_CAPS = frozenset({50, _MAX_COLUMNS})
# For any row limit. <https://docs.cloud.google.com/looker/docs/looker-limits>
_ROW_CAPS = {
    5_000: "Looker caps results at 5,000 rows for users without the permission "
    "`download_without_limit`, and some that it cannot stream; check the role of the API user",
    100_000: "Looker caps results that it cannot stream at 100,000 rows: those with table "
    "calculations or row totals, and those of some databases; remove them, or add filters",
}


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Limits at which Looker cuts off a result; in state, keys of a query and of a task in flight.

    Attributes:
        row_limit: Maximum number of rows; None for all, or if it is not known.
        column_limit: Maximum number of pivot values; None for all, or if it is not known.
    """

    row_limit: int | None = None
    column_limit: int | None = None


UNKNOWN_LIMITS = Limits()


def limits_of(body: Mapping[str, Any]) -> Limits:
    """Return the limits of a query body."""
    columns = str(body.get("column_limit")) if body.get("pivots") else ""
    return Limits(_row_limit(body.get("limit")), int(columns) if columns.isdecimal() else None)


class Shortfall(NamedTuple):
    """A reason why a result may be incomplete.

    Attributes:
        reason: Reason, with the figure that shows it.
        limit: Property of the query that cuts off the result; None if raising it would not help.
        is_cut: Whether the result was cut off; otherwise it lacks something it should have.
    """

    reason: str
    limit: str | None = None
    is_cut: bool = True


def find_shortfalls(
    result: Result, limits: Limits, missing_columns: Collection[str] = ()
) -> Iterator[Shortfall]:
    """Yield every reason why a result may be incomplete; nothing if it is complete.

    Only a complete result may activate its version, after which targets delete all other rows.

    Args:
        result: Result that Looker sent.
        limits: Limits of its query, if known.
        missing_columns: Names of declared columns that it lacks.
    """
    if result.row_count is None:
        yield Shortfall("the result has no rows in it", is_cut=False)
    if (columns := _find_column_limit(result, limits.column_limit)) is not None:
        yield Shortfall(f"the result is at its limit (pivoted columns: {columns})", "column_limit")
    yield from _find_row_limit(result, limits.row_limit)
    if missing_columns:
        yield Shortfall(f"the result is without {', '.join(missing_columns)}", is_cut=False)


def _find_column_limit(result: Result, limit: int | None) -> int | None:
    """Return the number of pivoted columns, if they may have been cut off."""
    columns = sum(not pivot.is_total for pivot in result.pivots)
    reaches = columns >= min(limit, _MAX_COLUMNS) if limit else columns in _COLUMN_CAPS
    return columns if result.columns_truncated or reaches else None


def _find_row_limit(result: Result, limit: int | None) -> Iterator[Shortfall]:
    rows = result.row_count or 0
    reports_cut = bool(result.truncated) and not result.columns_truncated
    if (cap := _ROW_CAPS.get(rows)) and (limit is None or limit > rows):
        yield Shortfall(f"the result may be cut off (rows: {rows}): {cap}")
    elif reports_cut or (limit is not None and rows >= limit and not _is_filled(result, limit)):
        yield Shortfall(f"the result is at its limit (rows: {rows})", "limit")


def _is_filled(result: Result, limit: int) -> bool:
    """Return whether rows were filled in on top of a limit that cut off nothing.

    Where Looker does not say whether it did, as in `json_bi`, rows without a measure are counted as
    filled in.
    """
    if (result.row_count or 0) <= limit:
        return False
    if result.truncated is not None:
        return not result.truncated
    measures = [f.name for f in result.fields or () if f.category == "measure"]
    existing = sum(any(_has_value(row.get(name)) for name in measures) for row in result.rows())
    return 0 < existing < limit


def _has_value(cell: object) -> bool:
    values = cell.values() if isinstance(cell, dict) else (cell,)
    return any(value is not None for value in values)


def _row_limit(limit: object) -> int | None:
    rows = int(str(limit or _ROWS_BY_DEFAULT))
    return None if rows == UNLIMITED else rows


def body_problems(config: QueryConfig, body: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the configuration requires and the query cannot do, each after its config key.

    An incremental query is computed row by row, and a filter expression applies beside all filters.
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
    """Yield the table calculations that need other rows, each with the reason."""
    for entry in dynamic_entries(dynamic_fields):
        name = entry.get("table_calculation")
        if not name:
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
