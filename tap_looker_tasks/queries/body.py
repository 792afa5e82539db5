"""Configured query, Look or tile -> the query body to create, with filters and bookmark merged in.

A body is what `create_query` takes, as a dict:
<https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/create_query>
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field, replace
from decimal import Decimal
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from tap_looker_tasks.records.columns import (
    DATE,
    DATE_TIME,
    INTEGER,
    LOCAL_DATE_TIME,
    NUMBER,
    Column,
    ExploreField,
    collisions,
    columns_of,
    custom_fields,
    query_fields,
    read_number,
    to_local,
    to_utc,
    zone_named,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

RESERVED_NAMES = frozenset({"query_task_results", "query_task_rows"})
UNLIMITED = -1
_SOURCES = ("query_id", "query_slug", "look_id", "explore")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NUMBERS = frozenset({NUMBER, INTEGER})
_MOMENTS = frozenset({DATE, DATE_TIME, LOCAL_DATE_TIME})
_MOMENT = r"\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d)?)?"
_INTERVAL = re.compile(
    rf"after\s+(?P<after>{_MOMENT})|before\s+(?P<before>{_MOMENT})"
    rf"|(?P<start>{_MOMENT})\s+to\s+(?P<end>{_MOMENT})",
    re.IGNORECASE,
)
_COMPARISON = re.compile(r"(?:>=|<=|>|<)\s*-?\d+(?:\.\d+)?")
_ANY = frozenset({"", "any time", "any value"})
_NOT_WRITABLE = frozenset(
    {
        *("can", "id", "client_id", "slug", "has_table_calculations"),
        *("share_url", "expanded_share_url", "url"),
    }
)
# What a query looks like in Looker has no influence on its rows.
_NO_INFLUENCE = _NOT_WRITABLE | {"vis_config", "filter_config", "visible_ui_sections"}
_WRITTEN = MappingProxyType(
    {
        DATE: re.compile(r"\d{4}-\d\d-\d\d"),
        DATE_TIME: re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00"),
        LOCAL_DATE_TIME: re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d(\.\d+)?)?"),
    }
)
_LISTENED_TO = "dashboard filter that a tile listens to"
_NOTHING: tuple[object, ...] = (None, "", [], {}, (), False)


class ExploreConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A query written down in the configuration, in the words of Looker's API.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Query>
    """

    model: str
    explore: str
    fields: tuple[str, ...]
    pivots: tuple[str, ...] = ()
    fill_fields: tuple[str, ...] = ()
    filters: dict[str, str] = {}
    filter_expression: str | None = None
    sorts: tuple[str, ...] = ()
    column_limit: int | str | None = None
    dynamic_fields: str | tuple[dict[str, Any], ...] | None = None


class QueryConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of `queries`.

    Attributes:
        name: name of the stream.
        query_id: a saved query; this, or one of the next three.
        query_slug: the same, by the end of its share URL.
        look_id: a Look.
        explore: a query of its own.
        limit: most rows wanted; -1 for all.
        filters: field -> filter expression, in place of the query's own.
        primary_keys: fields that tell the rows apart.
        replication_key: field to go on from in the next run.
    """

    name: str
    query_id: int | str | None = None
    query_slug: str | None = None
    look_id: int | str | None = None
    explore: ExploreConfig | None = None
    limit: int | None = None
    filters: dict[str, str] = {}
    primary_keys: tuple[str, ...] = ()
    replication_key: str | None = None


class DashboardConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of `dashboards`.

    Attributes:
        dashboard_id: the dashboard.
        name: what the names of its tiles' streams begin with.
        filters: name of a dashboard filter -> filter expression.
    """

    dashboard_id: int | str
    name: str
    filters: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Overrides:
    """What is wanted of a query other than it says itself.

    Attributes:
        limit: most rows wanted; -1 for all.
        filters: field -> filter expression, in place of the query's own.
        query_timezone: the one to run in.
        sort_first: field to sort by, ascending, before all others.
    """

    limit: int | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    query_timezone: str | None = None
    sort_first: str | None = None


