"""Checks a release before its upload, and lists what cannot be checked on this machine."""

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
_PLACEHOLDER = "example.invalid"


def check_release() -> Iterator[Finding]:
    """Build the package, check it, try it on every Python here, look up vulnerabilities."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    try:
        for project in (PROJECT, PROJECT / "simulator"):
            run([sys.executable, "-m", "hatchling", "build", "-d", _FOLDER], project)
        packages = sorted(_FOLDER.iterdir())
        tools = install("tools", sys.executable, "release.txt")
        run([tools, "-m", "twine", "check", "--strict", *packages])
        wheels = [package for package in packages if package.suffix == ".whl"]
        run([tools, "-m", "check_wheel_contents", *wheels])
        for sdist in {*packages} - {*wheels}:
            run([tools.with_name("pyroma"), "--min", "10", sdist])
    except CommandError as error:
        yield Finding("package", Verdict.BAD, str(error))
        return
    names = ", ".join(package.name for package in packages)
    yield Finding("package", Verdict.GOOD, f"{names}: twine, check-wheel-contents and pyroma pass")
    yield from _check_placeholders()
    (sdist,) = (package for package in packages if package.match("tap_looker_tasks-*.tar.gz"))
    yield from check_pythons(wheels, sdist)
    yield check_vulnerabilities("dev.txt")


def _check_placeholders() -> Iterator[Finding]:
    for path in ("pyproject.toml", "simulator/pyproject.toml"):
        if _PLACEHOLDER in (PROJECT / path).read_text():
            detail = f"fill in the addresses that contain {_PLACEHOLDER} (docs/release.md)"
            yield Finding(path, Verdict.UNKNOWN, detail)


@click.command()
@click.option("--final", is_flag=True, help="Also fail on what could not be checked or filled in.")
def main(*, final: bool) -> None:
    """Print a line for each finding; exit 1 if one is bad."""
    is_good = True
    for subject, verdict, detail in check_release():
        click.echo(f"{verdict.value:11} {subject}: {detail}")
        is_good = (
            is_good and verdict is not Verdict.BAD and not (final and verdict is Verdict.UNKNOWN)
        )
    sys.exit(not is_good)


if __name__ == "__main__":
    main()
