"""Run `looker-simulator` as `python -m looker_simulator`."""

from looker_simulator.command import serve

serve()
