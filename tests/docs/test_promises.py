"""Each guarantee names the test that fails if it is broken."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PAGE = Path("docs/explanation/promises.md")
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| Guarantee", "| ---"))
]
NODE = re.compile(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`")


def test_guarantees_are_listed() -> None:
    assert len(ROWS) > 10
    assert len({named for _, named in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("guarantee", "named"), ROWS)
def test_a_guarantee_names_one_test_that_exists(guarantee: str, named: str) -> None:
    found = NODE.fullmatch(named)
    assert found, guarantee
    module = ast.parse(Path(found[1]).read_text())
    names = [node.name for node in module.body if isinstance(node, ast.FunctionDef)]
    assert names.count(found[2]) == 1
