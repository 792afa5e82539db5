"""The command line: the SDK's command with more options, input files, output and `--init`."""

from tap_looker_tasks.cli.command import (
    HELP,
    ClosingCommand,
    find_overridden_maps,
    refuse_wrong_stream_maps,
    register_streams,
)
from tap_looker_tasks.cli.inputs import (
    read_catalog,
    read_file,
    read_state,
    read_task_ids,
)
from tap_looker_tasks.cli.output import print_content, print_fields, print_findings
from tap_looker_tasks.cli.yaml import Table, describe_sources, to_yaml

__all__ = [
    "HELP",
    "ClosingCommand",
    "Table",
    "describe_sources",
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
    "to_yaml",
]
