"""The wire: Looker's API, its answers, and the results in them."""

from tap_looker_tasks.looker.client import LookerClient
from tap_looker_tasks.looker.clock import Clock, SteadyClock
from tap_looker_tasks.looker.connection import Connection

__all__ = [
    "Clock",
    "Connection",
    "LookerClient",
    "SteadyClock",
]
