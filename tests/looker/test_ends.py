"""Whatever the network does, a request has an end."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from tap_looker_tasks.config import Settings
from tap_looker_tasks.errors import (
    AbortedError,
    ResponseTooLargeError,
    RetriableRequestError,
)
from tap_looker_tasks.launching import Launcher, StoredQueries
from tap_looker_tasks.looker import SteadyClock
from tap_looker_tasks.run.collector import RequestRunner
from tap_looker_tasks.store import ResultStore
from tap_looker_tasks.tasks import Cancel, LaunchedTask, RequestFailed
from tests.looker.raw_server import OK, RawServer, with_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from looker_simulator.simulator import Simulator
    from tap_looker_tasks.looker.client import LookerClient

    Connect = Callable[..., LookerClient]
    LookerResponse = Callable[[RawServer, socket.socket], None]

pytestmark = pytest.mark.slow

LONG = b"x" * 10_000
# What continues without an end takes 20 s or more; a busy machine may take some of these.
MAX_WAIT = 8
ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
SETTINGS = Settings(base_url="https://looker.test", client_id="i", client_secret="s")
PACKED = b"Content-Encoding: gzip\r\n"


def send_nothing(server: RawServer, _: socket.socket) -> None:
    server.closing.wait(20)


def drip_header(server: RawServer, connection: socket.socket) -> None:
    server.drip(connection, OK + b"X: " + LONG)


def drip_body(server: RawServer, connection: socket.socket) -> None:
    connection.sendall(OK + b"Content-Length: 10000\r\n\r\n{")
    server.drip(connection, b" " * 9_999)


def drip_length_of_chunk(server: RawServer, connection: socket.socket) -> None:
    connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    server.drip(connection, b"0" * 10_000)


def drip_error_body(server: RawServer, connection: socket.socket) -> None:
    connection.sendall(ERROR + b"Content-Length: 10000\r\n\r\n")
    server.drip(connection, LONG)


def drip_login(server: RawServer, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 10000\r\n\r\n")
    server.drip(connection, LONG)


STUCK = [send_nothing, drip_header, drip_body, drip_length_of_chunk, drip_error_body]
# No body is awaited of a response to a kill.
BODIES = (drip_body, drip_length_of_chunk)
OPERATIONS: dict[str, Callable[..., Any]] = {
    "look": lambda client: client.look("1"),
    "multi_results": lambda client: [*client.query_task_multi_results(["a"], new_rows=list)],
    "results": lambda client: client.query_task_results("a", new_rows=list),
    "create_query_task": lambda client: client.create_query_task("1", "json"),
    "kill_query": lambda client: client.kill_query("a"),
}


@pytest.mark.parametrize("response", STUCK)
def test_an_operation_ends_when_its_time_is_over(
    connect: Connect, response: LookerResponse
) -> None:
    with RawServer(response) as server:
        client = connect(server.base_url, max_tries=5)
        started_at = time.monotonic()
        expected = (
            nullcontext()
            if response in BODIES
            else pytest.raises(RetriableRequestError, match=server.base_url)
        )
        with expected:
            client.kill_query("a", max_seconds=0.3)
        assert time.monotonic() - started_at < MAX_WAIT


def test_the_poll_after_a_cancellation_shares_its_time(
    simulator: Simulator, connect: Connect
) -> None:
    simulator.fault("not_found", operation="kill_query", times=None)
    simulator.fault("hang", seconds=20, times=None, operation="query_task_multi_results")
    secret = simulator.client_secret
    client = connect(simulator.base_url, client_id=simulator.client_id, client_secret=secret)
    launcher = Launcher({}, SETTINGS, client, StoredQueries(client, SETTINGS), SteadyClock())
    runner = RequestRunner(launcher, ResultStore())
    assert not client.kill_query("a")
    began_at = time.monotonic()
    (failed,) = runner.perform(Cancel(LaunchedTask("a", "q"), 1.0))
    assert isinstance(failed, RequestFailed)
    assert "query_task_multi_results" in str(failed.error)
    assert time.monotonic() - began_at < MAX_WAIT


@pytest.mark.parametrize("response", STUCK)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_request_that_does_not_get_on_ends(
    connect: Connect, response: LookerResponse, operation: str
) -> None:
    with RawServer(response) as server:
        # Nothing waits for the body of that response, so only the login needs time.
        is_over_early = operation == "kill_query" and response in BODIES
        client = connect(server.base_url, timeout_seconds=10 if is_over_early else 0.3)
        started_at = time.monotonic()
        if is_over_early:
            OPERATIONS[operation](client)
        else:
            with pytest.raises(RetriableRequestError, match=server.base_url):
                OPERATIONS[operation](client)
            assert time.monotonic() - started_at > 0.2
        assert time.monotonic() - started_at < MAX_WAIT


def test_a_long_response_may_take_long_while_it_gets_on(connect: Connect) -> None:
    def send_slowly(server: RawServer, connection: socket.socket) -> None:
        body = b'{"a":{"status":"complete","data":"' + b"x" * 16_000 + b'"}}'
        connection.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(body))
        for n in range(0, len(body), 1_000):
            server.closing.wait(0.1)
            connection.sendall(body[n : n + 1_000])

    with RawServer(send_slowly) as server:
        client = connect(server.base_url, timeout_seconds=1.0)
        ((id_, _),) = client.query_task_multi_results(["a"], new_rows=list)
        assert id_ == "a"
        # A short response has no reason to take so long.
        with pytest.raises(RetriableRequestError):
            client.look("1")


def test_who_reads_slowly_is_not_reported_that_looker_is_slow(connect: Connect) -> None:
    entries = b",".join(b'"%d":{"status":"complete","data":"%b"}' % (n, LONG) for n in range(500))

    def send(_: RawServer, connection: socket.socket) -> None:
        connection.sendall(with_body(b"{" + entries + b"}"))

    with RawServer(send) as server:
        client = connect(server.base_url, timeout_seconds=1.0)
        responses = client.query_task_multi_results([str(n) for n in range(500)], new_rows=list)
        next(responses)
        time.sleep(1.2)
        assert len([*responses]) == 499


@pytest.fixture
def unconnectable() -> Iterator[str]:
    """The address of a user who listens but lets no one in."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.settimeout(0)
            sock.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"
        for sock in waiting:
            sock.close()


