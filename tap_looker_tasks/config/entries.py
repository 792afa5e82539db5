"""Entries of `queries` and `dashboards`, checked; shards and IDs of external tasks."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tap_looker_tasks.errors import SettingsError

RESERVED_NAMES = frozenset({"query_task_results", "query_task_rows"})
UNLIMITED = -1
AUTO = "auto"
_SOURCES = ("url", "query_id", "query_slug", "look_id", "explore")
_MAX_LIMIT = 10**9
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DURATION = re.compile(r"(\d{1,5})\s+(second|minute|hour|day|week)s?", re.ASCII)


_Id = Annotated[int, Meta(ge=0, le=2**63 - 1)] | Annotated[str, Meta(max_length=255)]


# Defaults are left out of fingerprints, so that a release with more keys resumes earlier tasks.


class ExploreConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A query defined in the configuration, with the keys of Looker's API (`view` is `explore`).

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
    column_limit: Annotated[int, Meta(ge=1, le=_MAX_LIMIT)] | str | None = None
    dynamic_fields: str | tuple[dict[str, Any], ...] | None = None
    query_timezone: str | None = None

    @property
    def dynamic_fields_text(self) -> str | None:
        """The custom fields as Looker's JSON text; None if there are none."""
        fields = self.dynamic_fields
        text = fields if isinstance(fields, str) else msgspec.json.encode(fields or ()).decode()
        return None if text in {"", "[]", "null"} else text


class Decimals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Size of the exact decimals that declare numbers with a fraction.

    Attributes:
        precision: Maximum number of digits.
        scale: Maximum number of digits after the point.
    """

    precision: Annotated[int, Meta(ge=1, le=76)] = 38
    scale: Annotated[int, Meta(ge=0, le=76)] = 9


class _Keyed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry with `primary_keys`.

    Attributes:
        primary_keys: Fields that identify a row, or `auto` for a key computed from all dimensions.
    """

    primary_keys: tuple[str, ...] | str = ()

    @property
    def key_fields(self) -> tuple[str, ...]:
        """The fields named as keys; none for `auto`."""
        return self.primary_keys if isinstance(self.primary_keys, tuple) else ()

    @property
    def has_auto_key(self) -> bool:
        """Return whether the key is computed from all dimensions."""
        return self.primary_keys == AUTO


