"""One run: collector, workers and its end; the only place with threads."""

from tap_looker_tasks.run.collector import Idle
from tap_looker_tasks.run.run import Run

__all__ = ["Idle", "Run"]
