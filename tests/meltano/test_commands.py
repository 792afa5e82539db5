"""Meltano's commands, each as people use it, in a separate project."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from demo.application import CREDENTIAL
from tests.interface.declared import PROJECT, about, meltano_settings
from tests.meltano.test_settings import BIN
from tests.singer import stored_id

if TYPE_CHECKING:
    from pathlib import Path

    from looker_simulator.simulator import Simulator

pytestmark = pytest.mark.slow
_SECONDS = 170
_TAP = "tap-looker-tasks"
_LOADER = PROJECT / ".meltano" / "loaders" / "target-jsonl" / "venv" / "bin" / "target-jsonl"
_DAYS = {
    "name": "days",
    "explore": {
        "model": "flights_2013",
        "explore": "flights",
        "fields": ["flights.departure_date", "flights.count"],
        "filters": {"flights.departure_date": "2013-12-01 to 2014-01-01"},
        "sorts": ["flights.departure_date"],
    },
    "primary_keys": ["flights.departure_date"],
    "replication_key": "flights.departure_date",
}
_AIRLINES = {"name": "airlines", "query_id": stored_id(1), "primary_keys": ["flights.carrier"]}


def write_project(folder: Path) -> None:
    tap = {
        "name": _TAP,
        "namespace": "tap_looker_tasks",
        "executable": str(BIN / _TAP),
        "capabilities": ["catalog", "state", "discover", "about", "stream-maps"],
        "settings": meltano_settings(),
        "use_cached_catalog": False,
        "config": {"queries": [_DAYS, _AIRLINES], "poll_interval_seconds": "0.05"},
        "select": ["*.*", "!query_task_rows.*"],
    }
    renamed = {
        "name": f"{_TAP}--renamed",
        "inherit_from": _TAP,
        "config": {
            "queries": [_AIRLINES],
            # The SDK takes `__NULL__` for null; Meltano stumbles over a null that is inherited.
            "stream_maps": {"airlines": {"__alias__": "carriers", "flights__count": "__NULL__"}},
        },
    }
    pasted = {
        "name": f"{_TAP}--pasted",
        "inherit_from": _TAP,
        "config": {
            "queries": [{"url": "/looks/5", "primary_keys": "auto"}],
            "dashboards": [
                {
                    "name": "d",
                    "url": "/dashboards/shop::overview?State=NY",
                    "primary_keys": "auto",
                    "tiles": [{"title": "By customer", "skip": True}],
                }
            ],
        },
    }
    target = {
        "name": "target-jsonl",
        "namespace": "target_jsonl",
        "executable": str(_LOADER),
        "config": {"destination_path": "output", "do_timestamp_file": False},
    }
    project = {
        "default_environment": "dev",
        "send_anonymous_usage_stats": False,
        "environments": [
            {"name": "dev"},
            {
                "name": "prod",
                "config": {
                    "plugins": {"extractors": [{"name": _TAP, "config": {"queries": [_AIRLINES]}}]}
                },
            },
        ],
        "plugins": {"extractors": [tap, renamed, pasted], "loaders": [target]},
        "jobs": [{"name": "hourly", "tasks": [f"{_TAP} target-jsonl"]}],
        "schedules": [{"name": "hourly", "job": "hourly", "interval": "@hourly"}],
    }
    (folder / "meltano.yml").write_text(yaml.safe_dump(project, sort_keys=False))
    (folder / "output").mkdir()


class Project:
    """A Meltano project with the tap, one that inherits from it, and a target."""

    def __init__(self, folder: Path, base_url: str) -> None:
        self._folder = folder
        write_project(folder)
        self._environment = {
            **os.environ,
            "MELTANO_PROJECT_ROOT": str(folder),
            "NO_COLOR": "1",
            "NO_PROXY": "127.0.0.1",
            "TAP_LOOKER_TASKS_BASE_URL": base_url,
            "TAP_LOOKER_TASKS_CLIENT_ID": CREDENTIAL,
            "TAP_LOOKER_TASKS_CLIENT_SECRET": CREDENTIAL,
        }

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [BIN / "meltano", *arguments],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        return done.stdout

    def take(self, stream: str) -> list[dict[str, Any]]:
        """Return what was delivered of a stream since the last time."""
        path = self._folder / "output" / f"{stream}.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    def manifest(self, environment: str) -> dict[str, Any]:
        folder = self._folder / ".meltano" / "manifests"
        manifest: dict[str, Any] = json.loads(
            (folder / f"meltano-manifest.{environment}.json").read_text()
        )
        return manifest

    def bookmarks(self, state_id: str) -> dict[str, Any]:
        bookmarks: dict[str, Any] = json.loads(self("state", "get", state_id))["singer_state"][
            "bookmarks"
        ]
        return bookmarks


@pytest.fixture
def project(simulator: Simulator, tmp_path: Path) -> Project:
    return Project(tmp_path, simulator.base_url)


@pytest.mark.meltano
def test_run_continues_from_its_state_until_everything_is_delivered(project: Project) -> None:
    project("run", _TAP, "target-jsonl")
    assert len(project.take("days")) == 31
    assert len(project.take("airlines")) == 16

    project("schedule", "run", "hourly")
    assert [row["flights__departure_date"] for row in project.take("days")] == ["2013-12-31"]

    project("run", "--full-refresh", _TAP, "target-jsonl")
    assert len(project.take("days")) == 31


@pytest.mark.meltano
def test_discovery_looks_no_saved_query_up_again(project: Project, simulator: Simulator) -> None:
    def count_lookups() -> tuple[int, int]:
        counts = simulator.count("query"), simulator.count("lookml_model_explore")
        simulator.clear_calls()
        return counts

    project("run", _TAP, "target-jsonl")
    # Both processes look the query up, and discovery its Explore, which the other query shares.
    assert count_lookups() == (2, 1)

    project("run", _TAP, "target-jsonl")
    assert count_lookups() == (0, 1)


@pytest.mark.meltano
def test_state_is_set_copied_listed_and_cleared(project: Project) -> None:
    state_id = f"dev:{_TAP}-to-target-jsonl"
    bookmark = {"replication_key": "flights__departure_date", "replication_key_value": "2013-12-31"}
    state = {"singer_state": {"bookmarks": {"days": bookmark}}}
    project("state", "set", "--force", state_id, json.dumps(state))
    project("state", "copy", "--force", state_id, "dev:kept")
    project("state", "clear", "--force", state_id)
    assert "dev:kept" in project("state", "list")
    assert project.bookmarks("dev:kept")["days"] == bookmark
    project("run", _TAP, "target-jsonl")
    assert len(project.take("days")) == 31


def test_pasted_addresses_have_rows_with_keys(project: Project) -> None:
    project("run", f"{_TAP}--pasted", "target-jsonl")
    rows = [*project.take("orders_by_state"), *project.take("d_by_city")]
    assert len({row["_row_key"] for row in rows}) == len(rows) == 3 + 1
    assert project.take("d_by_customer") == []


@pytest.mark.meltano
def test_el_and_elt_keep_state_under_an_id_of_their_own(project: Project) -> None:
    project("el", _TAP, "target-jsonl", "--state-id=shard-0", "--select=days.*")
    assert len(project.take("days")) == 31
    assert project.take("airlines") == []

    project("elt", _TAP, "target-jsonl", "--state-id=shard-0")
    assert len(project.take("days")) == 1
    assert "days" in project.bookmarks("shard-0")


@pytest.mark.meltano
def test_environments_and_plugins_that_inherit_have_configurations_of_their_own(
    project: Project,
) -> None:
    project("--environment=prod", "run", _TAP, "target-jsonl")
    assert (len(project.take("days")), len(project.take("airlines"))) == (0, 16)
    project.bookmarks(f"prod:{_TAP}-to-target-jsonl")

    project("run", f"{_TAP}--renamed", "target-jsonl")
    carriers = project.take("carriers")
    assert len(carriers) == 16
    assert "flights__count" not in carriers[0]
    assert "flights__carrier" in carriers[0]


@pytest.mark.meltano
def test_settings_are_listed_set_printed_and_tested(project: Project) -> None:
    assert "TAP_LOOKER_TASKS_BATCH_SIZE" in project("config", "list", "--all", _TAP)

    project("config", "set", _TAP, "batch_size", "7")

    assert json.loads(project("config", "print", _TAP))["batch_size"] == 7
    assert "Plugin configuration is valid" in project("config", "test", _TAP)


@pytest.mark.meltano
def test_a_manifest_is_compiled_without_the_secret(project: Project) -> None:
    project("compile", "--lint")

    manifest = project.manifest("dev")
    (tap, *_) = manifest["plugins"]["extractors"]
    assert {setting["name"] for setting in tap["settings"]} >= {*about()}
    assert tap["env"]["TAP_LOOKER_TASKS_POLL_INTERVAL_SECONDS"] == "0.05"
    assert CREDENTIAL not in tap["env"]["TAP_LOOKER_TASKS_CLIENT_SECRET"]


@pytest.mark.meltano
def test_select_takes_columns_and_streams(project: Project) -> None:
    project("select", _TAP, "--exclude", "airlines", "flights__count")
    project("select", _TAP, "--exclude", "days", "*")
    listed = project("select", _TAP, "--list", "--all")
    assert "airlines.flights__count" in listed

    project("run", _TAP, "target-jsonl")

    assert project.take("days") == []
    airlines = project.take("airlines")
    assert "airlines__name" in airlines[0]
    assert "flights__count" not in airlines[0]


@pytest.mark.meltano
def test_the_tap_is_invoked(project: Project) -> None:
    catalog = json.loads(project("invoke", _TAP, "--discover"))
    streams = {stream["tap_stream_id"] for stream in catalog["streams"]}
    assert streams == {"query_task_results", "query_task_rows", "days", "airlines"}
    project("invoke", _TAP, "--test")


@pytest.mark.meltano
def test_from_an_empty_folder_to_rows_in_two_commands(simulator: Simulator, tmp_path: Path) -> None:
    environment = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "NO_PROXY": "127.0.0.1",
    }
    sdk = {
        "LOOKERSDK_BASE_URL": simulator.base_url,
        "LOOKERSDK_CLIENT_ID": simulator.client_id,
        "LOOKERSDK_CLIENT_SECRET": simulator.client_secret,
    }
    folder = tmp_path / "project"
    folder.mkdir()

    def do(*command: str, **more: str) -> None:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    do(_TAP, "--init", "--extract", f"{simulator.base_url}/looks/1", "--target", "jsonl", **sdk)
    # What is installed already runs: nothing is to be asked of a package index here.
    lock = folder / "plugins" / "extractors" / f"{_TAP}--{_TAP}.lock"
    definition = json.loads(lock.read_text())
    assert definition.pop("pip_url")
    lock.write_text(json.dumps(definition | {"executable": str(BIN / _TAP)}))
    project = yaml.safe_load((folder / "meltano.yml").read_text())
    (tap,), (loader,) = project["plugins"]["extractors"], project["plugins"]["loaders"]
    assert tap.pop("pip_url")
    assert loader.pop("pip_url")
    loader["executable"] = str(_LOADER)
    (folder / "meltano.yml").write_text(yaml.safe_dump(project))

    do("meltano", "run", _TAP, "target-jsonl")
    rows = (folder / "airlines_by_flights.jsonl").read_text().splitlines()
    assert len(rows) == 16
    assert len({json.loads(row)["_row_key"] for row in rows}) == 16