@dataclass(frozen=True, slots=True)
class Tile:
    """A dashboard element that can run as a query task.

    Attributes:
        name: name of the stream.
        element_id: Looker's id of the dashboard element.
        title: what people see.
        query_id: of its query; None when only the Look is known.
        look_id: of the Look it shows; None when the query is its own.
        body: its query, when Looker sent it along.
        filters: field -> filter expression, from the dashboard filters that it listens to.
    """

    name: str
    element_id: str
    title: str
    query_id: str | None
    look_id: str | None
    body: Mapping[str, Any] | None
    filters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tiles:
    """The elements of a dashboard.

    Attributes:
        tiles: those that can run as query tasks.
        warnings: a line for each that should have rows, but cannot run.
        problems: a line for each given filter that no tile listens to.
    """

    tiles: tuple[Tile, ...]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]


def problems(
    queries: Sequence[QueryConfig], dashboards: Sequence[DashboardConfig] = ()
) -> list[str]:
    """Say what is wrong with the configuration itself, a line each, with its setting's place."""
    return [
        *name_problems((f"queries[{n}].name", query.name) for n, query in enumerate(queries)),
        *(
            problem
            for n, query in enumerate(queries)
            for problem in _query_problems(f"queries[{n}]", query)
        ),
        *(
            f"dashboards[{n}].name: {_not_a_name(dashboard.name)}"
            for n, dashboard in enumerate(dashboards)
            if not _NAME.fullmatch(dashboard.name)
        ),
    ]


def name_problems(names: Iterable[tuple[str, str]]) -> list[str]:
    """Say which names cannot be streams, or are taken; given as (place, name)."""
    found: list[str] = []
    taken: dict[str, str] = {}
    for place, name in names:
        if not _NAME.fullmatch(name):
            found.append(f"{place}: {_not_a_name(name)}")
        elif name in RESERVED_NAMES:
            found.append(f"{place}: {name} is the name of one of the tap's own streams")
        elif name in taken:
            found.append(f"{place}: {name} is the name at {taken[name]} already")
        taken.setdefault(name, place)
    return found


def _not_a_name(name: str) -> str:
    return f"{name!r} cannot name a stream (small letters, digits and _, beginning with a letter)"


def _query_problems(place: str, query: QueryConfig) -> Iterator[str]:
    sources = [source for source in _SOURCES if getattr(query, source) is not None]
    if len(sources) != 1:
        found = f"found {' and '.join(sources)}" if sources else "found none"
        yield f"{place}: exactly one of {', '.join(_SOURCES)} is needed; {found}"
    if query.limit is not None and (query.limit == 0 or query.limit < UNLIMITED):
        yield f"{place}.limit: {query.limit} is no limit (1 or more, or -1 for all rows)"
    if query.explore and not query.explore.fields:
        yield f"{place}.fields: a query needs at least one field"


def field_problems(
    place: str,
    config: QueryConfig,
    body: Mapping[str, Any],
    known: Mapping[str, ExploreField],
) -> list[str]:
    """Say what is wrong with the fields of a query, a line each, with its setting's place.

    Args:
        place: of the query, such as `queries[3]`.
        config: what is configured.
        body: the query itself.
        known: the fields of its Explore.
    """
    try:
        known = {**known, **custom_fields(body.get("dynamic_fields"))}
    except ValueError as error:
        return [f"{place}.dynamic_fields: {error}"]
    names = query_fields(body)
    filters = {**(config.explore.filters if config.explore else {}), **config.filters}
    columns = {column.field: column for column in columns_of(known, body)}
    return [
        *_unknown(f"{place}.fields", names, known, "field of the Explore"),
        *(f"{place}.fields: {problem}" for problem in collisions(columns.values())),
        *_unknown(f"{place}.filters", filters, known, "field of the Explore"),
        *_unknown(f"{place}.primary_keys", config.primary_keys, names, "field of the query"),
        *_replication_key_problems(place, config, body, columns, known),
    ]