class QueryConfig(_Keyed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of `queries`.

    Attributes:
        name: Name of the stream; empty for the title of what `url` shows.
        url: Address of a Look or query in the browser; this, or one of the next four.
        query_id: ID of a saved query.
        query_slug: End of its share URL.
        look_id: ID of a Look.
        explore: Definition of the query.
        limit: Maximum number of rows; -1 for all.
        column_limit: Maximum number of pivot values.
        filters: Field -> filter expression that overrides the query's.
        replication_key: Field from whose latest value the next run continues.
        decimals: Overrides the setting of the same name.
        lookback: Time before the bookmark at which each run starts, such as `3 days`.
        cache: Whether Looker may use its cache; None for the setting of all queries.
    """

    name: str = ""
    url: str | None = None
    query_id: _Id | None = None
    query_slug: str | None = None
    look_id: _Id | None = None
    explore: ExploreConfig | None = None
    limit: int | None = None
    column_limit: int | None = None
    filters: dict[str, str] = {}
    replication_key: str | None = None
    decimals: Decimals | None = None
    lookback: str | None = None
    cache: bool | None = None

    def time_zone(self, default: str) -> str:
        """Return the time zone to run in: the Explore query's own, or the default."""
        return (self.explore and self.explore.query_timezone) or default


class TileConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of `tiles`, for one tile of a dashboard; None for what the dashboard's entry says.

    Attributes:
        id: ID of the tile; this, or its title.
        title: Title of the tile.
        name: End of the stream's name, instead of the title.
        limit: Maximum number of rows; -1 for all.
        primary_keys: Fields that identify a row, or `auto`; None for the dashboard's.
        replication_key: Field from whose latest value the next run continues.
        skip: Whether to leave the tile out.
    """

    id: _Id | None = None
    title: str | None = None
    name: str = ""
    limit: int | None = None
    primary_keys: tuple[str, ...] | str | None = None
    replication_key: str | None = None
    skip: bool = False


class DashboardConfig(_Keyed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of `dashboards`.

    Attributes:
        url: Address of the dashboard in the browser; this, or the next.
        dashboard_id: ID of the dashboard.
        name: First part of its streams' names; empty for the title of what `url` shows.
        filters: Name or title of a dashboard filter -> filter expression.
        limit: Maximum number of rows of each tile; -1 for all, None for the tile's own.
        tiles: Settings of single tiles.
    """

    url: str | None = None
    dashboard_id: _Id | None = None
    name: str = ""
    filters: dict[str, str] = {}
    limit: int | None = None
    tiles: tuple[TileConfig, ...] = ()


def problems(
    queries: Sequence[QueryConfig], dashboards: Sequence[DashboardConfig] = ()
) -> list[str]:
    """Return the problems of the configuration, one line each, with its config path."""
    named = [(f"queries[{n}].name", query.name) for n, query in enumerate(queries) if query.name]
    return [
        *name_problems(named),
        *(p for n, query in enumerate(queries) for p in _query_problems(f"queries[{n}]", query)),
        *(
            problem
            for n, dashboard in enumerate(dashboards)
            for problem in _dashboard_problems(f"dashboards[{n}]", dashboard)
        ),
    ]


def name_problems(names: Iterable[tuple[str, str]]) -> list[str]:
    """Return names that cannot be streams or are duplicates; `names` are (name, config path)."""
    found: list[str] = []
    taken: dict[str, str] = {}
    for config_path, name in names:
        if not _NAME.fullmatch(name):
            found.append(f"{config_path}: {_not_a_name(name)}")
        elif name in RESERVED_NAMES:
            found.append(
                f"{config_path}: {name} is the name of one of the tap's streams; choose another"
            )
        elif name in taken:
            found.append(f"{config_path}: {name} is the name at {taken[name]} already")
        taken.setdefault(name, config_path)
    return found


def _not_a_name(name: str) -> str:
    return (
        f"{name!r} is not a stream name (lowercase letters, digits and _, starting with a letter)"
    )


def _query_problems(config_path: str, query: QueryConfig) -> Iterator[str]:
    yield from _source_problems(config_path, query, _SOURCES)
    yield from _common_problems(config_path, query)
    yield from decimals_problems(f"{config_path}.decimals", query.decimals)
    if query.column_limit is not None and not 1 <= query.column_limit <= _MAX_LIMIT:
        yield f"{config_path}.column_limit: expected 1 to {_MAX_LIMIT:,}"
    if query.explore and not query.explore.fields:
        yield f"{config_path}.fields: a query needs at least one field"
    yield from _lookback_problems(f"{config_path}.lookback", query)


def _lookback_problems(config_path: str, query: QueryConfig) -> Iterator[str]:
    if query.lookback is None:
        return
    if query.replication_key is None:
        yield f"{config_path}: requires a replication_key"
    try:
        read_duration(query.lookback)
    except ValueError as error:
        yield f"{config_path}: {error}"


def read_duration(text: str) -> timedelta:
    """Parse a duration such as `3 days`.

    Raises:
        ValueError: If it is not an integer of seconds, minutes, hours, days or weeks.
    """
    found = _DURATION.fullmatch(text.strip())
    if not found:
        msg = f"{text!r} is not a duration like '3 days' (seconds, minutes, hours, days, weeks)"
        raise ValueError(msg)
    return timedelta(**{f"{found[2]}s": int(found[1])})


def decimals_problems(config_path: str, decimals: Decimals | None) -> Iterator[str]:
    """Yield a line when the digits after the point are more than all digits."""
    if decimals and decimals.scale > decimals.precision:
        yield (
            f"{config_path}.scale: {decimals.scale} is more than the precision "
            f"{decimals.precision}; set it to {decimals.precision} or less"
        )


def _dashboard_problems(config_path: str, dashboard: DashboardConfig) -> Iterator[str]:
    yield from _source_problems(config_path, dashboard, ("url", "dashboard_id"))
    if dashboard.name and not _NAME.fullmatch(dashboard.name):
        yield f"{config_path}.name: {_not_a_name(dashboard.name)}"
    yield from _common_problems(config_path, dashboard)
    if dashboard.key_fields:
        yield f"{config_path}.primary_keys: expected auto; give fields in tiles, one by one"
    for n, tile in enumerate(dashboard.tiles):
        path = f"{config_path}.tiles[{n}]"
        if (tile.id is None) == (tile.title is None):
            yield f"{path}: exactly one of id, title is needed"
        if tile.name and not re.fullmatch("[a-z0-9_]+", tile.name):
            yield f"{path}.name: {_not_a_name(tile.name)}"
        yield from _common_problems(path, tile)


def _source_problems(
    config_path: str, entry: QueryConfig | DashboardConfig, sources: Sequence[str]
) -> Iterator[str]:
    given = {source: getattr(entry, source) for source in sources}
    found = [source for source, value in given.items() if value is not None]
    if len(found) != 1:
        shown = f"found {' and '.join(found)}" if found else "found none"
        yield f"{config_path}: exactly one of {', '.join(sources)} is needed; {shown}"
    for source in found:
        if source != "url" and isinstance(given[source], str) and "://" in given[source]:
            yield f"{config_path}.{source}: this is an address; give it as `url`"
    if not entry.name and entry.url is None:
        yield f"{config_path}.name: required, except with `url`"


def _common_problems(
    config_path: str, entry: QueryConfig | DashboardConfig | TileConfig
) -> Iterator[str]:
    if entry.limit not in (None, UNLIMITED) and not 1 <= entry.limit <= _MAX_LIMIT:
        yield f"{config_path}.limit: expected 1 to {_MAX_LIMIT:,}, or -1 for all rows"
    if isinstance(entry.primary_keys, str) and entry.primary_keys != AUTO:
        yield f"{config_path}.primary_keys: expected a list of fields, or auto"


# A query to launch, from any entry.


@dataclass(frozen=True, slots=True)
class ConfiguredQuery:
    """A query to launch: an entry of `queries`, or a tile of one of `dashboards`.

    Attributes:
        config: Query to run, and its stream.
        config_path: Place in the configuration, such as `queries[3]`.
        dashboard_id: ID of its dashboard, if it is a tile.
        tile_id: ID of the tile.
        title: Title of the tile.
        description: Description of a source query of merged results.
        content_path: Path that identifies the content in Looker whose title names the stream, so
            that a catalog keeps the name; None where the name is configured.
        tile_filters: Filters of the tile's dashboard, by field.
        tile_body: Query of the tile, if Looker included it.
        problem: Why it cannot run, if that is known already.
    """

    config: QueryConfig
    config_path: str
    dashboard_id: str | None = None
    tile_id: str | None = None
    title: str | None = None
    description: str | None = None
    content_path: str | None = None
    tile_filters: Mapping[str, str] = field(default_factory=dict)
    tile_body: Mapping[str, Any] | None = None
    problem: str | None = None

    @property
    def name(self) -> str:
        """Name of its stream."""
        return self.config.name

    @property
    def look_id(self) -> str | None:
        """Looker's ID of the Look it comes from."""
        return None if self.config.look_id is None else str(self.config.look_id)

    def where_to_change(self, limit: str) -> str:
        """Return the setting that raises a limit: its name, and its place."""
        if self.dashboard_id is None:
            return f"change `{limit}` of the query at {self.config_path}"
        if limit == "limit":
            return f"change `limit` of {self.config_path.partition(':')[0]}"
        return f"change `{limit}` of the query in Looker: {self.config_path}"

    @property
    def source_path(self) -> str:
        """Path of the key in the configuration that defines it, such as `queries[3].look_id`."""
        if self.dashboard_id is None:
            for source in _SOURCES:
                if getattr(self.config, source) is not None:
                    return f"{self.config_path}.{source}"
        return self.config_path


# Shards of tasks and queries.


def shard_of(text: str, shard_count: int) -> int:
    """Assign a task ID to a shard, from 0; equal in every run and process."""
    return _hash(text) % shard_count


def share_queries(names: Iterable[str], shard_count: int) -> dict[str, int]:
    """Assign the streams of queries to shards, from 0, as evenly as possible.

    Their order has no influence, and an added or removed stream moves few others. Each stream is
    assigned by its hash, if that shard is not full; the rest fill the other shards.
    """
    ordered = sorted(set(names), key=_hash)
    share = len(ordered) // shard_count
    sizes = [0] * shard_count
    shards: dict[str, int] = {}
    for name in ordered:
        shard = shard_of(name, shard_count)
        if sizes[shard] < share:
            shards[name] = shard
            sizes[shard] += 1
    for name in ordered:
        if name not in shards:
            least = min(sizes)
            shard = max(
                (shard for shard in range(shard_count) if sizes[shard] == least),
                key=lambda shard: _hash(f"{name}/{shard}"),
            )
            shards[name] = shard
            sizes[shard] += 1
    return shards


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


# IDs of external query tasks, from a setting or a file, checked.

_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,4096}")


