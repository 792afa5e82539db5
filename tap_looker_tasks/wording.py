"""Wording of messages: text from outside on one line, and names that may have been meant."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Generic, TypeVar

MAX_LINE_LENGTH = 2000
# Control characters, those without a shape (bidirectional marks among them), half characters, and
# what ends a line or a paragraph.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Below it, a name in the environment more often belongs to another program than is a typo.
SIMILARITY_OF_SLIPS = 0.85
# In a configuration, every name is meant for the tap.
_SIMILARITY = 0.75
# Names that a line still has room for.
_FEW_NAMES = 8


def one_line(text: str, most: int = MAX_LINE_LENGTH) -> str:
    r"""Return text from outside so that it is one line, changes no terminal and is not too long.

    `a\nb` becomes a backslash and an `n` between `a` and `b`.
    """
    # What is cut off need not be escaped; the rest becomes longer at most.
    line = text[: most + 1]
    if not line.isprintable():
        line = "".join(map(_escape, line))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _escape(char: str) -> str:
    if unicodedata.category(char) not in _UNSAFE:
        return char
    return char.encode("unicode_escape").decode("ascii")


_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Findings(Generic[_Value]):
    """Usable values, with a line for each problem.

    Attributes:
        values: Values that can be used.
        problems: Lines on queries and streams that cannot run.
        warnings: Lines on queries and streams that run otherwise than expected, or are left out.
        notes: Lines worth knowing.
        failures: Streams that cannot run because of a change in Looker, each with the reason.
    """

    values: tuple[_Value, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()


def find_similar(name: str, known: Iterable[str], similarity: float = _SIMILARITY) -> str | None:
    """Return the known name that was probably meant, if one is similar enough."""
    return next(iter(get_close_matches(name, known, n=1, cutoff=similarity)), None)


def suggest_names(name: str, known: Iterable[str]) -> str:
    """Return the end of a line about an unknown name: the name that was meant, or what there is.

    That is one name if it is similar enough, all names if they are few, else the nearest.
    """
    known = [*dict.fromkeys(known)]
    if similar := find_similar(name, known):
        return did_you_mean(similar)
    if len(known) <= _FEW_NAMES:
        return f"; there are {', '.join(known)}" if known else ""
    # `status` means `orders.status` rather than `states`.
    ends = [one for one in known if one.rpartition(".")[2] == name.rpartition(".")[2]]
    nearest = dict.fromkeys([*ends, *get_close_matches(name, known, n=_FEW_NAMES, cutoff=0)])
    return f"; the nearest of {len(known)} are {', '.join([*nearest][:_FEW_NAMES])}"


def did_you_mean(similar: str | None) -> str:
    """Return the end of a line about an unknown name: the question whether another was meant."""
    return f"; did you mean {similar}?" if similar else ""


def find_unknown(
    config_path: str, names: Iterable[str], known: Collection[str], what: str
) -> Iterator[str]:
    """Yield a line for each name that is not known, with those that may have been meant.

    Args:
        config_path: Start of the line, such as `queries[3].fields`.
        names: Names to check.
        known: Names that are known.
        what: Noun for a known name, such as `field of the Explore`.
    """
    for name in names:
        if name not in known:
            yield f"{config_path}: {name} is not a {what}{suggest_names(name, known)}"
