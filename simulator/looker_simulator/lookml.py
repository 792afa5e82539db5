"""Reads LookML files: a model and what it includes.

<https://docs.cloud.google.com/looker/docs/what-is-lookml>
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lkml.lexer import Lexer
from lkml.parser import Parser
from lkml.tree import BlockNode, ContainerNode, ListNode, PairNode
from typing_extensions import override

from looker_simulator.declarations import Block, Declarations, ModelError, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lkml.tokens import ExpressionBlockToken

_LINE = re.compile(r"(.*) on line (\d+)", re.DOTALL)
_QUIET = frozenset(
    {
        *("connection", "label", "include", "includes", "fiscal_month_offset", "week_start_day"),
        *("case_sensitive", "persist_for", "persist_with", "datagroup", "access_grant"),
        *("map_layer", "named_value_format", "test", "manifest"),
    }
)
"""What needs no view, Explore or row to be served rightly."""


class _Lexer(Lexer):
    """Refuses a single semicolon outside SQL, which the library would look at for ever."""

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
        ModelError: a file cannot be read, or is no LookML.
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
        found = _LINE.fullmatch(str(error))
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
    """Yield the files of an include; a slash first means the project's folder.

    That is the model's own, or the one above it.
    """
    relative = pattern.removeprefix("/")
    named = [relative] if relative.endswith(".lkml") else [f"{relative}.lkml", relative]
    for folder in (model.parent, model.parent.parent):
        found = sorted({path for name in named for path in folder.glob(name) if path.is_file()})
        if found:
            yield from found
            return
