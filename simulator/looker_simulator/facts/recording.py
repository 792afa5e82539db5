"""Recordings of a Looker's responses, with random values instead of the real ones.

Words in the texts of the checks' source stay, because they are Looker's or the command's own;
so do true, false, null and the words yes and no. Any other letter becomes a letter, any digit a
digit, and times are shifted, alike wherever a word occurs, by a key that is not kept.
"""

from __future__ import annotations

import ast
import hmac
import json
import re
import secrets
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from looker_simulator.facts import checks, probe
from looker_simulator.facts.probe import Options, Reply, give_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from looker_simulator.facts.probe import Request, Send


def _literals(path: Path) -> Iterator[str]:
    """Yield the texts of a module, and the names of arguments, but no docstrings."""
    nodes = [*ast.walk(ast.parse(path.read_text()))]
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield str(node.value)


_MODULES = (checks, probe)
_SOURCE = "\n".join(text for each in _MODULES for text in _literals(Path(str(each.__file__))))
_WORD = re.compile(r"\w+")
_KNOWN = frozenset(word.lower() for word in _WORD.findall(_SOURCE))
_TIME = re.compile(r"\b\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d:\d\d)?")
_PART = re.compile(f"{_TIME.pattern}|{_WORD.pattern}")
_FIELD_NAME = re.compile(r"\w+(\.\w+)+")
_HEX = re.compile("[0-9a-f]{16,}")
_KEPT_VALUE = re.compile(r"Yes|No")
_UNIT = re.compile(r"(FY)(\d{4})|(\d{4})(-Q\d)")
_VALUES = frozenset(
    {
        *("value", "rendered", "html", "filterable_value", "sort_value", "default_value"),
        *("title", "label", "label_short", "description", "message_details", "params"),
        *("access_token", "display_name", "first_name", "last_name", "email"),
    }
)
"""Keys of Looker whose values are a customer's, even if they are words of the checks."""
_KEPT_HEADERS = re.compile("content-type|content-encoding|retry-after|.*rate.*limit.*")
_MAX_TRIES = 50


