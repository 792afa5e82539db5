"""What a user's model declares, in LookML's words, before it is made sense of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_YES = frozenset({"yes", "true"})


class Place(NamedTuple):
    """Where something is declared."""

    file: str
    line: int

    @override
    def __str__(self) -> str:
        """Return it as messages have it."""
        return f"{self.file}, line {self.line}"


class ModelError(ValueError):
    """A model, scenario or data folder that cannot be served; the message says what to change."""

    def __init__(self, place: Place | str, message: str) -> None:
        """Begin the message with the place: a file's, or what stands for it."""
        super().__init__(f"{place}: {message}")


@dataclass(frozen=True)
class Block:
    """`kind: name { ... }`.

    Attributes:
        kind: LookML's word, such as `dimension`.
        name: empty for blocks without one.
        place: of its first line.
        properties: text, lists of texts, or lists of pairs, by LookML's word.
        blocks: the blocks in it.
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
            ModelError: it is not there, or something else.
        """
        found = self.texts(key)
        if not found or not all(_NUMBER.fullmatch(entry.strip()) for entry in found):
            self.refuse(f"expected `{key}` as numbers")
        return found

    def pairs(self, key: str) -> list[tuple[str, str]]:
        """Return a property that is a list of pairs, such as `filters`."""
        found = self.properties.get(key, [])
        pairs = [entry for entry in found if isinstance(entry, tuple)]
        if isinstance(found, str) or len(pairs) != len(found):
            self.refuse(f"expected `{key}` as a list of `field: expression`")
        return pairs

    def is_set(self, key: str, *, default: bool = False) -> bool:
        """Return whether a property says yes."""
        return self.text(key).lower() in _YES if key in self.properties else default

    def of_kind(self, *kinds: str) -> Iterator[Block]:
        """Yield the blocks in it that are of some kinds."""
        yield from (block for block in self.blocks if block.kind in kinds)

    def require(self, key: str) -> str:
        """Return a property that is text.

        Raises:
            ModelError: it is not there.
        """
        found = self.text(key)
        if not found:
            self.refuse(f"expected `{key}`")
        return found

    def refuse(self, message: str) -> NoReturn:
        """Raise an error that names this block and its place.

        Raises:
            ModelError: in any case.
        """
        raise ModelError(self.place, f"{self.kind} {self.name}: {message}")

    def warning(self, message: str) -> str:
        """Return a warning that names this block and its place."""
        return f"{self.place}: {self.kind} {self.name}: {message}"


@dataclass(frozen=True)
class Declarations:
    """Everything that a model declares.

    Attributes:
        model: name of the model.
        views: by name.
        explores: in their order.
        content: `queries`, `looks` and `dashboards` beside the model, by id.
        warnings: what was not understood.
    """

    model: str
    views: Mapping[str, Block]
    explores: tuple[Block, ...]
    content: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
