"""Configured queries: their bodies, checks, bookmarks and dashboard tiles."""

from tap_looker_tasks.queries.body import (
    UNKNOWN_LIMITS,
    Limits,
    RunTime,
    Shortfall,
    body_problems,
    changed_copy,
    check_body,
    determining_parts,
    explore_body,
    find_shortfalls,
    fingerprint,
    limits_of,
    overrides_of,
)
from tap_looker_tasks.queries.bookmark import BookmarkAdvance, combine_filters, from_bookmark
from tap_looker_tasks.queries.checks import (
    field_problems,
    field_warnings,
    visible_fields,
)
from tap_looker_tasks.queries.keeper import QueryKeeper, QueryState, StreamState
from tap_looker_tasks.queries.tiles import merge_ids, name_filters, name_from_title, tile_queries

__all__ = [
    "UNKNOWN_LIMITS",
    "BookmarkAdvance",
    "Limits",
    "QueryKeeper",
    "QueryState",
    "RunTime",
    "Shortfall",
    "StreamState",
    "body_problems",
    "changed_copy",
    "check_body",
    "combine_filters",
    "determining_parts",
    "explore_body",
    "field_problems",
    "field_warnings",
    "find_shortfalls",
    "fingerprint",
    "from_bookmark",
    "limits_of",
    "merge_ids",
    "name_filters",
    "name_from_title",
    "overrides_of",
    "tile_queries",
    "visible_fields",
]
