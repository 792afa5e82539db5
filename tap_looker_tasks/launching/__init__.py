"""Asks Looker about queries: discovery, doctor, launcher, stored queries."""

from tap_looker_tasks.launching.discovery import (
    Discovery,
    QueryStreamPlan,
    catalog_problems,
    configured_queries,
)
from tap_looker_tasks.launching.doctor import CheckResult, Verdict, print_findings, run_checks
from tap_looker_tasks.launching.launcher import Bookmark, Launcher, QueryState
from tap_looker_tasks.launching.stored_queries import StoredQueries

__all__ = [
    "Bookmark",
    "CheckResult",
    "Discovery",
    "Launcher",
    "QueryState",
    "QueryStreamPlan",
    "StoredQueries",
    "Verdict",
    "catalog_problems",
    "configured_queries",
    "print_findings",
    "run_checks",
]
