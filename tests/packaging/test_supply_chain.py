"""What the project installs and runs of others: pinned, licensed, and looked after."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

from release.finding import Verdict
from release.licenses import (
    PATH,
    SIMULATOR,
    TAP,
    find_license,
    render_licenses,
    required_distributions,
)
from release.pythons import declared_versions, find_python
from release.vulnerabilities import judge

PROJECT = Path(__file__).parent.parent.parent
HASHED = sorted(
    str(path.relative_to(PROJECT / "requirements"))
    for path in (PROJECT / "requirements").rglob("*.txt")
    if path.name != "plugins.txt"  # Meltano reads it as constraints
)
REQUIREMENT = re.compile(r"(?m)^[a-z0-9][a-z0-9._-]*(\[[a-z0-9,-]+\])?==\S+( ; [^\\]+)? \\$")
COMMIT = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")


@pytest.mark.parametrize("name", HASHED)
def test_every_requirement_is_pinned_with_hashes_and_names_no_host(name: str) -> None:
    text = (PROJECT / "requirements" / name).read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if REQUIREMENT.match(line):
            assert following.startswith("    --hash=sha256:"), line
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
    assert "://" not in text
    assert "==" in text


def test_what_pyproject_names_is_pinned() -> None:
    pyproject = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    groups, project = pyproject["dependency-groups"], pyproject["project"]
    named = {f"{name}.txt": groups.pop(name) for name in ("docs", "mutants", "release")}
    named["dev.txt"] = [
        *project["dependencies"],
        *tomllib.loads(SIMULATOR.read_text())["project"]["dependencies"],
        *itertools.chain.from_iterable(groups.values()),
    ]
    for name, requirements in named.items():
        text = (PROJECT / "requirements" / name).read_text()
        pinned = set(re.findall(r"(?m)^([a-z0-9._-]+)", text))
        expected = {re.split(r"[\[<>=!~;\s]", r)[0].lower().replace("_", "-") for r in requirements}
        assert expected <= pinned, name


def imported_packages(folder: Path) -> set[str]:
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    # Only pytest loads the simulator's fixture.
    return names - {folder.name, "pytest"} - sys.stdlib_module_names


@pytest.mark.parametrize(
    ("pyproject", "package"), [(TAP, "tap_looker_tasks"), (SIMULATOR, "looker_simulator")]
)
def test_what_the_package_imports_is_declared(pyproject: Path, package: str) -> None:
    declared = tomllib.loads(pyproject.read_text())["project"]["dependencies"]
    names = {re.split(r"[\[<>=!~;\s]", line)[0].lower() for line in declared}
    owners = packages_distributions()
    for imported in imported_packages(pyproject.parent / package):
        distributions = {re.sub("[-_.]+", "-", owner.lower()) for owner in owners[imported]}
        assert distributions & names, imported


LIST_IMPORTS = """
import sys
def forbid(event, _):
    if event in {"socket.connect", "socket.getaddrinfo"}:
        sys.exit(f"the import uses the network: {event}")
sys.addaudithook(forbid)
import tap_looker_tasks.tap, tap_looker_tasks.cli.init
import tap_looker_tasks.watch.live, tap_looker_tasks.watch.report
print(*{name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names)
"""
# Of others, in the tap's own process: those that it names, and what they import.
IMPORTED_BY_US = {"click", "msgspec", "requests", "rich", "singer_sdk", "typing_extensions"}
IMPORTED_BY_US |= {"upath", "urllib3"}
IMPORTED_BY_THEM = {
    *("attr", "attrs", "backoff", "certifi", "charset_normalizer", "dotenv", "fsspec", "idna"),
    *("importlib_metadata", "inflection", "joblib", "jsonpath_ng", "jsonschema", "lazy_importer"),
    *("jsonschema_specifications", "packaging", "pathlib_abc", "referencing", "rpds", "zipp"),
    *("simpleeval", "simplejson"),
}
# Only if they are installed, which the tap does not need.
IMPORTED_IF_THERE = {"cloudpickle", "cython_runtime", "numpy", "psutil"}


def test_the_process_of_the_tap_imports_what_is_listed_and_no_more() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", LIST_IMPORTS], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    found = {name for name in done.stdout.decode().split() if not name.startswith("_")}
    assert found >= IMPORTED_BY_US
    assert found - {"tap_looker_tasks"} <= IMPORTED_BY_US | IMPORTED_BY_THEM | IMPORTED_IF_THERE


def test_the_licenses_are_listed_and_none_forbids_anything() -> None:
    page = PATH.read_text().splitlines()
    rendered = render_licenses().splitlines()
    # A newer Python needs fewer packages.
    assert set(rendered) <= set(page)
    assert sys.version_info[:2] > (3, 11) or rendered == page
    for package in (required_distributions(TAP) | required_distributions(SIMULATOR)).values():
        assert "GPL" not in find_license(package)


def test_actions_of_public_ci_are_pinned_by_commit_and_run_what_people_run() -> None:
    workflows: dict[str, Any] = {
        path.stem: yaml.safe_load(path.read_text())
        for path in (PROJECT / ".github" / "workflows").glob("*.yml")
    }
    for workflow in workflows.values():
        assert workflow["permissions"] == {"contents": "read"}
        for job in workflow["jobs"].values():
            used = [step["uses"] for step in job["steps"] if "uses" in step]
            assert all(COMMIT.fullmatch(action) for action in used), used
    test = workflows["test"]["jobs"]["test"]
    assert test["strategy"]["matrix"]["python"] == declared_versions()
    assert test["steps"][-1]["run"].startswith("make test")


def test_a_python_that_is_not_here_is_not_found() -> None:
    assert find_python("3.1") is None
    assert find_python(f"3.{sys.version_info.minor}")


def test_a_package_that_the_database_does_not_know_is_not_known_to_be_good() -> None:
    good: dict[str, object] = {"name": "a", "version": "1", "vulns": []}
    skipped: dict[str, object] = {"name": "b", "skip_reason": "not found"}
    bad: dict[str, object] = {"name": "c", "version": "3", "vulns": [{"id": "X"}]}
    assert judge("x", [good]).verdict is Verdict.GOOD
    assert judge("x", [good, skipped]).verdict is Verdict.UNKNOWN
    assert judge("x", [good, skipped, bad]) == ("x", Verdict.BAD, "c 3")
