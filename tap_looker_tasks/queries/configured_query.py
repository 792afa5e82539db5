"""A query to launch, wherever it is configured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tap_looker_tasks.queries.config import QueryConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

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
