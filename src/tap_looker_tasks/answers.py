"""A `multi_results` body, in chunks -> one entry per task."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_T = TypeVar("_T")
ABSENT = msgspec.Raw()
NULL = msgspec.Raw(b"null")
_LONGEST_QUOTE = 60
_VISIBLE = re.compile(rb"[^ \t\n\r]")
_END_OF_SCALAR = re.compile(rb"[ \t\n\r,:{}\[\]\"]")
_STRING_WITH_BRACKETS = re.compile(rb'"[^"]*"')
_NO_MARKS = bytes(set(range(256)) - set(b'"{}[]'))
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"[]", b"{}")
_STEPS = MappingProxyType({ord("{"): 1, ord("}"): -1})
# Rows are nested this deep or less; what is deeper is counted bracket by bracket.
_COMMON_DEPTH = 4
# Looker begins entries like this; where another one begins, the one before it has ended.
_ENTRY_START = b'{"status"'
_BEFORE_ENTRY = re.compile(rb'\}[ \t\n\r]*,[ \t\n\r]*"[^"\\]*"[ \t\n\r]*:[ \t\n\r]*\Z')
_LONGEST_KEY = 256
_BETWEEN_ROWS = b"},{"
# Shorter entries are scanned as fast as a guess at their end is checked.
WORTH_A_GUESS_BYTES = 64 * 1024
_FIRST_PIECE = 64
_LONGEST_PIECE = 64 * 1024
# Where the arrays of rows are: `data` (json), `data.data` (json_detail), `data.rows` (json_bi).
_PATHS_TO_ROWS = frozenset({("data",), ("data", "data"), ("data", "rows")})
# An entry is held as a whole up to this length; beyond it, this many bytes of rows at a time.
LONGEST_ENTRY_BYTES = 8 * 1024 * 1024
ROWS_AT_ONCE_BYTES = 1024 * 1024
_PLACE = re.compile(r"\(byte (\d+)\)")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_HUGE_NUMBER = re.compile(rb"[-.\d]+[eE][-+]?\d{7,}")
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


class UnexpectedJson(MalformedAnswer):
    """It is JSON, but of another shape."""


class _TooLongError(Exception):
    """A value has more bytes than are wanted at once; none of it is taken."""


class RowArrays(Protocol):
    """JSON arrays of rows, each on one line; may be read several times, once all are there."""

    def append(self, array: bytes, /) -> None:
        """Add an array."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the arrays in the order they were added."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What `multi_results` says of one task.

    Attributes:
        status: Looker's word, in lower case.
        result_source: where Looker took the result from, such as `query` or `cache`.
        data: the payload as it is; None when there is none.
        rows: its rows, when they are too many for memory; the payload has an empty array there.
    """

    status: str
    result_source: str | None = None
    data: msgspec.Raw | None = None
    rows: RowArrays | None = None


class _Entry(msgspec.Struct):
    status: str
    result_source: Any = None
    data: msgspec.Raw = ABSENT


_ENTRY = msgspec.json.Decoder(_Entry)


def quoted(body: bytes | memoryview) -> str:
    """Quote the beginning of what was found, for an error message."""
    text = bytes(body[: _LONGEST_QUOTE + 1]).decode(errors="replace")
    return repr(text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 3] + "...")


def read_json(decode: Callable[[Any], _T], text: bytes | msgspec.Raw) -> _T:
    """Decode JSON.

    Raises:
        UnexpectedJson: it is of another shape than `decode` takes.
        MalformedAnswer: it is not JSON, or holds what cannot be read.
    """
    try:
        return decode(text)
    except RecursionError:
        msg = f"nested too deeply: {quoted(memoryview(text))}"
    except UnicodeDecodeError:
        msg = f"not UTF-8: {quoted(memoryview(text))}"
    except ArithmeticError:
        huge = _HUGE_NUMBER.search(memoryview(text))
        msg = f"a number out of range: {quoted(huge[0] if huge else memoryview(text))}"
    except msgspec.ValidationError as error:
        msg = f"{error}: {quoted(memoryview(text))}"
        raise UnexpectedJson(msg) from None
    except msgspec.DecodeError as error:
        msg = _why_not_json(bytes(memoryview(text)), str(error))
    raise MalformedAnswer(msg)


def _why_not_json(text: bytes, error: str) -> str:
    """Say what is not JSON, and show it."""
    place = _PLACE.search(error)
    if place:
        return f"not JSON at byte {place[1]}: {quoted(text[int(place[1]) :])}"
    surrogate = _SURROGATE.search(text)
    if surrogate:
        return f"not JSON, half a surrogate pair: {quoted(text[surrogate.start() :])}"
    return f"not JSON: {quoted(text)}"


def on_one_line(text: bytes) -> bytes:
    """Put JSON on one line; within strings, line breaks are always escaped."""
    for line_break in (b"\n", b"\r"):
        if line_break in text:
            text = text.replace(line_break, b" ")
    return text


def checked_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass chunks on that are UTF-8, however characters are cut.

    Raises:
        MalformedAnswer: the chunks are not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_within_character = False
    try:
        for chunk in chunks:
            # Most chunks are ASCII, which is told ten times as fast.
            if is_within_character or not chunk.isascii():
                decoder.decode(chunk)
                is_within_character = bool(decoder.getstate()[0])
            yield chunk
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        found = quoted(memoryview(error.object)[error.start :])
        msg = f"not JSON: not UTF-8 at {found}"
        raise MalformedAnswer(msg) from None


def split_answers(
    chunks: Iterable[bytes],
    new_rows: Callable[[], RowArrays] = list,
    *,
    longest_entry: int = LONGEST_ENTRY_BYTES,
) -> Iterator[tuple[str, Answer | MalformedAnswer]]:
    """Yield (task id, what Looker says of it) as soon as the whole of it has come.

    Only the unfinished entry and one chunk are held; of an entry longer than `longest_entry`
    bytes, the rows go to what `new_rows` makes. An entry that cannot be understood spoils no
    other: what is wrong with it is yielded in its place.
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
        query_task_id = _text(body.string())
        body.take(b":")
        yield query_task_id, _entry(body, new_rows, longest_entry)
        mark = body.take(b",", b"}")
    body.end()


