"""Settings and columns are told in several places: all tell the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tap_looker_tasks.settings import Settings, setting_defaults
from tap_looker_tasks.streams.outcomes import QueryTaskResultsStream
from tap_looker_tasks.streams.rows import QueryTaskRowsStream
from tap_looker_tasks.tap import TapLookerTasks

if TYPE_CHECKING:
    from singer_sdk import Stream

PROJECT = Path(__file__).parent.parent.parent
KINDS = {
    "string": "string",
    "boolean": "boolean",
    "integer": "integer",
    "number": "decimal",
    "array": "array",
    "object": "object",
}
README_ROW = re.compile(r"\| `(?P<name>\w+)` \| (?P<type>.+?) \| (?P<meaning>.+) \|")


def about() -> dict[str, dict[str, Any]]:
    """Settings as `--about` tells them."""
    properties: dict[str, dict[str, Any]] = TapLookerTasks._get_about_info().settings["properties"]  # noqa: SLF001 - what `--about` prints
    return properties


def own_settings() -> dict[str, dict[str, Any]]:
    return {
        name: setting for name, setting in about().items() if name in Settings.__struct_fields__
    }


def section(title: str) -> str:
    """The README's section of that title."""
    readme = (PROJECT / "README.md").read_text()
    (text,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", readme, re.DOTALL | re.MULTILINE)
    return str(text)


def readme_table(title: str) -> dict[str, tuple[str, str]]:
    rows = [README_ROW.fullmatch(line) for line in section(title).splitlines()]
    return {row["name"]: (row["type"], row["meaning"]) for row in rows if row}


def meltano_settings() -> dict[str, dict[str, Any]]:
    project = yaml.safe_load((PROJECT / "meltano.yml").read_text())
    (tap,) = project["plugins"]["extractors"]
    return {setting["name"]: setting for setting in tap["settings"]}


def test_every_setting_that_is_checked_is_declared() -> None:
    assert set(own_settings()) == set(Settings.__struct_fields__)


@pytest.mark.parametrize(("name", "default"), list(setting_defaults()))
def test_the_default_told_is_the_default(name: str, default: object) -> None:
    told = own_settings()[name].get("default")
    assert told == (None if default == () else default)


def test_meltano_yml_declares_every_setting_as_about_tells_it() -> None:
    declared, told = meltano_settings(), about()
    assert list(declared) == list(told)
    for name, setting in told.items():
        (type_,) = {*setting["type"]} - {"null"}
        expected = {"name": name, "kind": KINDS[type_], "label": setting["title"]}
        expected["description"] = setting["description"]
        if "default" in setting:
            expected["value"] = setting["default"]
        if setting.get("secret"):
            expected["sensitive"] = True
        options = [option for option in setting.get("enum", []) if option is not None]
        if options:
            expected |= {"kind": "options"}
            assert [option["value"] for option in declared[name].pop("options")] == options
        assert declared[name] == expected


def test_the_readme_tells_every_setting_as_about_does() -> None:
    table = readme_table("Settings")
    assert list(table) == list(own_settings())
    for name, setting in own_settings().items():
        type_, meaning = table[name]
        (json_type,) = {*setting["type"]} - {"null"}
        assert type_.startswith(json_type), name
        assert meaning == setting["description"], name
        if "default" in setting:
            default = setting["default"]
            shown = str(default).lower() if isinstance(default, bool) else str(default)
            assert type_.endswith(f", `{shown}`"), name
        assert ("secret" in type_) == bool(setting.get("secret")), name
        assert ("required" in type_) == ("null" not in setting["type"]), name


@pytest.mark.parametrize("stream", [QueryTaskResultsStream, QueryTaskRowsStream])
def test_the_readme_tells_every_column_as_the_schema_does(stream: type[Stream]) -> None:
    table = readme_table("Streams")
    columns = getattr(stream, "schema")["properties"]  # noqa: B009 - a property on instances
    for name, column in columns.items():
        assert table[name][1] == column["description"], name


def test_the_readme_names_every_column_in_its_place() -> None:
    told = list(readme_table("Streams"))
    assert told == list(
        dict.fromkeys(
            [
                *QueryTaskResultsStream.schema["properties"],
                *QueryTaskRowsStream.schema["properties"],
            ]
        )
    )
