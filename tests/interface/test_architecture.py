"""Imports go down and through a package's face; pure packages stay pure."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "tap_looker_tasks"
# From the Singer side down: each imports only from those below it.
ORDER = (
    *(
        "__main__",
        "tap",
        "inspection",
        "streams",
        "cli",
        "watch",
        "run",
        "launching",
        "tasks",
        "queries",
    ),
    *("config", "records", "singer", "store", "threads", "looker", "results", "wording", "errors"),
)
PURE = ("tasks", "queries", "config", "records", "results", "wording")
MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 40
IMPURE_IMPORTS = {
    *("asyncio", "http", "io", "logging", "os", "pathlib", "random", "requests", "select"),
    *("signal", "singer_sdk", "socket", "subprocess", "sys", "tempfile", "threading", "time"),
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
IMPURE_METHODS = {"now", "utcnow", "today"}

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py"
}
PURE_MODULES = [name for name in MODULES if name.split(".")[0] in PURE]


def imports(module: str, *, at_runtime: bool = False) -> set[str]:
    """The modules that a module imports; with `at_runtime`, without those of annotations."""
    names: set[str] = set()
    pending: list[ast.AST] = [MODULES[module]]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif at_runtime and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        pending += ast.iter_child_nodes(node)
    return names


def own_imports(module: str) -> set[str]:
    """The modules and packages of the tap that a module imports."""
    prefix = "tap_looker_tasks."
    return {name.removeprefix(prefix) for name in imports(module) if name.startswith(prefix)}


def test_every_module_has_its_place() -> None:
    assert {name.split(".")[0] for name in MODULES} == set(ORDER)
    assert all(len(name.split(".")) <= 2 for name in MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_and_through_faces(module: str) -> None:
    place = module.split(".", maxsplit=1)[0]
    below = ORDER[ORDER.index(place) + 1 :]
    for name in own_imports(module):
        assert name in below or name.split(".")[0] == place, name


def test_no_imports_go_round() -> None:
    below = {name: own_imports(name) & set(MODULES) for name in MODULES}
    # It raises `CycleError`, which names the circle.
    TopologicalSorter(below).prepare()


def test_threads_start_in_one_module() -> None:
    begin = {"threading", "queue", "concurrent.futures", "multiprocessing", "asyncio"}
    above = {name for name in MODULES if name.split(".")[0] not in {"looker", "singer", "store"}}
    assert {name for name in above if imports(name, at_runtime=True) & begin} == {"threads"}


@pytest.mark.parametrize("module", PURE_MODULES)
def test_a_pure_module_knows_no_clock_and_no_world(module: str) -> None:
    # Annotations count: what comes by a parameter could do what an import can.
    assert not {n for n in imports(module) if n.split(".")[0] in IMPURE_IMPORTS}
    assert {name.split(".")[0] for name in own_imports(module)} <= {*PURE, "errors"}
    nodes = [*ast.walk(MODULES[module])]
    called = {node.func for node in nodes if isinstance(node, ast.Call)}
    assert not {function.id for function in called if isinstance(function, ast.Name)} & IMPURE_CALLS
    assert not {node.attr for node in nodes if isinstance(node, ast.Attribute)} & IMPURE_METHODS


@pytest.mark.parametrize("module", MODULES)
def test_modules_and_functions_stay_readable(module: str) -> None:
    tree = MODULES[module]
    assert max((node.end_lineno or 0 for node in tree.body), default=0) <= MAX_MODULE_LINES
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    lengths = [(node.name, (node.end_lineno or 0) - node.lineno + 1) for node in functions]
    assert not [name for name, length in lengths if length > MAX_FUNCTION_LINES]


@pytest.mark.slow
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
