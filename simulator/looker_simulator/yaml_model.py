"""Reads a model in YAML: LookML's words in another notation, with names as keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from looker_simulator.declarations import Block, Declarations, ModelError, Place
from looker_simulator.yaml_text import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_NAMED: Mapping[str, Mapping[str, str]] = {
    "view": {
        "dimensions": "dimension",
        "dimension_groups": "dimension_group",
        "measures": "measure",
        "filters": "filter",
        "parameters": "parameter",
    },
    "explore": {"joins": "join"},
}
"""Keys that hold blocks by name, and their kind."""
_UNNAMED = frozenset({"derived_table"})
_CONTENT = ("queries", "looks", "dashboards")
_EXPECTED = "expected `model`, `views`, `explores`, and maybe `queries`, `looks`, `dashboards`"


def read_yaml_model(path: Path) -> Declarations:
    """Read a model.

    Raises:
        ModelError: the file cannot be read, is no YAML, or declares something else.
    """
    root, found = read_yaml(path)
    place = Place(path.name, 1)
    if not isinstance(root, yaml.MappingNode):
        raise ModelError(place, _EXPECTED)
    top = {key: value for key, _, value in _entries(path, root)}
    lines = {key: line for key, line, _ in _entries(path, root)}
    for key in top:
        if key not in {"model", "views", "explores", *_CONTENT}:
            raise ModelError(Place(path.name, lines[key]), f"{key!r} is unknown; {_EXPECTED}")
    for key in ("views", "explores"):
        if key not in top:
            raise ModelError(place, f"`{key}` is missing; {_EXPECTED}")
    views = [*_read_named(path, "views", "view", top["views"])]
    return Declarations(
        model=str(top["model"].value) if "model" in top else path.stem,
        views={block.name: block for block in views},
        explores=tuple(_read_named(path, "explores", "explore", top["explores"])),
        content={
            key: _read_content(path, key, top[key], found[key]) for key in _CONTENT if key in top
        },
    )


def _entries(path: Path, node: yaml.MappingNode) -> Iterator[tuple[str, int, yaml.Node]]:
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ModelError(Place(path.name, line), "expected a name as the key")
        yield str(key.value), line, value


def _read_named(path: Path, key: str, kind: str, node: yaml.Node) -> Iterator[Block]:
    """Yield the blocks of a mapping from names."""
    if not isinstance(node, yaml.MappingNode):
        place = Place(path.name, node.start_mark.line + 1)
        raise ModelError(place, f"expected `{key}` as names with what is declared below each")
    for name, line, value in _entries(path, node):
        yield _read_block(path, kind, name, line, value)


def _read_block(path: Path, kind: str, name: str, line: int, node: yaml.Node) -> Block:
    place = Place(path.name, line)
    if isinstance(node, yaml.ScalarNode) and not node.value:
        return Block(kind, name, place)
    if not isinstance(node, yaml.MappingNode):
        raise ModelError(place, f"{kind} {name}: expected properties, such as `type: string`")
    properties: dict[str, Any] = {}
    blocks: list[Block] = []
    for key, key_line, value in _entries(path, node):
        if key in _NAMED.get(kind, {}):
            blocks += _read_named(path, key, _NAMED[kind][key], value)
        elif key == "always_filter":
            filters = {"filters": _read_property(path, value)}
            blocks.append(Block(key, "", Place(path.name, key_line), filters))
        elif key in _UNNAMED:
            blocks.append(_read_block(path, key, "", key_line, value))
        else:
            properties[key] = _read_property(path, value)
    return Block(kind, name, place, properties, tuple(blocks))


def _read_property(path: Path, node: yaml.Node) -> Any:  # noqa: ANN401 - text, texts or pairs
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.MappingNode):
        return [(key, str(value.value)) for key, _, value in _entries(path, node)]
    return [str(entry.value) for entry in node.value]


def _read_content(path: Path, key: str, node: yaml.Node, found: Any) -> dict[str, Any]:  # noqa: ANN401 - YAML
    """Return `queries`, `looks` or `dashboards` as the API has them, by id."""
    if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
        place = Place(path.name, node.start_mark.line + 1)
        raise ModelError(place, f"expected `{key}` as ids with an object below each")
    return {str(id_): entry for id_, entry in found.items()}
