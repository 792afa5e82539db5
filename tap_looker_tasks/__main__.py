"""Runs the tap, as `tap-looker-tasks` or as `python -m tap_looker_tasks`."""

from __future__ import annotations

import gc
import signal
import sys
from importlib.metadata import version

_NAME = "tap-looker-tasks"


def main() -> None:
    """Run the command; to tell its version, it imports nothing that takes long."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"{_NAME} v{version(_NAME)}, Meltano SDK v{version('singer-sdk')}\n")
        return
    # While nothing is begun, and once all is over, there is nothing to unwind or to tell.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Nothing of what is imported becomes garbage, now or later.
    gc.disable()
    from tap_looker_tasks.store import return_freed_memory  # noqa: PLC0415 - as below
    from tap_looker_tasks.tap import TapLookerTasks  # noqa: PLC0415 - half a second

    gc.freeze()
    gc.enable()
    return_freed_memory()
    TapLookerTasks.cli()


if __name__ == "__main__":
    main()
