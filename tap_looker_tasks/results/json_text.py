"""JSON text: reading, checks, quotes, and error messages on one line."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

NULL = msgspec.Raw(b"null")
TEXT = msgspec.json.Decoder(str)
_T = TypeVar("_T")
_MAX_QUOTE = 60
_PLACE = re.compile(r"\(byte (\d+)\)")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
# The most digits of an integer that Python reads, and so this tap and most targets.
MAX_INTEGER_DIGITS = 4300
_OUT_OF_RANGE = "Integer value out of range"
# Distance of the bytes that are checked: an integer that is too long covers two of them.
_STRIDE = MAX_INTEGER_DIGITS // 2
_TWO_DIGITS = re.compile(rb"(?=[0-9][0-9])")
_DIGITS_ALL_ALONG = re.compile(rb"[0-9]{%d}" % (_STRIDE + 1))
_ANYTHING = msgspec.json.Decoder(float_hook=Decimal)
_HUGE_NUMBER = re.compile(rb"[-.\d]+[eE][-+]?\d{7,}")


class MalformedResponseError(ValueError):
    """Looker's response cannot be understood; the message shows what was found instead."""


class UnexpectedJsonError(MalformedResponseError):
    """The text is JSON, but of another shape."""


def quoted(body: bytes | memoryview) -> str:
    """Quote the start of a body for an error message."""
    text = bytes(body[: _MAX_QUOTE + 1]).decode(errors="replace")
    return repr(text if len(text) <= _MAX_QUOTE else text[: _MAX_QUOTE - 3] + "...")


def read_json(decode: Callable[[Any], _T], text: bytes | msgspec.Raw) -> _T:
    """Decode JSON.

    Raises:
        UnexpectedJsonError: If it is of another shape than `decode` takes.
        MalformedResponseError: If it is not JSON, or has a value that cannot be read.
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
        if _OUT_OF_RANGE in str(error):
            msg = f"an integer of more than {MAX_INTEGER_DIGITS} digits"
            raise MalformedResponseError(msg) from None
        msg = f"{error}: {quoted(memoryview(text))}"
        raise UnexpectedJsonError(msg) from None
    except msgspec.DecodeError as error:
        msg = _why_not_json(bytes(memoryview(text)), str(error))
    raise MalformedResponseError(msg)


def check_integers(text: bytes) -> None:
    """Check that no integer is longer than Python reads, without a look at each character.

    Raises:
        MalformedResponseError: If one is.
    """
    sample = text[::_STRIDE]
    for two in _TWO_DIGITS.finditer(sample):
        if _DIGITS_ALL_ALONG.match(text, two.start() * _STRIDE):
            # It may be within a string, or after the decimal point, where digits are harmless.
            read_json(_ANYTHING.decode, text)
            return


def _why_not_json(text: bytes, error: str) -> str:
    """Return why text is not JSON, and where."""
    place = _PLACE.search(error)
    if place:
        return f"not JSON at byte {place[1]}: {quoted(text[int(place[1]) :])}"
    surrogate = _SURROGATE.search(text)
    if surrogate:
        return f"not JSON, half a surrogate pair: {quoted(text[surrogate.start() :])}"
    return f"not JSON: {quoted(text)}"


def on_one_line(text: bytes) -> bytes:
    """Put JSON on one line; within strings, line breaks are always escaped."""
    return text.replace(b"\n", b" ").replace(b"\r", b" ")


def check_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield chunks that are UTF-8, even if characters are cut between chunks.

    Raises:
        MalformedResponseError: If the chunks are not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_within_character = False
    try:
        for chunk in chunks:
            # Most chunks are ASCII, which is found ten times as fast.
            if is_within_character or not chunk.isascii():
                decoder.decode(chunk)
                is_within_character = bool(decoder.getstate()[0])
            yield chunk
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        found = quoted(memoryview(error.object)[error.start :])
        msg = f"not JSON: not UTF-8 at {found}"
        raise MalformedResponseError(msg) from None


# Parts of decoded JSON that have an expected shape; anything else counts as nothing.


def as_object(found: object) -> dict[str, Any]:
    """Return an object unchanged, and an empty one for anything else."""
    return found if isinstance(found, dict) else {}


def as_objects(found: object) -> list[dict[str, Any]]:
    """Return the objects of an array, and an empty list for anything else."""
    entries = found if isinstance(found, list) else []
    return [entry for entry in entries if isinstance(entry, dict)]


def as_text(found: object) -> str | None:
    """Return text unchanged, and None for anything else."""
    return found if isinstance(found, str) else None


def as_id(found: object) -> str | None:
    """Return an id: text, or in old Lookers a number; None for anything else."""
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return found if isinstance(found, str) and found else None
