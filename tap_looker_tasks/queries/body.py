"""Configured query, Look or tile -> the body of the query to create."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_looker_tasks.config import ExploreConfig, QueryConfig


_NOT_WRITABLE = frozenset(
    {
        *("can", "id", "client_id", "slug", "has_table_calculations"),
        *("share_url", "expanded_share_url", "url"),
    }
)
# What a query looks like in Looker has no influence on its rows.
_NO_INFLUENCE = _NOT_WRITABLE | {"vis_config", "filter_config", "visible_ui_sections"}
NOTHING: tuple[object, ...] = (None, "", [], {}, (), False)


class _Query(msgspec.Struct):
    """What is relied on of the shape of Looker's `Query`."""

    model: str
    view: str
    fields: list[str] | None = None
    pivots: list[str] | None = None
    sorts: list[str] | None = None
    filters: dict[str, Any] | None = None
    dynamic_fields: str | None = None
    limit: int | Annotated[str, msgspec.Meta(pattern=r"^(-?\d+)?$")] | None = None


@dataclass(frozen=True, slots=True)
class Overrides:
    """What is wanted of a query other than it says itself.

    Attributes:
        limit: most rows wanted; -1 for all.
        filters: field -> filter expression, in place of the query's own.
        query_timezone: the one to run in.
        sort_first: field to sort by, ascending, before all others.
        column_limit: most values of the pivots.
    """

    limit: int | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    query_timezone: str | None = None
    sort_first: str | None = None
    column_limit: int | None = None


def explore_body(config: ExploreConfig, query_timezone: str) -> dict[str, Any]:
    """Write the body of a query that is written down in the configuration."""
    body = msgspec.to_builtins(config, builtin_types=())
    body["view"] = body.pop("explore")
    body["dynamic_fields"] = config.dynamic_fields_text
    if config.column_limit is not None:
        body["column_limit"] = str(config.column_limit)
    body["query_timezone"] = config.query_timezone or query_timezone
    return {
        key: [*value] if isinstance(value, tuple) else value
        for key, value in body.items()
        if value not in NOTHING
    }


def check_body(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the body of a query that Looker has; of one that it has yet to store, what counts.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Query>

    Raises:
        ValueError: it is of another shape than Looker describes.
    """
    try:
        msgspec.convert(body, _Query)
    except msgspec.ValidationError as error:
        msg = f"this is no query as Looker describes it: {error}"
        raise ValueError(msg) from None
    if body.get("id") not in NOTHING:
        return body
    return {key: value for key, value in body.items() if key not in _NOT_WRITABLE}


def changed_copy(body: Mapping[str, Any], overrides: Overrides) -> dict[str, Any] | None:
    """Write the body of a changed copy; None when the query is what is wanted already."""
    changes = {
        key: value
        for key, value in _wanted(body, overrides).items()
        if _significant(body.get(key)) != _significant(value)
    }
    if not changes:
        return None
    kept = {key: value for key, value in body.items() if key not in _NOT_WRITABLE}
    # In Looker's own pages, `filter_config` would win over `filters`.
    return {**kept, **changes, "filter_config": None}


def _wanted(body: Mapping[str, Any], overrides: Overrides) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if overrides.limit is not None:
        wanted["limit"] = str(overrides.limit)
    if overrides.column_limit is not None:
        wanted["column_limit"] = str(overrides.column_limit)
    if overrides.filters:
        wanted["filters"] = {**(body.get("filters") or {}), **overrides.filters}
    if overrides.query_timezone is not None:
        wanted["query_timezone"] = overrides.query_timezone
    if overrides.sort_first is not None:
        wanted["sorts"] = _sort_first(overrides.sort_first, body.get("sorts") or ())
    return wanted


def _sort_first(name: str, sorts: Iterable[str]) -> list[str]:
    others = (sort for sort in sorts if sort.split()[:1] not in ([name], ["__UNSORTED__"]))
    return [name, *others]


def overrides_of(config: QueryConfig, filters: Mapping[str, str] | None = None) -> Overrides:
    """Return what the configuration wants other than the query; `filters` of a tile give way."""
    return Overrides(
        limit=config.limit,
        column_limit=config.column_limit,
        filters={**(filters or {}), **config.filters},
    )


def determining_parts(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what determines the rows of a query, without what is empty."""
    return {k: v for k, v in body.items() if k not in _NO_INFLUENCE and v not in NOTHING}


def fingerprint(body: Mapping[str, Any]) -> str:
    """Hash what determines the rows of a query: the same in every run and process."""
    determining = {key: _significant(v) for key, v in determining_parts(body).items()}
    text = msgspec.json.encode(determining, order="deterministic")
    return hashlib.sha256(text).hexdigest()


def _significant(value: object) -> object:
    """Make equal what Looker takes for equal: limits as numbers or strings, nothing in any form."""
    if value in NOTHING:
        return None
    return str(value) if isinstance(value, int) else value
