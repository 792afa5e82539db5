"""Settings are told in several places: all tell the same."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import msgspec
import yaml

from tap_looker_tasks.cli.plugin import CAPABILITIES, SELECT
from tap_looker_tasks.config.settings import Settings
from tap_looker_tasks.tap import TapLookerTasks
from tests.interface.declared import LOCK, PROJECT, lock, meltano_settings, own_settings

# What MeltanoHub takes of an extractor: https://github.com/meltano/hub/tree/main/schemas
HUB_KEYS = {
    *("name", "variant", "namespace", "label", "description", "definition", "keywords"),
    *("pip_url", "executable", "python", "commands", "requires", "supported_python_versions"),
    *("settings", "settings_group_validation", "capabilities", "metadata", "schema", "select"),
    *("docs", "repo", "domain_url", "logo_url", "hidden", "maintenance_status", "quality"),
    *("prereq", "settings_preamble", "next_steps", "usage", "log_parser"),
}
HUB_KINDS = {"string", "integer", "boolean", "array", "object", "options"}


def test_every_setting_that_is_checked_is_declared_with_words_for_people() -> None:
    assert list(own_settings()) == list(Settings.__struct_fields__)
    assert all(setting["title"] and setting["description"] for setting in own_settings().values())


def test_the_default_reported_is_the_default() -> None:
    settings = Settings.from_config(
        {"base_url": "https://looker.test", "client_id": "me", "client_secret": "hush"}
    )
    defaults = msgspec.structs.asdict(settings).items()
    shown = {name: setting.get("default") for name, setting in own_settings().items()}
    required = ("base_url", "client_id", "client_secret")
    assert shown == {n: None if n in required or d == () else d for n, d in defaults}


def test_a_bound_is_reported_in_figures_and_in_words() -> None:
    batch_size = own_settings()["batch_size"]
    assert (batch_size["minimum"], batch_size["maximum"]) == (1, 250)
    assert batch_size["description"].endswith("(1 to 250)")
    assert own_settings()["expired_grace_seconds"]["description"].endswith("(0 to 31,622,400)")
    assert own_settings()["sync_timeout_seconds"]["description"].endswith(
        "(more than 0, 31,622,400 at most)"
    )


def meltano_definitions() -> list[dict[str, Any]]:
    """Return the tap's definition in this project, and the one for other projects."""
    (tap,) = yaml.safe_load((PROJECT / "meltano.yml").read_text())["plugins"]["extractors"]
    return [tap, yaml.safe_load((PROJECT / "plugin.yml").read_text())]


def test_meltano_is_reported_every_setting_as_about_shows_it() -> None:
    for definition in meltano_definitions():
        assert definition["settings"] == meltano_settings()


def test_meltano_is_reported_what_the_tap_can_do_and_what_it_needs() -> None:
    here, elsewhere = meltano_definitions()
    assert elsewhere["capabilities"] == [c.value for c in TapLookerTasks.capabilities]
    assert elsewhere["capabilities"] == [*CAPABILITIES]
    assert elsewhere["select"] == [*SELECT]
    required = [name for name, setting in own_settings().items() if "null" not in setting["type"]]
    assert elsewhere["settings_group_validation"] == [required]
    shared = ("name", "namespace", "label", "executable", "log_parser", "select", "capabilities")
    for key in (*shared, "settings_group_validation"):
        assert here[key] == elsewhere[key], key


def test_the_definition_that_init_writes_is_the_one() -> None:
    assert (PROJECT / LOCK).read_text() == lock(), "run `python -m tests.interface.declared`"
    _, elsewhere = meltano_definitions()
    for key, value in json.loads(lock()).items():
        assert key == "plugin_type" or value == elsewhere[key], key


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
