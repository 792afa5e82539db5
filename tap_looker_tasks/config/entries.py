"""What is configured: entries of `queries` and `dashboards`, checked."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec
from msgspec import Meta

from tap_looker_tasks.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

RESERVED_NAMES = frozenset({"query_task_results", "query_task_rows"})
UNLIMITED = -1
_SOURCES = ("query_id", "query_slug", "look_id", "explore")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DURATION = re.compile(r"(\d{1,5})\s+(second|minute|hour|day|week)s?", re.ASCII)


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


class Decimals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How numbers that may have a fraction are declared as exact decimals.

    Attributes:
        precision: Digits, at most.
        scale: Digits after the point, at most.
    """

    precision: Annotated[int, Meta(ge=1, le=76)] = 38
    scale: Annotated[int, Meta(ge=0, le=76)] = 9


class QueryConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of `queries`.

    Attributes:
        name: name of the stream.
        query_id: a saved query; this, or one of the next three.
        query_slug: the same, by the end of its share URL.
        look_id: a Look.
        explore: a query of its own.
        limit: most rows wanted; -1 for all.
        column_limit: most values of the pivots.
        filters: field -> filter expression, in place of the query's own.
        primary_keys: fields that tell the rows apart.
        replication_key: field to go on from in the next run.
        decimals: Overrides the setting of the same name.
        lookback: how far before the bookmark each run starts, such as `3 days`.
        cache: whether Looker may answer from its cache; None for what holds for all queries.
    """

    name: str
    query_id: int | str | None = None
    query_slug: str | None = None
    look_id: int | str | None = None
    explore: ExploreConfig | None = None
    limit: int | None = None
    column_limit: int | None = None
    filters: dict[str, str] = {}
    primary_keys: tuple[str, ...] = ()
    replication_key: str | None = None
    decimals: Decimals | None = None
    lookback: str | None = None
    cache: bool | None = None


class DashboardConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of `dashboards`.

    Attributes:
        dashboard_id: the dashboard.
        name: what the names of its tiles' streams begin with.
        filters: name or title of a dashboard filter -> filter expression.
        limit: most rows wanted of each tile; -1 for all.
    """

    dashboard_id: int | str
    name: str
    filters: dict[str, str] = {}
    limit: int | None = None


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
        *(
            problem
            for n, dashboard in enumerate(dashboards)
            for problem in _limit_problems(f"dashboards[{n}].limit", dashboard.limit)
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
    yield from decimals_problems(f"{config_path}.decimals", query.decimals)
    yield from _limit_problems(f"{config_path}.limit", query.limit)
    if query.column_limit is not None and query.column_limit < 1:
        yield f"{config_path}.column_limit: {query.column_limit} is not a limit (1 or more)"
    if query.explore and not query.explore.fields:
        yield f"{config_path}.fields: a query needs at least one field"
    yield from _lookback_problems(f"{config_path}.lookback", query)


def _limit_problems(config_path: str, limit: int | None) -> Iterator[str]:
    if limit is not None and (limit == 0 or limit < UNLIMITED):
        yield f"{config_path}: {limit} is no limit (1 or more, or -1 for all rows)"


def _lookback_problems(config_path: str, query: QueryConfig) -> Iterator[str]:
    if query.lookback is None:
        return
    if query.replication_key is None:
        yield f"{config_path}: only a query with a replication_key has a bookmark to look back from"
    try:
        read_duration(query.lookback)
    except ValueError as error:
        yield f"{config_path}: {error}"


def read_duration(text: str) -> timedelta:
    """Read a duration such as `3 days`.

    Raises:
        ValueError: If it is not a whole number of seconds, minutes, hours, days or weeks.
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


# A query to launch, wherever it is configured.

_SOURCES = ("query_id", "query_slug", "look_id", "explore")


@dataclass(frozen=True, slots=True)
class ConfiguredQuery:
    """A query to launch: an entry of `queries`, or a tile of one of `dashboards`.

    Attributes:
        config: what to run, and its stream.
        config_path: in the configuration, such as `queries[3]`.
        dashboard_id: of the dashboard it is a tile of.
        title: the tile's.
        tile_filters: what the tile's dashboard filters ask for, by field.
        tile_body: the tile's query, when Looker sent it along.
    """

    config: QueryConfig
    config_path: str
    dashboard_id: str | None = None
    title: str | None = None
    tile_filters: Mapping[str, str] = field(default_factory=dict)
    tile_body: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """The name of its stream."""
        return self.config.name

    @property
    def look_id(self) -> str | None:
        """Looker's id of the Look it comes from."""
        return None if self.config.look_id is None else str(self.config.look_id)

    @property
    def page(self) -> str | None:
        """Address of Looker's page that shows it, from the instance's root; None for unknown."""
        match self.config:
            case QueryConfig(look_id=look_id) if look_id is not None:
                return f"/looks/{quote(str(look_id), safe='')}"
            case QueryConfig(query_slug=slug) if slug is not None:
                return f"/x/{quote(slug, safe='')}"
        return self.dashboard_id and f"/dashboards/{quote(self.dashboard_id, safe='')}"

    @property
    def source_path(self) -> str:
        """What says in the configuration where it comes from, such as `queries[3].look_id`."""
        if self.dashboard_id is None:
            for source in _SOURCES:
                if getattr(self.config, source) is not None:
                    return f"{self.config_path}.{source}"
        return self.config_path


# Which shard a task or a query belongs to.


def shard_of(text: str, shard_count: int) -> int:
    """Assign a task id to a shard, from 0: the same in every run and process."""
    return _hash(text) % shard_count


def share_queries(names: Iterable[str], shard_count: int) -> dict[str, int]:
    """Assign the streams of queries to shards, from 0, as evenly as can be.

    Their order has no influence, and a stream more or less moves few of the others. Each goes
    where its hash says, as long as that shard has no more than its share; the rest fill up the
    shards that have less.
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


# Ids of external query tasks, from a setting or from a file, checked.

_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,4096}")


def check_task_ids(ids: Iterable[str], place: str) -> tuple[str, ...]:
    """Return the ids, each once.

    Raises:
        SettingsError: one cannot be an id, by its place.
    """
    return tuple(dict.fromkeys(_check_task_id(id_, f"{place}[{n}]") for n, id_ in enumerate(ids)))


def parse_ids_file(content: bytes) -> tuple[str, ...]:
    """Return the ids in a file's content: one a line, or JSON lines with `query_task_id`.

    Raises:
        SettingsError: a line is neither, by its number.
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
    except (ValueError, KeyError):
        msg = f"query_task_ids_file: line {number}: not a JSON object with query_task_id"
        raise SettingsError(msg) from None


def _check_task_id(query_task_id: object, place: str) -> str:
    if isinstance(query_task_id, str) and _TASK_ID.fullmatch(query_task_id):
        return query_task_id
    shown = repr(query_task_id)[:60]
    msg = f"{place}: {shown} cannot be a query task id (letters, digits, - and _)"
    raise SettingsError(msg)
