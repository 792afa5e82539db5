"""The SDK's command line, completed: command, interrupts, inputs, stream maps."""

from tap_looker_tasks.cli.command import HELP, ClosingCommand, Interrupts, build_questions
from tap_looker_tasks.cli.inputs import read_catalog, read_file, read_state, read_task_ids
from tap_looker_tasks.cli.stream_maps import (
    find_overridden_maps,
    refuse_wrong_stream_maps,
    register_streams,
)
from tap_looker_tasks.cli.tables import print_content, print_fields, print_findings

__all__ = [
    "HELP",
    "ClosingCommand",
    "Interrupts",
    "build_questions",
    "find_overridden_maps",
    "print_content",
    "print_fields",
    "print_findings",
    "read_catalog",
    "read_file",
    "read_state",
    "read_task_ids",
    "refuse_wrong_stream_maps",
    "register_streams",
]
