"""Connections that break, drip, stall, and take their time."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests
import urllib3

from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.simulator.browser import Browser
from tests.singer import stored_id

if TYPE_CHECKING:
    from looker_simulator.engine import Database

BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


@pytest.mark.parametrize(
    "fault",
    ["dropped", "reset", "reset_in_body", "cut_short", "cut_short_chunked", "cut_short_gzip"],
)
def test_a_connection_ends_early(
    simulator: Simulator, browser: Browser, finished: str, fault: str
) -> None:
    expected = browser.ask(finished).content
    simulator.fault(fault)
    try:
        received = browser.ask(finished).content
    except BROKEN:
        # Nothing tells a client that unpacks what comes that the rest of a gzip body is missing.
        assert fault != "cut_short_gzip"
    else:
        assert fault == "cut_short_gzip"
        assert received != expected
        assert expected.startswith(received)
    assert browser.ask(finished).content == expected
    assert [call.status for call in simulator.calls[-2:]][1] == 200


def test_a_response_is_late(simulator: Simulator, browser: Browser, finished: str) -> None:
    simulator.fault("hang", seconds=5)
    with pytest.raises(requests.ReadTimeout):
        browser.ask(finished, timeout=0.2)
    assert browser.ask(finished).ok


@pytest.mark.parametrize(
    ("fault", "operation", "head_comes"),
    [
        ("header_drip", "query_task_multi_results", False),
        ("body_drip", "query_task_multi_results", True),
        ("error_drip", "query_task_multi_results", True),
    ],
)
def test_a_response_drips(
    simulator: Simulator,
    browser: Browser,
    finished: str,
    fault: str,
    operation: str,
    head_comes: bool,  # noqa: FBT001 - a case
) -> None:
    simulator.fault(fault, operation=operation, seconds=0.03)
    token = browser.session.headers["Authorization"]
    target = f"/api/4.0/query_tasks/multi_results?query_task_ids={finished}"
    url = urlsplit(simulator.base_url)
    with socket.create_connection((url.hostname, url.port or 0), timeout=20) as connection:
        request = f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {token!s}\r\n\r\n"
        connection.sendall(request.encode())
        received = b"".join(connection.recv(1 << 16) for _ in range(5))
    head, separator, body = received.partition(b"\r\n\r\n")
    assert bool(separator) is head_comes
    assert len(body if head_comes else head) < 50


def test_every_request_takes_a_round_trip_next_to_the_others(database: Database) -> None:
    options = SimulatorOptions(round_trip_seconds=0.25)
    with Simulator(options, database=database) as simulator:
        browser = Browser(simulator)
        pool = urllib3.PoolManager(
            maxsize=32, headers={"Authorization": str(browser.session.headers["Authorization"])}
        )

        def ask(_: int) -> int:
            answer = pool.request("GET", f"{browser.api}/user")
            return int(answer.status)

        with browser.session, pool, ThreadPoolExecutor(32) as threads:
            started_at = time.monotonic()
            assert [*threads.map(ask, range(128))] == [200] * 128
            # One after the other they would take 32 s; 32 at once, about 1 s.
            assert 1.0 <= time.monotonic() - started_at < 8


def test_a_client_that_does_not_read_is_hung_up_on(database: Database) -> None:
    options = SimulatorOptions(stall_timeout_seconds=0.3)
    with Simulator(options, database=database) as simulator:
        browser = Browser(simulator)
        query = {
            "model": "flights_2013",
            "view": "flights",
            "fields": ["flights.departure_time", "flights.tail_number", "flights.distance"],
            "limit": "20000",
        }
        id_ = simulator.create_task(simulator.create_query(query), "json_detail")
        url = f"{browser.api}/query_tasks/multi_results?query_task_ids={id_}"
        with browser.session:
            browser.entry(id_)
            headers = {"Accept-Encoding": "identity"}
            answer = browser.session.get(url, headers=headers, stream=True, timeout=20)
            assert answer.raw.read(1000)
            time.sleep(1)
            with pytest.raises(BROKEN):
                assert answer.content
            assert browser.ask(id_).ok


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["gzip_bomb", "error_bomb"])
def test_a_small_response_unpacks_to_a_gigabyte(
    simulator: Simulator, browser: Browser, fault: str
) -> None:
    simulator.fault(fault)
    url = f"{browser.api}/query_tasks/multi_results?query_task_ids=x"
    with browser.session.get(url, stream=True, timeout=60) as answer:
        packed = answer.raw.read(decode_content=False)
    assert answer.status_code == (500 if fault == "error_bomb" else 200)
    assert len(packed) < 2_000_000
    size_of_all = int.from_bytes(packed[-4:], "little")
    assert size_of_all > 1 << 30
    assert len(urllib3.response.GzipDecoder().decompress(packed[:20_000])) > 10_000_000


def test_a_query_that_a_client_waits_for_does_not_hold_up_the_end(database: Database) -> None:
    started_at = time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        with Simulator(SimulatorOptions(latency_seconds=60), database=database) as simulator:
            browser = Browser(simulator)
            requested = threads.submit(
                browser.session.get, f"{browser.api}/queries/{stored_id(4)}/run/json", timeout=50
            )
            while not any(name.name.startswith("query-task") for name in threading.enumerate()):
                time.sleep(0.01)
        with browser.session, suppress(requests.RequestException):
            requested.result()
    assert time.monotonic() - started_at < 40
