"""Settings and columns are told in several places: all tell the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import tomllib
import yaml

from tap_looker_tasks.settings import Settings
from tap_looker_tasks.streams.outcomes import QueryTaskResultsStream
from tap_looker_tasks.streams.rows import QueryTaskRowsStream
from tap_looker_tasks.tap import TapLookerTasks
from tests.interface.declared import PROJECT, meltano_settings, own_settings, readme_rows

if TYPE_CHECKING:
    from singer_sdk import Stream

# What MeltanoHub takes of an extractor: https://github.com/meltano/hub/tree/main/schemas
HUB_KEYS = {
    *("name", "variant", "namespace", "label", "description", "definition", "keywords"),
    *("pip_url", "executable", "python", "commands", "requires", "supported_python_versions"),
    *("settings", "settings_group_validation", "capabilities", "metadata", "schema", "select"),
    *("docs", "repo", "domain_url", "logo_url", "hidden", "maintenance_status", "quality"),
    *("prereq", "settings_preamble", "next_steps", "usage", "log_parser"),
}
HUB_KINDS = {"string", "integer", "boolean", "array", "object", "options"}
README_ROW = re.compile(r"\| `(?P<name>\w+)` \| (?P<type>.+?) \| (?P<meaning>.+) \|")


def section(title: str) -> str:
    """The README's section of that title."""
    readme = (PROJECT / "README.md").read_text()
    (text,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", readme, re.DOTALL | re.MULTILINE)
    return str(text)


def readme_table(title: str) -> dict[str, tuple[str, str]]:
    rows = [README_ROW.fullmatch(line) for line in section(title).splitlines()]
    return {row["name"]: (row["type"], row["meaning"]) for row in rows if row}


def test_every_setting_that_is_checked_is_declared_with_words_for_people() -> None:
    assert list(own_settings()) == list(Settings.__struct_fields__)
    assert all(setting["title"] and setting["description"] for setting in own_settings().values())


def test_the_default_told_is_the_default() -> None:
    settings = Settings.from_config(
        {"base_url": "https://looker.test", "client_id": "me", "client_secret": "hush"}
    )
    defaults = msgspec.structs.asdict(settings).items()
    told = {name: setting.get("default") for name, setting in own_settings().items()}
    required = ("base_url", "client_id", "client_secret")
    assert told == {n: None if n in required or d == () else d for n, d in defaults}


def test_a_bound_is_told_in_figures_and_in_words() -> None:
    batch_size = own_settings()["batch_size"]
    assert (batch_size["minimum"], batch_size["maximum"]) == (1, 250)
    assert batch_size["description"].endswith("(1 to 250)")
    assert own_settings()["expired_grace_seconds"]["description"].endswith("(0 or more)")
    assert own_settings()["sync_timeout_seconds"]["description"].endswith("(more than 0)")


def meltano_definitions() -> list[dict[str, Any]]:
    """Return the tap's definition in this project, and the one for other projects."""
    (tap,) = yaml.safe_load((PROJECT / "meltano.yml").read_text())["plugins"]["extractors"]
    return [tap, yaml.safe_load((PROJECT / "plugin.yml").read_text())]


def test_meltano_is_told_every_setting_as_about_tells_it() -> None:
    for definition in meltano_definitions():
        assert definition["settings"] == meltano_settings()


def test_meltano_is_told_what_the_tap_can_do_and_what_it_needs() -> None:
    here, elsewhere = meltano_definitions()
    assert elsewhere["capabilities"] == [c.value for c in TapLookerTasks.capabilities]
    required = [name for name, setting in own_settings().items() if "null" not in setting["type"]]
    assert elsewhere["settings_group_validation"] == [required]
    shared = ("name", "namespace", "label", "executable", "select", "capabilities")
    for key in (*shared, "settings_group_validation"):
        assert here[key] == elsewhere[key], key


def test_the_plugin_definition_has_what_the_hub_wants() -> None:
    _, definition = meltano_definitions()
    assert HUB_KEYS.issuperset(definition)
    assert {setting["kind"] for setting in definition["settings"]} <= HUB_KINDS
    assert definition["maintenance_status"] in {"active", "beta", "development", "inactive"}
    assert definition["quality"] in {"gold", "silver", "bronze", "unknown"}
    assert definition["log_parser"] == "singer-sdk"
    assert (PROJECT / definition["logo_url"]).read_text().startswith("<svg")
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    pythons = [c.rpartition(" ")[2] for c in project["classifiers"] if ":: Python :: 3." in c]
    assert definition["supported_python_versions"] == pythons


def test_the_readme_tells_every_setting_as_about_does() -> None:
    rows = [line for line in section("Settings").splitlines() if README_ROW.fullmatch(line)]
    assert rows == readme_rows()


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
