"""Shows what a run does, and what it did; receives events and decides nothing."""

from tap_looker_tasks.watch.progress import RunWatch, tell_calls

__all__ = ["RunWatch", "tell_calls"]
