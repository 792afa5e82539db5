"""The queries behind the configured ones, as Looker has them, each asked for once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tap_looker_tasks.errors import LookWithoutQueryError
from tap_looker_tasks.queries.body import explore_body
from tap_looker_tasks.queries.config import QueryConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_looker_tasks.looker.client import LookerClient
    from tap_looker_tasks.queries.tiles import Tile


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


def query_of_tile(tile: Tile, dashboard_id: str, config_path: str) -> ConfiguredQuery:
    """Take a tile for a query of its own."""
    return ConfiguredQuery(
        config=QueryConfig(name=tile.name, query_id=tile.query_id, look_id=tile.look_id),
        config_path=f"{config_path}: tile {tile.title!r}",
        dashboard_id=dashboard_id,
        title=tile.title,
        tile_filters=tile.filters,
        tile_body=tile.body,
    )


@dataclass(frozen=True, slots=True)
class StoredQuery:
    """A query as Looker has it.

    Attributes:
        body: Looker's `Query`.
        query_id: None for a query that is written down in the configuration.
        title: the Look's.
        description: the Look's.
    """

    body: Mapping[str, Any]
    query_id: str | None = None
    title: str | None = None
    description: str | None = None


class StoredQueries:
    """What is known of the stored queries so far."""

    def __init__(self, query_timezone: str) -> None:
        """Begin with nothing; queries written down in the configuration run in this time zone."""
        self._query_timezone = query_timezone
        self._found: dict[tuple[str, str], StoredQuery] = {}

    def find(self, query: ConfiguredQuery, client: LookerClient) -> StoredQuery:
        """Look up the query behind a configured one.

        Raises:
            RequestError: Looker does not have it, may not show it, or could not be asked.
            LookWithoutQueryError: there is a Look, but its query is not there.
        """
        config = query.config
        if config.explore is not None:
            return StoredQuery(explore_body(config.explore, self._query_timezone))
        if query.tile_body and query.tile_body.get("id"):
            return StoredQuery(query.tile_body, str(query.tile_body["id"]), query.title)
        source = _source_of(config)
        if source not in self._found:
            self._found[source] = _asked_for(*source, client)
        return self._found[source]


def _source_of(config: QueryConfig) -> tuple[str, str]:
    if config.query_id is not None:
        return "query_id", str(config.query_id)
    if config.query_slug is not None:
        return "query_slug", config.query_slug
    return "look_id", str(config.look_id)


def _asked_for(source: str, id_: str, client: LookerClient) -> StoredQuery:
    if source == "look_id":
        look = client.look(id_)
        if look.get("deleted") or not look.get("query"):
            what = "is deleted" if look.get("deleted") else "has no query"
            msg = f"Look {id_} {what}"
            raise LookWithoutQueryError(msg)
        query_id = str(look["query"].get("id"))
        return StoredQuery(look["query"], query_id, look.get("title"), look.get("description"))
    body = client.query(id_) if source == "query_id" else client.query_for_slug(id_)
    return StoredQuery(body, str(body.get("id")))
