"""Runs the tap as `python -m tap_looker_tasks`."""

from tap_looker_tasks.tap import TapLookerTasks

TapLookerTasks.cli()
