"""A `multi_results` body, in chunks -> one entry per task."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LONGEST_QUOTE = 60
_VISIBLE = re.compile(rb"[^ \t\n\r]")
_END_OF_SCALAR = re.compile(rb"[ \t\n\r,:{}\[\]\"]")
_STRING_WITH_BRACKETS = re.compile(rb'"[^"]*"')
_NO_MARKS = bytes(set(range(256)) - set(b'"{}[]'))
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"[]", b"{}")
_STEPS = MappingProxyType({ord("{"): 1, ord("}"): -1})
# Rows are nested this deep or less; what is deeper is counted bracket by bracket.
_COMMON_DEPTH = 4
_FIRST_PIECE = 64
_LONGEST_PIECE = 64 * 1024
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


class MalformedAnswer(ValueError):  # noqa: N818 - it names what came, as `StopIteration` does
    """Looker's answer cannot be understood; the message says what was found instead."""


def quoted(body: bytes | memoryview) -> str:
    """Quote the beginning of what was found, for an error message."""
    text = bytes(body[: _LONGEST_QUOTE + 1]).decode(errors="replace")
    return repr(text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 3] + "...")


def checked_utf8(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Pass chunks on that are UTF-8, however characters are cut.

    Raises:
        MalformedAnswer: the chunks are not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in chunks:
            decoder.decode(chunk)
            yield chunk
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        found = quoted(memoryview(error.object)[error.start :])
        msg = f"not JSON: not UTF-8 at {found}"
        raise MalformedAnswer(msg) from None


def split_answers(chunks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield (task id, JSON of what Looker says of it) as soon as the whole of it has come.

    Only the unfinished entry and one chunk are held. An entry may still be of any JSON type,
    and may hold what strict readers refuse, such as `NaN`: whoever reads it refuses that entry
    alone.
    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/methods/Query/query_task_multi_results>

    Raises:
        MalformedAnswer: the body is not one JSON object.
    """
    body = _Body(chunks)
    body.open()
    if body.next_is(b"}"):
        body.take(b"}")
        body.end()
        return
    mark = b","
    while mark == b",":
        query_task_id = _key(body.string())
        body.take(b":")
        yield query_task_id, _checked(body.value())
        mark = body.take(b",", b"}")
    body.end()


def _key(text: bytes) -> str:
    try:
        return msgspec.json.decode(text, type=str)
    except msgspec.DecodeError:
        msg = f"not JSON: {quoted(text)}"
        raise MalformedAnswer(msg) from None


def _checked(value: bytes) -> bytes:
    try:
        msgspec.json.decode(value, type=msgspec.Raw)
    except RecursionError:
        # Too deep to tell: its reader cannot take it either, and refuses this entry alone.
        pass
    except msgspec.DecodeError:
        try:
            json.loads(value)
        except RecursionError:
            pass
        except ValueError:
            msg = f"not JSON: {quoted(value)}"
            raise MalformedAnswer(msg) from None
    return value


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


class _Body:
    """A body that is taken apart while it comes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = checked_utf8(chunks)
        self._text = b""
        self._at = 0
        self._taken = 0

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

    def take(self, *marks: bytes) -> bytes:
        """Take the next character, which must be one of these."""
        mark = self._mark()
        if mark not in marks:
            raise self._malformed(_NOT_JSON)
        self._at += 1
        return mark

    def string(self) -> bytes:
        """Take one string."""
        if self._mark() != b'"':
            raise self._malformed(_NOT_JSON)
        return self.value()

    def _is_over(self) -> bool:
        """Pass over white space, and tell whether there was nothing else left."""
        while True:
            visible = _VISIBLE.search(self._text, self._at)
            self._at = visible.start() if visible else len(self._text)
            if visible:
                return False
            if not self._more():
                return True

    def value(self) -> bytes:
        """Take one value."""
        mark = self._mark()
        if mark == b'"':
            return self._nested(_Nesting(0, in_string=True))
        if mark in {b"{", b"["}:
            return self._nested(_Nesting(1, in_string=False))
        return self._scalar()

    def _mark(self) -> bytes:
        if self._is_over():
            raise self._cut_short()
        return self._text[self._at : self._at + 1]

    def _malformed(self, found: str) -> MalformedAnswer:
        return MalformedAnswer(f"{found}: {quoted(memoryview(self._text)[self._at :])}")

    def _nested(self, nesting: _Nesting) -> bytes:
        start = self._at
        self._at += 1
        parts = []
        while (end := self._end(nesting)) is None:
            nesting = self._nesting
            parts.append(self._text[start:])
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
                self._text = bytes(chunk)
                return True
        return False

    def _cut_short(self) -> MalformedAnswer:
        return MalformedAnswer(f"cut short after {self._taken} bytes")
