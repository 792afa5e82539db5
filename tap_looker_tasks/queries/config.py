"""What is configured: entries of `queries` and `dashboards`, checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


RESERVED_NAMES = frozenset({"query_task_results", "query_task_rows"})
UNLIMITED = -1
_SOURCES = ("query_id", "query_slug", "look_id", "explore")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


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


def problems(
    queries: Sequence[QueryConfig], dashboards: Sequence[DashboardConfig] = ()
) -> list[str]:
    """Return what is wrong with the configuration itself, a line each, with its config path."""
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
    """Return which names cannot be streams, or are taken; given as (config_path, name)."""
    found: list[str] = []
    taken: dict[str, str] = {}
    for config_path, name in names:
        if not _NAME.fullmatch(name):
            found.append(f"{config_path}: {_not_a_name(name)}")
        elif name in RESERVED_NAMES:
            found.append(f"{config_path}: {name} is the name of one of the tap's own streams")
        elif name in taken:
            found.append(f"{config_path}: {name} is the name at {taken[name]} already")
        taken.setdefault(name, config_path)
    return found


def _not_a_name(name: str) -> str:
    return f"{name!r} cannot name a stream (small letters, digits and _, beginning with a letter)"


def _query_problems(config_path: str, query: QueryConfig) -> Iterator[str]:
    sources = [source for source in _SOURCES if getattr(query, source) is not None]
    if len(sources) != 1:
        found = f"found {' and '.join(sources)}" if sources else "found none"
        yield f"{config_path}: exactly one of {', '.join(_SOURCES)} is needed; {found}"
    if query.limit is not None and (query.limit == 0 or query.limit < UNLIMITED):
        yield f"{config_path}.limit: {query.limit} is no limit (1 or more, or -1 for all rows)"
    if query.explore and not query.explore.fields:
        yield f"{config_path}.fields: a query needs at least one field"
