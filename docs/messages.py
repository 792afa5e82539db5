"""Lists every message of the tap, with the moment and exit code, and a test that expects it.

`collect_messages` takes every text of two words or more from the code, except docstrings, tables
and declarations, so that no message is forgotten. `find_test` names the file of tests whose texts
overlap most with a message.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tap_looker_tasks import errors
from tests.interface.test_architecture import MODULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TESTS = Path(__file__).parent.parent / "tests"
_LEVELS = frozenset({"info", "warning", "error"})
_VALUE = "..."
# Modules whose texts are tables, prompts, progress or a report, which other pages show.
_PRINTS = (
    "__main__",
    "inspection",
    "cli.init",
    "cli.output",
    "cli.plugin",
    "cli.yaml",
    "looker.quotas",
    "watch",
)
# Calls whose texts declare something.
_DECLARATIONS = frozenset({"_about", "compile", "Argument", "Option", "option", "TypeVar", "cast"})
# Texts for other programs, and descriptions in a schema.
_NOT_MESSAGES = frozenset(
    {
        "(more than 0)",
        "(... or more)",
        "(more than 0, ... at most)",
        "Added '...' as child stream",
        "An unhandled error occurred while syncing '...'",
        "Integer value out of range",
        "Invalid enum value",
        "Key of the row, computed from",
        "Looker's ID of the query task",
        "Looker's ID of the task",
        "Place of the record, from 1",
        "Place of the row in the result, from 1",
        "Skipping parse of env var settings",
        "Source query of the merged results ......",
        'The row: `{"<view.field>": value}`',
        "an outcome that Looker may take back",
        "any time",
        "any value",
        "gzip, deflate",
        "missing required field `(\\w+)`",
        "no outcome yet",
        "not null",
        "tap-looker-tasks/... ...",
        "the outcome",
        "unknown field `(.*)`",
        "view_count desc",
    }
)


# Messages that no test expects in words, with the reason.
UNTESTED = {
    "the reader of standard output is gone": "test_torn_lines reads the output of its process",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """When a message can appear, and how a run ends that it fails.

    Attributes:
        when: Noun phrase.
        exit_code: Exit code if it is the reason of a failure; None for a warning or a note.
    """

    when: str
    exit_code: int | None = None


_CONFIGURATION = Moment("check of the configuration", 78)
_REQUEST = Moment("request to Looker", 1)
_RESULT = Moment("reading of a result", 1)
_LAUNCH = Moment("launch of a query", 1)
_INCOMPLETE = Moment("result that may be incomplete")
_CHECK = Moment("check of the queries", 78)
# By module or function: the longest name that fits. Module-level texts are of `<module>`.
_MOMENTS = {
    "cli.command": Moment("start", 78),
    "cli.inputs": Moment("reading of configuration, catalog and state", 78),
    "config": _CONFIGURATION,
    "errors": _REQUEST,
    "launching.discovery": _CHECK,
    "launching.launcher": Moment("look-up of a query", 1),
    "launching.questions": Moment("`--doctor`"),
    "launching.questions.find_fields": Moment("`--find`", 1),
    "launching.questions.search_content": Moment("`--find`", 1),
    "looker": _REQUEST,
    "queries.body": _LAUNCH,
    "queries.body.<module>": _INCOMPLETE,
    "queries.body._find_row_limit": _INCOMPLETE,
    "queries.body.body_problems": _CHECK,
    "queries.body.find_shortfalls": _INCOMPLETE,
    "queries.bookmark": _LAUNCH,
    "queries.bookmark.problems": Moment("bookmark of an incremental query"),
    "queries.checks": _CHECK,
    "queries.checks.field_warnings": Moment("check of the queries"),
    "queries.keeper": Moment("bookmark of an incremental query"),
    "queries.keeper.problem": Moment("check of the state", 78),
    "queries.tiles": Moment("reading of a dashboard"),
    "queries.tiles._combine_filters": _LAUNCH,
    "queries.tiles._filter_problems": _CHECK,
    "queries.tiles._match_tiles": _CHECK,
    "records.column_types": Moment("value of another type"),
    "records.column_types.read_decimal_size": _CHECK,
    "records.columns": Moment("change of a result's columns"),
    "records.columns.dimensions_of": _CHECK,
    "records.fields": _RESULT,
    "records.keys": _CHECK,
    "records.rows": Moment("delivery of rows"),
    "records.timestamps": Moment("value of another type"),
    "results": _RESULT,
    "run": Moment("run"),
    "singer": Moment("writing to the target", 1),
    "store": Moment("storing of a large result", 1),
    "streams.outcomes": Moment("end of a query task", 1),
    "streams": Moment("delivery of rows"),
    "tap": Moment("start", 78),
    "tasks": Moment("end of a query task", 1),
    "threads": Moment("run", 1),
    "wording": _CONFIGURATION,
}


@dataclass(frozen=True, slots=True, order=True)
class Message:
    """A message of the tap, or a part of one.

    Attributes:
        text: The message; `...` replaces values.
        kind: Level of a log line, exception, or `reason` of a text that stands in another message.
        when: Moment at which it appears.
        exit_code: Exit code of a run that fails because of it; None if it fails none.
    """

    text: str
    kind: str
    when: str
    exit_code: int | None = None


def collect_messages() -> list[Message]:
    """Return all messages of the package, sorted, each once."""
    found: dict[str, Message] = {}
    for name, tree in MODULES.items():
        if not name.startswith(_PRINTS):
            for message in _messages_in(name, tree):
                found.setdefault(message.text, message)
    return [found[text] for text in sorted(found)]


def _messages_in(module: str, tree: ast.Module) -> Iterator[Message]:
    raised: set[str] = set()
    places: dict[int, str] = {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            texts = _Assigned(function)
            moment = _moment_of(f"{module}.{function.name}")
            places |= {id(node): function.name for node in ast.walk(function)}
            for node in ast.walk(function):
                for message in _raised_or_logged(node, texts, moment):
                    raised.add(message.text)
                    yield message
    skipped = set(_without_messages(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in skipped:
            text = _text_of(node)
            moment = _moment_of(f"{module}.{places.get(id(node), '<module>')}")
            if _has_words(text) and text not in raised | _NOT_MESSAGES:
                yield Message(text, "reason", moment.when, moment.exit_code)


def _moment_of(place: str) -> Moment:
    names = [name for name in _MOMENTS if f"{place}.".startswith(f"{name}.")]
    return _MOMENTS[max(names, key=len)]


def _raised_or_logged(node: ast.AST, texts: _Assigned, moment: Moment) -> Iterator[Message]:
    match node:
        case ast.Call(func=ast.Name(id=name), args=[*args]) if hasattr(errors, name):
            for text in texts.of_all(args):
                yield Message(text, name, moment.when, getattr(errors, name).exit_code)
        case ast.Call(func=ast.Attribute(attr=level), args=[first, *_]) if level in _LEVELS:
            for text in texts.of_all([first]):
                yield Message(text, level, moment.when)


def _without_messages(tree: ast.Module) -> Iterator[int]:
    """Yield the nodes whose texts are docstrings, help, declarations, or parts of other texts."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant() as docstring):
                yield id(docstring)
            case ast.Constant(value=str(text)) if "\n\n" in text:
                yield id(node)
            case ast.JoinedStr(values=parts):
                yield from (id(part) for part in parts)
            case ast.FormattedValue(format_spec=ast.JoinedStr() as spec):
                yield id(spec)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if (
                name in _DECLARATIONS
            ):
                yield from (id(part) for part in ast.walk(node))
            case ast.Dict(values=values):
                declared = (value for value in values if isinstance(value, ast.Tuple))
                yield from (id(part) for value in declared for part in ast.walk(value))


