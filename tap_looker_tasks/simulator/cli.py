"""The command `looker-simulator`, as far as it goes without what it needs."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command, or name the package it wants."""
    try:
        from tap_looker_tasks.simulator.command import serve  # noqa: PLC0415 - may be absent

        serve()
    except ModuleNotFoundError as error:
        sys.exit(
            f"Error: looker-simulator needs the package {error.name}; "
            "install it with: pip install 'tap-looker-tasks[simulator]'"
        )