def test_a_connection_that_no_one_takes_ends(connect: Connect, unconnectable: str) -> None:
    started_at = time.monotonic()
    with pytest.raises(RetriableRequestError, match="timed out") as caught:
        connect(unconnectable, timeout_seconds=0.3).create_query_task("1", "json")
    assert time.monotonic() - started_at < MAX_WAIT
    assert caught.value.safe_to_retry


def aborted_after(client: LookerClient, call: Callable[[], object]) -> float:
    """How long a call takes to end once it is aborted, in seconds."""
    ended: list[tuple[float, BaseException]] = []

    def make() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - it is looked at below
            ended.append((time.monotonic(), error))

    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    assert not ended
    aborted_at = time.monotonic()
    client.abort()
    for thread in threads:
        thread.join(MAX_WAIT)
    assert [type(error) for _, error in ended] == [AbortedError] * 3
    return max(moment for moment, _ in ended) - aborted_at


@pytest.mark.parametrize("response", STUCK)
@pytest.mark.parametrize("operation", ["look", "multi_results"])
def test_what_is_aborted_ends_immediately_in_every_thread(
    connect: Connect, response: LookerResponse, operation: str
) -> None:
    with RawServer(response) as server:
        client = connect(server.base_url, max_tries=5)
        assert aborted_after(client, lambda: OPERATIONS[operation](client)) < MAX_WAIT


def test_connecting_is_aborted(connect: Connect, unconnectable: str) -> None:
    client = connect(unconnectable)
    assert aborted_after(client, lambda: client.look("1")) < MAX_WAIT


def test_looking_for_an_address_is_aborted(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    responded = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: responded.wait(20) and [])
    client = connect("http://looker.test")
    try:
        assert aborted_after(client, lambda: client.look("1")) < MAX_WAIT
        with pytest.raises(RetriableRequestError, match=r"looking up the address of looker\.test"):
            connect("http://looker.test", timeout_seconds=0.1).look("1")
    finally:
        responded.set()