def _entry(
    body: _Body, new_rows: Callable[[], RowArrays], longest: int
) -> Answer | MalformedAnswer:
    if guessed := body.guessed_entry(longest):
        return _as_answer(guessed)
    rows = None
    try:
        text = body.value(longest)
    except _TooLongError:
        rows = new_rows()
        text = body.value_without(rows)
    try:
        return read_answer(text, rows)
    except MalformedAnswer as malformed:
        return malformed


def read_answer(entry: bytes, rows: RowArrays | None = None) -> Answer:
    """Read what `multi_results` says of one task.

    Raises:
        MalformedAnswer: it is not an object with a status.
    """
    return _as_answer(read_json(_ENTRY.decode, entry), rows)


def _as_answer(entry: _Entry, rows: RowArrays | None = None) -> Answer:
    return Answer(
        status=entry.status.lower(),
        result_source=entry.result_source if isinstance(entry.result_source, str) else None,
        data=None if entry.data in (ABSENT, NULL) else entry.data,
        rows=rows,
    )


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _text(string: bytes) -> str:
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


class _Body:
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

    def guessed_entry(self, longest: int) -> _Entry | None:
        """Take an entry by a guess at its end, if that turns out to be right."""
        is_worth_it = len(self._text) - self._at >= WORTH_A_GUESS_BYTES
        if not self._may_guess or not is_worth_it or self._mark() != b"{":
            return None
        end = self._guessed_end(longest)
        text = self._text[self._at : end]
        try:
            entry = _ENTRY.decode(text)
        except (ValueError, RecursionError):
            # Whatever is wrong with it, the way that does without guesses tells.
            self._may_guess = False
            return None
        # No JSON object is the beginning of another one: the end was right.
        self._at += len(text)
        return entry

    def _guessed_end(self, longest: int) -> int:
        """Find where the value seems to end, without looking at all that is in it."""
        seen = self._at + 1
        while (following := self._text.find(_ENTRY_START, seen)) < 0:
            seen = max(seen, len(self._text) - len(_ENTRY_START)) - self._at
            if len(self._text) - self._at > longest:
                return self._at
            if not self._read_on(self._at):
                return len(self._text.rstrip().removesuffix(b"}").rstrip())
            seen += self._at
        start = max(self._at, following - _LONGEST_KEY)
        between = _BEFORE_ENTRY.search(self._text[start:following])
        return start + between.start() + 1 if between else self._at

    def value(self, longest: float = inf) -> bytes:
        """Take one value.

        Raises:
            _TooLongError: it has more bytes than `longest`.
        """
        mark = self._mark()
        if mark == b'"':
            return self._nested(_Nesting(0, in_string=True), longest)
        if mark in {b"{", b"["}:
            return self._nested(_Nesting(1, in_string=False), longest)
        return self._scalar()

    def value_without(self, rows: RowArrays, path: tuple[str, ...] = ()) -> bytes:
        """Take one value, but put its rows into `rows`."""
        mark = self._mark()
        if mark == b"[" and path in _PATHS_TO_ROWS:
            self._take_rows(rows)
            return b"[]"
        if mark == b"{" and (not path or path in _PATHS_TO_ROWS):
            return self._object_without(rows, path)
        return self.value()

    def _object_without(self, rows: RowArrays, path: tuple[str, ...]) -> bytes:
        parts = [self.take(b"{")]
        while parts[-1] != b"}":
            if len(parts) == 1 and self.next_is(b"}"):
                parts.append(self.take(b"}"))
                break
            key = self.string()
            parts += (key, self.take(b":"), self.value_without(rows, (*path, _text(key))))
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
                raise _TooLongError
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
