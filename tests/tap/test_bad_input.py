"""Exit 1 and one clear line, whatever is wrong; nothing secret, nothing lost."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]


def rejected(run: Run, exit_code: int = 78) -> str:
    """The message of a run that failed as it should."""
    assert run.exit_code == exit_code
    assert "Traceback" not in run.log
    return run.error


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", None),
        ("base_url", "looker.test"),
        ("base_url", "http://looker.test"),
        ("client_id", None),
        ("client_secret", None),
        ("batch_size", 251),
        ("query_task_ids", ["good", "not good"]),
        ("query_task_ids", ["good", ""]),
        ("poll_interval_seconds", "soon"),
    ],
)
def test_a_wrong_setting_is_named_before_any_request(
    simulator: Simulator, tap: Tap, name: str, value: object
) -> None:
    run = tap(**{name: value})
    assert rejected(run).startswith(name)
    assert simulator.calls == []
    assert run.messages == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"\xff\xfe", "UTF-8"), (b"good\nnot good\n", "line 2")],
)
def test_a_file_of_ids_that_cannot_be_read_is_named_before_any_request(
    simulator: Simulator, tap: Tap, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "ids.txt"
    if content is not None:
        path.write_bytes(content)
    message = rejected(tap(query_task_ids_file=str(path)))
    assert message.startswith("query_task_ids_file: ")
    assert reason in message
    assert simulator.calls == []


def test_wrong_credentials_are_named_and_not_shown(tap: Tap) -> None:
    run = tap(query_task_ids=["x"], client_secret="not-the-secret")
    message = rejected(run)
    assert "client_id and client_secret" in message
    assert "not-the-secret" not in run.log


def test_no_one_listening_is_reported_with_the_address(tap: Tap) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        base_url = f"http://127.0.0.1:{server.getsockname()[1]}"
    message = rejected(tap(query_task_ids=["x"], base_url=base_url, http_max_tries=2), 1)
    assert base_url in message
    assert "base_url" in message
    assert "refused" in message.lower()


@pytest.mark.parametrize("fault", ["not_json", "not_a_map"])
@pytest.mark.parametrize("operation", ["login", "query_task_multi_results"])
def test_a_response_that_is_not_lookers_is_reported_with_the_address(
    simulator: Simulator, tap: Tap, fault: str, operation: str
) -> None:
    id_ = simulator.create_task("1", "json")
    simulator.fault(fault, times=None, operation=operation)
    message = rejected(tap(query_task_ids=[id_], http_max_tries=2), 1)
    assert simulator.base_url in message
    assert operation in message


def test_a_redirect_is_not_followed(simulator: Simulator, tap: Tap) -> None:
    simulator.fault("redirected", times=None, operation="login")
    assert "302" in rejected(tap(query_task_ids=["x"]))


@pytest.mark.parametrize("option", ["--config", "--state", "--catalog"])
def test_a_file_that_is_not_there_is_named(tap: Tap, option: str) -> None:
    run = tap(option, "nowhere.json")
    assert run.exit_code != 0
    assert "nowhere.json" in run.log
    assert "Traceback" not in run.log


def test_the_secret_is_nowhere_in_a_run(simulator: Simulator, tap: Tap) -> None:
    simulator.fault("server_error", times=None, operation="query_task_multi_results")
    run = tap(query_task_ids=["x"], client_secret=simulator.client_secret)
    lines = [line for line in run.log.splitlines() if simulator.client_secret in line]
    assert [line for line in lines if simulator.base_url not in line] == []
