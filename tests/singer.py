"""The tap's command line, and the Singer messages it writes."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import logging
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner
from typing_extensions import override
from upath import UPath

from tap_looker_tasks.tap import TapLookerTasks

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from looker_simulator.simulator import Simulator

_FIRST_UNKNOWN = 100
_OUTCOMES = "query_task_results"
# Of records without the id of their task, and of files that are not JSON lines.
_ANY = object()


@dataclass(frozen=True)
class Run:
    """One run of `tap-looker-tasks`: exit code, standard output and standard error."""

    exit_code: int
    output: bytes
    log: str
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.output.decode()

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


def state_at_launch(run: Run, name: str) -> dict[str, Any]:
    """Return the STATE that a run wrote once the query's task was launched."""
    states: Iterator[dict[str, Any]] = (message["value"] for message in run.of("STATE"))
    in_flight = (
        (state, state.get("bookmarks", {}).get(_OUTCOMES, {}).get("in_flight", {}))
        for state in states
    )
    return next(state for state, names in in_flight if name in names)


def run_tap(
    folder: Path,
    defaults: Mapping[str, object],
    *arguments: str,
    state: object = None,
    catalog: object = None,
    **config: object,
) -> Run:
    """Run the command with files for config, state and catalog, as Meltano does.

    A number below 100 as `query_id` replaces the id of the simulator's query of that number.
    """
    merged = with_stored_ids({**defaults, **config})
    given = {name: value for name, value in merged.items() if value is not None}
    options = _as_options(folder, {"config": given, "state": state, "catalog": catalog})
    return invoke(*options, *arguments, state=state)


def leave_running(tap: Callable[..., Run], simulator: Simulator, **config: Any) -> Run:
    """Run the tap so that it leaves its tasks to the next run, however soon they are complete."""
    simulator.fault("unknown_status", times=None)
    run = tap(base_url=simulator.base_url, wait_for_completion=False, **config)
    simulator.clear_faults()
    return run


def invoke(
    *arguments: str, state: object = None, environment: Mapping[str, str] | None = None
) -> Run:
    """Run the command in this process, without a terminal; an error that it lets out fails."""
    with _log() as log:
        result = CliRunner().invoke(TapLookerTasks.cli, arguments, env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    output = result.stdout_bytes
    messages = parse(output, state, is_complete="--test" not in arguments)
    return Run(result.exit_code, output, log.getvalue() + result.stderr, messages)


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


def batch_records(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a RECORD for each row of the complete files that a BATCH message names."""
    for url in message["manifest"]:
        content = UPath(url).read_bytes()
        if message["encoding"].get("compression") == "gzip":
            content = gzip.decompress(content)
        *lines, torn = content.split(b"\n")
        assert not torn, f"{url} is torn"
        for line in lines:
            yield {"type": "RECORD", "stream": message["stream"], "record": json.loads(line)}


class OrderCheck:
    """A target that keeps nothing: it checks the order of schemas, records and states."""

    def __init__(self, state: object = None) -> None:
        """Start as a run that was given `state`."""
        self._streams: set[str] = set()
        self._delivered = _finished(state)

    def take(self, message: Mapping[str, Any]) -> None:
        """Check one message."""
        match message:
            case {"type": "SCHEMA", "stream": stream}:
                self._streams.add(stream)
            case {"type": "RECORD", "stream": stream, "record": record}:
                assert stream in self._streams, f"a record before the schema of {stream}"
                if stream == _OUTCOMES:
                    self._delivered.add(record.get("query_task_id", _ANY))
            case {"type": "BATCH", "encoding": {"format": "jsonl"}}:
                for row in batch_records(message):
                    self.take(row)
            case {"type": "BATCH", "stream": "query_task_results"}:
                self._delivered.add(_ANY)
            # A stream that is not selected, or has another name, names no task.
            case {"type": "STATE", "value": state} if _OUTCOMES in self._streams:
                early = set() if _ANY in self._delivered else _finished(state) - self._delivered
                assert not early, f"finished in state, but no record is out: {early}"


def _finished(state: object) -> set[object]:
    """Return the tasks that a state names as finished; a state may be damaged on purpose."""
    for key in ("bookmarks", "query_task_results", "finished"):
        state = state.get(key) if isinstance(state, dict) else None
    return {*state} if isinstance(state, dict) else set()


def parse(output: bytes, state: object = None, *, is_complete: bool = True) -> list[dict[str, Any]]:
    """Read the messages of a run that was given `state`, with every digit, and check their order.

    `--discover` and the like write something else, `--test` one record of each stream.
    """
    if not output.startswith(b'{"type"'):
        return []
    # Text may hold characters that only Python takes for line breaks.
    *lines, torn = output.decode().split("\n")
    assert not torn
    messages = [json.loads(line, parse_float=Decimal) for line in lines]
    check = OrderCheck(state)
    for message in messages if is_complete else ():
        check.take(message)
    return messages


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


# Processes that a signal ends.

_PATIENCE_SECONDS = 60
_PROMISED_SECONDS = 5


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def interrupt(process: subprocess.Popen[bytes], number: int, *, least: float = 0.0) -> list[bytes]:
    """Send a signal; return what the process printed, which must end by it within 5 s.

    Args:
        process: The process.
        number: Number of the signal.
        least: Seconds that it must take at least.
    """
    interrupted_at = time.monotonic()
    process.send_signal(number)
    printed = [*process.communicate(timeout=20)]
    assert least <= time.monotonic() - interrupted_at < _PROMISED_SECONDS
    assert process.returncode == 128 + number
    return printed
