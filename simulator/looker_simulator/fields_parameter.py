"""The parameter `fields` of Looker's API: which parts of an answer are wanted.

`id,fields(dimensions(name,type),measures(name))` leaves nothing else in the answer:
<https://docs.cloud.google.com/looker/docs/api-intro#fields>.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_SYMBOL = re.compile(r"[^\s,()]+|[,()]")


def select_fields(value: Any, fields: str | None) -> Any:  # noqa: ANN401 - JSON
    """Return the wanted parts of an answer; all of it when `fields` is empty or None."""
    wanted = _read(iter(_SYMBOL.findall(fields or "")))
    return _select(value, wanted)


def _read(symbols: Iterator[str]) -> dict[str, Any]:
    """Read names up to the closing parenthesis; each holds the names wanted within it."""
    wanted: dict[str, Any] = {}
    latest = ""
    for symbol in symbols:
        if symbol == ")":
            break
        if symbol == "(":
            wanted[latest] = _read(symbols)
        elif symbol != ",":
            latest = symbol
            wanted[latest] = {}
    return wanted


def _select(value: Any, wanted: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    if not wanted:
        return value
    if isinstance(value, list):
        return [_select(entry, wanted) for entry in value]
    if not isinstance(value, dict):
        return value
    return {name: _select(value[name], within) for name, within in wanted.items() if name in value}
