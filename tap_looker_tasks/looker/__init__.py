"""Looker's API over HTTP: `LookerClient` has a method per operation."""

from tap_looker_tasks.looker.client import LookerClient as LookerClient
from tap_looker_tasks.looker.http import Connection as Connection
from tap_looker_tasks.looker.operation import Clock as Clock, SteadyClock as SteadyClock
from tap_looker_tasks.looker.quotas import (
    EDITIONS as EDITIONS,
    QUERY_BASED as QUERY_BASED,
    UNMETERED as UNMETERED,
    Estimate as Estimate,
    MeteredCalls as MeteredCalls,
    estimate_calls as estimate_calls,
)
