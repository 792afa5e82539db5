"""Does all that a release needs but the upload, and says what cannot be checked on this machine."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

from release.finding import PROJECT, CommandError, Finding, Verdict, install, run
from release.pythons import check_pythons
from release.vulnerabilities import check_vulnerabilities

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = PROJECT / "dist"


def check_release() -> Iterator[Finding]:
    """Build the package, check it, try it on every Python that is here, ask for vulnerabilities."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    try:
        run([sys.executable, "-m", "hatchling", "build", "-d", _FOLDER])
        packages = sorted(_FOLDER.iterdir())
        tools = install("tools", sys.executable, "release.txt")
        run([tools, "-m", "twine", "check", "--strict", *packages])
    except CommandError as error:
        yield Finding("package", Verdict.BAD, str(error))
        return
    names = ", ".join(package.name for package in packages)
    yield Finding("package", Verdict.GOOD, f"{names}: twine check --strict passes")
    wheel, sdist = sorted(packages, key=lambda package: package.suffix != ".whl")
    yield from check_pythons(wheel, sdist)
    yield check_vulnerabilities("dev.txt")


def main() -> None:
    """Print a line for each finding; exit 1 if one is bad."""
    is_good = True
    for subject, verdict, detail in check_release():
        click.echo(f"{verdict.value:11} {subject}: {detail}")
        is_good = is_good and verdict is not Verdict.BAD
    sys.exit(not is_good)


if __name__ == "__main__":
    main()
