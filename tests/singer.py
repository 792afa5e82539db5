"""The tap's command line, and the Singer messages it writes."""

from __future__ import annotations

import io
import itertools
import json
import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner
from typing_extensions import override

from tap_looker_tasks.tap import TapLookerTasks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_FIRST_UNKNOWN = 100


@dataclass(frozen=True)
class Run:
    """One run of `tap-looker-tasks`: exit code, standard output and standard error."""

    exit_code: int
    output: bytes
    log: str
    messages: list[dict[str, Any]] = field(default_factory=list)

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == type_]

    def records(self, stream: str = "query_task_results") -> list[dict[str, Any]]:
        return [m["record"] for m in self.of("RECORD") if m["stream"] == stream]

    def outcomes(self) -> dict[str, dict[str, Any]]:
        """The records of `query_task_results`, by task; each task is delivered once."""
        records = self.records()
        by_task = {record["query_task_id"]: record for record in records}
        assert len(by_task) == len(records)
        return by_task

    def statuses(self) -> dict[str, str]:
        return {id_: outcome["status"] for id_, outcome in self.outcomes().items()}

    def only(self) -> dict[str, Any]:
        """The record of the only task."""
        (record,) = self.records()
        return record

    def schema(self, stream: str = "query_task_results") -> dict[str, Any]:
        (schema,) = (m["schema"] for m in self.of("SCHEMA") if m["stream"] == stream)
        return dict(schema)

    @property
    def state(self) -> dict[str, Any]:
        """What the target hands to the next run."""
        value: dict[str, Any] = self.of("STATE")[-1]["value"]
        return value

    @property
    def bookmark(self) -> dict[str, Any]:
        bookmark: dict[str, Any] = self.state["bookmarks"]["query_task_results"]
        return bookmark

    @property
    def error(self) -> str:
        """The one line that says why the run failed."""
        (line,) = (line for line in self.log.splitlines() if line.startswith("Error: "))
        return line.removeprefix("Error: ")


def run_tap(
    folder: Path,
    defaults: Mapping[str, object],
    *arguments: str,
    state: object = None,
    catalog: object = None,
    **config: object,
) -> Run:
    """Run the command with files for config, state and catalog, as Meltano does.

    A number below 100 as `query_id` stands for the id of the simulator's query of that number.
    """
    merged = with_stored_ids({**defaults, **config})
    given = {name: value for name, value in merged.items() if value is not None}
    options = _as_options(folder, {"config": given, "state": state, "catalog": catalog})
    with _log() as log:
        result = CliRunner().invoke(TapLookerTasks.cli, [*options, *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    output = result.stdout_bytes
    return Run(result.exit_code, output, log.getvalue() + result.stderr, parse(output))


def stored_id(number: int) -> str:
    """Return the id of a stored query of the simulator."""
    return f"query{number:017}"


def with_stored_ids(config: Mapping[str, object]) -> dict[str, object]:
    """Return a configuration in which numbers of stored queries are their ids."""
    queries = config.get("queries")
    if not isinstance(queries, list):
        return {**config}
    return {**config, "queries": [*map(_with_stored_id, queries)]}


def _with_stored_id(query: object) -> object:
    if not isinstance(query, dict):
        return query
    number = str(query.get("query_id"))
    is_stored = number.isdecimal() and int(number) < _FIRST_UNKNOWN
    return {**query, "query_id": stored_id(int(number))} if is_stored else query


def unmeasured() -> dict[str, str]:
    """Return the environment of a process that is to be interrupted.

    Its coverage is not measured: an interrupt while coverage holds its lock would leave it held,
    and the process would wait for it for ever.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


def parse(output: bytes) -> list[dict[str, Any]]:
    """Read messages, with every digit; `--discover` and the like write something else."""
    # Text may hold characters that only Python takes for line breaks.
    lines = output.decode().removesuffix("\n").split("\n")
    if not all(line.startswith('{"type"') for line in lines):
        return []
    return [json.loads(line, parse_float=Decimal) for line in lines]


class _ReasonFirst(logging.Formatter):
    """Marks what the tap says at level ERROR, which is why it failed."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        is_reason = record.name == "tap-looker-tasks" and record.levelno >= logging.ERROR
        return f"{'Error: ' if is_reason else ''}{super().format(record)}"


@contextmanager
def _log() -> Iterator[io.StringIO]:
    """What is logged; the SDK adds a handler each time its command is looked up."""
    root, log = logging.getLogger(), io.StringIO()
    before = [*root.handlers]
    handler = logging.StreamHandler(log)
    handler.setFormatter(_ReasonFirst())
    root.handlers = [handler]
    try:
        yield log
    finally:
        root.handlers = before


def _as_options(folder: Path, contents: Mapping[str, object]) -> Sequence[str]:
    given = {name: content for name, content in contents.items() if content is not None}
    for name, content in given.items():
        (folder / f"{name}.json").write_text(json.dumps(content, default=float))
    pairs = ((f"--{name}", str(folder / f"{name}.json")) for name in given)
    return [*itertools.chain.from_iterable(pairs)]
