"""One run: collector, workers and its end; the only place with threads."""

from tap_looker_tasks.run.collector import Idle
from tap_looker_tasks.run.run import Following, FollowingParts, build_following

__all__ = [
    "Following",
    "FollowingParts",
    "Idle",
    "build_following",
]
