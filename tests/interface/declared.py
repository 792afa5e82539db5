"""The plugin's definition in other files, derived from the code.

`python -m tests.interface.declared` writes it into them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml

from tap_looker_tasks.cli.plugin import define_plugin
from tap_looker_tasks.config.settings import Settings
from tap_looker_tasks.tap import TapLookerTasks

PROJECT = Path(__file__).parent.parent.parent
LOCK = "examples/system_activity/plugins/extractors/tap-looker-tasks--tap-looker-tasks.lock"
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
    settings: list[dict[str, Any]] = define_plugin(about())["settings"]
    return settings


def lock() -> str:
    """Return Meltano's file of the definition, as `--init` writes it, without a path to install."""
    definition = define_plugin(about())
    del definition["pip_url"]
    return json.dumps({"plugin_type": "extractors", **definition}, indent=2) + "\n"


def main() -> None:
    """Write the settings into the files that repeat them."""
    (PROJECT / LOCK).write_text(lock())
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
