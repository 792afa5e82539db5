"""Splits a JSON body while it arrives.

A body may be too large for memory: hundreds of results, some of them with millions of rows. Callers
need its entries one after the other, each when it is complete. `Body` has a position in the
body, holds the chunk around it, and takes the next mark, key or value.

The way to take a value depends on its length, which isn't known beforehand:

- A guess (`try_fast`). All entries start alike, so an entry probably ends where the next one
  starts. That place is found at the speed of memory, and a decoder confirms it. After one wrong
  guess, there are no more guesses.
- In one piece (`value`), by counting brackets: see `Nesting`. A chunk is searched in pieces that
  grow, and shrink around the end.
- In parts (`value_without`), if it is too large for memory. The arrays of rows at known paths are
  taken some rows at a time and moved to `rows`. The rest stays.
- Not at all. A string or row longer than `max_value_bytes` is skipped, and `check` raises: that
  entry is lost, those after it are not.

So memory holds one chunk, and one entry, some rows, or one value. A decoder checks everything that
is returned, because counting brackets finds ends, not mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType
from typing import Protocol, TypeVar

from tap_looker_tasks.results.json_text import (
    TEXT,
    MalformedResponseError,
    check_utf8,
    on_one_line,
    quoted,
    read_json,
)

_T = TypeVar("_T")
_VISIBLE = re.compile(rb"[^ \t\n\r]")
_END_OF_SCALAR = re.compile(rb"[ \t\n\r,:{}\[\]\"]")
_BETWEEN_MEMBERS = re.compile(rb'\}[ \t\n\r]*,[ \t\n\r]*"[^"\\]*"[ \t\n\r]*:[ \t\n\r]*\Z')
_MAX_KEY = 256
# Waiting for more bytes of shorter values takes no less time than scanning them.
WORTH_A_GUESS_BYTES = 8 * 1024
_FIRST_PIECE = 64
_MAX_PIECE = 64 * 1024
# Bytes of rows held at a time.
ROWS_AT_ONCE_BYTES = 1024 * 1024
# No target can process a longer string, even if memory can hold it.
MAX_VALUE_BYTES = 256 * 1024 * 1024
_MAX_NAME_BYTES = 1024 * 1024
_MAX_NUMBER_BYTES = 64 * 1024
# Of entries and of long entries without their rows: a batch has 250 entries of some 30 keys.
MAX_KEYS = 20_000
# No decoder goes a thousandth as deep; up to here, deeper nesting fails only its own entry.
MAX_DEPTH = 1_000_000
_NOT_JSON = "not JSON"
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


class ValueTooLargeError(Exception):
    """A value has more bytes than requested; none of it was taken."""


class RowArrays(Protocol):
    """JSON arrays of rows, each on one line; readable several times once all are added."""

    def append(self, array: bytes, /) -> None:
        """Add an array."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the arrays in the order they were added."""

    def clear(self) -> None:
        """Discard all arrays."""


