"""`--init`: from an address and a key to a configuration that runs."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from stat import S_IMODE
from typing import TYPE_CHECKING

import pytest
import yaml

from tap_looker_tasks.config import Settings
from tests.singer import interrupt, invoke, stored_id, until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

COMMAND = str(Path(sys.executable).with_name("tap-looker-tasks"))
EXISTING = """\
# Ours.
default_environment: prod
environments:
- name: prod # the only one
plugins:
  extractors:
  - name: tap-github
    variant: meltanolabs
"""


def environment(simulator: Simulator, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "LOOKERSDK_BASE_URL": simulator.base_url,
        "LOOKERSDK_CLIENT_ID": simulator.client_id,
        "LOOKERSDK_CLIENT_SECRET": simulator.client_secret,
        **more,
    }


def init(folder: Path, environment: Mapping[str, str], *options: str) -> Run:
    with contextlib.chdir(folder):
        return invoke("--init", *options, environment=environment)


def response(
    folder: Path, environment: Mapping[str, str], responses: Sequence[tuple[str, str]]
) -> str:
    """Run it on a terminal, with a response to each question; return what the person sees."""
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        [COMMAND, "--init"],
        cwd=folder,
        env=environment,
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
    ) as process:
        os.close(other_end)
        seen, since, pending = "", 0, [*responses]
        ends_at = time.monotonic() + 120
        while time.monotonic() < ends_at and select.select([terminal], [], [], 60)[0]:
            try:
                seen += os.read(terminal, 4096).decode()
            except OSError:
                break
            if pending and pending[0][0] in seen[since:]:
                since = len(seen)
                os.write(terminal, f"{pending.pop(0)[1]}\n".encode())
        process.kill() if pending else process.wait()
    os.close(terminal)
    assert not pending, seen
    assert process.returncode == 0, seen
    return seen


@pytest.mark.slow
def test_options_and_environment_response_everything(simulator: Simulator, tmp_path: Path) -> None:
    address = f"{simulator.base_url}/explore/shop/orders?fields=orders.id,orders.created_time"
    done = init(
        tmp_path,
        environment(simulator),
        *("--extract", f"{simulator.base_url}/looks/1", "--extract", address),
        *("--incremental", "--target", "jsonl"),
    )
    assert done.exit_code == 0, done.log
    assert "as Simulator" in done.text
    assert "permissions: access_data, explore, see_looks" in done.text
    assert done.text.endswith("Next: meltano run tap-looker-tasks target-jsonl\n")
    project = yaml.safe_load((tmp_path / "meltano.yml").read_text())
    (tap,) = project["plugins"]["extractors"]
    assert tap["select"] == ["*.*", "!query_task_rows.*"]
    look, orders = tap["config"]["queries"]
    assert look["name"] == "airlines_by_flights"
    assert orders == {
        "name": "orders",
        "url": address,
        "primary_keys": "auto",
        "replication_key": "orders.created_time",
    }
    credentials = {"client_id": "me", "client_secret": "hush"}
    Settings.from_config(tap["config"] | credentials)
    lock = tmp_path / "plugins" / "extractors" / "tap-looker-tasks--tap-looker-tasks.lock"
    settings = {s["name"]: s for s in json.loads(lock.read_text())["settings"]}
    assert settings["client_secret"]["sensitive"] is True


@pytest.mark.slow
def test_first_contact_looks_everything_up_once(simulator: Simulator, tmp_path: Path) -> None:
    pages = ("--extract", "/looks/1", "--extract", "/dashboards/2", "--extract", "/looks/1")
    done = init(tmp_path, environment(simulator), *pages, "--target=jsonl")
    assert done.exit_code == 0, done.log
    calls = Counter((call.operation, call.path) for call in simulator.calls)
    assert max(calls.values()) == 1, calls
    assert {operation for operation, _ in calls} == {
        *("login", "versions", "me", "user_roles", "all_timezones", "logout"),
        *("look", "dashboard", "query", "merge_query", "lookml_model_explore"),
    }
    (tap,) = yaml.safe_load((tmp_path / "meltano.yml").read_text())["plugins"]["extractors"]
    queries, (board,) = tap["config"]["queries"], tap["config"]["dashboards"]
    assert [query["name"] for query in queries] == ["airlines_by_flights", "airlines_by_flights_2"]
    # Named, so that another title in Looker does not mean other tables.
    name = "orders_with_filters_that_apply_unless_changed"
    assert board == {
        "name": name,
        "url": "/dashboards/2",
        "primary_keys": "auto",
        "tiles": [{"id": "15", "primary_keys": []}],
    }
    assert f"{name}_new_tile_11: each row has a key" in done.text
    assert f"{name}_secret: rows have no key, so each run adds all its rows: " in done.text


@pytest.mark.slow
def test_a_tile_that_cannot_run_keeps_no_other_from_being_chosen(
    simulator: Simulator, tmp_path: Path
) -> None:
    tiles = [{"id": "1", "title": "Good", "query_id": stored_id(11)}, {"id": "2", "title": "Gone"}]
    tiles[1]["query_id"] = "nowhere"
    simulator.add_dashboard("70", {"title": "Half", "dashboard_elements": tiles})
    done = init(tmp_path, environment(simulator), "--extract=/dashboards/70", "--target=other")
    assert done.exit_code == 0, done.log
    (board,) = json.loads((tmp_path / "config.json").read_text())["dashboards"]
    assert board["tiles"] == [{"id": "2", "skip": True}]
    assert "half_gone: left out, because it cannot run: " in done.text


@pytest.mark.slow
def test_secrets_go_to_a_file_that_only_the_owner_reads(
    simulator: Simulator, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("OTHER=1\nTAP_LOOKER_TASKS_CLIENT_SECRET=old\n")
    (tmp_path / ".env").chmod(0o644)
    (tmp_path / ".gitignore").write_text("output")
    database = "postgresql://me:it's@host/db"
    done = init(
        tmp_path,
        environment(simulator),
        *("--extract", "/looks/1", "--target", "postgres", "--destination", database),
    )
    assert done.exit_code == 0, done.log
    assert (tmp_path / ".env").read_text() == (
        "OTHER=1\nTAP_LOOKER_TASKS_CLIENT_ID=simulator\nTAP_LOOKER_TASKS_CLIENT_SECRET=simulator\n"
        "TARGET_POSTGRES_SQLALCHEMY_URL='postgresql://me:it\\'s@host/db'\n"
    )
    assert S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert (tmp_path / ".gitignore").read_text() == "output\n.env\n/.meltano/\n"
    others = [p for p in tmp_path.rglob("*") if p.is_file() and p.name != ".env"]
    assert not any("it's" in path.read_text() for path in others)


@pytest.mark.slow
def test_an_existing_project_keeps_what_it_has(simulator: Simulator, tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text(EXISTING)
    options = ("--extract", "/looks/1", "--target", "jsonl")
    done = init(tmp_path, environment(simulator), *options)
    assert done.exit_code == 0, done.log
    assert "+  - name: tap-looker-tasks\n" in done.text
    written = (tmp_path / "meltano.yml").read_text()
    assert written.startswith(EXISTING)
    # Once more, with something else: nothing is doubled.
    init(tmp_path, environment(simulator), *options, "--extract", "/looks/5")
    plugins = yaml.safe_load((tmp_path / "meltano.yml").read_text())["plugins"]
    assert [tap["name"] for tap in plugins["extractors"]] == ["tap-github", "tap-looker-tasks"]
    assert [q["url"] for q in plugins["extractors"][1]["config"]["queries"]] == [
        *("/looks/1", "/looks/5")
    ]
    assert len(plugins["loaders"]) == 1


@pytest.mark.slow
def test_without_a_target_of_meltano_a_config_json_is_written(
    simulator: Simulator, tmp_path: Path
) -> None:
    done = init(tmp_path, environment(simulator), "--extract", "Orders by state", "--target=other")
    assert done.exit_code == 0, done.log
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["queries"][0]["url"] == f"{simulator.base_url}/looks/5"
    assert "client_secret" not in config
    command = done.text.rpartition("Next: ")[2].partition(" |")[0].split()
    run = subprocess.run(
        [COMMAND, *command[1:]],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert '"orders__state"' in run.stdout


@pytest.mark.slow
def test_on_a_terminal_it_asks_and_proposes(simulator: Simulator, tmp_path: Path) -> None:
    seen = response(
        tmp_path,
        {"PATH": os.environ["PATH"], "COLUMNS": "200"},
        [
            ("Address of your Looker: ", simulator.base_url),
            ("Client ID of your API key: ", simulator.client_id),
            ("Client secret: ", simulator.client_secret),
            ("(empty: no more): ", "/sql/abc"),
            ("(empty: no more): ", "/looks/999"),
            ("(empty: no more): ", "airlines"),
            ("Name of its table [airlines_by_flights]: ", "airlines"),
            ("(empty: no more): ", "orders"),
            ("Number of the page (1, 2, 3, 4, 5): ", "2"),
            ("Name of its table [orders_by_state]: ", "orders"),
            ("(empty: no more): ", ""),
            ("Where to load it (postgres, bigquery, jsonl, other) [jsonl]: ", ""),
            ("Folder of the files", ""),
            ("Write this [Y/n]: ", ""),
        ],
    )
    assert re.search("this is an SQL Runner query; paste", seen)
    assert "there is no Look 999" in seen
    assert f"Client secret: {simulator.client_secret}" not in seen
    assert "7 columns" in seen or "8 columns" in seen
    config = yaml.safe_load((tmp_path / "meltano.yml").read_text())["plugins"]["extractors"][0]
    assert [entry["name"] for entry in config["config"]["queries"]] == ["airlines", "orders"]
    assert re.search("2 Look +Orders by state +Orders +/looks/5", seen)


@pytest.mark.slow
def test_on_a_terminal_a_change_may_be_declined(simulator: Simulator, tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text(EXISTING)
    with pytest.raises(AssertionError, match="Write this"):
        response(
            tmp_path,
            environment(simulator, COLUMNS="200"),
            [
                ("(empty: no more): ", "/looks/1"),
                ("Name of its table", ""),
                ("(empty: no more): ", ""),
                ("Where to load it", "jsonl"),
                ("Folder of the files", ""),
                ("Write this [Y/n]: ", "n"),
            ],
        )
    assert (tmp_path / "meltano.yml").read_text() == EXISTING
    assert [path.name for path in tmp_path.iterdir()] == ["meltano.yml"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "exit_code", "reason"),
    [
        ((), 1, "nothing was chosen, so nothing was written; choose a Look, dashboard or Explore"),
        (("--extract", "/sql/abc"), 78, "/sql/abc: this is an SQL Runner query; paste"),
        (("--extract", "orders"), 78, "'orders' finds several: "),
        (("--extract", "nothing at all"), 78, "'nothing at all' finds no Look or dashboard"),
        (("--extract", "/looks/999"), 78, "there is no Look 999"),
        (("--extract", "/looks/1", "--client-id", "wrong"), 78, "check client_id"),
        (("--extract", "/looks/1", "--target", "postgres"), 2, "--destination is required"),
    ],
)
def test_what_cannot_continue_writes_nothing_and_names_the_reason(
    simulator: Simulator, tmp_path: Path, options: tuple[str, ...], exit_code: int, reason: str
) -> None:
    done = init(tmp_path, environment(simulator), *options)
    assert (done.exit_code, [*tmp_path.iterdir()]) == (exit_code, [])
    assert reason in done.log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "target", "reason"),
    [
        ("meltano.yml", "plugins: [", "jsonl", "meltano.yml: "),
        ("meltano.yml", "- a", "jsonl", "meltano.yml: expected a mapping"),
        ("meltano.yml", "plugins: {extractors: 5}", "jsonl", "extractors: expected a list"),
        ("config.json", "[1]", "other", "config.json: cannot be read as a JSON object"),
    ],
)
def test_an_existing_file_that_cannot_be_read_stays_unchanged(
    simulator: Simulator, tmp_path: Path, name: str, content: str, target: str, reason: str
) -> None:
    (tmp_path / name).write_text(content)
    options = ("--extract", "/looks/1", "--target", target)
    done = init(tmp_path, environment(simulator), *options)
    assert done.exit_code == 78
    assert reason in done.log
    assert (tmp_path / name).read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.slow
def test_a_project_without_plugins_gets_them(simulator: Simulator, tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text("default_environment: dev\nplugins:\n")
    done = init(tmp_path, environment(simulator), "--extract=/looks/1", "--target=jsonl")
    assert done.exit_code == 0, done.log
    assert len(yaml.safe_load((tmp_path / "meltano.yml").read_text())["plugins"]) == 2


@pytest.mark.slow
def test_credentials_that_are_missing_are_named_by_option(tmp_path: Path) -> None:
    done = init(tmp_path, {"PATH": os.environ["PATH"]})
    assert done.exit_code == 2
    assert "--base-url is required without a terminal" in done.log


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_logs_out_and_writes_nothing(
    simulator: Simulator, tmp_path: Path, number: signal.Signals
) -> None:
    simulator.fault("hang", operation="look", seconds=30)
    with subprocess.Popen(
        [COMMAND, "--init", "--extract", "/looks/1", "--target", "jsonl"],
        cwd=tmp_path,
        env=environment(simulator),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        until(lambda: bool(simulator.count("user_roles")))
        # The next request is the one that hangs.
        time.sleep(0.3)
        output, _ = interrupt(process, number)
    assert simulator.count("logout") == 1
    assert b"Traceback" not in output
    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
def test_help_lists_its_options(tmp_path: Path) -> None:
    done = init(tmp_path, {"PATH": os.environ["PATH"]}, "--help")
    assert done.exit_code == 0
    assert "--extract" in done.text
