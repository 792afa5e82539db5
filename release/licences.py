"""Lists the licences of what the package brings along: `python -m release.licences`."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, distribution
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from release.finding import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = PROJECT / "docs" / "licences.md"
_EXTRA = "simulator"
_CLASSIFIER = "License :: OSI Approved :: "
# What older metadata calls a licence, in SPDX's words.
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


def render_licences() -> str:
    """Return the page, as the installed packages say."""
    always = required_distributions("")
    rows = [
        f"| {name} | {find_licence(package)} | {'' if name in always else f'`{_EXTRA}`'} |"
        for name, package in sorted((always | required_distributions(_EXTRA)).items())
    ]
    return "\n".join(
        [
            "# Licences",
            "",
            "The tap is under Apache-2.0. `pip install tap-looker-tasks` brings these packages",
            "along, and its extra `simulator` those marked so. The extras `s3` and `parquet` add",
            "what those of singer-sdk do: s3fs and what it needs, and pyarrow. The report of a run",
            "holds uPlot (MIT), whose licence lies beside it. Written by",
            "`python -m release.licences` from the packages' own metadata.",
            "",
            "| package | licence | for the extra |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def required_distributions(extra: str) -> dict[str, Distribution]:
    """Return what the package needs, and what that needs, by normalised name."""
    found: dict[str, Distribution] = {}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    own = [*project["dependencies"], *project["optional-dependencies"].get(extra, ())]
    pending = [Requirement(line) for line in own]
    while pending:
        requirement = pending.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name not in found:
            found[name] = distribution(name)
            for wanted in ("", *requirement.extras):
                pending += _requirements(name, wanted)
    return found


def _requirements(name: str, extra: str) -> Iterator[Requirement]:
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        if not requirement.marker or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def find_licence(package: Distribution) -> str:
    """Return the licence of a package as SPDX names it.

    Raises:
        LookupError: its metadata do not say.
    """
    metadata = package.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = metadata.get_all("Classifier") or []
    named = [c.removeprefix(_CLASSIFIER) for c in classifiers if c.startswith(_CLASSIFIER)]
    named = named or metadata.get_all("License") or [""]
    if not all(len(name.splitlines()) == 1 for name in named):
        msg = f"{metadata['Name']} says no licence"
        raise LookupError(msg)
    return " or ".join(_SPDX.get(name, name) for name in named)


if __name__ == "__main__":
    PATH.write_text(render_licences())
