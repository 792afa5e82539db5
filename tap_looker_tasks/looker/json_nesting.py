"""How deep a piece of JSON goes, without a look at each of its characters.

A value ends where its last bracket is closed, or its quote. To find that place a reader in Python
would have to look at every character, or at least at every string, which takes ten times as long
as Looker takes to send them. Here a piece of text of any length is reduced by a handful of
calls, each of which runs through all of it in C:

1. Pairs of backslashes go, then escaped quotes: what quotes are left begin or end strings.
2. Everything goes but quotes and brackets, of which one kind is made.
3. Two quotes that meet go, be they one string or the seam of two; then strings with brackets in
   them. What is left are the brackets outside of strings.
4. A bracket that is opened and closed at once goes, a few times over. Of rows nothing is left.
   What is, is counted bracket by bracket.

A piece may be cut anywhere: `Nesting` says how deep, whether in a string, and whether within an
escape, and that is all the next piece has to know. It does not say that the text is JSON. Who
has found the end of a value lets a decoder check it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType

_STRING_WITH_BRACKETS = re.compile(rb'"[^"]*"')
_NO_MARKS = bytes(set(range(256)) - set(b'"{}[]'))
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"[]", b"{}")
_STEPS = MappingProxyType({ord("{"): 1, ord("}"): -1})
# Rows are nested this deep or less; what is deeper is counted bracket by bracket.
_COMMON_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Nesting:
    """Where in a value its text was cut.

    Attributes:
        depth: brackets that are open.
        in_string: whether it was cut within a string.
        in_escape: whether that was just after a backslash.
    """

    depth: int
    in_string: bool
    in_escape: bool = False

    def after(self, text: bytes) -> Nesting | None:
        """Go on by a piece of text; None when the value ends in it."""
        if self.in_escape:
            text = b"\\" + text
        in_escape = False
        if b"\\" in text:
            text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
            in_escape = text.endswith(b"\\")
        marks = text.translate(_ONE_KIND_OF_BRACKET, _NO_MARKS)
        if self.in_string:
            if not self.depth and b'"' in marks:
                return None
            marks = b'"' + marks
        in_string = marks.count(b'"') % 2 == 1
        depth = _deepen(self.depth, marks + b'"' if in_string else marks)
        return None if depth is None else Nesting(depth, in_string, in_escape)


def _deepen(depth: int, marks: bytes) -> int | None:
    """Return the depth after whole strings and brackets; None when it falls to nothing."""
    # Two quotes that meet can go, be they one string or the seam of two: what is left
    # stays within or without strings as it was.
    marks = _STRING_WITH_BRACKETS.sub(b"", marks.replace(b'""', b""))
    for _ in range(_COMMON_DEPTH):
        marks = marks.replace(b"{}", b"")
    if not marks:
        return depth
    depths = tuple(accumulate(map(_STEPS.__getitem__, marks), initial=depth))
    return None if min(depths) <= 0 else depths[-1]


WITHIN_ARRAY = Nesting(1, in_string=False)
