"""Looker's API over HTTP: `LookerClient` has a method per operation."""

from tap_looker_tasks.looker.client import LookerClient
from tap_looker_tasks.looker.http import Connection
from tap_looker_tasks.looker.operation import Clock, SteadyClock
from tap_looker_tasks.looker.quotas import (
    EDITIONS,
    KINDS,
    Estimate,
    MeteredCalls,
    estimate_calls,
    kind_of,
)

__all__ = [
    "EDITIONS",
    "KINDS",
    "Clock",
    "Connection",
    "Estimate",
    "LookerClient",
    "MeteredCalls",
    "SteadyClock",
    "estimate_calls",
    "kind_of",
]
