"""A dashboard -> the queries its tiles run, with the filters that apply."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_looker_tasks.config import ConfiguredQuery, QueryConfig
from tap_looker_tasks.queries.checks import unknown
from tap_looker_tasks.results import as_id, as_object, as_objects, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_looker_tasks.config import DashboardConfig


_LISTENED_TO = "dashboard filter that a tile listens to"


@dataclass(frozen=True, slots=True)
class Tiles:
    """The elements of a dashboard.

    Attributes:
        queries: those that can run as query tasks.
        warnings: a line for each that should have rows, but cannot run.
        problems: a line for each given filter that no tile listens to.
    """

    queries: tuple[ConfiguredQuery, ...] = ()
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Element:
    """What is relied on of a dashboard element.

    Attributes:
        id: Looker's.
        title: what people see.
        query_id: of its query; None when only the Look is known, or the body.
        look_id: of the Look it shows; None when the query is its own.
        body: its query, when Looker sent it along.
        listens: (dashboard filter, field) for each filter that it listens to.
    """

    id: str
    title: str
    query_id: str | None
    look_id: str | None
    body: Mapping[str, Any]
    listens: tuple[tuple[str, str], ...]

    @property
    def is_runnable(self) -> bool:
        return bool(self.query_id or self.look_id or self.body)


def tile_queries(config: DashboardConfig, dashboard: Mapping[str, Any], config_path: str) -> Tiles:
    """Find what each tile of a dashboard runs, and which filters apply to it.

    A filter has the configured value, or else the dashboard's default, which people see applied.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Dashboard>

    Args:
        config: the dashboard's name and filter values.
        dashboard: its `dashboard_filters` and `dashboard_elements`; elements without rows, such
            as texts, are passed over.
        config_path: of the dashboard in the configuration, such as `dashboards[0]`.
    """
    entries = as_objects(dashboard.get("dashboard_elements"))
    read = [(entry, _read_element(entry)) for entry in entries if not entry.get("deleted")]
    elements = [element for _, element in read if element.is_runnable]
    values = {**_default_values(dashboard), **config.filters}
    names = _names_of(config.name, elements)
    listened_to = {name for _, element in read for name, _ in element.listens}
    return Tiles(
        queries=tuple(
            _tile_query(name, tile, config, config_path, values)
            for name, tile in zip(names, elements, strict=True)
        ),
        warnings=tuple(
            f"{config_path}: tile {element.title!r} {reason}, so it cannot run alone"
            for entry, element in read
            if not element.is_runnable and (reason := _why_not_runnable(entry))
        ),
        problems=tuple(
            unknown(f"{config_path}.filters", config.filters, listened_to, _LISTENED_TO)
        ),
    )


def _tile_query(
    name: str,
    tile: _Element,
    config: DashboardConfig,
    config_path: str,
    values: Mapping[str, str],
) -> ConfiguredQuery:
    return ConfiguredQuery(
        config=QueryConfig(
            name=name, query_id=tile.query_id, look_id=tile.look_id, limit=config.limit
        ),
        config_path=f"{config_path}: tile {tile.title!r}",
        dashboard_id=str(config.dashboard_id),
        title=tile.title,
        tile_filters={field: values[f] for f, field in tile.listens if f in values},
        tile_body=tile.body or None,
    )


def _read_element(entry: Mapping[str, Any]) -> _Element:
    made, look = as_object(entry.get("result_maker")), as_object(entry.get("look"))
    element_id = as_id(entry.get("id")) or "unknown"
    query_id = as_id(entry.get("query_id"))
    look_id = None if query_id else as_id(entry.get("look_id"))
    if not look_id:
        query_id = query_id or as_id(made.get("query_id"))
    own = as_object(entry.get("query")) or as_object(made.get("query"))
    body = as_object(look.get("query")) if look_id else own
    return _Element(
        id=element_id,
        title=as_text(entry.get("title")) or as_text(look.get("title")) or f"tile {element_id}",
        query_id=query_id,
        look_id=look_id,
        body=body,
        listens=tuple(_find_listens(entry)),
    )


def _why_not_runnable(entry: Mapping[str, Any]) -> str | None:
    made = as_object(entry.get("result_maker"))
    if entry.get("merge_result_id") or made.get("merge_result_id"):
        return "merges several queries"
    if made.get("sql_query_id"):
        return "is an SQL Runner query"
    return "has no query" if made else None


def _find_listens(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (dashboard filter, field) for each filter that an element listens to."""
    made = as_object(entry.get("result_maker"))
    for listener in (entry, *as_objects(made.get("filterables"))):
        listen = listener.get("listen")
        # Formerly an object of its own: dashboard filter -> field.
        pairs = [
            *as_object(listen).items(),
            *((e.get("dashboard_filter_name"), e.get("field")) for e in as_objects(listen)),
        ]
        for name, field in pairs:
            if isinstance(name, str) and isinstance(field, str) and name and field:
                yield name, field


def _default_values(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """Return the filter expressions that people see applied, by name of the dashboard filter."""
    return {
        name: str(value)
        for found in as_objects(dashboard.get("dashboard_filters"))
        if (name := as_text(found.get("name")))
        and isinstance(value := found.get("default_value"), str | int | float)
        and value != ""
    }


def _names_of(prefix: str, elements: Sequence[_Element]) -> list[str]:
    """Name the tiles' streams: by title, and where titles repeat, by id, whatever their order."""
    names = [f"{prefix}_{_slug(e.title) or f'tile_{_slug(e.id)}'}" for e in elements]
    # A title may look like another with its id.
    for _ in range(2):
        repeated = {name for name, count in Counter(names).items() if count > 1}
        names = [
            f"{name}_{_slug(element.id)}" if name in repeated else name
            for name, element in zip(names, elements, strict=True)
        ]
    return names


def _slug(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
