"""The settings as Meltano hands them on from the environment, and the plugin's definition."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml

from tap_looker_tasks.config.entries import Decimals
from tap_looker_tasks.tap import TapLookerTasks
from tests.interface.declared import PROJECT, about, meltano_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
PREFIX = "TAP_LOOKER_TASKS_"
# Setting -> text in the environment, and what the tap makes of it.
VALUES: dict[str, tuple[str, Any]] = {
    "base_url": ("https://looker.test", "https://looker.test"),
    "client_id": ("me", "me"),
    "client_secret": ("hush", "hush"),
    "verify_ssl": ("no", False),
    "ca_bundle": ("ca.pem", "ca.pem"),
    "query_task_ids": ('["a", "b"]', ("a", "b")),
    "query_task_ids_file": ("ids.txt", "ids.txt"),
    "queries": ('[{"name": "orders", "look_id": 42}]', [("orders", 42)]),
    "dashboards": ('[{"name": "sales", "dashboard_id": 7}]', [("sales", 7)]),
    "start_date": ("2026-01-31", "2026-01-31"),
    "query_timezone": ("Europe/Zurich", "Europe/Zurich"),
    "result_format": ("json_bi", "json_bi"),
    "cache": ("false", False),
    "decimals": ('{"precision": 10, "scale": 2}', Decimals(precision=10, scale=2)),
    "polling": ("sparing", "sparing"),
    "run_id": ("nightly", "nightly"),
    "wait_for_completion": ("false", False),
    "task_timeout_seconds": ("1.5", 1.5),
    "sync_timeout_seconds": ("2.5", 2.5),
    "max_concurrent_tasks": ("3", 3),
    "max_connections": ("4", 4),
    "batch_size": ("5", 5),
    "poll_interval_seconds": ("0.5", 0.5),
    "poll_max_interval_seconds": ("6.5", 6.5),
    "expired_grace_seconds": ("7.5", 7.5),
    "max_task_attempts": ("8", 8),
    "on_interrupt": ("leave", "leave"),
    "fail_on_task_error": ("off", False),
    "http_timeout_seconds": ("9.5", 9.5),
    "http_max_tries": ("10", 10),
    "max_response_bytes": ("11", 11),
    "api_call_limit": ("12", 12),
    "shard_count": ("14", 14),
    "shard_index": ("13", 13),
    "max_name_length": ("30", 30),
    "report_path": ("report.html", "report.html"),
    "summary_path": ("summary.json", "summary.json"),
    "stream_maps": ('{"orders": {"x": "1"}}', {"orders": {"x": "1"}}),
    "stream_map_config": ('{"salt": "s"}', {"salt": "s"}),
    "faker_config": ('{"seed": 1}', {"seed": 1}),
    "flattening_enabled": ("true", True),
    "flattening_max_depth": ("2", 2),
    "flattening_max_key_length": ("40", 40),
    "flattening_separator": ("__", "__"),
    "batch_config": ('{"storage": {"prefix": "p"}}', {"storage": {"prefix": "p"}}),
}


def meltano(
    project: Path, database: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> str:
    """Run Meltano without any network; return what it wrote."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
    done = subprocess.run(
        [BIN / "meltano", "--log-level", "error", *arguments],
        cwd=project,
        env={
            **inherited,
            **(environment or {}),
            "MELTANO_PROJECT_ROOT": str(project),
            "MELTANO_DATABASE_URI": f"sqlite:///{database}",
            "HTTPS_PROXY": "http://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what the tap makes of the configuration that Meltano writes for it."""
    written = meltano(
        PROJECT,
        tmp_path_factory.mktemp("database") / "meltano.db",
        *("invoke", "--dump=config", "tap-looker-tasks"),
        environment={PREFIX + name.upper(): text for name, (text, _) in VALUES.items()},
    )
    tap = TapLookerTasks(config=json.loads(written), setup_mapper=False)
    return {**tap.config, **msgspec.structs.asdict(tap.settings)}


@pytest.mark.parametrize("name", list(about()))
def test_every_setting_may_come_from_the_environment(configured: dict[str, Any], name: str) -> None:
    found = configured[name]
    if name == "queries":
        found = [(query.name, query.look_id) for query in found]
    elif name == "dashboards":
        found = [(dashboard.name, dashboard.dashboard_id) for dashboard in found]
    assert found == VALUES[name][1]


def test_the_example_has_the_whole_definition(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "examples/system_activity", tmp_path / "project")
    listed = meltano(
        tmp_path / "project",
        tmp_path / "meltano.db",
        *("config", "list", "--all", "tap-looker-tasks"),
        environment={f"{PREFIX}CLIENT_SECRET": "hush"},
    )
    assert "hush" not in listed
    assert "client_secret [env: TAP_LOOKER_TASKS_CLIENT_SECRET] current value: (redacted)" in listed
    assert all(f"{name} [" in listed for name in about())


def test_another_project_adds_the_plugin_from_its_definition(tmp_path: Path) -> None:
    definition = yaml.safe_load((PROJECT / "plugin.yml").read_text())
    # The command that is installed already: nothing is to be asked of a package index here.
    del definition["pip_url"]
    definition["executable"] = str(BIN / definition["executable"])
    (tmp_path / "plugin.yml").write_text(yaml.safe_dump(definition))
    project = tmp_path / "project"
    project.mkdir()
    (project / "meltano.yml").write_text("default_environment: dev\nenvironments: [{name: dev}]\n")
    add = ("add", "--plugin-type", "extractor", "--from-ref", "../plugin.yml", "--no-install")
    meltano(project, tmp_path / "meltano.db", *add, "tap-looker-tasks")

    added = yaml.safe_load((project / "meltano.yml").read_text())
    (plugin,) = added["plugins"]["extractors"]
    assert plugin["settings"] == meltano_settings()
    catalog = json.loads(
        meltano(project, tmp_path / "meltano.db", "invoke", "tap-looker-tasks", "--discover")
    )
    streams = [stream["tap_stream_id"] for stream in catalog["streams"]]
    assert streams == ["query_task_results", "query_task_rows"]
