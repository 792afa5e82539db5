"""Asks Looker about queries: discovery, doctor, launcher, stored queries."""

from tap_looker_tasks.launching.discovery import (
    Discovery,
    QueryStreamPlan,
    catalog_problems,
    configured_queries,
)
from tap_looker_tasks.launching.doctor import Finding, Verdict, examine, print_findings
from tap_looker_tasks.launching.launcher import Bookmark, Launcher, RememberedQuery
from tap_looker_tasks.launching.stored_queries import StoredQueries

__all__ = [
    "Bookmark",
    "Discovery",
    "Finding",
    "Launcher",
    "QueryStreamPlan",
    "RememberedQuery",
    "StoredQueries",
    "Verdict",
    "catalog_problems",
    "configured_queries",
    "examine",
    "print_findings",
]