class Body:
    """A JSON body that is split while it arrives."""

    def __init__(self, chunks: Iterable[bytes], *, max_value_bytes: int = MAX_VALUE_BYTES) -> None:
        self._chunks = check_utf8(chunks)
        self._max_value_bytes = max_value_bytes
        self._problem: str | None = None
        self._has_rows = False
        self._text = b""
        self._position = 0
        self._taken = 0
        self._may_guess = True
        self._keys = 0

    def open(self) -> None:
        """Take the brace that starts the body.

        Raises:
            MalformedResponseError: If the body does not start with one.
        """
        if self._mark() != b"{":
            found = next(
                (kind for k, kind in _KINDS.items() if k.match(self._text, self._position)), None
            )
            raise self._malformed(f"{found} {_EXPECTED}" if found else _NOT_JSON)
        self._position += 1

    def end(self) -> None:
        """Check that nothing is left.

        Raises:
            MalformedResponseError: If anything other than white space is.
        """
        if not self._is_over():
            msg = "more after its end"
            raise self._malformed(msg)

    def peek(self, mark: bytes) -> bool:
        """Return whether the next character other than white space is `mark`."""
        return self._mark() == mark

    def expect(self, *marks: bytes) -> bytes:
        """Take the next character, which must be one of the marks.

        Raises:
            MalformedResponseError: If it is another one.
        """
        mark = self._mark()
        if mark not in marks:
            raise self._malformed(_NOT_JSON)
        self._position += 1
        return mark

    def key(self) -> str:
        """Take a key, without its colon."""
        return read_json(TEXT.decode, self._string())

    def _string(self) -> bytes:
        self._keys += 1
        if self._keys > MAX_KEYS:
            msg = f"more than {MAX_KEYS} keys"
            raise self._malformed(msg)
        if self._mark() != b'"':
            raise self._malformed(_NOT_JSON)
        try:
            return self._nested(Nesting(0, in_string=True), _MAX_NAME_BYTES)
        except ValueTooLargeError:
            msg = f"a key of more than {_MAX_NAME_BYTES} bytes"
        raise self._malformed(msg)

    def _is_over(self) -> bool:
        """Skip white space, and return whether nothing is left."""
        while True:
            visible = _VISIBLE.search(self._text, self._position)
            self._position = visible.start() if visible else len(self._text)
            if visible:
                return False
            if not self._read_chunk():
                return True

    def try_fast(self, decode: Callable[[bytes], _T], prefix: bytes, longest: float) -> _T | None:
        """Take an object by a guess at its end; return None if the guess is wrong.

        The object is assumed to end where another object of the same `prefix` starts. The search
        stops after `longest` bytes.
        """
        is_long = len(self._text) - self._position >= WORTH_A_GUESS_BYTES
        # Waiting for the next entry only to find the end of a short one is not worth it.
        is_worth_it = is_long or self._text.find(prefix, self._position + 1) >= 0
        if not self._may_guess or not is_worth_it or self._mark() != b"{":
            return None
        begin = self._taken + self._position
        parts = list(self._up_to_next(prefix, longest))
        try:
            # A JSON object is never a prefix of another one, so the end was right.
            return decode(b"".join(parts))
        except (ValueError, RecursionError):
            # The way without guesses reports anything wrong with it.
            self._may_guess = False
            self._put_back(parts, begin)
            return None

    def _up_to_next(self, prefix: bytes, longest: float) -> Iterator[bytes]:
        """Take an object in parts, up to the member before the next `prefix`, or to the end."""
        end = self._end_before(prefix)
        while end is None:
            # The mark that ends the object may be cut between two chunks.
            cut = max(self._position, len(self._text) - _MAX_KEY)
            yield self._text[self._position : cut]
            longest -= cut - self._position
            self._position = cut
            if longest < 0:
                return
            if self._read_on():
                end = self._end_before(prefix)
            else:
                end = len(self._text.rstrip().removesuffix(b"}").rstrip())
        yield self._text[self._position : end]
        self._position = end

    def _end_before(self, prefix: bytes) -> int | None:
        # Of `{"status":...},"b":{"status":...}` the second `{"status"` is found, then what stands
        # before it, from the brace on: `},"b":`. The first object ends after that brace.
        following = self._text.find(prefix, self._position + 1)
        if following < 0:
            return None
        start = max(self._position, following - _MAX_KEY)
        between = _BETWEEN_MEMBERS.search(self._text[start:following])
        return start + between.start() + 1 if between else self._position

    def value(self, longest: float) -> bytes:
        """Take one value.

        Raises:
            ValueTooLargeError: If it has more bytes than `longest`.
        """
        nesting = self._opened()
        return self._nested(nesting, longest) if nesting else self._scalar()

    def check(self) -> None:
        """Check the values taken since the last check.

        Raises:
            MalformedResponseError: If a part of them was skipped.
        """
        problem, self._problem, self._has_rows = self._problem, None, False
        if problem:
            raise MalformedResponseError(problem)

    def value_without(
        self, rows: RowArrays, paths: Collection[tuple[str, ...]], path: tuple[str, ...] = ()
    ) -> bytes:
        """Take one value, but move the arrays at the paths into `rows`."""
        mark = self._mark()
        if mark == b"[" and path in paths:
            self._take_rows(rows)
            return b"[]"
        if mark == b"{" and any(longer[: len(path)] == path for longer in paths):
            return self._joined(self._object_without(rows, paths, path))
        nesting = self._opened()
        return self._joined(self._pieces(nesting)) if nesting else self._scalar()

    def _object_without(
        self, rows: RowArrays, paths: Collection[tuple[str, ...]], path: tuple[str, ...]
    ) -> Iterator[bytes]:
        mark = self.expect(b"{")
        if self.peek(b"}"):
            yield mark
            mark = self.expect(b"}")
        while mark != b"}":
            key = self._string()
            yield mark + key + self.expect(b":")
            yield self.value_without(rows, paths, (*path, read_json(TEXT.decode, key)))
            mark = self.expect(b",", b"}")
        yield mark

    def _take_rows(self, rows: RowArrays) -> None:
        mark = self.expect(b"[")
        if self.peek(b"]"):
            mark = self.expect(b"]")
        elif self._has_rows:
            self._problem = self._problem or "rows in two places"
        self._has_rows = True
        while mark != b"]":
            if self._mark() in {b",", b"]"}:
                raise self._malformed(_NOT_JSON)
            some_rows = self._joined(self._some_rows())
            if not self._problem:
                rows.append(on_one_line(b"[%b]" % some_rows))
            mark = self.expect(b",", b"]")

    def _some_rows(self) -> Iterator[bytes]:
        """Take complete rows up to a length, or all that are left in their array."""
        start, nesting = self._position, WITHIN_ARRAY
        enough = start + ROWS_AT_ONCE_BYTES
        while True:
            end = self._text.find(b"}", max(self._position, enough)) + 1 or len(self._text)
            after = nesting.after(self._text[self._position : end])
            if after is None:
                # The array ends here.
                end = (self._end(nesting) or 0) - 1
                break
            nesting, self._position = after, end
            if end >= enough and nesting == WITHIN_ARRAY and self._text[end - 1 : end] == b"}":
                break
            if end == len(self._text):
                yield self._text[start:]
                enough -= end
                self._next_chunk()
                start = 0
        self._position = end
        yield self._text[start:end]

    def _read_on(self) -> bool:
        """Get the next chunk, and keep what is left of the current one before it."""
        kept = self._text[self._position :]
        has_more = self._read_chunk()
        self._taken -= len(kept)
        self._text = kept + self._text
        return has_more

    def _put_back(self, parts: Iterable[bytes], begin: int) -> None:
        """Return to the start of the parts."""
        rest = self._text[self._position :]
        self._text, self._position, self._taken = b"".join((*parts, rest)), 0, begin

    def _mark(self) -> bytes:
        if self._is_over():
            raise self._cut_short()
        return self._text[self._position : self._position + 1]

    def _malformed(self, found: str) -> MalformedResponseError:
        return MalformedResponseError(
            f"{found}: {quoted(memoryview(self._text)[self._position :])}"
        )

    def _opened(self) -> Nesting | None:
        """Return the nesting after the first character of a value; None for a scalar."""
        mark = self._mark()
        if mark == b'"':
            return Nesting(0, in_string=True)
        return WITHIN_ARRAY if mark in {b"{", b"["} else None

    def _nested(self, nesting: Nesting, longest: float) -> bytes:
        begin = self._taken + self._position
        parts: list[bytes] = []
        for part in self._pieces(nesting):
            parts.append(part)
            if self._taken + self._position - begin > longest:
                self._put_back(parts, begin)
                raise ValueTooLargeError
        return b"".join(parts)

    def _pieces(self, nesting: Nesting) -> Iterator[bytes]:
        """Take a value after its first character, which opens `nesting`, and yield all of it."""
        start = self._position
        self._position += 1
        while (end := self._end(nesting)) is None:
            nesting = self._nesting
            self._position = len(self._text)
            yield self._text[start:]
            start = 0
            self._next_chunk()
        self._position = end
        yield self._text[start:end]

    def _joined(self, parts: Iterable[bytes], longest: int | None = None) -> bytes:
        """Join parts, or return null instead if they are longer than a value may be."""
        longest = self._max_value_bytes if longest is None else longest
        size, kept = 0, list[bytes]()
        for part in parts:
            size += len(part)
            if size <= longest:
                kept.append(part)
            else:
                kept.clear()
        if size <= longest:
            return b"".join(kept)
        self._problem = self._problem or f"a value of more than {longest} bytes"
        return b"null"

    def _end(self, nesting: Nesting) -> int | None:
        """Find the end of the value in this chunk, in pieces that grow, then shrink."""
        at = self._position
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
            size = min(size * 2, _MAX_PIECE) if grows else max(size // 2, 1)
        self._nesting = nesting
        return None

    def _scalar(self) -> bytes:
        return self._joined(self._scalar_pieces(), _MAX_NUMBER_BYTES)

    def _scalar_pieces(self) -> Iterator[bytes]:
        while not (found := _END_OF_SCALAR.search(self._text, self._position)):
            yield self._text[self._position :]
            self._next_chunk()
        start, self._position = self._position, found.start()
        yield self._text[start : self._position]

    def _next_chunk(self) -> None:
        if not self._read_chunk():
            raise self._cut_short()

    def _read_chunk(self) -> bool:
        self._taken += len(self._text)
        self._text = b""
        self._position = 0
        for chunk in self._chunks:
            if chunk:
                self._text = chunk
                return True
        return False

    def _cut_short(self) -> MalformedResponseError:
        return MalformedResponseError(f"cut short after {self._taken + len(self._text)} bytes")


# Nesting of JSON text, found without looking at each character.

_STRING_WITH_BRACKETS = re.compile(rb'"[^"]*"')
_NO_MARKS = bytes(set(range(256)) - set(b'"{}[]'))
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"[]", b"{}")
_STEPS = MappingProxyType({ord("{"): 1, ord("}"): -1})
# Rows are nested this deep or less; deeper text is counted bracket by bracket.
_COMMON_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Nesting:
    """Position in a value at which its text was cut.

    Attributes:
        depth: Number of open brackets.
        in_string: Whether the cut is within a string.
        in_escape: Whether the cut is just after a backslash.
    """

    depth: int
    in_string: bool
    in_escape: bool = False

    def after(self, text: bytes) -> Nesting | None:
        """Return the nesting after more text; None if the value ends in it.

        After `{"a":[` the depth is 2; after `"}]` a string has started, whose brackets don't count.

        Raises:
            MalformedResponseError: If the value is nested too deeply.
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
        depth = _deepen(self.depth, marks + b'"' if in_string else marks)
        if depth is not None and depth > MAX_DEPTH:
            msg = f"nested deeper than {MAX_DEPTH}"
            raise MalformedResponseError(msg)
        return None if depth is None else Nesting(depth, in_string, in_escape)


def _deepen(depth: int, marks: bytes) -> int | None:
    """Return the depth after complete strings and brackets; None when it falls to nothing.

    For `{"a": [{}, "{"], "b": {`, `marks` is `{""{{}"{"}""{`: only quotes and brackets, square ones
    as braces. Without strings it is `{{{}}{`, without pairs `{{`, so the depth grows by two.
    """
    # Adjacent quotes can be dropped, whether of one string or of two: the rest stays inside or
    # outside of strings as before.
    marks = _STRING_WITH_BRACKETS.sub(b"", marks.replace(b'""', b""))
    for _ in range(_COMMON_DEPTH):
        marks = marks.replace(b"{}", b"")
    if not marks:
        return depth
    depths = tuple(accumulate(map(_STEPS.__getitem__, marks), initial=depth))
    return None if min(depths) <= 0 else depths[-1]


WITHIN_ARRAY = Nesting(1, in_string=False)
