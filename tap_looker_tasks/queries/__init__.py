"""Configured queries: their bodies, checks, bookmarks and dashboard tiles."""

from tap_looker_tasks.queries.body import (
    UNKNOWN_LIMITS as UNKNOWN_LIMITS,
    Limits as Limits,
    RunTime as RunTime,
    body_problems as body_problems,
    changed_copy as changed_copy,
    check_body as check_body,
    determining_parts as determining_parts,
    explore_body as explore_body,
    find_shortfalls as find_shortfalls,
    fingerprint as fingerprint,
    limits_of as limits_of,
    requested_changes as requested_changes,
)
from tap_looker_tasks.queries.bookmark import (
    BookmarkAdvance as BookmarkAdvance,
    from_bookmark as from_bookmark,
)
from tap_looker_tasks.queries.checks import (
    field_problems as field_problems,
    field_warnings as field_warnings,
    visible_fields as visible_fields,
)
from tap_looker_tasks.queries.keeper import (
    QueryKeeper as QueryKeeper,
    QueryState as QueryState,
    StreamState as StreamState,
    names_by_content as names_by_content,
)
from tap_looker_tasks.queries.tiles import (
    merge_ids as merge_ids,
    name_filters as name_filters,
    name_from_title as name_from_title,
    tile_queries as tile_queries,
)
