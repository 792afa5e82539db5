"""The page at `/`, the description of the API, and the fixture for others."""

from __future__ import annotations

import subprocess
import sys
from html import unescape
from typing import TYPE_CHECKING

import pytest
import requests

from looker_simulator.faults import FAULTS
from looker_simulator.routes import ROUTES

if TYPE_CHECKING:
    from pathlib import Path

    from looker_simulator.simulator import Simulator
    from tests.simulator.browser import Browser


def page(simulator: Simulator) -> str:
    response = requests.get(simulator.base_url, timeout=20)
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["Content-Type"].startswith("text/html")
    return response.text


def test_the_page_shows_tasks_and_requests(
    simulator: Simulator, browser: Browser, finished: str
) -> None:
    assert browser.ask(finished, "<script>alert(1)</script>").ok
    shown = page(simulator)
    assert finished in shown
    assert '<td class="good">complete</td>' in shown
    assert "query_task_multi_results" in shown
    assert "alert(1)" in shown
    assert "<script>alert" not in shown
    for external in ("http://", "https://"):
        assert external not in shown.partition("</head>")[0]


def test_faults_are_switched_on_the_page(
    simulator: Simulator, browser: Browser, finished: str
) -> None:
    shown = unescape(page(simulator))
    assert [name for name in FAULTS if f"{name}: {FAULTS[name].description}" not in shown] == []
    url = f"{simulator.base_url}/simulator/faults"
    form = {
        "name": "server_error",
        "operation": "",
        "times": "",
        "after": "1",
        "seconds": "1.5",
        "query_task_id": finished,
        "query_id": "",
    }
    response = requests.post(url, data=form, timeout=20)
    assert (response.history[0].status_code, response.url) == (303, f"{simulator.base_url}/")
    assert "<td>always</td>" in response.text
    assert [browser.ask(finished).status_code for _ in range(3)] == [200, 500, 500]
    assert '<td class="bad">500</td>' in page(simulator)
    assert "Faults waiting</h2><p>None." in requests.post(f"{url}/clear", timeout=20).text
    assert browser.ask(finished).ok


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_switch_nothing(simulator: Simulator, site: str) -> None:
    url = f"{simulator.base_url}/simulator/faults"
    headers = {"Sec-Fetch-Site": site}
    response = requests.post(url, data={"name": "hang"}, headers=headers, timeout=20)
    assert response.status_code == 403
    assert requests.get(url, timeout=20).json() == []


def test_a_fault_that_is_none_is_rejected(simulator: Simulator) -> None:
    url = f"{simulator.base_url}/simulator/faults"
    response = requests.post(url, data={"name": "hang", "times": "often"}, timeout=20)
    assert response.status_code == 422
    assert "times" in response.json()["message"]


def test_what_is_implemented_is_described(simulator: Simulator) -> None:
    described = requests.get(f"{simulator.base_url}/openapi.json", timeout=20).json()
    assert described["servers"] == [{"url": f"{simulator.base_url}/api/4.0"}]
    operations = {
        (verb.upper(), path): operation["operationId"]
        for path, verbs in described["paths"].items()
        for verb, operation in verbs.items()
    }
    assert operations == {(route.verb, route.path): route.operation_id for route in ROUTES}
    run = described["paths"]["/queries/{query_id}/run/{result_format}"]["get"]
    named = {(p["name"], p["in"]) for p in run["parameters"]}
    assert {("query_id", "path"), ("limit", "query"), ("server_table_calcs", "query")} <= named


OTHERS_TESTS = """
import pytest
import requests


@pytest.mark.looker_simulator(token_lifetime_seconds=7)
def test_client(looker_simulator):
    credentials = {"client_id": "simulator", "client_secret": looker_simulator.client_secret}
    url = looker_simulator.base_url + "/api/4.0/login"
    assert requests.post(url, data=credentials, timeout=20).json()["expires_in"] == 7


def test_another(looker_simulator):
    assert looker_simulator.calls == []
"""


@pytest.mark.slow
def test_others_have_a_fixture(tmp_path: Path) -> None:
    (tmp_path / "test_client.py").write_text(OTHERS_TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
