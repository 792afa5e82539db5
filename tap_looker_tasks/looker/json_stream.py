"""Takes a body of JSON apart while it comes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from tap_looker_tasks.looker.json_text import MalformedAnswer, checked_utf8, on_one_line, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

_T = TypeVar("_T")
_VISIBLE = re.compile(rb"[^ \t\n\r]")
_END_OF_SCALAR = re.compile(rb"[ \t\n\r,:{}\[\]\"]")
_STRING_WITH_BRACKETS = re.compile(rb'"[^"]*"')
_NO_MARKS = bytes(set(range(256)) - set(b'"{}[]'))
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"[]", b"{}")
_STEPS = MappingProxyType({ord("{"): 1, ord("}"): -1})
# Rows are nested this deep or less; what is deeper is counted bracket by bracket.
_COMMON_DEPTH = 4
_BETWEEN_MEMBERS = re.compile(rb'\}[ \t\n\r]*,[ \t\n\r]*"[^"\\]*"[ \t\n\r]*:[ \t\n\r]*\Z')
_LONGEST_KEY = 256
# Shorter values are scanned as fast as a guess at their end is checked.
WORTH_A_GUESS_BYTES = 64 * 1024
_BETWEEN_ROWS = b"},{"
_FIRST_PIECE = 64
_LONGEST_PIECE = 64 * 1024
# So many bytes of rows are held at a time.
ROWS_AT_ONCE_BYTES = 1024 * 1024
_NOT_JSON = "not JSON"
_MORE = "more after its end"
_EXPECTED = "where an object keyed by query task id was expected"
_KINDS = MappingProxyType(
    {
        re.compile(rb"\["): "a list",
        re.compile(rb'"'): "a string",
        re.compile(rb"-?[0-9]"): "a number",
        re.compile(rb"true|false"): "a boolean",
        re.compile(rb"null"): "null",
    }
)


class TooLongError(Exception):
    """A value has more bytes than are wanted at once; none of it is taken."""


class RowArrays(Protocol):
    """JSON arrays of rows, each on one line; may be read several times, once all are there."""

    def append(self, array: bytes, /) -> None:
        """Add an array."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the arrays in the order they were added."""


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _decoded(string: bytes) -> str:
    try:
        return msgspec.json.decode(string, type=str)
    except msgspec.DecodeError:
        msg = f"not JSON: {quoted(string)}"
        raise MalformedAnswer(msg) from None


@dataclass(frozen=True, slots=True)
class _Nesting:
    """Where in a value its text was cut."""

    depth: int
    in_string: bool
    in_escape: bool = False

    def after(self, text: bytes) -> _Nesting | None:
        """Go on by a piece of text; None when the value ends in it.

        Everything here happens a piece at a time, since a look at each character, or at each
        string, would take longer than Looker takes to send them.
        """
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
        if in_string:
            marks += b'"'
        # Two quotes that meet can go, be they one string or the seam of two: what is left
        # stays within or without strings as it was.
        marks = _STRING_WITH_BRACKETS.sub(b"", marks.replace(b'""', b""))
        for _ in range(_COMMON_DEPTH):
            marks = marks.replace(b"{}", b"")
        depth = self.depth
        if marks:
            depths = tuple(accumulate(map(_STEPS.__getitem__, marks), initial=self.depth))
            if min(depths) <= 0:
                return None
            depth = depths[-1]
        return _Nesting(depth, in_string, in_escape)


_WITHIN_ARRAY = _Nesting(1, in_string=False)


