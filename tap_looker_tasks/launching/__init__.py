"""Queries in Looker: search, discovery, checks, and the launch of their tasks."""

from tap_looker_tasks.launching.discovery import (
    Discovery,
    QueryStreamPlan,
    catalog_problems,
    configured_queries,
)
from tap_looker_tasks.launching.doctor import (
    CheckResult,
    Explanation,
    Verdict,
    check_access,
    run_checks,
)
from tap_looker_tasks.launching.launcher import Launcher, StoredQueries, fingerprint_of, new_client
from tap_looker_tasks.launching.search import (
    Content,
    FoundContent,
    FoundField,
    find_fields,
    search_content,
)

__all__ = [
    "CheckResult",
    "Content",
    "Discovery",
    "Explanation",
    "FoundContent",
    "FoundField",
    "Launcher",
    "QueryStreamPlan",
    "StoredQueries",
    "Verdict",
    "catalog_problems",
    "check_access",
    "configured_queries",
    "find_fields",
    "fingerprint_of",
    "new_client",
    "run_checks",
    "search_content",
]
