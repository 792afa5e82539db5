"""A LookML project: models, what is stored beside them, and the tables they are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import duckdb

    from looker_simulator.content import Content
    from looker_simulator.model import Model


@dataclass(frozen=True)
class Project:
    """What a simulated Looker serves.

    Attributes:
        models: by name.
        content: stored queries, Looks and dashboards.
        connect: opens a database with all tables; takes about a second for the built-in ones.
        description: one sentence.
    """

    models: Mapping[str, Model]
    content: Content
    connect: Callable[[], duckdb.DuckDBPyConnection]
    description: str
