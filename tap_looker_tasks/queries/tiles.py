"""A dashboard's tiles as queries, with the filters that apply."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from tap_looker_tasks.config import ConfiguredQuery, DashboardConfig, QueryConfig, TileConfig
from tap_looker_tasks.queries.bookmark import combine_filters
from tap_looker_tasks.results import as_id, as_object, as_objects, as_text
from tap_looker_tasks.wording import Findings, did_you_mean, find_similar, find_unknown

_LISTENED_TO = "dashboard filter that a tile listens to"


@dataclass(frozen=True, slots=True)
class _Element:
    """The parts of a dashboard element that the tap reads.

    Attributes:
        id: Looker's ID of the element.
        title: Title that users see.
        query_id: ID of its query; None if only the Look is known, or the body.
        query_slug: Slug of a source query of merged results, if its ID is not known.
        look_id: ID of the Look it shows; None if it has a query.
        merge_id: ID of the merged results it shows.
        body: Its query, if Looker included it.
        listens: Pair (dashboard filter, field) for each filter that it listens to.
        source: Name of the source query in merged results.
        merged_on: Pairs of fields that a source query is merged on.
        problem: Reason why a source query must not run.
    """

    id: str
    title: str
    query_id: str | None
    look_id: str | None
    body: Mapping[str, Any]
    listens: tuple[tuple[str, str], ...]
    merge_id: str | None = None
    query_slug: str | None = None
    source: str | None = None
    merged_on: tuple[tuple[str, str], ...] = ()
    problem: str | None = None

    @property
    def is_runnable(self) -> bool:
        return bool(self.query_id or self.query_slug or self.look_id or self.body)

    @property
    def full_title(self) -> str:
        return f"{self.title} {self.source}" if self.source else self.title

    @property
    def full_id(self) -> str:
        return f"{self.id}_{self.source}" if self.source else self.id


def merge_ids(dashboard: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the IDs of the merged results that the tiles of a dashboard show."""
    read = (_read_element(entry) for entry in _entries_of(dashboard))
    return tuple(dict.fromkeys(element.merge_id for element in read if element.merge_id))


def tile_queries(
    config: DashboardConfig,
    dashboard: Mapping[str, Any],
    config_path: str,
    merged: Mapping[str, Mapping[str, Any]] | None = None,
) -> Findings[ConfiguredQuery]:
    """Return the query of each tile of a dashboard, and the filters that apply to it.

    A filter has the configured value, or else the dashboard's default, which users see applied:
    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Dashboard>

    Args:
        config: Configuration of the dashboard and its tiles.
        dashboard: Its `title`, `dashboard_filters` and `dashboard_elements`; text tiles are
            skipped.
        config_path: Config path of the dashboard, such as `dashboards[0]`.
        merged: The merged results that its tiles show, by ID, without unreadable ones.
    """
    every = [(entry, _read_element(entry)) for entry in _entries_of(dashboard)]
    settings, problems = _match_tiles(config, [element for _, element in every], config_path)
    read = [(entry, tile) for entry, tile in every if not settings[tile.id].skip]
    sources = {tile.id: _read_sources(entry, tile, merged or {}) for entry, tile in read}
    elements = [e for _, tile in read for e in sources[tile.id] or [tile] if e.is_runnable]
    names = _names_of(_prefix_of(config, dashboard), elements, settings)
    values = {**_default_values(dashboard), **config.filters}
    problems += _filter_problems(config, dashboard, every, config_path)
    return Findings(
        values=tuple(
            _configured_query(name, tile, config, settings[tile.id], values, config_path)
            for name, tile in zip(names, elements, strict=True)
        ),
        warnings=tuple(
            f"{config_path}: tile {element.title!r} {reason}, so it cannot run"
            for entry, element in read
            if not sources[element.id] and (reason := _why_not_runnable(entry, element))
        ),
        problems=tuple(problems),
        notes=tuple(_describe_merges(config_path, names, elements)),
    )


def _filter_problems(
    config: DashboardConfig,
    dashboard: Mapping[str, Any],
    elements: Iterable[tuple[object, _Element]],
    config_path: str,
) -> Iterator[str]:
    known = {name for _, element in elements for name, _ in element.listens}
    if config.url is not None:
        # A browser shows them all, even if no tile listens.
        known |= _filters_of(dashboard).keys()
    yield from find_unknown(f"{config_path}.filters", config.filters, sorted(known), _LISTENED_TO)


def name_filters(config: DashboardConfig, dashboard: Mapping[str, Any]) -> DashboardConfig:
    """Rename configured filters from the titles that users see, if these are unambiguous."""
    filters = _filters_of(dashboard)
    given = {}
    for key, expression in config.filters.items():
        titled = [name for name, found in filters.items() if found.get("title") == key]
        given[titled[0] if key not in filters and len(titled) == 1 else key] = expression
    return msgspec.structs.replace(config, filters=given)


