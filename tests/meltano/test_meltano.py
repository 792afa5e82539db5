"""The tap as Meltano runs it: the project's `meltano.yml`, real plugins, a real target."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from demo.application import CREDENTIAL, Application, Wish
from demo.processes import Meltano, Run, running_simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROJECT = Path(__file__).parent.parent.parent
_STATE_ID = "dev:tap-looker-tasks-to-target-jsonl"
_GOOD = Wish(f"query{1:017}", "json_detail")
_FAILING = Wish(f"query{5:017}", "json_detail")


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_simulator(tmp_path_factory.mktemp("simulator") / "log") as url:
        yield url


@pytest.fixture
def application(base_url: str, tmp_path: Path) -> Application:
    return Application(base_url, tmp_path / "query_task_ids.txt")


@pytest.fixture
def way_out() -> Iterator[socket.socket]:
    """A proxy that never responds: a request that leaves this machine waits in it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(0)
        yield server


class Pipeline:
    """`meltano run tap-looker-tasks target-jsonl`, and what it delivers."""

    def __init__(self, application: Application, proxy: socket.socket, folder: Path) -> None:
        self._application = application
        self._output = folder / "output"
        self._output.mkdir()
        host, port = proxy.getsockname()
        self._meltano = Meltano(
            _PROJECT,
            folder,
            {
                "HTTP_PROXY": f"http://{host}:{port}",
                "HTTPS_PROXY": f"http://{host}:{port}",
                "TAP_LOOKER_TASKS_BASE_URL": application.base_url,
                "TAP_LOOKER_TASKS_CLIENT_ID": CREDENTIAL,
                "TAP_LOOKER_TASKS_CLIENT_SECRET": CREDENTIAL,
                "TAP_LOOKER_TASKS_QUERY_TASK_IDS_FILE": str(application.ids_file),
                "TARGET_JSONL_DESTINATION_PATH": str(self._output),
            },
        )

    def run(self) -> Run:
        return self._meltano.run("run", "tap-looker-tasks", "target-jsonl")

    def ids(self) -> list[str]:
        return self._application.ids_file.read_text().split()

    def finished(self) -> dict[str, str]:
        finished: dict[str, str] = self._meltano.bookmarks(_STATE_ID)["query_task_results"][
            "finished"
        ]
        return finished

    def delivered(self) -> list[dict[str, Any]]:
        lines = (self._output / "query_task_results.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def pipeline(application: Application, way_out: socket.socket, tmp_path: Path) -> Pipeline:
    return Pipeline(application, way_out, tmp_path)


@pytest.mark.slow
def test_a_failed_task_fails_the_run_once_and_is_not_delivered_again(
    pipeline: Pipeline, application: Application, way_out: socket.socket
) -> None:
    application.create_query_tasks([_GOOD, _FAILING, _GOOD])
    good, failing, other = pipeline.ids()

    run = pipeline.run()

    assert run.exit_code == 1
    assert failing in (run.sentence("1 query task did not complete") or "")
    assert {record["query_task_id"]: record["status"] for record in pipeline.delivered()} == {
        good: "complete",
        failing: "error",
        other: "complete",
    }
    assert pipeline.finished() == {good: "complete", failing: "error", other: "complete"}

    application.create_query_tasks([_GOOD])
    new = pipeline.ids()[-1]

    assert pipeline.run().exit_code == 0
    delivered = [record["query_task_id"] for record in pipeline.delivered()]
    assert sorted(delivered) == sorted([good, failing, other, new])
    assert new in pipeline.finished()
    # No request left this machine.
    with pytest.raises(BlockingIOError):
        way_out.accept()


def test_meltano_yml_is_valid() -> None:
    schema = json.loads((files("meltano") / "schemas" / "meltano.schema.json").read_text())
    project = yaml.safe_load((_PROJECT / "meltano.yml").read_text())

    jsonschema.validate(project, schema)


def test_every_plugin_is_custom_so_that_no_hub_is_needed() -> None:
    plugins = yaml.safe_load((_PROJECT / "meltano.yml").read_text())["plugins"]

    assert all(plugin["namespace"] for kind in plugins.values() for plugin in kind)
