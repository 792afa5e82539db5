"""Observers of a run: live display, log lines, summary and report; they receive events only."""

from tap_looker_tasks.watch.progress import RunWatch as RunWatch, log_calls as log_calls
