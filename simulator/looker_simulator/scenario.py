"""Scenarios: scripted responses and faults of given tasks and queries, in YAML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import yaml

from looker_simulator.declarations import ModelError, Place, read_yaml
from looker_simulator.faults import Fault
from looker_simulator.tasks import QueryTask, RealEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from looker_simulator.looker import Looker
    from looker_simulator.tasks import ScriptedEntry

_T = TypeVar("_T")
_KEYS = frozenset({"faults", "queries", "tasks"})
_IDS = frozenset({"query_id", "query_task_id"})
_PAYLOADS = frozenset({"data", "entry"})
_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")


class EntryScript(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scripted entry of a task in `multi_results`.

    Attributes:
        status: Looker's status; the entry has only the keys that are given.
        result_source: `query` or null.
        data: Payload, of any shape.
        entry: Complete entry of any shape, instead of the three.
        raw: Complete entry as text, which need not be JSON.
        is_absent: Whether the task is left out of the response.
        times: Number of responses with this entry; the last entry of a script stays.
    """

    status: str | None = None
    result_source: str | msgspec.UnsetType | None = msgspec.UNSET
    data: Any = msgspec.UNSET
    entry: Any = msgspec.UNSET
    raw: str | None = None
    is_absent: bool = False
    times: int = 1

    def repeat(self) -> Iterator[ScriptedEntry]:
        """Yield the entry `times` times; without any key, the real entry."""
        for _ in range(self.times):
            yield self._build()

    def _build(self) -> ScriptedEntry:
        if self.is_absent:
            return None
        if self.raw is not None:
            return self.raw.encode()
        if self.entry is not msgspec.UNSET:
            return msgspec.json.encode(self.entry)
        reported = {"result_source": self.result_source, "data": self.data}
        shown = {key: value for key, value in reported.items() if value is not msgspec.UNSET}
        return RealEntry() if self.status is None else {"status": self.status, **shown}


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Script of the tasks of a query, or of one task.

    Attributes:
        latency_seconds: Seconds that the query takes first.
        answers: Entries of `multi_results`, one after the other; empty for the real ones.
    """

    latency_seconds: float | None = None
    answers: tuple[EntryScript, ...] = ()

    def repeat(self) -> list[ScriptedEntry]:
        """Return the entries, each repeated `times` times."""
        return [scripted for response in self.answers for scripted in response.repeat()]


class TaskScript(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task that exists from the start.

    Attributes:
        query_id: Query that it runs; None for a task with scripted entries only.
        result_format: Format of its result.
        answers: Scripted entries, as for queries.
    """

    query_id: str | None = None
    result_format: str = "json_detail"
    answers: tuple[EntryScript, ...] = ()


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scripts of given tasks and queries.

    Attributes:
        queries: Scripts by id of the query.
        tasks: Scripts by id of the task.
        faults: Faults that wait from the start.
    """

    queries: dict[str, Script] = {}
    tasks: dict[str, TaskScript] = {}
    faults: tuple[Fault, ...] = ()

    def latencies(self) -> dict[str, float]:
        """Return seconds by id of the query."""
        return {
            id_: script.latency_seconds
            for id_, script in self.queries.items()
            if script.latency_seconds is not None
        }

    def scripts(self) -> Mapping[str, list[ScriptedEntry]]:
        """Return the scripted entries by id of the query."""
        return {id_: script.repeat() for id_, script in self.queries.items()}


def read_scenario(path: Path) -> Scenario:
    """Read a scenario.

    Raises:
        ModelError: If the file cannot be read, is not YAML, or has an unknown key.
    """
    root, value = read_yaml(path)
    found = _with_text_ids(value)
    if not isinstance(found, dict) or not set(found) <= _KEYS:
        raise ModelError(Place(path.name, 1), f"expected {' and '.join(sorted(_KEYS))} only")
    return Scenario(
        queries=_read_scripts(path, root, found, "queries", Script),
        tasks=_read_scripts(path, root, found, "tasks", TaskScript),
        faults=_convert(
            path, _step(root, "faults", None), found.get("faults", []), tuple[Fault, ...]
        ),
    )


def _with_text_ids(value: Any) -> Any:  # noqa: ANN401 - YAML
    """Return a YAML value with ids as text instead of numbers; payloads stay unchanged."""
    if isinstance(value, list):
        return [_with_text_ids(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        str(key): str(entry)
        if key in _IDS and isinstance(entry, int)
        else entry
        if key in _PAYLOADS
        else _with_text_ids(entry)
        for key, entry in value.items()
    }


def _read_scripts(
    path: Path, root: yaml.Node | None, found: dict[str, Any], key: str, type_: type[_T]
) -> dict[str, _T]:
    """Return the scripts of a scenario's queries, or of its tasks, by id."""
    section = _step(root, key, None)
    scripts = found.get(key, {})
    if not isinstance(scripts, dict):
        line = section.start_mark.line + 1 if section else 1
        raise ModelError(Place(path.name, line), f"expected `{key}` as ids with a script each")
    return {
        id_: _convert(path, _step(section, id_, None), script, type_)
        for id_, script in scripts.items()
    }


def _convert(path: Path, node: yaml.Node | None, value: object, type_: type[_T]) -> _T:
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        raise ModelError(Place(path.name, _find_line(node, where)), message) from None


def play_scenario(scenario: Scenario, looker: Looker) -> None:
    """Add the tasks and faults of a scenario.

    Raises:
        ModelError: If a task's query is unknown.
    """
    for fault in scenario.faults:
        looker.faults.add(fault)
    for id_, script in scenario.tasks.items():
        about = {"query_id": script.query_id, "result_format": script.result_format}
        body = looker.queries.get(script.query_id) if script.query_id else {}
        if body is None:
            place = f"task {id_} of the scenario"
            raise ModelError(place, f"there is no query {script.query_id}")
        status = "added" if script.query_id else "running"
        scripted = [found for response in script.answers for found in response.repeat()]
        looker.tasks.add(QueryTask(id_, body, about, status=status, script=scripted))


def _find_line(node: yaml.Node | None, where: str) -> int:
    """Return the line of a path such as `.faults[0].times`, or of the longest known part of it."""
    line = node.start_mark.line + 1 if node else 1
    for match in _STEP.finditer(where):
        if node is None:
            break
        line = node.start_mark.line + 1
        node = _step(node, match[1], match[2])
    return node.start_mark.line + 1 if node else line


def _step(node: yaml.Node | None, key: str | None, place: str | None) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode) and key:
        return next((value for name, value in node.value if name.value == key), None)
    if isinstance(node, yaml.SequenceNode) and place and place.isdigit():
        found: yaml.Node = node.value[int(place)]
        return found
    return None
