"""The table of errors: each message is provoked, and is printed as the page has it."""

from __future__ import annotations

import re
import resource
import socket
import ssl
import subprocess
import threading
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from docs.generate import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

PAGE = (PROJECT / "docs/reference/errors.md").read_text()
MESSAGES = re.findall(r"^\| `(.*?)` \| .+ \|$", PAGE.partition("\n## ")[0], re.MULTILINE)
FLIGHTS = {"model": "flights_2013", "explore": "flights"}

# What no retry can mend.
BY_CONFIGURATION = (
    "<setting",
    "query_task_ids",
    "queries[",
    ".../state.json",
    "login: ... returned",
)
ASKED_FOR = {"query_task_ids": ["x"]}

# What provokes a message: settings, and a fault that stays.
PROVOKED: Mapping[str, tuple[Mapping[str, Any], str | None]] = {
    "<settings>: required, but not set": ({"client_id": None}, None),
    "<setting>: expected ...": ({"batch_size": "many"}, None),
    "<setting>: no such setting; did you mean ...?": ({"batchsize": 3}, None),
    "query_task_ids[<n>]: '...' is not a query task ID ...": ({"query_task_ids": ["a,b"]}, None),
    "query_task_ids_file: cannot read ...": ({"query_task_ids_file": "/no/such/file"}, None),
    "queries[<n>].fields: ... is not a field of the Explore; did you mean ...?": (
        {"queries": [{"name": "a", "explore": {**FLIGHTS, "fields": ["flights.cont"]}}]},
        None,
    ),
    "login: ... returned HTTP 404 ...; check client_id and client_secret, and base_url": (
        {**ASKED_FOR, "client_secret": "wrong"},
        None,
    ),
    "...: no response from ... (...); check base_url": (ASKED_FOR, "dropped"),
    "...: ... did not return a Looker API response: ...": (ASKED_FOR, "not_json"),
    "...: ... returned HTTP 503 ...": (ASKED_FOR, "unavailable"),
    "<n> query task did not complete: <id> (<status>: <reason>)": (
        {"queries": [{"name": "a", "query_id": 5}]},
        None,
    ),
    "<n> query task did not complete: <name> (not launched: ...)": (
        {"queries": [{"name": "a", "query_id": 1}]},
        "launched_but_dropped",
    ),
    "<n> query task did not complete: <id> (<name>, the result cannot be read: ...)": (
        {"queries": [{"name": "a", "query_id": 1}]},
        "malformed_data",
    ),
}


def as_pattern(message: str) -> re.Pattern[str]:
    """Pattern of a message of the page."""
    return re.compile(".+".join(map(re.escape, re.split(r"\.\.\.|<\w+>", message))))


def assert_printed(run: Run, message: str) -> None:
    assert message in MESSAGES
    assert run.exit_code == (78 if message.startswith(BY_CONFIGURATION) else 1)
    assert as_pattern(message).fullmatch(run.error), run.error


@pytest.mark.parametrize("message", PROVOKED)
def test_a_message_is_printed_as_the_page_has_it(
    simulator: Simulator, tap: Tap, message: str
) -> None:
    config, fault = PROVOKED[message]
    if fault:
        simulator.fault(fault, times=None)
    assert_printed(tap(**config), message)


def test_a_line_of_the_file_is_named_as_the_page_has_it(tap: Tap, tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    ids.write_text("good\nnot good\n")
    run = tap(query_task_ids_file=str(ids))
    assert_printed(run, "query_task_ids_file: line <n>: ...")


def test_a_response_that_is_too_long_is_named_as_the_page_has_it(
    simulator: Simulator, tap: Tap
) -> None:
    run = tap(query_task_ids=[simulator.create_task("3")], max_response_bytes=2000)
    message = (
        "...: the response from ... exceeds <n> bytes; add filters or raise max_response_bytes"
    )
    assert_printed(run, message)


def test_a_state_that_is_none_is_named_as_the_page_has_it(tap: Tap) -> None:
    assert_printed(tap(state=[5]), ".../state.json: ...")


@contextmanager
def server_of_unknown_authority(folder: Path) -> Iterator[str]:
    """Serve nothing, with a certificate that no one has reason to trust."""
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=127.0.0.1"
    files = ("-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem")
    subprocess.run(["openssl", "req", *options.split(), *files], check=True, capture_output=True)  # noqa: S607 - wherever it is
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/certificate.pem", f"{folder}/key.pem")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        thread = threading.Thread(target=reject_all, args=(server, context))
        thread.start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def reject_all(server: socket.socket, context: ssl.SSLContext) -> None:
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            # The other side does not continue with it.
            with suppress(ssl.SSLError), connection:
                context.wrap_socket(connection, server_side=True).close()


def test_an_unknown_certificate_is_named_as_the_page_has_it(tap: Tap, tmp_path: Path) -> None:
    with server_of_unknown_authority(tmp_path) as base_url:
        run = tap(base_url=base_url, query_task_ids=["x"])
    assert_printed(run, "...: the certificate of ... is not trusted...")


def test_a_full_disk_is_named_as_the_page_has_it(tap: Tap) -> None:
    long_result = {**FLIGHTS, "fields": ["flights.departure_time", "flights.number"]}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        run = tap(queries=[{"name": "a", "explore": long_result, "limit": 150_000}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_printed(run, "cannot store a large result in ...")


def test_every_message_of_the_page_is_provoked() -> None:
    here = Path(__file__).read_text()
    assert MESSAGES
    assert [message for message in MESSAGES if f'"{message}"' not in here] == []
