"""What happens to given tasks and queries: a script in YAML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import yaml

from looker_simulator.declarations import ModelError, Place, read_yaml
from looker_simulator.faults import Fault
from looker_simulator.tasks import QueryTask, RealAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from looker_simulator.looker import Looker
    from looker_simulator.tasks import ScriptedAnswer

_T = TypeVar("_T")
_KEYS = frozenset({"faults", "queries", "tasks"})
_IDS = frozenset({"query_id", "query_task_id"})
_PAYLOADS = frozenset({"data", "entry"})
_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `multi_results` says of a task, so many times.

    Attributes:
        status: Looker's word; what is not said besides is left out.
        result_source: `query` or null.
        data: the payload, of any shape.
        entry: the whole entry in place of the three, of any shape.
        raw: the same, as text that need not be JSON.
        is_absent: the task is left out of the answer.
        times: so many answers; the last one of a script stays for ever.
    """

    status: str | None = None
    result_source: str | msgspec.UnsetType | None = msgspec.UNSET
    data: Any = msgspec.UNSET
    entry: Any = msgspec.UNSET
    raw: str | None = None
    is_absent: bool = False
    times: int = 1

    def repeat(self) -> Iterator[ScriptedAnswer]:
        """Yield it as often as it is given; without any words, it is what is so."""
        for _ in range(self.times):
            yield self._build()

    def _build(self) -> ScriptedAnswer:
        if self.is_absent:
            return None
        if self.raw is not None:
            return self.raw.encode()
        if self.entry is not msgspec.UNSET:
            return msgspec.json.encode(self.entry)
        said = {"result_source": self.result_source, "data": self.data}
        told = {key: value for key, value in said.items() if value is not msgspec.UNSET}
        return RealAnswer() if self.status is None else {"status": self.status, **told}


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to the tasks of a query, or to one task.

    Attributes:
        latency_seconds: what the query takes beforehand.
        answers: of `multi_results`, one after the other; empty: what is so.
    """

    latency_seconds: float | None = None
    answers: tuple[Answer, ...] = ()

    def repeat(self) -> list[ScriptedAnswer]:
        """Return the answers, each as often as it is given."""
        return [scripted for answer in self.answers for scripted in answer.repeat()]


class TaskScript(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task that is there from the start.

    Attributes:
        query_id: what it runs; None: it only says what its answers say.
        result_format: of its result.
        answers: as for queries.
    """

    query_id: str | None = None
    result_format: str = "json_detail"
    answers: tuple[Answer, ...] = ()


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to given tasks and queries.

    Attributes:
        queries: scripts by id of the query.
        tasks: scripts by id of the task.
        faults: waiting from the start.
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

    def scripts(self) -> Mapping[str, list[ScriptedAnswer]]:
        """Return the answers by id of the query."""
        return {id_: script.repeat() for id_, script in self.queries.items()}


def read_scenario(path: Path) -> Scenario:
    """Read a scenario.

    Raises:
        ModelError: If the file cannot be read, is no YAML, or holds something else.
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
    """Return what YAML holds, with numbers as text where they are ids; payloads stay."""
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
    """Read what a scenario says of queries, or of tasks, by id."""
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
        ModelError: If a task is of a query that is not there.
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
        scripted = [found for answer in script.answers for found in answer.repeat()]
        looker.tasks.add(QueryTask(id_, body, about, status=status, script=scripted))


def _find_line(node: yaml.Node | None, where: str) -> int:
    """Return the line of what a path such as `.faults[0].times` leads to, as far as it does."""
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
