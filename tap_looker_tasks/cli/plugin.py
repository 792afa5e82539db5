"""The tap as a Meltano plugin: its definition, and the projects that `--init` writes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from difflib import unified_diff
from importlib.metadata import distribution
from pathlib import Path
from textwrap import indent
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec

from tap_looker_tasks.cli.yaml import read_yaml, to_yaml
from tap_looker_tasks.config import Settings
from tap_looker_tasks.errors import SettingsError

_Child = TypeVar("_Child", dict[str, Any], list[Any])

NAME = "tap-looker-tasks"
SELECT = ("*.*", "!query_task_rows.*")
CAPABILITIES = (
    *("catalog", "state", "discover", "activate-version", "about", "stream-maps"),
    *("schema-flattening", "batch", "structured-logging"),
)
# Meltano ends with a traceback on a number of kind `decimal`, and reads any word as false in a
# `boolean`; as a `string`, both reach the tap unchanged, and are checked there. The SDK's own
# settings are read by the SDK, which requires their declared types.
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
        "settings": [dict(_define_setting(name, setting)) for name, setting in declared.items()],
    }


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
    """Return the requirement that pip installs this tap from: the checkout, or the tap's name."""
    origin = json.loads(distribution(NAME).read_text("direct_url.json") or "{}")
    url = urlsplit(origin.get("url", ""))
    if url.scheme != "file":
        return NAME
    path = url2pathname(url.path)
    return f"-e {path}" if origin.get("dir_info", {}).get("editable") else path


@dataclass(frozen=True, slots=True)
class Target:
    """A Singer target that a project can start with.

    Attributes:
        plugin: Meltano's definition, whose only setting is the place to load into; None for a
            target that the user adds.
        question: Prompt for that setting; empty for none.
        default: Proposed value.
    """

    plugin: Mapping[str, Any] | None
    question: str = ""
    default: str | None = None


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "postgres": Target(
            {
                "name": "target-postgres",
                "namespace": "target_postgres",
                "pip_url": "meltanolabs-target-postgres==0.8.1",
                "executable": "target-postgres",
                "config": {"default_target_schema": "looker", "load_method": "upsert"},
                "settings": [{"name": "sqlalchemy_url", "kind": "string", "sensitive": True}],
            },
            "URL of the database (postgresql+psycopg://user:password@host:5432/name)",
        ),
        "bigquery": Target(
            {
                "name": "target-bigquery",
                "namespace": "target_bigquery",
                "pip_url": "z3-target-bigquery==0.7.2 setuptools<81 google-auth<2.40",
                "executable": "target-bigquery",
                "config": {"dataset": "looker", "upsert": True, "denormalized": True},
                "settings": [{"name": "project", "kind": "string"}],
            },
            "ID of the Google Cloud project",
        ),
        "jsonl": Target(
            {
                "name": "target-jsonl",
                "namespace": "target_jsonl",
                "pip_url": "target-jsonl==0.1.4",
                "executable": "target-jsonl",
                "config": {"do_timestamp_file": False},
                "settings": [{"name": "destination_path", "kind": "string"}],
            },
            "Folder of the files, which must exist",
            ".",
        ),
        "other": Target(None),
    }
)


