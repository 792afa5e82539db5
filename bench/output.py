"""Counts Singer messages in a file without holding more than a piece of one."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HEAD_BYTES = 256
_PIECE_BYTES = 1 << 20
_TYPE = re.compile(rb'"type":\s*"([A-Z_]+)"')
_STREAM = re.compile(rb'"stream":\s*"(\w+)"')


@dataclass(frozen=True, slots=True)
class Output:
    """What a program wrote.

    Attributes:
        size: bytes in all.
        records: by stream.
        bytes_of: messages of a type, their line ends included.
    """

    size: int
    records: Counter[str] = field(default_factory=Counter)
    bytes_of: Counter[str] = field(default_factory=Counter)


def read_output(path: Path) -> Output:
    """Count what a program wrote; lines that are no messages count in `size` only."""
    output = Output(path.stat().st_size)
    with path.open("rb") as file:
        while head := file.readline(_HEAD_BYTES):
            size, end = len(head), head[-1:]
            while end != b"\n" and (piece := file.readline(_PIECE_BYTES)):
                size, end = size + len(piece), piece[-1:]
            _count(output, head, size)
    return output


def _count(output: Output, head: bytes, size: int) -> None:
    type_ = _TYPE.search(head)
    if type_ is None:
        return
    name = type_[1].decode()
    output.bytes_of[name] += size
    stream = _STREAM.search(head)
    if name == "RECORD" and stream:
        output.records[stream[1].decode()] += 1