def _unknown(place: str, names: Iterable[str], known: Collection[str], what: str) -> Iterator[str]:
    for name in names:
        if name not in known:
            similar = get_close_matches(name, known, n=1, cutoff=0.8)
            hint = f"; did you mean {similar[0]}?" if similar else ""
            yield f"{place}: {name} is no {what}{hint}"


def _replication_key_problems(
    place: str,
    config: QueryConfig,
    body: Mapping[str, Any],
    columns: Mapping[str, Column],
    known: Mapping[str, ExploreField],
) -> Iterator[str]:
    key = config.replication_key
    if key is None:
        return
    yield from _unknown(f"{place}.replication_key", [key], columns, "field of the query")
    column = columns.get(key)
    if not column or key not in known:
        return
    if column.kind not in _NUMBERS | _MOMENTS or known[key].category == "table_calculation":
        what = column.type or known[key].category or "field of an unknown type"
        yield (
            f"{place}.replication_key: {key} is a {what}; only a date, date-time or number "
            "that the database knows can be gone on from"
        )
        return
    filters = {**(body.get("filters") or {}), **config.filters}
    if not can_combine(column, filters.get(key)):
        yield (
            f"{place}.replication_key: a bookmark cannot be combined with the filter "
            f"{filters[key]!r} on the same field (a filter of '' in {place}.filters drops it)"
        )


def explore_body(config: ExploreConfig, query_timezone: str) -> dict[str, Any]:
    """Write the body of a query that is written down in the configuration."""
    body = msgspec.to_builtins(config, builtin_types=())
    body["view"] = body.pop("explore")
    dynamic_fields = body["dynamic_fields"]
    if dynamic_fields and not isinstance(dynamic_fields, str):
        body["dynamic_fields"] = msgspec.json.encode(dynamic_fields).decode()
    if config.column_limit is not None:
        body["column_limit"] = str(config.column_limit)
    body["query_timezone"] = query_timezone
    return {
        key: [*value] if isinstance(value, tuple) else value
        for key, value in body.items()
        if value not in _NOTHING
    }


def changed_copy(body: Mapping[str, Any], overrides: Overrides) -> dict[str, Any] | None:
    """Write the body of a changed copy; None when the query is what is wanted already."""
    changes = {
        key: value
        for key, value in _wanted(body, overrides).items()
        if _significant(body.get(key)) != _significant(value)
    }
    if not changes:
        return None
    kept = {key: value for key, value in body.items() if key not in _NOT_WRITABLE}
    # In Looker's own pages, `filter_config` would win over `filters`.
    return {**kept, **changes, "filter_config": None}


def _wanted(body: Mapping[str, Any], overrides: Overrides) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if overrides.limit is not None:
        wanted["limit"] = str(overrides.limit)
    if overrides.filters:
        wanted["filters"] = {**(body.get("filters") or {}), **overrides.filters}
    if overrides.query_timezone is not None:
        wanted["query_timezone"] = overrides.query_timezone
    if overrides.sort_first is not None:
        wanted["sorts"] = _sorted_first(overrides.sort_first, body.get("sorts") or ())
    return wanted


def _sorted_first(name: str, sorts: Iterable[str]) -> list[str]:
    others = (sort for sort in sorts if sort.split()[:1] not in ([name], ["__UNSORTED__"]))
    return [name, *others]


def overrides_of(config: QueryConfig, filters: Mapping[str, str] | None = None) -> Overrides:
    """Say what the configuration wants other than the query; `filters` of a tile give way."""
    return Overrides(limit=config.limit, filters={**(filters or {}), **config.filters})


