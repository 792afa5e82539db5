"""Run `looker-simulator` as `python -m tap_looker_tasks.simulator`."""

from tap_looker_tasks.simulator.cli import main

main()