def _entries_of(dashboard: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries = as_objects(dashboard.get("dashboard_elements"))
    return [entry for entry in entries if not entry.get("deleted")]


def _configured_query(
    name: str,
    tile: _Element,
    dashboard: DashboardConfig,
    settings: TileConfig,
    values: Mapping[str, str],
    config_path: str,
) -> ConfiguredQuery:
    keys = settings.primary_keys
    filters, problem = _combine_filters(tile.listens, values)
    return ConfiguredQuery(
        config=QueryConfig(
            name=name,
            query_id=tile.query_id,
            query_slug=tile.query_slug,
            look_id=tile.look_id,
            limit=dashboard.limit if settings.limit is None else settings.limit,
            primary_keys=dashboard.primary_keys if keys is None else keys,
            replication_key=settings.replication_key,
        ),
        config_path=f"{config_path}: tile {tile.full_title!r}",
        dashboard_id=str(dashboard.dashboard_id),
        tile_id=tile.id,
        title=tile.full_title,
        description=_merged_on(tile),
        content_path=None if settings.name else _content_path(dashboard, tile),
        tile_filters=filters,
        tile_body=tile.body or None,
        problem=tile.problem or problem,
    )


def _combine_filters(
    listens: Iterable[tuple[str, str]], values: Mapping[str, str]
) -> tuple[dict[str, str], str | None]:
    """Return the combined dashboard filters by field, and why some cannot hold together."""
    filters: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, field in listens:
        if name not in values:
            continue
        combined = combine_filters(filters.get(field, ""), values[name])
        if combined is None:
            problem = (
                f"the dashboard filters {names[field]!r} ({filters[field]}) and {name!r} "
                f"({values[name]}) both filter {field}, and cannot be combined"
            )
            return filters, problem
        filters[field], names[field] = combined, name
    return filters, None


def _content_path(dashboard: DashboardConfig, tile: _Element) -> str:
    path = f"/dashboards/{dashboard.dashboard_id}/tiles/{tile.full_id}"
    return f"{path}?name={dashboard.name}" if dashboard.name else path


def _match_tiles(
    config: DashboardConfig, elements: Sequence[_Element], config_path: str
) -> tuple[dict[str, TileConfig], list[str]]:
    """Return the configuration of each tile by ID, and a line for each entry without a tile."""
    settings = {element.id: TileConfig() for element in elements}
    problems = []
    for n, tile in enumerate(config.tiles):
        ids = [e.id for e in elements if e.id == str(tile.id) or e.title == tile.title]
        path, shown = f"{config_path}.tiles[{n}]", f"tile {tile.title or tile.id!r}"
        if len(ids) == 1:
            settings[ids[0]] = tile
        elif ids:
            problems.append(f"{path}: {shown} could be {' or '.join(ids)}; give its id")
        else:
            titles = [element.title for element in elements]
            hint = did_you_mean(find_similar(str(tile.title), titles))
            problems.append(f"{path}: the dashboard has no {shown}{hint}")
    return settings, problems


def _read_element(entry: Mapping[str, Any]) -> _Element:
    result_maker, look = as_object(entry.get("result_maker")), as_object(entry.get("look"))
    element_id = as_id(entry.get("id")) or "unknown"
    query_id = as_id(entry.get("query_id"))
    look_id = None if query_id else as_id(entry.get("look_id"))
    if not look_id:
        query_id = query_id or as_id(result_maker.get("query_id"))
    own = as_object(entry.get("query")) or as_object(result_maker.get("query"))
    body = as_object(look.get("query")) if look_id else own
    return _Element(
        id=element_id,
        title=as_text(entry.get("title")) or as_text(look.get("title")) or f"tile {element_id}",
        query_id=query_id,
        look_id=look_id,
        body=body,
        listens=tuple(_find_listens((entry, *as_objects(result_maker.get("filterables"))))),
        merge_id=as_id(entry.get("merge_result_id")) or as_id(result_maker.get("merge_result_id")),
    )


def _read_sources(
    entry: Mapping[str, Any], tile: _Element, merged: Mapping[str, Mapping[str, Any]]
) -> list[_Element]:
    """Return the source queries of a merged tile; none for another tile, or if unreadable.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/MergeQuery>
    """
    found = as_objects(merged.get(tile.merge_id or "", {}).get("source_queries"))
    filterables = as_objects(as_object(entry.get("result_maker")).get("filterables"))
    named = [(as_text(source.get("name")) or f"source {n}") for n, source in enumerate(found, 1)]
    matched = _match_filterables(named, filterables)
    problem = (
        f"Looker does not say which dashboard filters apply to the source query {{!r}} of the "
        f"merged results {tile.title!r}"
    )
    return [
        replace(
            tile,
            query_id=as_id(source.get("query_id")),
            query_slug=None if source.get("query_id") else as_text(source.get("query_slug")),
            listens=tuple(_find_listens([filterable or {}])),
            source=name,
            merged_on=tuple(_find_merged_on(source)),
            problem=problem.format(name) if filterable is None else None,
        )
        for name, source, filterable in zip(named, found, matched, strict=True)
    ]


def _match_filterables(
    names: Sequence[str], filterables: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any] | None]:
    """Return what filters each source query of merged results; None where that is not clear.

    A filterable has the name of its source query. If names are missing or repeated, the order
    counts, as in LookML, where each source query has its entry.
    """
    by_name = {as_text(found.get("name")): found for found in filterables}
    is_named = len({*names}) == len(names) and len(by_name) == len(filterables)
    if is_named and by_name.keys() <= {*names}:
        return [by_name.get(name, {}) for name in names]
    if len(names) == len(filterables):
        return filterables
    return [None if any(_find_listens(filterables)) else {} for _ in names]


