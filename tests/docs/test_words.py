"""Plain words: phrases that cost readers a second reading are in no page, message or docstring."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from statistics import median
from typing import TYPE_CHECKING

import pytest

from docs.generate import PROJECT, find_pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A phrase to avoid, and what to write instead.
PHRASES = {
    r"\breckon\w*": "estimate",
    r"\bst(?:and|ands|ood) for\b": "replace, mean",
    r"\btaken? (?:for|as)\b": "treated as",
    r"\bin good order\b": "cleanly",
    r"\ball the same\b": "still",
    r"\bso many\b": "that many, N",
    r"\b(?:who|what|where|which)ever\b": "the caller, any, anywhere",
    r"\b(?:no|some|any)body\b": "no one, a user, any client",
    r"\bt(?:old|ell|ells|elling)\b": "receives, shows, records",
    r"\bha(?:s|ve) (?:Looker|state) \w+\b": "a plain verb",
    r"\blets?\b(?!'s)": "a plain verb",
    r"\bgo(?:es|ing)? on\b|\bwent on\b": "continue, resume",
    r"\bbesides\b|\bin place of\b": "also, instead of",
    r"\banew\b|\bafresh\b|\bnow and then\b": "again, sometimes",
    r"\bdoubted\b|\bdoubtful\b|\bbelieved\b": "unconfirmed, final",
    r"\bgiven? back\b|\bhand(?:s|ed)? on\b": "released, return",
    r"\bask(?:s|ed|ing)?\b": "poll, fetch, request",
    r"\bwhat comes of\b|\bof success\b": "result, successful",
    r"(?<!there )(?<!There )\b(?:is|are) no\b(?! longer\b| more\b)": "is not a",
    r"\bmay not\b": "cannot",
    r"\bpass(?:es|ed)? over\b|\blaid over\b": "skip, override",
    r"\bas (?:it is|they are)\b": "unchanged",
    r"\bwanted\b": "requested",
    r"\bexchanged\b": "replaced",
    r"\bbudgets?\b": "slots, limit",
    r"\bstr(?:ike|uck) out\b|\bput right\b|\bcondemn\w*": "remove, correct, mark as failed",
    r"\bthan memory should hold\b": "too large for memory",
    r", too\b": "also",
    r"\bby (?:it|them)sel(?:f|ves)\b|\bof (?:its|their) own\b": "on its own, separate",
    r"\bsa(?:y|ys|id) (?:what|how|that)\b": "lists, shows, sets",
    r"\banswer(?:s|ed|ing)?\b": "response, result",
    r"\bbeg(?:in|ins|an|un|inning)\b": "start",
    r"\bwhole\b": "complete",
    r"\b(?:all|nothing|none|everything) but\b": "except",
    r"\bas (?:long|far) as\b": "while, if",
    r"\bat once\b": "concurrently, immediately",
    r"\bpeople\b": "users",
    r"\bmade\b": "created",
    r"\bremember\w*": "save, keep in state",
    r"\bh(?:old|olds|eld) back\b": "buffer",
    r"\brefus(?:e|es|ed|ing|al)\b": "reject",
    r"\bwithout a word\b|\bmended\b|\bunkind\b": "silently, fixed, strict",
}
# Of docstrings only.
DOCSTRING_PHRASES = {
    r"\A(?:What|How|Where|Which|Who|Whether)\b": "a noun or a verb first",
    r"(?m)^ +\w+: (?:of|for|from|in) ": "a noun phrase",
    r"(?m)^ +\w*Error: (?!If\b)[A-Za-z]": "Raises: If ...",
}
# Where a phrase is the right word, with the reason.
EXCEPTIONS = {
    "API calls made": "to make a call is the ordinary phrase",
    "Beginning": "a line of the SDK's log",
    "answers: ": "the public key of scenario files",
    "Take as many": "not an equation",
    "Made-up": "invented data",
    "May not log in": "the simulator's words for a role",
}
# Whom a page serves: its first sentence names them.
READERS = re.compile(
    r"\b[Ff]or (?:all |any )?(?:the )?(?:data |analytics |Looker )?"
    r"(?:administrators|analysts|developers|engineers|maintainers|readers|teams|users)\b"
    r"|\bFor anyone who\b"
)
HOW_TO_LINES = 60
HOW_TO_MEDIAN = 30
_CODE = re.compile(r"```.*?```|`[^`\n]*`|<!--.*?-->|\]\([^)]*\)", re.DOTALL)
_PACKAGES = ("tap_looker_tasks", "simulator/looker_simulator", "demo", "examples", "release")


def found_in(text: str, phrases: dict[str, str]) -> Iterator[str]:
    for phrase, better in phrases.items():
        for match in re.finditer(phrase, text, 0 if phrase in DOCSTRING_PHRASES else re.IGNORECASE):
            around = " ".join(text[max(0, match.start() - 40) : match.end() + 30].split())
            if not any(exception in around for exception in EXCEPTIONS):
                yield f"{match[0].strip()!r} ({better}): ...{around}..."


def texts_of(path: Path) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Line, text and forbidden phrases of each comment, docstring and other string."""
    source = path.read_text()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string, PHRASES
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
        for _ in (0,)
        if isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            more = DOCSTRING_PHRASES if id(node) in docstrings else {}
            yield node.lineno, re.sub(r"`[^`]*`", "``", node.value), PHRASES | more


@pytest.mark.parametrize("page", [*find_pages()], ids=lambda page: str(page.relative_to(PROJECT)))
def test_pages_are_plain(page: Path) -> None:
    if page.name in {"licenses.md", "LICENSE.md"}:
        return
    text = _CODE.sub("``", page.read_text())
    assert [*found_in(text, PHRASES)] == []


@pytest.mark.parametrize("page", [*find_pages()], ids=lambda page: str(page.relative_to(PROJECT)))
def test_the_first_sentence_names_the_readers(page: Path) -> None:
    text = page.read_text()
    if page.name in {"LICENSE.md", "changelog.md"}:
        return
    _, first, *_ = text.split("\n\n")
    sentence, _, _ = " ".join(first.split()).partition(". ")
    assert READERS.search(sentence), sentence


def test_how_to_guides_fit_one_screen() -> None:
    guides = [page for page in (PROJECT / "docs/how-to").glob("*.md") if page.name != "index.md"]
    lines = [len(guide.read_text().splitlines()) for guide in guides]
    assert max(lines) <= HOW_TO_LINES
    assert median(lines) <= HOW_TO_MEDIAN


@pytest.mark.parametrize(
    "module",
    [path for package in _PACKAGES for path in sorted((PROJECT / package).rglob("*.py"))],
    ids=lambda path: str(path.relative_to(PROJECT)),
)
def test_messages_docstrings_and_comments_are_plain(module: Path) -> None:
    found = [
        f"line {line}: {found}"
        for line, text, phrases in texts_of(module)
        for found in found_in(text, phrases)
    ]
    assert found == []
