"""The command `looker-simulator`."""

from __future__ import annotations

import gc
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from click.testing import CliRunner

from looker_simulator import command
from looker_simulator.faults import FAULTS, VARIANTS
from looker_simulator.simulator import Simulator, SimulatorOptions

if TYPE_CHECKING:
    from looker_simulator.engine import Database

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("looker-simulator")


def rejected(*arguments: str) -> str:
    done = subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


def test_the_help_explains_everything() -> None:
    done = subprocess.run(
        [COMMAND, "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    for word in (
        "client",
        "simulator",
        "loopback",
        "flights_2013",
        "--latency",
        *FAULTS,
        *VARIANTS,
    ):
        assert word in done.stdout or word == "client"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_interrupted(number: int) -> None:
    arguments = ["--port", "0", "--latency", "0-0.1", "--fault", "server_error:2"]
    with subprocess.Popen(
        [COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        (base_url,) = (word for word in line.split() if word.startswith("http://127.0.0.1:"))
        credentials = {"client_id": "simulator", "client_secret": "simulator"}
        login = requests.post(f"{base_url}/api/4.0/login", data=credentials, timeout=20)
        token = {"Authorization": f"token {login.json()['access_token']}"}
        requested = [
            requests.get(f"{base_url}/api/4.0/user", headers=token, timeout=20) for _ in range(3)
        ]
        assert [response.status_code for response in requested] == [500, 500, 200]
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--fault", "nonsense"], "nonsense"),
        (["--fault", "server_error:often"], "often"),
        (["--latency", "long"], "long"),
        (["--round-trip", "-1"], "--round-trip"),
        (["--stall-timeout", "soon"], "soon"),
    ],
)
def test_a_wrong_option_is_named(arguments: list[str], reason: str) -> None:
    assert reason in rejected(*arguments)


def test_ones_own_data_are_served(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("id,state\n1,CA\n2,NY\n")
    model = tmp_path / "store.yml"
    model.write_text(
        "views:\n  orders: {dimensions: {state: {}}, measures: {count: {type: count}}}\n"
        "explores:\n  orders: {symbol: x}\n"
    )
    arguments = ["--port", "0", "--data", str(tmp_path), "--model", str(model)]
    with subprocess.Popen(
        [COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        (base_url,) = (word for word in line.split() if word.startswith("http://127.0.0.1:"))
        api = f"{base_url}/api/4.0"
        credentials = {"client_id": "simulator", "client_secret": "simulator"}
        login = requests.post(f"{api}/login", data=credentials, timeout=20)
        token = {"Authorization": f"token {login.json()['access_token']}"}
        query = {"model": "store", "view": "orders", "fields": ["orders.count"]}
        response = requests.post(f"{api}/queries/run/json", json=query, headers=token, timeout=20)
        assert response.json() == [{"orders.count": 2}]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert errors == "Warning: store.yml, line 4: explore orders: `symbol` is not understood\n"


def test_a_wrong_model_is_named(tmp_path: Path) -> None:
    model = tmp_path / "store.yml"
    model.write_text("views: 3\nexplores: {}\n")
    assert "--data and --model go together" in rejected("--model", str(model))
    shown = rejected("--data", str(tmp_path), "--model", str(model))
    assert shown == (
        "Error: store.yml, line 1: expected `views` as names with what is declared below each\n"
    )


def test_a_port_in_use_is_named(simulator: object) -> None:
    base_url: str = getattr(simulator, "base_url")  # noqa: B009 - only its address matters
    assert "cannot listen on port" in rejected("--port", base_url.rpartition(":")[2])


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_https_is_served_with_a_certificate_that_it_creates(
    database: Database, tmp_path: Path
) -> None:
    certificate = command._make_certificate(tmp_path, "127.0.0.1")  # noqa: SLF001 - what --tls does
    options = SimulatorOptions(certificate=certificate)
    with Simulator(options, database=database) as simulator:
        assert simulator.base_url.startswith("https://127.0.0.1:")
        response = requests.get(f"{simulator.base_url}/alive", verify=str(certificate), timeout=20)
        assert response.ok
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{simulator.base_url}/alive", timeout=20)
    # The end of the loop cuts off the TLS shutdown of its connections, which nothing closes then.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_an_address_that_others_reach_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_serve", lambda *_: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    run = CliRunner().invoke(command.serve, ["--host", "0.0.0.0"])
    assert (run.exit_code, run.stdout) == (0, "")
    assert run.stderr.startswith("Warning: any client that reaches 0.0.0.0 can log in")
    assert CliRunner().invoke(command.serve, []).stderr == ""


def test_tls_names_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    run = CliRunner().invoke(command.serve, ["--tls"])
    assert run.exit_code == 1
    assert "--tls needs openssl" in run.stderr
    assert "use --certificate" in run.stderr