def _find_merged_on(source: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (field of the source, field of the merged results)."""
    for pair in as_objects(source.get("merge_fields")):
        own, other = as_text(pair.get("source_field_name")), as_text(pair.get("field_name"))
        if own and other:
            yield own, other


def _merged_on(tile: _Element) -> str | None:
    if tile.source is None:
        return None
    return f"Source query of the merged results {tile.title!r}{_merge_condition(tile)}"


def _merge_condition(tile: _Element) -> str:
    """Return the fields a source query is merged on; empty for the first, the base of the merge."""
    on = " and ".join(f"{own} = {other}" for own, other in tile.merged_on)
    return f" (merged on {on})" if on else ""


def _describe_merges(
    config_path: str, names: Sequence[str], elements: Sequence[_Element]
) -> Iterator[str]:
    for tile_id, title in dict.fromkeys((e.id, e.title) for e in elements if e.source):
        streams = [
            f"{name}{_merge_condition(element)}"
            for name, element in zip(names, elements, strict=True)
            if element.id == tile_id
        ]
        yield (
            f"{config_path}: tile {title!r} merges several queries, which are delivered as the "
            f"streams {', '.join(streams)}"
        )


def _why_not_runnable(entry: Mapping[str, Any], element: _Element) -> str | None:
    """Return why an element that should have rows cannot run; None if it can, or has none."""
    result_maker = as_object(entry.get("result_maker"))
    if element.is_runnable:
        return None
    if element.merge_id:
        return "merges several queries, which cannot be read"
    if result_maker.get("sql_query_id"):
        return "is an SQL Runner query"
    return "has no query" if result_maker else None


def _find_listens(listeners: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield (dashboard filter, field) for each filter that an element listens to."""
    for listener in listeners:
        listen = listener.get("listen")
        # Formerly a separate object: dashboard filter -> field.
        pairs = [
            *as_object(listen).items(),
            *((e.get("dashboard_filter_name"), e.get("field")) for e in as_objects(listen)),
        ]
        for name, field in pairs:
            if isinstance(name, str) and isinstance(field, str) and name and field:
                yield name, field


def _default_values(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """Return the filter expressions that users see applied, by name of the dashboard filter."""
    return {
        name: str(value)
        for name, found in _filters_of(dashboard).items()
        if isinstance(value := found.get("default_value"), str | int | float) and value != ""
    }


def _filters_of(dashboard: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the filters of a dashboard by name."""
    filters = as_objects(dashboard.get("dashboard_filters"))
    return {name: found for found in filters if (name := as_text(found.get("name")))}


def _prefix_of(config: DashboardConfig, dashboard: Mapping[str, Any]) -> str:
    title = as_text(dashboard.get("title")) or ""
    return config.name or name_from_title(title, "dashboard", str(config.dashboard_id))


def _names_of(
    prefix: str, elements: Sequence[_Element], settings: Mapping[str, TileConfig]
) -> list[str]:
    """Name the tiles' streams by title, and by title and ID if titles repeat, in any order."""
    names = [f"{prefix}_{_end_of_name(e, settings[e.id].name)}" for e in elements]
    # A title may equal another one with its ID.
    for _ in range(2):
        repeated = {name for name, count in Counter(names).items() if count > 1}
        names = [
            f"{name}_{_slug(element.full_id)}" if name in repeated else name
            for name, element in zip(names, elements, strict=True)
        ]
    return names


def _end_of_name(element: _Element, name: str) -> str:
    tile = name or _slug(element.title) or f"tile_{_slug(element.id)}"
    return f"{tile}_{_slug(element.source) or 'source'}" if element.source else tile


def name_from_title(title: str, kind: str, id_: str) -> str:
    """Name a stream after a title; after its kind and ID, if the title has no usable character."""
    slug = _slug(title)
    return slug if slug[:1].isalpha() else f"{kind}_{slug or _slug(id_)}"


def _slug(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
