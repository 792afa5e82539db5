"""Environment variables, checked before the SDK reads them into the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tap_looker_tasks.config.settings import SETTING_TYPES, explain
from tap_looker_tasks.wording import SIMILARITY_OF_SLIPS, did_you_mean, find_similar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Those that the SDK takes for true, and their opposites: it takes any other word for false.
_FLAGS = frozenset({"true", "1", "yes", "on", "false", "0", "no", "off"})
_EXAMPLES = {"array": 'a JSON array, like ["..."]', "object": 'a JSON object, like {"...": "..."}'}
_TYPES = {"array": list, "object": dict, "integer": int}


def find_wrong_variables(
    variables: Mapping[str, str], prefix: str, declared: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Yield what is wrong with environment variables, a line each, by the variable's name.

    A variable that resembles no setting may be anybody's, and is passed over.

    Args:
        variables: of the environment.
        prefix: what the names of the tap's variables begin with.
        declared: JSON Schema of each setting, those of the SDK included.
    """
    names = {name.upper(): name for name in declared}
    for variable, text in variables.items():
        end = variable.removeprefix(prefix)
        if not variable.startswith(prefix):
            continue
        if end in names:
            yield from _find_problem(variable, text, names[end], declared[names[end]])
        elif similar := find_similar(end, names, SIMILARITY_OF_SLIPS):
            yield f"{variable}: no such setting{did_you_mean(prefix + similar)}"


def _find_problem(variable: str, text: str, name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    (json_type,) = {*schema["type"]} - {"null"}
    if json_type == "boolean":
        if text.lower() not in _FLAGS:
            yield f"{variable}: expected true or false"
        return
    type_ = SETTING_TYPES.get(name) or _TYPES.get(json_type, str)
    try:
        value = msgspec.json.decode(text) if json_type in _EXAMPLES else text
        msgspec.convert(value, type_, strict=False)
    except msgspec.ValidationError as error:
        yield explain(error, name, variable)
    except (msgspec.DecodeError, RecursionError):
        yield f"{variable}: expected {_EXAMPLES[json_type]}"