class Body:
    """A body that is taken apart while it comes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = checked_utf8(chunks)
        self._text = b""
        self._at = 0
        self._taken = 0
        self._may_guess = True

    def open(self) -> None:
        """Take the brace that everything begins with."""
        if self._mark() != b"{":
            start = self._text[self._at :]
            found = next((kind for begin, kind in _KINDS.items() if begin.match(start)), None)
            raise self._malformed(f"{found} {_EXPECTED}" if found else _NOT_JSON)
        self._at += 1

    def end(self) -> None:
        """Make sure that nothing is left."""
        if not self._is_over():
            raise self._malformed(_MORE)

    def next_is(self, mark: bytes) -> bool:
        """Look at the next character that is no white space."""
        return self._mark() == mark

    def check_beginning(self, *marks: bytes) -> None:
        """Check what is not taken yet.

        Raises:
            MalformedAnswer: the next character is none of these.
        """
        if self._mark() not in marks:
            raise self._malformed(_NOT_JSON)

    def take(self, *marks: bytes) -> bytes:
        """Take the next character, which must be one of these."""
        self.check_beginning(*marks)
        self._at += 1
        return self._text[self._at - 1 : self._at]

    def key(self) -> str:
        """Take a key, without its colon."""
        return _decoded(self._string())

    def _string(self) -> bytes:
        if self._mark() != b'"':
            raise self._malformed(_NOT_JSON)
        return self._nested(_Nesting(0, in_string=True), inf)

    def _is_over(self) -> bool:
        """Pass over white space, and tell whether there was nothing else left."""
        while True:
            visible = _VISIBLE.search(self._text, self._at)
            self._at = visible.start() if visible else len(self._text)
            if visible:
                return False
            if not self._more():
                return True

    def guessed(self, decode: Callable[[bytes], _T], beginning: bytes, longest: float) -> _T | None:
        """Take an object by a guess at its end, if that turns out to be right.

        Where another object of the same `beginning` starts, this one seems to have ended. It is
        not looked for beyond `longest` bytes.
        """
        is_worth_it = len(self._text) - self._at >= WORTH_A_GUESS_BYTES
        if not self._may_guess or not is_worth_it or self._mark() != b"{":
            return None
        end = self._guessed_end(beginning, longest)
        text = self._text[self._at : end]
        try:
            found = decode(text)
        except (ValueError, RecursionError):
            # Whatever is wrong with it, the way that does without guesses tells.
            self._may_guess = False
            return None
        # No JSON object is the beginning of another one: the end was right.
        self._at += len(text)
        return found

    def _guessed_end(self, beginning: bytes, longest: float) -> int:
        seen = self._at + 1
        while (following := self._text.find(beginning, seen)) < 0:
            seen = max(seen, len(self._text) - len(beginning)) - self._at
            if len(self._text) - self._at > longest:
                return self._at
            if not self._read_on(self._at):
                return len(self._text.rstrip().removesuffix(b"}").rstrip())
            seen += self._at
        start = max(self._at, following - _LONGEST_KEY)
        between = _BETWEEN_MEMBERS.search(self._text[start:following])
        return start + between.start() + 1 if between else self._at

    def value(self, longest: float = inf) -> bytes:
        """Take one value.

        Raises:
            TooLongError: it has more bytes than `longest`.
        """
        mark = self._mark()
        if mark == b'"':
            return self._nested(_Nesting(0, in_string=True), longest)
        if mark in {b"{", b"["}:
            return self._nested(_Nesting(1, in_string=False), longest)
        return self._scalar()

    def value_without(
        self, rows: RowArrays, paths: Collection[tuple[str, ...]], path: tuple[str, ...] = ()
    ) -> bytes:
        """Take one value, but put into `rows` what is in an array at one of the paths."""
        mark = self._mark()
        if mark == b"[" and path in paths:
            self._take_rows(rows)
            return b"[]"
        if mark == b"{" and any(longer[: len(path)] == path for longer in paths):
            return self._object_without(rows, paths, path)
        return self.value()

    def _object_without(
        self, rows: RowArrays, paths: Collection[tuple[str, ...]], path: tuple[str, ...]
    ) -> bytes:
        parts = [self.take(b"{")]
        while parts[-1] != b"}":
            if len(parts) == 1 and self.next_is(b"}"):
                parts.append(self.take(b"}"))
                break
            key = self._string()
            parts += (key, self.take(b":"))
            parts.append(self.value_without(rows, paths, (*path, _decoded(key))))
            parts.append(self.take(b",", b"}"))
        return b"".join(parts)

    def _take_rows(self, rows: RowArrays) -> None:
        mark = self.take(b"[")
        if self.next_is(b"]"):
            mark = self.take(b"]")
        while mark != b"]":
            rows.append(on_one_line(b"[%b]" % self._some_rows()))
            mark = self.take(b",", b"]")

    def _some_rows(self) -> bytes:
        """Take whole rows up to a length, or all that are left in their array."""
        if self._mark() in {b",", b"]"}:
            raise self._malformed(_NOT_JSON)
        start = self._at
        end = self._text.find(_BETWEEN_ROWS, start + ROWS_AT_ONCE_BYTES) + 1
        if end and _is_json(b"[%b]" % self._text[start:end]):
            self._at = end
            return self._text[start:end]
        return self._rows_scanned(start + ROWS_AT_ONCE_BYTES)

    def _rows_scanned(self, enough: int) -> bytes:
        start, nesting = self._at, _WITHIN_ARRAY
        while True:
            end = self._text.find(b"}", max(self._at, enough)) + 1 or len(self._text)
            after = nesting.after(self._text[self._at : end])
            if after is None:
                # The array ends here.
                end = (self._end(nesting) or 0) - 1
                break
            nesting, self._at = after, end
            if end >= enough and nesting == _WITHIN_ARRAY and self._text[end - 1 : end] == b"}":
                break
            if end == len(self._text):
                enough -= start
                if not self._read_on(start):
                    raise self._cut_short()
                start = 0
        self._at = end
        return self._text[start:end]

    def _read_on(self, start: int) -> bool:
        """Get the next chunk, and keep what was there from `start` on."""
        kept, at = self._text[start:], self._at - start
        has_more = self._more()
        self._taken -= len(kept)
        self._text = kept + self._text
        self._at = at
        return has_more

    def _mark(self) -> bytes:
        if self._is_over():
            raise self._cut_short()
        return self._text[self._at : self._at + 1]

    def _malformed(self, found: str) -> MalformedAnswer:
        return MalformedAnswer(f"{found}: {quoted(memoryview(self._text)[self._at :])}")

    def _nested(self, nesting: _Nesting, longest: float) -> bytes:
        start, begin = self._at, self._taken + self._at
        self._at += 1
        parts: list[bytes] = []
        while (end := self._end(nesting)) is None:
            nesting = self._nesting
            parts.append(self._text[start:])
            if self._taken + len(self._text) - begin > longest:
                self._text, self._at, self._taken = b"".join(parts), 0, begin
                raise TooLongError
            start = 0
            if not self._more():
                raise self._cut_short()
        parts.append(self._text[start:end])
        self._at = end
        return b"".join(parts)

    def _end(self, nesting: _Nesting) -> int | None:
        """Find where the value ends in this chunk, by pieces that grow, then shrink."""
        at = self._at
        size = _FIRST_PIECE
        grows = True
        while at < len(self._text):
            piece = self._text[at : at + size]
            after = nesting.after(piece)
            if after is not None:
                nesting = after
                at += len(piece)
            elif len(piece) == 1:
                return at + 1
            else:
                grows = False
                size = len(piece)
            size = min(size * 2, _LONGEST_PIECE) if grows else max(size // 2, 1)
        self._nesting = nesting
        return None

    def _scalar(self) -> bytes:
        parts = []
        while True:
            found = _END_OF_SCALAR.search(self._text, self._at)
            end = found.start() if found else len(self._text)
            parts.append(self._text[self._at : end])
            self._at = end
            if found:
                return b"".join(parts)
            if not self._more():
                raise self._cut_short()

    def _more(self) -> bool:
        self._taken += len(self._text)
        self._text = b""
        self._at = 0
        for chunk in self._chunks:
            if chunk:
                self._text = chunk
                return True
        return False

    def _cut_short(self) -> MalformedAnswer:
        return MalformedAnswer(f"cut short after {self._taken + len(self._text)} bytes")
