"""The command line: the SDK's command with more options, input files, output and `--init`."""

from tap_looker_tasks.cli.command import (
    ClosingCommand as ClosingCommand,
    build_help as build_help,
    find_overridden_maps as find_overridden_maps,
    register_streams as register_streams,
    reject_wrong_stream_maps as reject_wrong_stream_maps,
)
from tap_looker_tasks.cli.inputs import (
    find_state as find_state,
    read_catalog as read_catalog,
    read_file as read_file,
    read_state as read_state,
    read_task_ids as read_task_ids,
)
from tap_looker_tasks.cli.output import (
    print_content as print_content,
    print_fields as print_fields,
    print_findings as print_findings,
)
from tap_looker_tasks.cli.yaml import describe_sources as describe_sources, to_yaml as to_yaml
