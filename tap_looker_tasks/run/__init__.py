"""One run: its collector, workers and end, in threads."""

from tap_looker_tasks.run.collector import Idle as Idle
from tap_looker_tasks.run.run import Run as Run