def check_task_ids(ids: Iterable[str], place: str) -> tuple[str, ...]:
    """Return the IDs, each once.

    Raises:
        SettingsError: If one is not a valid ID; the message names its place.
    """
    return tuple(dict.fromkeys(_check_task_id(id_, f"{place}[{n}]") for n, id_ in enumerate(ids)))


def parse_ids_file(content: bytes) -> tuple[str, ...]:
    """Return the IDs in a file's content: one per line, or JSON lines with `query_task_id`.

    Raises:
        SettingsError: If a line is neither; the message names its number.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        msg = "query_task_ids_file: not a text file in UTF-8"
        raise SettingsError(msg) from None
    lines = ((n, line.strip()) for n, line in enumerate(text.splitlines(), start=1))
    return tuple(
        dict.fromkeys(
            _check_task_id(_id_in_line(line, n), f"query_task_ids_file: line {n}")
            for n, line in lines
            if line
        )
    )


def _id_in_line(line: str, number: int) -> object:
    if not line.startswith("{"):
        return line
    try:
        return json.loads(line)["query_task_id"]
    except (ValueError, KeyError, RecursionError):
        msg = f"query_task_ids_file: line {number}: not a JSON object with query_task_id"
        raise SettingsError(msg) from None


def _check_task_id(query_task_id: object, place: str) -> str:
    if isinstance(query_task_id, str) and _TASK_ID.fullmatch(query_task_id):
        return query_task_id
    shown = repr(query_task_id)[:60]
    msg = f"{place}: {shown} is not a query task ID (letters, digits, - and _)"
    raise SettingsError(msg)
