"""Imports go one way, and pure modules stay pure."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "tap_looker_tasks"
README = PACKAGE.parent / "README.md"
# From the Singer side down: a module imports only from those below it.
ORDER = (
    "__main__",
    "tap",
    "config_schema",
    "streams",
    "sync",
    "runner",
    "discovery",
    "launcher",
    "stored_queries",
    "client",
    "read_ahead",
    "spool",
    "auth",
    "ledger",
    "query_task",
    "settings",
    "queries",
    "rows",
    "schema",
    "results",
    "answers",
    "json_body",
    "json_text",
    "timestamp",
    "state_writer",
    "writer",
    "errors",
)
IMPURE = {
    *("asyncio", "datetime", "http", "io", "logging", "os", "pathlib", "random", "requests"),
    *("select", "signal", "singer_sdk", "socket", "subprocess", "sys", "tempfile", "threading"),
    *("time", "urllib.request"),
}


def imported(module: str) -> set[str]:
    """What a module imports when it runs, not what it names in annotations only."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def pure_modules() -> list[str]:
    """The modules that the README calls pure."""
    return re.findall(r"^\| `(\w+)\.py` \(pure\)", README.read_text(), re.MULTILINE)


def test_every_module_has_its_place() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert modules == set(ORDER)
    told = set(re.findall(r"`(\w+)\.py`", README.read_text()))
    assert modules - told == {"__main__"}


@pytest.mark.parametrize("module", ORDER)
def test_imports_go_one_way(module: str) -> None:
    own = {
        name.removeprefix("tap_looker_tasks.").split(".")[0]
        for name in imported(module)
        if name.startswith("tap_looker_tasks.")
    }
    assert own <= set(ORDER[ORDER.index(module) + 1 :])


@pytest.mark.parametrize("module", ORDER)
def test_the_tap_needs_no_simulator(module: str) -> None:
    assert not any(name.startswith("tap_looker_tasks.simulator") for name in imported(module))


@pytest.mark.parametrize("module", pure_modules())
def test_a_pure_module_knows_no_clock_and_no_world(module: str) -> None:
    # Dates are read and written there, from what they are told.
    allowed = {"datetime"} if module in {"timestamp", "schema", "settings"} else set()
    assert {
        name for name in imported(module) if name in IMPURE or name.split(".")[0] in IMPURE
    } <= allowed
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "print", "input", "exec", "eval", "__import__"}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not attributes & {"now", "utcnow", "today"}


@pytest.mark.parametrize("module", pure_modules())
def test_what_a_pure_module_imports_of_the_tap_is_pure(module: str) -> None:
    own = {
        name.removeprefix("tap_looker_tasks.")
        for name in imported(module)
        if name.startswith("tap_looker_tasks.")
    }
    assert own <= {*pure_modules(), "errors"}
