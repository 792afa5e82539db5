"""Lists every message of the tap: what its code raises, logs or yields as a problem.

Messages are collected from the syntax tree, so none is forgotten. `find_test` names a file of tests
that expects a message.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tap_looker_tasks import errors
from tests.interface.test_architecture import MODULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Texts without words of their own, because other messages fill them, and commands.
FILLED = frozenset(
    {
        "(... or more)",
        "... --config config.json --config ENV | <target>",
        "... query-based, ... administrative",
        "....replication_key: ...",
        "...: ... ...: left out",
        "tap-looker-tasks/... ...",
        "...: ... is not a ......",
        "...: ...; there may be more...",
        "... cannot run: ...",
        "base_url: ...",
        "meltano.yml: ...",
        "stream_maps: ...",
    }
)
# Messages that no test expects yet.
UNTESTED = frozenset(
    {
        "... is not a decimal of ... digits, ... of them after the point",
        "...: ... returned no result: ...",
        "...: the login took too long",
        "...; launching fewer queries for a while",
        "...; polling its tasks in smaller requests",
        "Looker reported the unknown status ...; treating the task as unfinished",
        "it took too long",
        "no address",
    }
)
_TESTS = Path(__file__).parent.parent / "tests"
_LEVELS = frozenset({"info", "warning", "error"})
_VALUE = "..."
# Sentences of the report start like this; messages don't.
_SENTENCE = re.compile(r"The |Neither |Looker: |\.\.\. took ")
# Modules whose texts are tables and progress, not messages.
_PRINTS = frozenset({"cli.output", "watch.live", "watch.summary"})
# Consecutive words that a test has to share with a message: the more, the surer; never one alone.
_WORDS = (4, 3, 2)
_MIN_LENGTH = 8


@dataclass(frozen=True, slots=True, order=True)
class Message:
    """A message of the tap.

    Attributes:
        text: The message; `...` replaces values.
        kind: Level of a log line, exception, or `reason` of a text that stands in another message.
        exit_code: Exit code of a run that ends with it; None if it doesn't end the run.
    """

    text: str
    kind: str
    exit_code: int | None = None


def collect_messages() -> list[Message]:
    """Return all messages of the package, sorted, each once."""
    found = {
        message
        for name, tree in MODULES.items()
        if name not in _PRINTS
        for message in _messages_in(tree)
    }
    return sorted(found, key=_by_text)


def _by_text(message: Message) -> tuple[str, str]:
    return message.text, message.kind


def _messages_in(tree: ast.Module) -> Iterator[Message]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            texts = _Assigned(function)
            for node in ast.walk(function):
                yield from _messages_of(node, texts)


def _messages_of(node: ast.AST, texts: _Assigned) -> Iterator[Message]:
    match node:
        case ast.Call(func=ast.Name(id=name), args=[*args]) if name.endswith("Error"):
            for text in texts.of_all(args):
                yield _raised(text, name)
        case ast.Call(func=ast.Attribute(attr=level), args=[first, *_]) if level in _LEVELS:
            for text in texts.of_all([first]):
                yield Message(text, level)
        case _:
            for text in texts.of_all(_reasons(node)):
                yield Message(text, "reason")


def _reasons(node: ast.AST) -> list[ast.expr]:
    """Return what a node yields, returns or appends, as texts about problems are."""
    match node:
        case ast.Yield(value=ast.expr() as value):
            return [value]
        case ast.Return(value=ast.JoinedStr() as value):
            return [value]
        case ast.GeneratorExp(elt=ast.JoinedStr() as value):
            return [value]
        case ast.Call(func=ast.Attribute(attr="append"), args=[first]):
            return [first]
        case _:
            return []


def _raised(text: str, name: str) -> Message:
    exception = getattr(errors, name, None)
    if exception is None:
        return Message(text, "reason")
    ends_run = issubclass(exception, errors.RunError)
    return Message(text, name, exception.exit_code if ends_run else None)


class _Assigned:
    """The texts that the names of a function hold, by line."""

    def __init__(self, function: ast.FunctionDef) -> None:
        self._values = [
            (node.lineno, target.id, node.value)
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        ]

    def of_all(self, nodes: Iterable[ast.expr]) -> Iterator[str]:
        """Yield the texts of expressions that have a word of their own."""
        for node in nodes:
            text = " ".join(self._of(node).split())
            if len(re.findall(r"[a-z]{2,}", text)) > 1 and not _SENTENCE.match(text):
                yield text

    def _of(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=str(text)):
                return re.sub(r"%(?:\.\d)?[srdf]", _VALUE, text)
            case ast.JoinedStr(values=values):
                return "".join(self._of(value) for value in values)
            case ast.FormattedValue():
                return _VALUE
            case ast.Name(id=name):
                earlier = [v for n, t, v in self._values if t == name and n < node.lineno]
                return self._of(earlier[-1]) if earlier else ""
            case _:
                return ""


def find_test(message: Message) -> str | None:
    """Return the path of a test file that has words of a message, below `tests`; or None."""
    runs = [re.findall(r"[^\s`'\"]+", part) for part in message.text.split(_VALUE)]
    for count in _WORDS:
        phrases = [
            " ".join(words[n : n + count]) for words in runs for n in range(len(words) - count + 1)
        ]
        for path, text in _texts_of_tests():
            if any(len(phrase) > _MIN_LENGTH and phrase in text for phrase in phrases):
                return path
    return None


@cache
def _texts_of_tests() -> list[tuple[str, str]]:
    """Return the strings of each test file, without quotes and line breaks."""
    return [
        (path.relative_to(_TESTS).as_posix(), _strings_of(path))
        for path in sorted(_TESTS.glob("*/test_*.py"))
        if path.parent.name != "simulator" and path.name != "test_words.py"
    ]


def _strings_of(path: Path) -> str:
    tree = ast.parse(path.read_text())
    parts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    texts = (part for part in parts if isinstance(part, str))
    return " | ".join(" ".join(re.findall(r"[^\s`'\"]+", text.replace("\\", ""))) for text in texts)
