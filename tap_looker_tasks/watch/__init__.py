"""Shows what a run does, and what it did; is told events and decides nothing."""

from tap_looker_tasks.watch.facts import RunFacts
from tap_looker_tasks.watch.progress import Progress
from tap_looker_tasks.watch.summary import (
    describe_end,
    exit_status_of,
    log_run_summary,
    tell_calls,
    without_secrets,
)

__all__ = [
    "Progress",
    "RunFacts",
    "describe_end",
    "exit_status_of",
    "log_run_summary",
    "tell_calls",
    "without_secrets",
]