def from_bookmark(
    overrides: Overrides,
    body: Mapping[str, Any],
    column: Column,
    bookmark: object,
    query_timezone: str,
) -> Overrides:
    """Add to what is wanted: sorted by the replication key, and not before the bookmark.

    Args:
        overrides: what is wanted besides.
        body: the query.
        column: of the replication key.
        bookmark: where to begin; None for the beginning.
        query_timezone: the one the query will run in.

    Raises:
        ValueError: the bookmark cannot be read, or not be combined with the query's filter.
    """
    overrides = replace(overrides, sort_first=column.field)
    if bookmark is None:
        return overrides
    existing = {**(body.get("filters") or {}), **overrides.filters}.get(column.field)
    expression = bookmark_filter(column, bookmark, query_timezone, existing)
    return replace(overrides, filters={**overrides.filters, column.field: expression})


def can_combine(column: Column, existing: str | None) -> bool:
    """Tell whether a bookmark can be combined with the filter on the same field.

    It can where both together are one expression that Looker documents: one comparison of a
    number, or dates from, before, or between two days.
    """
    if not existing or existing.strip().lower() in _ANY:
        return True
    pattern = _COMPARISON if column.kind in _NUMBERS else _INTERVAL
    return pattern.fullmatch(existing.strip()) is not None


def bookmark_filter(
    column: Column, bookmark: object, query_timezone: str, existing: str | None = None
) -> str:
    """Write the filter expression for the rows from a bookmark on, its own rows included.

    <https://docs.cloud.google.com/looker/docs/filter-expressions>

    Args:
        column: of the replication key.
        bookmark: a record's value, or `start_date`.
        query_timezone: the one the query will run in.
        existing: the filter on the same field; both hold.

    Raises:
        ValueError: the bookmark cannot be read, or not be combined with the existing filter.
    """
    if not can_combine(column, existing):
        msg = f"a bookmark cannot be combined with the filter {existing!r} on {column.field}"
        raise ValueError(msg)
    existing = (existing or "").strip()
    if existing.lower() in _ANY:
        existing = ""
    if column.kind in _NUMBERS:
        start = f">={_plain_number(bookmark)}"
        return f"{existing} AND {start}" if existing else start
    return _from(_local_moment(column, str(bookmark), query_timezone), existing)


def _plain_number(value: object) -> str:
    number = read_number(value)
    if number is None:
        msg = "no bookmark"
        raise ValueError(msg)
    return f"{number:f}" if isinstance(number, Decimal) else str(number)


def _local_moment(column: Column, bookmark: str, query_timezone: str) -> str:
    if _has_offset(bookmark):
        bookmark = to_local(bookmark, zone_named(query_timezone))
    # Without fractions of a second, or without the time if the field has none.
    moment = bookmark.replace("T", " ")[: 10 if column.kind is DATE else 19]
    if not re.fullmatch(_MOMENT, moment):
        msg = f"{bookmark!r} is no {column.kind.name}"
        raise ValueError(msg)
    return moment


def _has_offset(bookmark: str) -> bool:
    try:
        to_utc(bookmark, None)
    except (ValueError, OverflowError):
        return False
    return True


def _from(start: str, existing: str) -> str:
    """Begin an interval later, if `start` is later; moments compare as they are written."""
    found = _INTERVAL.fullmatch(existing)
    if not found:
        return f"after {start}"
    start = max(start, found["after"] or found["start"] or "")
    end = found["before"] or found["end"]
    return f"{min(start, end)} to {end}" if end else f"after {start}"


def next_bookmark(column: Column, values: Iterable[object]) -> int | str | None:
    """Choose the greatest of the replication key's values; None when there is none.

    Numbers with a fraction become strings, lest their digits get lost in JSON.

    Args:
        column: of the replication key.
        values: of records, and the bookmark before them; those that could not be read as what
            the column is, and nulls, are passed over.
    """
    if column.kind in _NUMBERS:
        greatest = max(_numbers(values), default=None)
        return str(greatest) if isinstance(greatest, Decimal) else greatest
    pattern = _WRITTEN[column.kind]
    return max(
        (value for value in values if isinstance(value, str) and pattern.fullmatch(value)),
        default=None,
    )


