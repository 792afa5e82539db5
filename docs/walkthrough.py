"""Makes a shell script of a page: its files are written and its commands run, in their order.

`bash <(python -m docs.walkthrough docs/tutorial.md)` does what that page says.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (?P<name>[\w./-]+\.\w+)(?:, (?P<place>at the end|below (?P<key>\w+)))?\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a page.

    Attributes:
        language: what stands behind the fence.
        text: its lines.
    """

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the reader of a page does.

    Attributes:
        script: does it.
        output: what the page shows of what it prints; `...` matches any text.
    """

    script: str
    output: str = ""


def read_blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in their order."""
    return [Block(found["language"], found["text"]) for found in _BLOCK.finditer(page)]


def read_steps(page: str) -> Iterator[Step]:
    """Yield what the reader of a page writes and runs."""
    for block in read_blocks(page):
        if block.language == "console":
            yield from _read_commands(block.text)
        elif named := _FILE.match(block.text):
            yield Step(f"{_writer(named)} <<'END'\n{block.text}END")


def _read_commands(text: str) -> Iterator[Step]:
    for command in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, output = command.partition("\n")
        yield Step(line, output)


def _writer(file: re.Match[str]) -> str:
    """Write the command that puts its input in its place in the file."""
    if file["key"]:
        return f"sed -i '/^ *{file['key']}:$/r /dev/stdin' {file['name']}"
    return f"cat {'>>' if file['place'] else '>'} {file['name']}"


def main() -> None:
    """Write the script of the page that is named."""
    steps = read_steps(Path(sys.argv[1]).read_text())
    sys.stdout.writelines(f"{step.script}\n" for step in steps)


if __name__ == "__main__":
    main()
