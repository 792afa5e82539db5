"""What is wrong with a configured query, now that its Explore is known."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from tap_looker_tasks.queries.bookmark import MOMENTS, NUMBERS, can_combine
from tap_looker_tasks.records.columns import Column, collisions, columns_of, query_fields
from tap_looker_tasks.records.fields import ExploreField, custom_fields

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from tap_looker_tasks.queries.config import QueryConfig


def field_problems(
    config_path: str,
    config: QueryConfig,
    body: Mapping[str, Any],
    known: Mapping[str, ExploreField],
) -> list[str]:
    """Say what is wrong with the fields of a query, a line each, with its config path.

    Args:
        config_path: of the query, such as `queries[3]`.
        config: what is configured.
        body: the query itself.
        known: the fields of its Explore.
    """
    try:
        known = {**known, **custom_fields(body.get("dynamic_fields"))}
    except ValueError as error:
        return [f"{config_path}.dynamic_fields: {error}"]
    names = query_fields(body)
    filters = {**(config.explore.filters if config.explore else {}), **config.filters}
    columns = {column.field: column for column in columns_of(known, body)}
    return [
        *unknown(f"{config_path}.fields", names, known, "field of the Explore"),
        *(f"{config_path}.fields: {problem}" for problem in collisions(columns.values())),
        *unknown(f"{config_path}.filters", filters, known, "field of the Explore"),
        *unknown(f"{config_path}.primary_keys", config.primary_keys, names, "field of the query"),
        *_replication_key_problems(config_path, config, body, columns, known),
    ]


def unknown(
    config_path: str, names: Iterable[str], known: Collection[str], what: str
) -> Iterator[str]:
    """Say which names are not known, with the most similar one that is."""
    for name in names:
        if name not in known:
            similar = get_close_matches(name, known, n=1, cutoff=0.8)
            hint = f"; did you mean {similar[0]}?" if similar else ""
            yield f"{config_path}: {name} is no {what}{hint}"


def _replication_key_problems(
    config_path: str,
    config: QueryConfig,
    body: Mapping[str, Any],
    columns: Mapping[str, Column],
    known: Mapping[str, ExploreField],
) -> Iterator[str]:
    key = config.replication_key
    if key is None:
        return
    yield from unknown(f"{config_path}.replication_key", [key], columns, "field of the query")
    column = columns.get(key)
    if not column or key not in known:
        return
    if column.column_type not in NUMBERS | MOMENTS or known[key].category == "table_calculation":
        what = column.looker_type or known[key].category or "field of an unknown type"
        yield (
            f"{config_path}.replication_key: {key} is a {what}; only a date, date-time or number "
            "that the database knows can be gone on from"
        )
        return
    filters = {**(body.get("filters") or {}), **config.filters}
    if not can_combine(column, filters.get(key)):
        yield (
            f"{config_path}.replication_key: a bookmark cannot be combined with the filter "
            f"{filters[key]!r} on the same field (a filter of '' in {config_path}.filters drops it)"
        )
