"""The queries behind the configured ones, as Looker has them, each asked for once."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tap_looker_tasks.errors import LookWithoutQueryError, RequestRejectedError
from tap_looker_tasks.queries import check_body, explore_body
from tap_looker_tasks.results import as_id, as_object, as_text
from tap_looker_tasks.threads import Lookups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_looker_tasks.config import ConfiguredQuery, QueryConfig
    from tap_looker_tasks.looker import LookerClient

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class StoredQuery:
    """A query as Looker has it.

    Attributes:
        body: Looker's `Query`.
        query_id: None for one that is not stored yet: it is written down in the configuration,
            or in a dashboard.
        title: the Look's.
        description: the Look's.
    """

    body: Mapping[str, Any]
    query_id: str | None = None
    title: str | None = None
    description: str | None = None


class StoredQueries:
    """What is known of the stored queries so far; for many threads."""

    def __init__(self, query_timezone: str) -> None:
        """Begin with nothing; queries written down in the configuration run in this time zone."""
        self._query_timezone = query_timezone
        self._lookups = Lookups[tuple[str, str], StoredQuery]()

    def find(self, query: ConfiguredQuery, client: LookerClient) -> StoredQuery:
        """Look up the query behind a configured one.

        Raises:
            RequestError: Looker does not have it, may not show it, or could not be asked.
            LookWithoutQueryError: there is a Look, but its query is not there.
            ValueError: what Looker has is no query.
        """
        if query.config.explore is not None:
            return StoredQuery(explore_body(query.config.explore, self._query_timezone))
        if query.tile_body:
            return _read_query(query.tile_body, title=query.title)
        source, id_ = _source_of(query.config)
        return self._lookups.find((source, id_), partial(_look_up, source, id_, client))


@contextmanager
def name_what_is_not_there(what: str) -> Iterator[None]:
    """Raise what Looker does not find as an error that names it.

    Raises:
        RequestRejectedError: Looker answered that it is not there.
    """
    try:
        yield
    except RequestRejectedError as error:
        if error.http_status != _NOT_FOUND:
            raise
        msg = f"there is no {what}"
    else:
        return
    raise RequestRejectedError(msg, http_status=_NOT_FOUND)


def _source_of(config: QueryConfig) -> tuple[str, str]:
    if config.query_id is not None:
        return "query", str(config.query_id)
    if config.query_slug is not None:
        return "query with the slug", config.query_slug
    return "Look", str(config.look_id)


def _look_up(source: str, id_: str, client: LookerClient) -> StoredQuery:
    with name_what_is_not_there(f"{source} {id_}"):
        if source == "Look":
            return _read_look(id_, client.look(id_))
        body = client.query(id_) if source == "query" else client.query_for_slug(id_)
    return _read_query(body)


def _read_look(look_id: str, look: Mapping[str, Any]) -> StoredQuery:
    body = as_object(look.get("query"))
    if look.get("deleted") or not body:
        what = "is deleted" if look.get("deleted") else "has no query"
        msg = f"Look {look_id} {what}"
        raise LookWithoutQueryError(msg)
    return _read_query(
        body, title=as_text(look.get("title")), description=as_text(look.get("description"))
    )


def _read_query(
    body: Mapping[str, Any], *, title: str | None = None, description: str | None = None
) -> StoredQuery:
    query_id = as_id(body.get("id"))
    return StoredQuery(check_body(body), query_id, title, description)
