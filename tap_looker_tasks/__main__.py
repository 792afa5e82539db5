"""Entry point of `tap-looker-tasks` and of `python -m tap_looker_tasks`."""

from __future__ import annotations

import gc
import signal
import sys
from importlib.metadata import version

_NAME = "tap-looker-tasks"


def main() -> None:
    """Run the command; for `--version`, import nothing that takes long."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"{_NAME} v{version(_NAME)}, Meltano SDK v{version('singer-sdk')}\n")
        return
    # Before the start and after the end, no cleanup or log line is needed.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Imported modules never become garbage.
    gc.disable()
    from tap_looker_tasks.tap import TapLookerTasks  # noqa: PLC0415 - half a second

    gc.freeze()
    gc.enable()
    TapLookerTasks.cli()


if __name__ == "__main__":
    main()