def test_a_pause_is_aborted_and_later_calls_are_not(connect: Connect) -> None:
    busy = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"
    responses = [busy] * 3

    def response(_: RawServer, connection: socket.socket) -> None:
        connection.sendall(responses.pop() if responses else with_body(b'{"id":"1"}'))

    with RawServer(response) as server:
        client = connect(server.base_url, max_tries=5)
        assert aborted_after(client, lambda: client.look("1")) < MAX_WAIT
    with RawServer(send_nothing) as server:
        client = connect(server.base_url)
        assert aborted_after(client, lambda: client.look("1")) < MAX_WAIT
        with pytest.raises(RetriableRequestError, match="no response"):
            client.kill_query("a", max_seconds=0.2)
        assert server.count("running_queries/a") == 1


def test_what_frees_looker_is_not_kept_back_until_too_late(connect: Connect) -> None:
    busy = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"
    responses = [busy]

    def response(_: RawServer, connection: socket.socket) -> None:
        connection.sendall(responses.pop() if responses else with_body(b"{}"))

    with RawServer(response) as server:
        client = connect(server.base_url)
        with pytest.raises(RetriableRequestError):
            client.look("1")
        client.kill_query("a", max_seconds=0.2)
        client.close(0.2)
        assert server.count("looks/1") == 1
        assert server.count("running_queries/a") == 1
        assert server.count("logout") == 1


def test_a_response_to_a_kill_that_failed_is_reported(connect: Connect) -> None:
    def response(_: RawServer, connection: socket.socket) -> None:
        connection.sendall(with_body(b'{"message":"no right to"}', ERROR))

    with RawServer(response) as server, pytest.raises(RetriableRequestError, match="no right to"):
        connect(server.base_url).kill_query("a")


def test_a_server_without_tls_is_no_looker(connect: Connect) -> None:
    with RawServer(send_nothing) as server:
        client = connect(server.base_url.replace("http:", "https:"), timeout_seconds=0.3)
        with pytest.raises(RetriableRequestError, match="no response"):
            client.look("1")


BOMB_BYTES = 100 * 1024 * 1024
BOMB = gzip.compress(b" " * BOMB_BYTES, 9)


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_packed_bomb_is_not_unpacked(connect: Connect, status: int, *, is_chunked: bool) -> None:
    head = (OK if status == 200 else ERROR) + PACKED
    bomb = with_body(BOMB, head)
    if is_chunked:
        bomb = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BOMB), BOMB)

    def response(_: RawServer, connection: socket.socket) -> None:
        connection.sendall(bomb)

    with RawServer(response) as server:
        client = connect(server.base_url, max_response_bytes=BOMB_BYTES // 10)
        tracemalloc.start()
        try:
            wanted = ResponseTooLargeError if status == 200 else RetriableRequestError
            with pytest.raises(wanted):
                client.query_task_results("a", new_rows=list)
            assert tracemalloc.get_traced_memory()[1] < BOMB_BYTES // 4
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
def test_a_body_that_cannot_be_unpacked_is_cut_short(connect: Connect, encoding: bytes) -> None:
    def response(_: RawServer, connection: socket.socket) -> None:
        connection.sendall(with_body(b"no such thing", OK + b"Content-Encoding: %b\r\n" % encoding))

    with (
        RawServer(response) as server,
        pytest.raises(
            RetriableRequestError,
            match=r"was cut short \(.+\); check the network, and any proxy before Looker",
        ),
    ):
        connect(server.base_url).look("1")


def test_without_time_no_request_is_sent(connect: Connect) -> None:
    with RawServer(send_nothing) as server:
        with pytest.raises(RetriableRequestError, match="the time of the run is over") as caught:
            connect(server.base_url).kill_query("a", max_seconds=0)
        assert caught.value.safe_to_retry
        assert server.requests == []


def test_a_proxy_is_used_and_what_goes_by_it_ends(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def response(server: RawServer, connection: socket.socket) -> None:
        if "looks/1" in server.requests[-1]:
            connection.sendall(with_body(b"{}"))
        else:
            server.closing.wait(20)

    with RawServer(response) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url)
        monkeypatch.setenv("no_proxy", "")
        client = connect("http://looker.test")
        assert client.look("1") == {}
        assert proxy.requests[-1].startswith("GET http://looker.test/api/4.0/looks/1 ")
        assert aborted_after(client, lambda: client.look("2")) < MAX_WAIT
