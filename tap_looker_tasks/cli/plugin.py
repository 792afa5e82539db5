"""The tap as a Meltano plugin: its definition, and the projects that `--init` writes."""

from __future__ import annotations

import json
from importlib.metadata import distribution
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tap_looker_tasks.config import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME = "tap-looker-tasks"
SELECT = ("*.*", "!query_task_rows.*")
CAPABILITIES = (
    *("catalog", "state", "discover", "activate-version", "about", "stream-maps"),
    *("schema-flattening", "batch", "structured-logging"),
)
# Meltano ends with a traceback on a number of kind `decimal`, and takes any word for false in a
# `boolean`; as a `string`, both reach the tap as they are written, and are checked there. The
# SDK's own settings are read by the SDK, which wants them as they are declared.
_KINDS = MappingProxyType({"boolean": "string", "number": "string"})


def define_plugin(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return Meltano's definition of the tap.

    Args:
        declared: JSON Schema of each setting, those of the SDK included.
    """
    return {
        "name": NAME,
        "variant": NAME,
        "namespace": NAME.replace("-", "_"),
        "label": "Looker query tasks",
        "pip_url": find_source(),
        "executable": NAME,
        "log_parser": "singer-sdk",
        "capabilities": [*CAPABILITIES],
        "settings": define_settings(declared),
    }


def define_settings(declared: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the settings as Meltano's definition of a plugin has them."""
    return [dict(_define_setting(name, setting)) for name, setting in declared.items()]


def _define_setting(name: str, setting: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    options = [option for option in setting.get("enum", []) if option is not None]
    (type_,) = {*setting["type"]} - {"null"}
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


def find_source() -> str:
    """Return what pip installs this tap from: the checkout it runs from, or its name."""
    origin = json.loads(distribution(NAME).read_text("direct_url.json") or "{}")
    url = urlsplit(origin.get("url", ""))
    if url.scheme != "file":
        return NAME
    path = url2pathname(url.path)
    return f"-e {path}" if origin.get("dir_info", {}).get("editable") else path
