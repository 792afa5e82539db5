"""Elements of a dashboard -> the queries its tiles run, with the filters that apply."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_looker_tasks.queries.body import NOTHING
from tap_looker_tasks.queries.checks import unknown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from tap_looker_tasks.queries.config import DashboardConfig


_LISTENED_TO = "dashboard filter that a tile listens to"


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


def tile_queries(
    config: DashboardConfig, elements: Sequence[Mapping[str, Any]], config_path: str
) -> Tiles:
    """Find what each tile of a dashboard runs, and which filters apply to it.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/DashboardElement>

    Args:
        config: the dashboard's name and filter values.
        elements: the answer of `dashboard_dashboard_elements`; those without rows, such as
            texts, are passed over.
        config_path: of the dashboard in the configuration, such as `dashboards[0]`.
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
            warnings.append(
                f"{config_path}: tile {_title(element)!r} {reason}, which cannot run alone"
            )
    return Tiles(
        tiles=tuple(tiles.values()),
        warnings=tuple(warnings),
        problems=tuple(
            unknown(f"{config_path}.filters", config.filters, listened_to, _LISTENED_TO)
        ),
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
    return None if found in NOTHING else str(found)