class Disguise:
    """Replacements of words, numbers and times, equal for equal originals."""

    def __init__(self, key: bytes | None = None) -> None:
        """Keep the key of the replacements; a random one by default."""
        self._key = key or secrets.token_bytes(32)
        self._by_word: dict[str, str] = {}
        self._taken: set[str] = set()
        number = int.from_bytes(self._digest("shift")[:4], "big")
        self._shift = timedelta(days=number % 900 + 100, seconds=number % 86_399)

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode(), "sha512")

    def json(self, value: Any, key: str = "") -> Any:  # noqa: ANN401 - JSON
        """Return decoded JSON, disguised; `key` is its key in the response."""
        if isinstance(value, dict):
            return {self.text(name): self.json(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.json(inner, key) for inner in value]
        if isinstance(value, str):
            is_value = key in _VALUES or self.text(key) != key
            return self.text(value, is_value=is_value or (key == "data"))
        if isinstance(value, bool) or value is None:
            return value
        return json.loads(self._number(json.dumps(value)))

    def text(self, text: str, *, is_value: bool = False) -> str:
        """Return a text, disguised; in a value, no word stays."""
        if is_value and _KEPT_VALUE.fullmatch(text):
            return text
        if unit := _UNIT.fullmatch(text):
            parts = filter(None, unit.groups())
            return "".join(self._word(part) if part.isdecimal() else part for part in parts)
        is_value = is_value or bool(_FIELD_NAME.fullmatch(text) and text not in _SOURCE)

        def replace(found: re.Match[str]) -> str:
            word = found[0]
            if not is_value and word.lower() in _KNOWN:
                return word
            if _TIME.fullmatch(word):
                return word if word[:10] in _SOURCE and not is_value else self._time(word)
            return self._word(word)

        return _PART.sub(replace, text)

    def _time(self, text: str) -> str:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return _WORD.sub(lambda found: self._word(found[0]), text)
        if len(text) == len("2000-01-01"):
            return (moment + timedelta(days=self._shift.days)).date().isoformat()
        return (moment + self._shift).isoformat(sep=text[10])

    def _word(self, word: str) -> str:
        if word not in self._by_word:
            tries = (self._invented(word, number) for number in range(_MAX_TRIES))
            found = next((invented for invented in tries if invented not in self._taken), None)
            # Short words run out.
            self._by_word[word] = found or f"{self._invented(word, 0)}x{len(self._taken)}"
            self._taken.add(self._by_word[word])
        return self._by_word[word]

    def _invented(self, word: str, number: int) -> str:
        letters = "abcdef" if _HEX.fullmatch(word) else "abcdefghijklmnopqrstuvwxyz"
        stream = self._digest(f"{number} {word}")
        invented = ""
        for place, letter in enumerate(word):
            drawn = stream[place % len(stream)]
            if letter.isdecimal():
                invented += str(drawn % 10)
            elif letter == "_":
                invented += letter
            else:
                drawn_letter = letters[drawn % len(letters)]
                invented += drawn_letter.upper() if letter.isupper() else drawn_letter
        return invented

    def _number(self, text: str) -> str:
        """Return a number as JSON with other digits; no leading zero is added."""
        drawn = iter(self._digest(text) * (len(text) // 64 + 1))
        mantissa, e, exponent = text.partition("e")
        invented = re.sub(
            r"(?<![\d.])[1-9]|(?<=[\d.])\d", lambda _: str(next(drawn) % 9 + 1), mantissa
        )
        return f"{invented}{e}{exponent}"


def mask(request: Request) -> str:
    """Return verb and path of a request, without words that are not in the checks."""
    masked = _WORD.sub(
        lambda found: found[0] if found[0].lower() in _KNOWN and not found[0].isdecimal() else "*",
        request.path.replace("%2C", ",").replace("%3A", ":"),
    )
    return f"{request.verb} {masked} {request.label}".rstrip()


class Recorder:
    """Sends requests, and keeps the responses."""

    def __init__(self, send: Send, options: Options) -> None:
        """Keep the function that sends requests, and the user's choices."""
        self._send = send
        self._options = options
        self._disguise = Disguise()
        self._calls: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def __call__(self, request: Request, seconds: float) -> Reply:
        """Send a request, and keep its response disguised."""
        reply = self._send(request, seconds)
        with self._lock:
            self._calls.append(self._describe(request, reply))
        return reply

    def _describe(self, request: Request, reply: Reply) -> dict[str, Any]:
        headers = {k: v for k, v in reply.headers.items() if _KEPT_HEADERS.fullmatch(k)}
        if "link" in reply.headers:
            headers["link"] = self._disguise.text(reply.headers["link"])
        call: dict[str, Any] = {
            "request": mask(request),
            "status": reply.status,
            "headers": headers,
        }
        body = reply.json
        if body is None:
            call["text"] = self._disguise.text(reply.text, is_value=reply.kind == "text/csv")
        else:
            call["json"] = self._disguise.json(body)
        return call

    def write(self, path: Path) -> None:
        """Write the recording; credentials are not part of it."""
        public = self._options._replace(client_id="", client_secret="", other_client_secret="")
        options = {
            name: self._disguise.text(value) if isinstance(value, str) else value
            for name, value in public._asdict().items()
        }
        calls = ",\n".join(map(json.dumps, self._calls))
        path.write_text(f'{{"options": {json.dumps(options)}, "calls": [\n{calls}\n]}}\n')


class Replay:
    """Responds as a recording does, each response once."""

    def __init__(self, path: Path) -> None:
        """Read a recording.

        Raises:
            ValueError: If the file is not a recording.
        """
        try:
            recording = json.loads(path.read_text())
            self.options = Options(**recording["options"])
            self._calls: list[Mapping[str, Any]] = [*recording["calls"]]
        except (ValueError, KeyError, TypeError):
            msg = f"{path} is not a recording of looker-facts"
            raise ValueError(msg) from None

    def __call__(self, request: Request, _: float) -> Reply:
        """Return the next response to such a request."""
        masked = mask(request)
        for place, call in enumerate(self._calls):
            if call["request"] == masked:
                del self._calls[place]
                text = call["text"] if "text" in call else json.dumps(call["json"])
                return Reply(call["status"], call["headers"], text)
        return give_up(f"the recording has no response to {masked}")
