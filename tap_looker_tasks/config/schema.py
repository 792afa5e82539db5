"""The JSON Schema of `Settings`, for `--about` and the SDK's own checks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tap_looker_tasks.config.settings import SETTING_TYPES, Settings, explain
from tap_looker_tasks.wording import SIMILARITY_OF_SLIPS, did_you_mean, find_similar


def build_config_schema() -> dict[str, Any]:
    """Return the JSON Schema of all settings, in the form of the SDK's own declarations.

    Bounds are repeated in the descriptions, because most programs that show settings omit them.
    """
    (declared,) = (
        definition
        for name, definition in msgspec.json.schema(Settings)["$defs"].items()
        if name == Settings.__name__
    )
    required = declared["required"]
    return {
        "type": "object",
        "properties": {
            name: _setting(schema, required=name in required)
            for name, schema in declared["properties"].items()
        },
        "required": required,
    }


def describe_settings(properties: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a line for each setting: its meaning, its bounds and its default."""
    return "\n".join(
        f"  - {name}: {schema.get('description', '')}"
        + (f", default {json.dumps(schema['default'])}" if "default" in schema else "")
        for name, schema in properties.items()
    )


def _setting(schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    alternatives = schema.pop("anyOf", [{}])
    merged = {**alternatives[0], **schema}
    default = merged.pop("default", None)
    # Entries of `queries` and `dashboards` are checked where an error can name their place.
    if "$ref" in merged.get("items", {}):
        merged["items"] = {"type": "object"}
    if merged.pop("$ref", None):
        merged["type"] = "object"
    types = [merged.pop("type", "string")]
    if not required:
        types.append("null")
        merged |= {"enum": [*merged["enum"], None]} if "enum" in merged else {}
    merged["description"] += _bounds(merged)
    return {"type": types, **merged, **({"default": default} if default not in (None, ()) else {})}


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if schema.get("exclusiveMinimum") == 0:
        return f" (more than 0, {high:,} at most)" if high else " (more than 0)"
    if high is not None:
        return f" ({low:,} to {high:,})"
    if low is not None:
        return f" ({low:,} or more)"
    return ""


def without_secrets(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration without the settings that are declared as secret."""
    declared = schema["properties"]
    return {
        name: value
        for name, value in config.items()
        if name in declared and not declared[name].get("secret")
    }


# Environment variables, checked before the SDK reads them into the configuration.

# Words that the SDK reads as true, and their opposites: it reads all other words as false.
_FLAGS = frozenset({"true", "1", "yes", "on", "false", "0", "no", "off"})
_EXAMPLES = {"array": 'a JSON array, like ["..."]', "object": 'a JSON object, like {"...": "..."}'}
_TYPES = {"array": list, "object": dict, "integer": int}


def find_wrong_variables(
    variables: Mapping[str, str], prefix: str, declared: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Yield the problems of environment variables, one line each, with the variable's name.

    A variable that resembles no setting may belong to another program, and is skipped.

    Args:
        variables: Environment variables.
        prefix: Start of the names of the tap's variables.
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
