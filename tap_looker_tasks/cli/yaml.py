"""YAML: reading and writing it, and the sources of a dbt project: `--dbt-sources`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from types import MappingProxyType
from typing import Any

from singer_sdk import Stream
from typing_extensions import override

from tap_looker_tasks.errors import SettingsError

_TYPES = MappingProxyType(
    {
        ("string", "date-time"): "timestamp",
        ("string", "date"): "date",
        ("string", "time"): "time",
        ("string", None): "text",
        ("integer", None): "bigint",
        ("number", None): "double precision",
        ("number", "x-singer.decimal"): "numeric",
        ("boolean", None): "boolean",
    }
)
# dbt reads descriptions as templates.
_TEMPLATES = MappingProxyType({"{{": "{ {", "{%": "{ %", "{#": "{ #"})


def describe_sources(streams: Iterable[Stream]) -> dict[str, Any]:
    """Return the content of dbt's `sources.yml`, with a table for each stream.

    <https://docs.getdbt.com/reference/source-properties>
    """
    source = {
        "name": "looker",
        "description": "Loaded from Looker by tap-looker-tasks",
        "schema": "looker",
        "tables": [_table(stream) for stream in streams],
    }
    return {"version": 2, "sources": [source]}


def _table(stream: Stream) -> dict[str, Any]:
    properties, keys = stream.schema["properties"], stream.primary_keys or ()
    columns = [_column(name, declared, keys) for name, declared in properties.items()]
    found = {
        "name": stream.name,
        "description": _describe(stream.schema),
        "loaded_at_field": _loaded_at(stream),
        "columns": columns,
    }
    return {key: value for key, value in found.items() if value}


def _loaded_at(stream: Stream) -> str | None:
    """Return the column that shows how fresh a table is; only moments can."""
    name = stream.replication_key or "finished_at"
    declared = stream.schema["properties"].get(name, {})
    return name if _type_of(declared) == "timestamp" else None


def _column(name: str, declared: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    tests = ["not_null", *(["unique"] if len(keys) == 1 else [])] if name in keys else []
    found = {
        "name": name,
        "description": _describe(declared),
        "data_type": _type_of(declared),
        "data_tests": tests,
    }
    return {key: value for key, value in found.items() if value}


def _describe(schema: Mapping[str, Any]) -> str:
    texts = dict.fromkeys(filter(None, (schema.get("title"), schema.get("description"))))
    text = ": ".join(" ".join(part.split()) for part in texts)
    for template, plain in _TEMPLATES.items():
        text = text.replace(template, plain)
    return text


def _type_of(declared: Mapping[str, Any]) -> str | None:
    """Return a type that most warehouses have; None for objects, whose types differ."""
    types = declared.get("type") or ()
    for type_ in (types,) if isinstance(types, str) else types:
        if type_ != "null":
            return _TYPES.get((type_, declared.get("format"))) or _TYPES.get((type_, None))
    return None


def to_yaml(value: object) -> str:
    """Return YAML; text of several lines becomes a block."""
    # Imported here, since few commands need it.
    from ruamel.yaml import YAML  # noqa: PLC0415
    from ruamel.yaml.representer import RoundTripRepresenter  # noqa: PLC0415

    class Representer(RoundTripRepresenter):
        """Writes YAML in a common style."""

        @override
        def ignore_aliases(self, data: object) -> bool:
            return True

        def represent_text(self, text: str) -> object:
            style = "|" if "\n" in text else None
            return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Representer.add_representer(str, Representer.represent_text)
    yaml, written = YAML(), StringIO()
    yaml.Representer = Representer
    # An address stays on its line.
    yaml.width = 4096
    yaml.dump(value, written)
    return written.getvalue()


def read_yaml(text: str) -> dict[str, Any] | None:
    """Parse YAML so that `to_yaml` writes it again with its comments.

    Raises:
        SettingsError: If it is not YAML.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - as above
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - as above

    try:
        found: object = YAML().load(text)
    except YAMLError as error:
        msg = f"meltano.yml: {' '.join(str(error).split())}"
        raise SettingsError(msg) from None
    if found is not None and not isinstance(found, dict):
        msg = "meltano.yml: expected a mapping"
        raise SettingsError(msg)
    return found
