"""gazer, which copies Looker's content, reads Looks and dashboards from the simulator."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from looker_simulator.simulator import Simulator

_GEMS = Path(__file__).parents[2] / ".cache" / "gazer"
_PROGRAM = _GEMS / "bin" / "gzr"
pytestmark = pytest.mark.skipif(
    not _PROGRAM.is_file(), reason="gazer is not installed: make test-clients"
)


def gazer(simulator: Simulator, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Run gazer, and return the JSON that it prints."""
    address = urlsplit(simulator.base_url)
    where = ("--host", str(address.hostname), "--port", str(address.port), "--no-ssl")
    who = ("--client-id", simulator.client_id, "--client-secret", simulator.client_secret)
    done = subprocess.run(
        [_PROGRAM, *arguments, *where, *who],
        env={**os.environ, "GEM_HOME": str(_GEMS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {call.status for call in simulator.calls} <= {200, 204}
    assert simulator.calls[-1].operation == "logout"
    return json.loads(done.stdout)


@pytest.mark.parametrize("look_id", ["1", "5"])
def test_it_reads_a_look(simulator: Simulator, look_id: str) -> None:
    look = gazer(simulator, "look", "cat", look_id, "--plans")
    assert (look["id"], look["scheduled_plans"]) == (look_id, [])
    assert look["query"]["id"] == look["query_id"]


@pytest.mark.parametrize("dashboard_id", ["1", "2", "shop::overview"])
def test_it_reads_a_dashboard(simulator: Simulator, dashboard_id: str) -> None:
    dashboard = gazer(simulator, "dashboard", "cat", dashboard_id)
    assert dashboard["id"] == dashboard_id
    merged = [tile for tile in dashboard["dashboard_elements"] if tile["merge_result_id"]]
    assert len(merged) == (dashboard_id != "shop::overview")
    for tile in merged:
        queries = [source["query"] for source in tile["merge_result"]["source_queries"]]
        assert [query["model"] for query in queries] in (["flights_2013"] * 2, ["shop"] * 2)
