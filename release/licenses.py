"""Lists the licenses of what the package brings along: `python -m release.licenses`."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, distribution
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from release.finding import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATH = PROJECT / "docs" / "licenses.md"
TAP = PROJECT / "pyproject.toml"
SIMULATOR = PROJECT / "simulator" / "pyproject.toml"
_CLASSIFIER = "License :: OSI Approved :: "
# What older metadata calls a license, in SPDX's words.
_SPDX = {
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


def render_licenses() -> str:
    """Return the page, as the installed packages say."""
    of_tap, of_simulator = required_distributions(TAP), required_distributions(SIMULATOR)
    rows = [
        f"| {name} | {find_license(package)} | "
        f"{_mark(name in of_tap)} | {_mark(name in of_simulator)} |"
        for name, package in sorted((of_tap | of_simulator).items())
    ]
    return "\n".join(
        [
            "# Licenses",
            "",
            "For readers who check licenses: the tap and the simulator are under Apache-2.0,",
            "and install the packages below. The tap's extras `s3` and `parquet` add those of",
            "singer- sdk's extras: s3fs and its dependencies, and pyarrow. The report of a run",
            "contains uPlot (MIT), with its license beside it. `python -m release.licenses`",
            "writes this page from the packages' metadata.",
            "",
            "| package | license | tap | simulator |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _mark(is_required: bool) -> str:  # noqa: FBT001 - a cell of the table
    return "yes" if is_required else ""


def required_distributions(pyproject: Path) -> dict[str, Distribution]:
    """Return the direct and indirect requirements of a project, by normalized name."""
    found: dict[str, Distribution] = {}
    project = tomllib.loads(pyproject.read_text())["project"]
    pending = [Requirement(line) for line in project["dependencies"]]
    while pending:
        requirement = pending.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name not in found:
            found[name] = distribution(name)
            for expected in ("", *requirement.extras):
                pending += _requirements(name, expected)
    return found


def _requirements(name: str, extra: str) -> Iterator[Requirement]:
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        if not requirement.marker or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def find_license(package: Distribution) -> str:
    """Return the license of a package as SPDX names it.

    Raises:
        LookupError: If its metadata lack it.
    """
    metadata = package.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = metadata.get_all("Classifier") or []
    named = [c.removeprefix(_CLASSIFIER) for c in classifiers if c.startswith(_CLASSIFIER)]
    named = named or metadata.get_all("License") or [""]
    if not all(len(name.splitlines()) == 1 for name in named):
        msg = f"{metadata['Name']} says no license"
        raise LookupError(msg)
    return " or ".join(_SPDX.get(name, name) for name in named)


if __name__ == "__main__":
    PATH.write_text(render_licenses())
