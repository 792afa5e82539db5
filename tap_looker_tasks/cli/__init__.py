"""The SDK's command line, completed: command, interrupts, inputs, stream maps."""

from tap_looker_tasks.cli.command import ClosingCommand, Interrupts
from tap_looker_tasks.cli.inputs import read_catalog, read_file, read_state
from tap_looker_tasks.cli.stream_maps import (
    find_overridden_maps,
    refuse_wrong_stream_maps,
    register_streams,
)

__all__ = [
    "ClosingCommand",
    "Interrupts",
    "find_overridden_maps",
    "read_catalog",
    "read_file",
    "read_state",
    "refuse_wrong_stream_maps",
    "register_streams",
]