class Project:
    """A Meltano project in a folder, or a `config.json` for a target that Meltano does not run.

    Attributes:
        folder: Its folder, which `write` creates if necessary.
    """

    def __init__(
        self, folder: Path, config: Mapping[str, Any], target: Target, destination: str | None
    ) -> None:
        """Keep the choices; `config` includes the credentials."""
        self.folder = folder
        self._target = target
        self._secrets = {
            f"TAP_LOOKER_TASKS_{name.upper()}": config[name]
            for name in ("client_id", "client_secret")
        }
        self._config = {k: v for k, v in config.items() if k not in {"client_id", "client_secret"}}
        self._destination = {}
        if target.plugin and destination:
            (setting,) = target.plugin["settings"]
            if setting.get("sensitive"):
                variable = f"{target.plugin['namespace']}_{setting['name']}".upper()
                self._secrets[variable] = destination
            else:
                self._destination = {setting["name"]: destination}

    @property
    def next_command(self) -> str:
        """Command that runs it."""
        if self._target.plugin is None:
            return f"{NAME} --config config.json --config ENV | <target>"
        return f"meltano run {NAME} {self._target.plugin['name']}"

    @property
    def _file(self) -> Path:
        return self.folder / ("meltano.yml" if self._target.plugin else "config.json")

    def describe_change(self) -> str:
        """Return the changes of `write` to the project's file, line by line."""
        old = self._file.read_text() if self._file.exists() else ""
        new = self._content(old)
        if not old:
            return f"{self._file}:\n{indent(new, '  ')}"
        lines = unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2)
        return f"{self._file}:\n" + "\n".join(lines)

    def write(self, declared: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the project; secrets go to `.env`, which only its owner may read.

        Raises:
            SettingsError: If a file cannot be read or written.
        """
        try:
            self._write(declared)
        except OSError as error:
            msg = f"{error.filename}: {error.strerror}"
            raise SettingsError(msg) from None

    def _write(self, declared: Mapping[str, Mapping[str, Any]]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        old = self._file.read_text() if self._file.exists() else ""
        # First, so that no secret is ever in a file that git could include.
        self._add_lines(self.folder / ".gitignore", [".env", "/.meltano/"])
        self._write_secrets(self.folder / ".env")
        self._file.write_text(self._content(old))
        if self._target.plugin:
            lock = self.folder / "plugins" / "extractors" / f"{NAME}--{NAME}.lock"
            lock.parent.mkdir(parents=True, exist_ok=True)
            definition = {"plugin_type": "extractors", **define_plugin(declared)}
            lock.write_text(json.dumps(definition, indent=2) + "\n")

    def _content(self, old: str) -> str:
        if self._target.plugin is None:
            merged = self._read_config(old)
            _add_config(merged, self._config)
            return json.dumps(merged, indent=2) + "\n"
        project = read_yaml(old) or {
            "default_environment": "dev",
            "environments": [{"name": "dev"}],
        }
        plugins = _child(project, "plugins", {})
        extractor = {
            "name": NAME,
            "variant": NAME,
            "pip_url": find_source(),
            "use_cached_catalog": False,
            "select": [*SELECT],
        }
        added = _find_plugin(plugins, "extractors", extractor)
        _add_config(_child(added, "config", {}), self._config)
        loader = _find_plugin(plugins, "loaders", self._target.plugin)
        _child(loader, "config", {}).update(self._destination)
        return to_yaml(project)

    def _read_config(self, text: str) -> dict[str, Any]:
        try:
            return msgspec.json.decode(text or "{}", type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError) as error:
            msg = f"{self._file}: cannot be read as a JSON object: {error}"
            raise SettingsError(msg) from None

    def _write_secrets(self, path: Path) -> None:
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if line.partition("=")[0].strip() not in self._secrets]
        kept += [f"{name}={_quote(value)}" for name, value in self._secrets.items()]
        with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            path.chmod(0o600)
            file.write("\n".join(kept) + "\n")

    @staticmethod
    def _add_lines(path: Path, lines: Sequence[str]) -> None:
        old = path.read_text() if path.exists() else ""
        missing = [line for line in lines if line not in old.splitlines()]
        if missing:
            end = "" if not old or old.endswith("\n") else "\n"
            path.write_text(old + end + "\n".join(missing) + "\n")


def _find_plugin(
    plugins: dict[str, Any], kind: str, requested: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the project's plugin of that name, added if there is none."""
    entries: list[dict[str, Any]] = _child(plugins, kind, [])
    for entry in entries:
        if entry.get("name") == requested["name"]:
            return entry
    added = deepcopy(dict(requested))
    entries.append(added)
    return added


def _child(parent: dict[str, Any], key: str, empty: _Child) -> _Child:
    """Return a mapping's value for a key; if it has none, `empty`, which is added.

    Raises:
        SettingsError: If the value is of another kind.
    """
    if parent.get(key) is None:
        parent[key] = empty
    found = parent[key]
    if not isinstance(found, type(empty)):
        kind = {dict: "a mapping", list: "a list"}[type(empty)]
        msg = f"{key}: expected {kind} in the existing project"
        raise SettingsError(msg)
    return found


def _add_config(config: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Add missing entries of queries and dashboards, and replace other settings."""
    for name, value in new.items():
        if isinstance(value, list):
            entries = _child(config, name, [])
            entries += [entry for entry in value if entry not in entries]
        else:
            config[name] = value


def _quote(value: str) -> str:
    """Quote a value for a `.env` file, if necessary."""
    if re.fullmatch(r"[\w./:@+-]*", value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
