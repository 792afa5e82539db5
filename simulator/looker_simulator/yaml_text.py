"""Reads YAML with the lines that things are on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from looker_simulator.declarations import ModelError, Place

if TYPE_CHECKING:
    from pathlib import Path


class YamlText(NamedTuple):
    """What a file holds.

    Attributes:
        root: its nodes, which know their lines; None for an empty file.
        value: the same as Python has it.
    """

    root: yaml.Node | None
    value: Any


def read_yaml(path: Path) -> YamlText:
    """Read a file.

    Raises:
        ModelError: it cannot be read, or is no YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(path.name, f"cannot be read: {error}") from None
    try:
        return YamlText(yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        reason = f"expected YAML: {error.problem or error.context}"
        raise ModelError(Place(path.name, line), reason) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = f"expected YAML: {str(error).splitlines()[0]}"
        raise ModelError(Place(path.name, 1), reason) from None
