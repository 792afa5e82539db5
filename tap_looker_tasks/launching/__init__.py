"""Queries in Looker: search, discovery, checks, and the launch of their tasks."""

from tap_looker_tasks.launching.discovery import (
    Discovery as Discovery,
    QueryStreamPlan as QueryStreamPlan,
    catalog_problems as catalog_problems,
)
from tap_looker_tasks.launching.launcher import (
    Launcher as Launcher,
    StoredQueries as StoredQueries,
    new_client as new_client,
)
from tap_looker_tasks.launching.questions import (
    CheckResult as CheckResult,
    Content as Content,
    Verdict as Verdict,
    check_access as check_access,
    explain_run as explain_run,
    find_fields as find_fields,
    run_checks as run_checks,
    search_content as search_content,
)