def _text_of(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return " ".join(re.sub(r"%(?:\.\d)?[srdf]", _VALUE, text).split())
        case ast.JoinedStr(values=values):
            return " ".join("".join(_part_of(value) for value in values).split())
        case _:
            return ""


def _part_of(value: ast.expr) -> str:
    return str(value.value) if isinstance(value, ast.Constant) else _VALUE


def _has_words(text: str) -> bool:
    return " " in text and len(re.findall(r"[a-z]{2,}", text)) > 1


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
        """Yield the texts of expressions that have words."""
        for node in nodes:
            text = self._of(node)
            if _has_words(text):
                yield text

    def _of(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Name):
            return _text_of(node)
        earlier = [v for n, name, v in self._values if name == node.id and n < node.lineno]
        return self._of(earlier[-1]) if earlier else ""


# Consecutive words that a test must share with a message, or three that only this message has.
_WORDS = (10, 7, 4)
_FEW_WORDS = 3
_MIN_LENGTH = 8


def find_test(message: Message) -> str | None:
    """Return the path of a test file that expects a message, below `tests`; or None.

    It has four consecutive words of the message, or three that no other message has, or the longest
    part between two values. Of several files, it is the one that shares most words.
    """
    for count in _WORDS:
        if path := _find_text(_runs_of(message, count)):
            return path
    few = (run for run in _runs_of(message, _FEW_WORDS) if _count_runs()[run] == 1)
    return _find_text([*few, max(_parts_of(message), key=len)]) or _find_template(message)


def _parts_of(message: Message) -> list[str]:
    return [_plain(part) for part in message.text.split(_VALUE)]


def _runs_of(message: Message, count: int) -> set[str]:
    """Return the runs of consecutive words, without those between which a value stands."""
    parts = [part.split() for part in _parts_of(message)]
    return {" ".join(part[n : n + count]) for part in parts for n in range(len(part) - count + 1)}


@cache
def _count_runs() -> Counter[str]:
    return Counter(run for message in collect_messages() for run in _runs_of(message, _FEW_WORDS))


def _find_text(phrases: Iterable[str]) -> str | None:
    long = [phrase for phrase in phrases if len(phrase) >= _MIN_LENGTH]
    found = (path for path, text in _texts_of_tests() if any(phrase in text for phrase in long))
    return next(found, None)


def _find_template(message: Message) -> str | None:
    """Return a file with the message, values included, if all its parts are short."""
    parts = _parts_of(message)
    if len(" ".join(parts).split()) < _FEW_WORDS:
        return None
    pattern = re.compile("[^|]+".join(map(re.escape, parts)))
    return next((path for path, text in _texts_of_tests() if pattern.search(text)), None)


@cache
def _texts_of_tests() -> list[tuple[str, str]]:
    """Return the texts of each test file, without docstrings."""
    return [
        (path.relative_to(_TESTS).as_posix(), " | ".join(_texts_of(path)))
        for path in sorted(_TESTS.glob("**/test_*.py"))
        if path.parent.name != "simulator" and path.name != "test_words.py"
    ]


def _texts_of(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    docstrings = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if " " in text and id(node) not in docstrings:
                yield _plain(text)


def _plain(text: str) -> str:
    """Return a text without quotes, backslashes, line breaks, and marks around it."""
    return " ".join(re.sub(r"[`'\"\\]", "", text).split()).strip(" :;,()")
