"""What other files say of the settings, derived from `--about`.

`python -m tests.interface.declared` writes it into them anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml

from tap_looker_tasks.cli.plugin import define_settings
from tap_looker_tasks.config.settings import Settings
from tap_looker_tasks.tap import TapLookerTasks

PROJECT = Path(__file__).parent.parent.parent
_PLACES = {
    "meltano.yml": re.compile(r"(?<=\n    settings:\n).*?(?=\n    \w)", re.DOTALL),
    "plugin.yml": re.compile(r"(?<=\nsettings:\n).*?(?=\n\w)", re.DOTALL),
}


def about() -> dict[str, dict[str, Any]]:
    """Return the settings as `--about` has them."""
    properties: dict[str, dict[str, Any]] = TapLookerTasks._get_about_info().settings["properties"]  # noqa: SLF001 - what `--about` prints
    return properties


def own_settings() -> dict[str, dict[str, Any]]:
    return {
        name: setting for name, setting in about().items() if name in Settings.__struct_fields__
    }


def json_type(setting: dict[str, Any]) -> str:
    (type_,) = {*setting["type"]} - {"null"}
    return str(type_)


def meltano_settings() -> list[dict[str, Any]]:
    """Return the settings as a plugin definition of Meltano has them."""
    return define_settings(about())


def main() -> None:
    """Write the settings into the files that repeat them."""
    settings = yaml.safe_dump(meltano_settings(), sort_keys=False, width=1000).rstrip()
    contents = {
        "meltano.yml": indent(settings, "    "),
        "plugin.yml": settings,
    }
    for name, place in _PLACES.items():
        path = PROJECT / name
        text = path.read_text()
        found = place.search(text)
        assert found, name
        path.write_text(text[: found.start()] + contents[name] + text[found.end() :])


if __name__ == "__main__":
    main()
