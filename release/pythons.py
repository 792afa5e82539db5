"""Finds the Pythons that the package says it supports, and tries it on those that are here."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from release.finding import INSTALL, PROJECT, CommandError, Finding, Verdict, install, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def declared_versions() -> list[str]:
    """Return the versions of Python in the package's metadata, such as `3.11`."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    return [c.rpartition(" ")[2] for c in project["classifiers"] if ":: Python :: 3." in c]


def find_python(version: str) -> str | None:
    """Return a Python of that version on this machine, on the path or one of pyenv's."""
    candidates = [shutil.which(f"python{version}")]
    if pyenv := shutil.which("pyenv"):
        versions = Path(run([pyenv, "root"]).strip()) / "versions"
        candidates += map(str, sorted(versions.glob(f"{version}.*/bin/python{version}")))
    return next((path for path in candidates if path and _runs(path)), None)


def _runs(python: str) -> bool:
    # One of pyenv's commands may be there and say only that its Python is not chosen.
    done = subprocess.run([python, "-c", ""], capture_output=True, check=False)
    return done.returncode == 0


def check_pythons(wheels: Sequence[Path], sdist: Path) -> Iterator[Finding]:
    """Install the wheels on each declared Python, start it, and run the fast tests of the sdist."""
    for version in declared_versions():
        subject = f"Python {version}"
        python = find_python(version)
        if python is None:
            yield Finding(subject, Verdict.UNKNOWN, "it is not on this machine")
            continue
        try:
            yield Finding(subject, Verdict.GOOD, _try_package(version, python, wheels, sdist))
        except CommandError as error:
            yield Finding(subject, Verdict.BAD, str(error))


def _try_package(version: str, python: str, wheels: Sequence[Path], sdist: Path) -> str:
    own_python = install(f"python{version}", python, "dev.txt")
    run([own_python, *INSTALL, "--no-deps", "--force-reinstall", *wheels])
    with tempfile.TemporaryDirectory() as folder:
        run([own_python.with_name("tap-looker-tasks"), "--about"], Path(folder))
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        (tree,) = Path(folder).iterdir()
        # Those of Meltano need what it installs, and are the same on every Python.
        options = ("-q", "--tb=no", "-m", "not slow", "--ignore", "tests/meltano")
        output = run([own_python, "-m", "pytest", *options], tree)
    (passed,) = re.findall(r"\d+ passed[^=\n]*", output)
    return f"installs, starts, and of the fast tests {passed}"
