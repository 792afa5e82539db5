"""What other files say of the settings, derived from `--about`.

`python -m tests.interface.declared` writes it into them anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import yaml

from tap_looker_tasks.config.settings import Settings
from tap_looker_tasks.tap import TapLookerTasks

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parent.parent.parent
# Meltano ends with a traceback on a number of kind `decimal`, and takes any word for false in a
# `boolean`; as a `string`, both reach the tap as they are written, and are checked there. The
# SDK's own settings are read by the SDK, which wants them as they are declared.
_KINDS = {"boolean": "string", "number": "string"}
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
    return [dict(_meltano_setting(name, setting)) for name, setting in about().items()]


def _meltano_setting(name: str, setting: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    options = [option for option in setting.get("enum", []) if option is not None]
    type_ = json_type(setting)
    kinds = _KINDS if name in Settings.__struct_fields__ else {}
    yield "name", name
    yield "kind", "options" if options else kinds.get(type_, type_)
    if "default" in setting:
        yield "value", setting["default"]
    if setting.get("secret"):
        yield "sensitive", True
    yield "label", setting["title"]
    yield "description", setting["description"]
    if options:
        yield "options", [{"label": option, "value": option} for option in options]


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
