"""Write the lists in the simulator's README: `python -m tests.simulator.readme`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from looker_simulator.routes import ROUTES

SIMULATOR = Path(__file__).parent.parent.parent / "simulator"
README = SIMULATOR / "README.md"


def operations() -> str:
    """Return a table of the operations by the first word of their paths."""
    by_word: dict[str, list[str]] = {}
    for route in ROUTES:
        by_word.setdefault(route.path.split("/")[1], []).append(f"`{route.operation_id}`")
    lines = [f"| `/{word}` | {', '.join(names)} |" for word, names in sorted(by_word.items())]
    return "\n".join([f"{len(ROUTES)} operations:", "", "| Path | Operations |", "|-|-|", *lines])


def modules() -> str:
    """Return a table of the modules and packages, with the first line of each docstring."""
    lines = []
    package = SIMULATOR / "looker_simulator"
    for path in sorted([*package.glob("*.py"), *package.glob("*/__init__.py")]):
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        name = path.stem if path.parent == package else f"{path.parent.name}/"
        if name != "__init__":
            lines.append(f"| `{name}` | {docstring.splitlines()[0].rstrip('.')} |")
    return "\n".join(["| Module | Purpose |", "|-|-|", *lines])


def with_lists(text: str) -> str:
    """Return the README with its lists as the code has them."""
    for name, part in (("operations", operations()), ("modules", modules())):
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        text = place.sub(lambda found, part=part: f"{found[1]}\n{part}\n\n{found[2]}", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    README.write_text(with_lists(README.read_text()))