def _numbers(values: Iterable[object]) -> Iterator[int | Decimal]:
    for value in values:
        try:
            number = read_number(value)
        except ValueError:
            continue
        if number is not None:
            yield number


def tile_queries(
    config: DashboardConfig, elements: Sequence[Mapping[str, Any]], place: str
) -> Tiles:
    """Find what each tile of a dashboard runs, and which filters apply to it.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/DashboardElement>

    Args:
        config: the dashboard's name and filter values.
        elements: the answer of `dashboard_dashboard_elements`; those without rows, such as
            texts, are passed over.
        place: of the dashboard in the configuration, such as `dashboards[0]`.
    """
    elements = [element for element in elements if not element.get("deleted")]
    listened_to = {name for element in elements for name, _ in _listens(element)}
    tiles: dict[str, Tile] = {}
    warnings = []
    for element in elements:
        reason = _why_not_runnable(element)
        tile = _tile(config, element, tiles)
        if tile:
            tiles[tile.name] = tile
        elif reason:
            warnings.append(f"{place}: tile {_title(element)!r} {reason}, which cannot run alone")
    return Tiles(
        tiles=tuple(tiles.values()),
        warnings=tuple(warnings),
        problems=tuple(_unknown(f"{place}.filters", config.filters, listened_to, _LISTENED_TO)),
    )


def _tile(
    config: DashboardConfig, element: Mapping[str, Any], taken: Collection[str]
) -> Tile | None:
    made = element.get("result_maker") or {}
    look_id = None if element.get("query_id") else _text(element.get("look_id"))
    query_id = _text(element.get("query_id") or (None if look_id else made.get("query_id")))
    if query_id is None and look_id is None:
        return None
    look = element.get("look") or {}
    return Tile(
        name=_tile_name(config.name, element, taken),
        element_id=str(element["id"]),
        title=_title(element),
        query_id=query_id,
        look_id=look_id,
        body=look.get("query") if look_id else element.get("query") or made.get("query"),
        filters={
            name: config.filters[filter_name]
            for filter_name, name in _listens(element)
            if filter_name in config.filters
        },
    )


def _why_not_runnable(element: Mapping[str, Any]) -> str | None:
    made = element.get("result_maker") or {}
    if element.get("merge_result_id") or made.get("merge_result_id"):
        return "merges several queries"
    return "is an SQL Runner query" if made.get("sql_query_id") else None


def _listens(element: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (dashboard filter, field) for each filter that a tile listens to."""
    made = element.get("result_maker") or {}
    for filterable in made.get("filterables") or ():
        for listen in filterable.get("listen") or ():
            if listen.get("dashboard_filter_name") and listen.get("field"):
                yield listen["dashboard_filter_name"], listen["field"]


def _title(element: Mapping[str, Any]) -> str:
    look = element.get("look") or {}
    return str(element.get("title") or look.get("title") or f"tile {element['id']}")


def _tile_name(prefix: str, element: Mapping[str, Any], taken: Collection[str]) -> str:
    # Titles without a Latin letter leave nothing.
    element_id = _slug(str(element["id"]))
    name = f"{prefix}_{_slug(_title(element)) or f'tile_{element_id}'}"
    return f"{name}_{element_id}" if name in taken else name


def _slug(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def _text(found: object) -> str | None:
    return None if found in _NOTHING else str(found)


def fingerprint(body: Mapping[str, Any]) -> str:
    """Hash what determines the rows of a query: the same in every run and process."""
    determining = {
        key: _significant(value)
        for key, value in body.items()
        if key not in _NO_INFLUENCE and value not in _NOTHING
    }
    text = msgspec.json.encode(determining, order="deterministic")
    return hashlib.sha256(text).hexdigest()


def _significant(value: object) -> object:
    """Make equal what Looker takes for equal: limits as numbers or strings, nothing in any form."""
    if value in _NOTHING:
        return None
    return str(value) if isinstance(value, int) else value


def shard_of(text: str, shard_count: int) -> int:
    """Assign a task id or stream name to a shard, from 0: the same in every run and process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % shard_count
