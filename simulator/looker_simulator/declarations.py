"""Declarations of a model, read from LookML or YAML, before they are interpreted.

<https://docs.cloud.google.com/looker/docs/what-is-lookml>
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import yaml
from lkml.lexer import Lexer
from lkml.parser import Parser
from lkml.tree import BlockNode, ContainerNode, ListNode, PairNode
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lkml.tokens import ExpressionBlockToken


_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_YES = frozenset({"yes", "true"})


class Place(NamedTuple):
    """Place of a declaration in a file."""

    file: str
    line: int

    @override
    def __str__(self) -> str:
        """Return the place in the form of messages."""
        return f"{self.file}, line {self.line}"


class ModelError(ValueError):
    """A model, scenario or data folder that cannot be served; the message shows the change."""

    def __init__(self, place: Place | str, message: str) -> None:
        """Start the message with the place, or with a text that replaces it."""
        super().__init__(f"{place}: {message}")


@dataclass(frozen=True)
class Block:
    """A block of LookML: `kind: name { ... }`.

    Attributes:
        kind: LookML's keyword, such as `dimension`.
        name: Name of the block; empty for blocks without one.
        place: Place of its first line.
        properties: Text, lists of texts, or lists of pairs, by LookML's keyword.
        blocks: Blocks in it.
    """

    kind: str
    name: str
    place: Place
    properties: Mapping[str, Any] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()

    def text(self, key: str, default: str = "") -> str:
        """Return a property that is text, without spaces around it."""
        return str(self.properties.get(key, default)).strip()

    def texts(self, key: str) -> list[str]:
        """Return a property that is a list of texts; a single text is a list of one."""
        found = self.properties.get(key, [])
        return [found] if isinstance(found, str) else [str(entry) for entry in found]

    def numbers(self, key: str) -> list[str]:
        """Return a property that is a list of numbers, or one, as text.

        Raises:
            ModelError: If the property is missing, or of another kind.
        """
        found = self.texts(key)
        if not found or not all(_NUMBER.fullmatch(entry.strip()) for entry in found):
            self.reject(f"expected `{key}` as numbers")
        return found

    def pairs(self, key: str) -> list[tuple[str, str]]:
        """Return a property that is a list of pairs, such as `filters`."""
        found = self.properties.get(key, [])
        pairs = [entry for entry in found if isinstance(entry, tuple)]
        if isinstance(found, str) or len(pairs) != len(found):
            self.reject(f"expected `{key}` as a list of `field: expression`")
        return pairs

    def is_set(self, key: str, *, default: bool = False) -> bool:
        """Return whether a property is `yes`."""
        return self.text(key).lower() in _YES if key in self.properties else default

    def of_kind(self, *kinds: str) -> Iterator[Block]:
        """Yield the blocks in it that are of any of the kinds."""
        yield from (block for block in self.blocks if block.kind in kinds)

    def require(self, key: str) -> str:
        """Return a property that is text.

        Raises:
            ModelError: If the property is missing.
        """
        found = self.text(key)
        if not found:
            self.reject(f"expected `{key}`")
        return found

    def reject(self, message: str) -> NoReturn:
        """Raise an error that names this block and its place.

        Raises:
            ModelError: If called.
        """
        raise ModelError(self.place, f"{self.kind} {self.name}: {message}")

    def warning(self, message: str) -> str:
        """Return a warning that names this block and its place."""
        return f"{self.place}: {self.kind} {self.name}: {message}"


@dataclass(frozen=True)
class Declarations:
    """All declarations of a model.

    Attributes:
        model: Name of the model.
        views: Views by name.
        explores: Explores in their order.
        access_grants: Access grants of the model.
        content: `queries`, `looks` and `dashboards` beside the model, by id.
        warnings: Lines on declarations that were not understood.
    """

    model: str
    views: Mapping[str, Block]
    explores: tuple[Block, ...]
    content: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    access_grants: tuple[Block, ...] = ()
    warnings: tuple[str, ...] = ()


class YamlText(NamedTuple):
    """Content of a YAML file.

    Attributes:
        root: Its nodes, with their lines; None for an empty file.
        value: Its value in Python.
    """

    root: yaml.Node | None
    value: Any


def read_yaml(path: Path) -> YamlText:
    """Read a YAML file.

    Raises:
        ModelError: If it cannot be read, or is not YAML.
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
    """Read a model in YAML.

    Raises:
        ModelError: If the file cannot be read, is not YAML, or declares something else.
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
    """Return `queries`, `looks` or `dashboards` as the API describes them, by id."""
    if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
        place = Place(path.name, node.start_mark.line + 1)
        raise ModelError(place, f"expected `{key}` as ids with an object below each")
    return {str(id_): entry for id_, entry in found.items()}


_SYNTAX_ERROR = re.compile(r"(.*) on line (\d+)", re.DOTALL)
_QUIET = frozenset(
    {
        *("connection", "label", "include", "includes", "fiscal_month_offset", "week_start_day"),
        *("case_sensitive", "persist_for", "persist_with", "datagroup", "access_grant"),
        *("map_layer", "named_value_format", "test", "manifest"),
    }
)
"""What needs no view, Explore or row to be served rightly."""


class _Lexer(Lexer):
    """Rejects a single semicolon outside SQL, with which the library would loop forever."""

    _is_in_sql = False

    @override
    def scan_expression_block(self) -> ExpressionBlockToken:
        self._is_in_sql = True
        token = super().scan_expression_block()
        self._is_in_sql = False
        return token

    @override
    def peek_multiple(self, length: int) -> str:
        found = super().peek_multiple(length)
        if found.startswith(";") and found != ";;" and not self._is_in_sql:
            msg = f"Unable to find ';;' on line {self.line_number}"
            raise SyntaxError(msg)
        return found


def read_lookml(path: Path) -> Declarations:
    """Read a model file and the files that it includes.

    Raises:
        ModelError: If a file cannot be read, or is not LookML.
    """
    warnings: list[str] = []
    blocks: list[Block] = []
    pending, known = [path], {path.resolve()}
    while pending:
        file = pending.pop(0)
        root = _read_file(file)
        blocks += root.blocks
        for pattern in root.texts("includes"):
            found = [*_find_included(path, pattern)]
            if not found:
                warnings.append(f"{root.place.file}: include {pattern!r} matches no file")
            pending += [new for new in found if new.resolve() not in known]
            known |= {new.resolve() for new in found}
        unknown = [key for key in root.properties if key not in _QUIET]
        warnings += [f"{root.place.file}: `{key}` is not understood" for key in unknown]
    warnings += [
        block.warning("is not understood")
        for block in blocks
        if block.kind not in _QUIET | {"view", "explore"} or block.name.startswith("+")
    ]
    blocks = [block for block in blocks if not block.name.startswith("+")]
    return Declarations(
        model=path.name.removesuffix(".lkml").removesuffix(".model"),
        views={block.name: block for block in blocks if block.kind == "view"},
        explores=tuple(block for block in blocks if block.kind == "explore"),
        access_grants=tuple(block for block in blocks if block.kind == "access_grant"),
        warnings=tuple(warnings),
    )


def _read_file(path: Path) -> Block:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(path.name, f"cannot be read: {error}") from None
    try:
        document = Parser(_Lexer(text).scan()).parse()
    except SyntaxError as error:
        found = _SYNTAX_ERROR.fullmatch(str(error))
        message, line = (found[1], int(found[2])) if found else (str(error), 1)
        reason = f"expected LookML: blocks in braces, `key: value`, SQL that ends in ;; ({message})"
        raise ModelError(Place(path.name, line), reason) from None
    except KeyError as error:
        raise ModelError(path.name, f"expected each key once: {error.args[0]}") from None
    except (IndexError, RecursionError):
        raise ModelError(path.name, "expected LookML, not what ends amid a word") from None
    return _read_container("file", "", Place(path.name, 1), document.container)


def _read_container(kind: str, name: str, place: Place, container: ContainerNode) -> Block:
    properties: dict[str, Any] = {}
    blocks = []
    for node in container.items:
        key = node.type.value
        if isinstance(node, BlockNode):
            inner = Place(place.file, node.type.line_number or place.line)
            blocks.append(
                _read_container(key, node.name.value if node.name else "", inner, node.container)
            )
        elif isinstance(node, ListNode):
            properties[key] = [_read_entry(entry) for entry in node.items]
        elif key == "include":
            properties.setdefault("includes", []).append(node.value.value)
        else:
            properties[key] = node.value.value
    return Block(kind, name, place, properties, tuple(blocks))


def _read_entry(node: Any) -> str | tuple[str, str]:  # noqa: ANN401 - a pair or one of many tokens
    if isinstance(node, PairNode):
        return node.type.value, node.value.value
    return str(node.value)


def _find_included(model: Path, pattern: str) -> Iterator[Path]:
    """Yield the files of an include; a leading slash is the project's folder.

    That is the model's own folder, or its parent.
    """
    relative = pattern.removeprefix("/")
    named = [relative] if relative.endswith(".lkml") else [f"{relative}.lkml", relative]
    for folder in (model.parent, model.parent.parent):
        found = sorted({path for name in named for path in folder.glob(name) if path.is_file()})
        if found:
            yield from found
            return
