"""Entry point of `python -m looker_simulator`."""

from looker_simulator.command import serve

serve()
