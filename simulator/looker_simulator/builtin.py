"""The built-in project: the flights of 2013, a shop, and Looker's own activity."""

from __future__ import annotations

from looker_simulator.data import connect
from looker_simulator.flights import FLIGHTS_2013
from looker_simulator.project import Project
from looker_simulator.shop import SHOP
from looker_simulator.stored import CONTENT
from looker_simulator.system_activity import SYSTEM_ACTIVITY

BUILTIN = Project(
    models={model.name: model for model in (FLIGHTS_2013, SHOP, SYSTEM_ACTIVITY)},
    content=CONTENT,
    connect=connect,
    description="All flights that left New York in 2013, a made-up shop, Looker's own activity",
)
"""What is served unless the user brings models and data."""
