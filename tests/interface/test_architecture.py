"""Imports go down, never up nor round; what is pure stays pure."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "tap_looker_tasks"
# From the Singer side down: each imports only from those below it.
ORDER = (
    "__main__",
    "tap",
    "closing",
    "config_schema",
    "environment",
    "streams",
    "doctor",
    "discovery",
    "tasks",
    "settings",
    "instance_url",
    "task_ids",
    "queries",
    "records",
    "looker",
    "singer",
    "watch",
    "wording",
    "errors",
)
PURE = (
    "tasks.actions",
    "tasks.board",
    "tasks.failures",
    "tasks.in_progress",
    "tasks.launch_queue",
    "tasks.ledger",
    "tasks.limits",
    "tasks.poll_schedule",
    "tasks.query_task",
    "tasks.statuses",
    "config_schema",
    "environment",
    "settings",
    "instance_url",
    "task_ids",
    "queries",
    "records",
    "wording",
    "looker.auth",
    "looker.clock",
    "looker.connection",
    "looker.json_nesting",
    "looker.json_stream",
    "looker.json_text",
    "looker.multi_results",
    "looker.operation",
    "looker.result_body",
    "looker.result",
    "looker.shapes",
    "watch.facts",
    "watch.figures",
    "watch.summary",
)
LONGEST_MODULE = 400
LONGEST_FUNCTION = 40
IMPURE_IMPORTS = {
    *("asyncio", "http", "io", "logging", "os", "pathlib", "random", "requests", "select"),
    *("signal", "singer_sdk", "socket", "subprocess", "sys", "tempfile", "threading", "time"),
    "urllib.request",
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
IMPURE_METHODS = {"now", "utcnow", "today"}


MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py"
}
TAP = [*MODULES]
PURE_MODULES = [name for name in TAP if name in PURE or name.split(".")[0] in PURE]


@cache
def imports(module: str, *, of_annotations: bool = False) -> set[str]:
    """What a module imports when it runs; what it names in annotations only, if asked for."""
    names: set[str] = set()
    pending: list[ast.AST] = [MODULES[module]]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif is_for_annotations(node) and not of_annotations:
            continue
        pending += ast.iter_child_nodes(node)
    return names


def is_for_annotations(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


def own_imports(module: str, *, of_annotations: bool = False) -> set[str]:
    found = imports(module, of_annotations=of_annotations)
    return {name.removeprefix("tap_looker_tasks.") for name in found} & set(MODULES)


def test_every_module_has_its_place() -> None:
    assert {name.split(".")[0] for name in TAP} <= set(ORDER)
    assert all(len(name.split(".")) <= 2 for name in MODULES)


def test_package_files_hold_a_docstring_only() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        (docstring,) = ast.parse(path.read_text()).body
        assert isinstance(docstring, ast.Expr), path


@pytest.mark.parametrize("module", TAP)
def test_imports_go_down(module: str) -> None:
    place = module.split(".", maxsplit=1)[0]
    allowed = {place, *ORDER[ORDER.index(place) + 1 :]}
    assert {name.split(".")[0] for name in own_imports(module)} <= allowed


def test_threads_begin_in_one_module() -> None:
    above = {name for name in TAP if name.split(".")[0] not in {"looker", "singer"}}
    begin = {"threading", "queue", "concurrent.futures", "multiprocessing", "asyncio"}
    assert {name for name in above if imports(name) & begin} == {"tasks.threads"}


def test_no_imports_go_round() -> None:
    below = {name: own_imports(name, of_annotations=True) for name in MODULES}
    # It raises `CycleError`, which names the circle.
    TopologicalSorter(below).prepare()


@pytest.mark.parametrize("module", PURE_MODULES)
def test_a_pure_module_knows_no_clock_and_no_world(module: str) -> None:
    assert not {n for n in imports(module) if {n, n.split(".")[0]} & IMPURE_IMPORTS}
    assert own_imports(module) <= {*PURE_MODULES, "errors"}
    nodes = [*ast.walk(MODULES[module])]
    called = {node.func for node in nodes if isinstance(node, ast.Call)}
    assert not {function.id for function in called if isinstance(function, ast.Name)} & IMPURE_CALLS
    assert not {node.attr for node in nodes if isinstance(node, ast.Attribute)} & IMPURE_METHODS


@pytest.mark.parametrize("module", MODULES)
def test_modules_and_functions_stay_small(module: str) -> None:
    tree = MODULES[module]
    assert max((node.end_lineno or 0 for node in tree.body), default=0) <= LONGEST_MODULE
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert not {name for name, length in lengths.items() if length > LONGEST_FUNCTION}


def test_unit_tests_need_nothing_of_the_simulator() -> None:
    program = (
        "import sys, pytest\n"
        "code = pytest.main(['--collect-only', '-q', 'tests/unit'])\n"
        "found = {'duckdb', 'looker_simulator.simulator'} & set(sys.modules)\n"
        "sys.exit(f'{code} {found}' if code or found else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
