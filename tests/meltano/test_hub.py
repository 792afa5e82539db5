"""The plugin's definition by MeltanoHub's rules.

The hub's schema is not part of the project: `MELTANO_HUB` names a checkout of meltano/hub, where
there is one. What of it a change here could break is tested without it, too.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from tests.interface.declared import PROJECT, lock

_HUB = os.environ.get("MELTANO_HUB", "")
# As of August 2026.
_KINDS = {
    *("array", "boolean", "date_iso8601", "decimal", "email", "file", "hidden", "integer"),
    *("oauth", "object", "options", "password", "string"),
}
_OF_A_SETTING = {
    *("aliases", "description", "docs", "documentation", "env", "hidden", "kind", "label", "name"),
    *("oauth", "options", "placeholder", "sensitive", "tooltip", "value"),
    *("value_post_processor", "value_processor"),
}
_OF_A_PLUGIN = {
    *("capabilities", "commands", "definition", "description", "docs", "domain_url", "executable"),
    *("hidden", "keywords", "label", "log_parser", "logo_url", "maintenance_status", "metadata"),
    *("name", "namespace", "next_steps", "pip_url", "prereq", "python", "quality", "repo"),
    *("requires", "schema", "select", "settings", "settings_group_validation"),
    *("settings_preamble", "supported_python_versions", "usage", "variant"),
}
_CAPABILITIES = {
    *("about", "activate-version", "batch", "catalog", "discover", "log-based", "properties"),
    *("schema-flattening", "state", "stream-maps", "structured-logging", "test"),
}


@pytest.fixture
def definition() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((PROJECT / "plugin.yml").read_text())
    return content


@pytest.mark.skipif(not _HUB, reason="MELTANO_HUB names no checkout of meltano/hub")
def test_the_definition_is_valid_by_the_hubs_schema(definition: dict[str, Any]) -> None:
    folders = [Path(_HUB, "schemas", name) for name in ("common", "plugin_definitions")]
    schemas = [json.loads(path.read_text()) for f in folders for path in f.glob("*.json")]
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in schemas
    )
    (extractors,) = (s for s in schemas if s["$id"] == "extractors.schema.json")
    validator = Draft7Validator(extractors, registry=registry)
    assert [error.message for error in validator.iter_errors(definition)] == []
    # A check that accepts everything proves nothing.
    assert [*validator.iter_errors(definition | {"capabilities": ["anything"]})] != []


def test_the_definition_keeps_what_the_hub_rejects(definition: dict[str, Any]) -> None:
    assert set(definition) <= _OF_A_PLUGIN
    assert {"name", "namespace", "variant", "quality"} <= set(definition)
    assert set(definition["capabilities"]) <= _CAPABILITIES
    assert definition["maintenance_status"] in {"active", "beta", "development", "inactive"}
    assert definition["quality"] in {"gold", "silver", "bronze", "unknown"}
    for setting in definition["settings"]:
        assert set(setting) <= _OF_A_SETTING, setting["name"]
        assert setting["kind"] in _KINDS, setting["name"]


def test_what_init_writes_is_the_same_definition(definition: dict[str, Any]) -> None:
    written = json.loads(lock())
    for name in ("name", "namespace", "variant", "executable", "capabilities", "settings"):
        assert written[name] == definition[name], name
