"""One client for many threads: one token, one count, one pace; and what it makes of responses."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any

import pytest

from tap_looker_tasks.errors import (
    ApiCallLimitError,
    LoginFailedError,
    QueryError,
    RequestError,
    RequestRejectedError,
    ResponseTooLargeError,
    RetriableRequestError,
    RunError,
    UnreachableError,
)
from tests.looker.raw_server import OK, RawServer, with_body

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from looker_simulator.simulator import Simulator
    from tap_looker_tasks.looker.client import LookerClient

    Connect = Callable[..., LookerClient]

MANY = 16


def responding(*responses: bytes) -> Callable[[RawServer, socket.socket], None]:
    """Give these responses, the last one again and again."""
    left = [*responses]

    def response(_: RawServer, connection: socket.socket) -> None:
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return response


class StandingClock:
    """Stands still but for pauses."""

    def __init__(self) -> None:
        self._now = 1_000_000.0
        self.pauses: list[float] = []

    def now(self) -> float:
        return self._now

    def wait(self, event: Event, seconds: float) -> bool:
        self.pauses.append(round(seconds, 3))
        self._now += seconds
        return event.is_set()


def in_threads(call: Callable[[], object]) -> list[object]:
    """Make a call in many threads at once; returns results and errors."""
    barrier = Barrier(MANY)

    def make(_: int) -> object:
        barrier.wait(5)
        try:
            return call()
        except RequestError as error:
            return error

    with ThreadPoolExecutor(MANY) as threads:
        return [*threads.map(make, range(MANY))]


def test_threads_share_a_token_and_one_renews_it(connect: Connect) -> None:
    with RawServer(responding(with_body(b'{"id":"1"}'))) as server:
        client = connect(server.base_url)
        assert in_threads(lambda: client.look("1")) == [{"id": "1"}] * MANY
        assert server.count("/login") == 1
        server.rejected_tokens.add("token t1")
        assert in_threads(lambda: client.look("1")) == [{"id": "1"}] * MANY
        assert server.count("/login") == 2
        client.close()
        assert server.count("/logout") == 1


def test_a_token_that_is_never_accepted_is_renewed_once(connect: Connect) -> None:
    with RawServer(responding(b"")) as server:
        server.rejected_tokens.update({"token t1", "token t2", "token t3"})
        with pytest.raises(RequestRejectedError, match="401"):
            connect(server.base_url).look("1")
        assert server.count("/login") == 2


@pytest.mark.parametrize("limit", [3, 10])
def test_threads_never_make_more_calls_than_allowed(connect: Connect, limit: int) -> None:
    with RawServer(responding(with_body(b"{}"))) as server:
        client = connect(server.base_url, call_limit=limit)
        found = in_threads(lambda: client.look("1"))
        assert found.count({}) == limit - 2
        rejected = [error for error in found if error != {}]
        assert {type(error) for error in rejected} == {ApiCallLimitError}
        client.close()
        assert len(server.requests) == client.calls.total() == limit


def test_a_client_closes_although_a_logout_hangs(connect: Connect) -> None:
    def hang(server: RawServer, connection: socket.socket) -> None:
        if "/logout" in server.requests[-1]:
            server.closing.wait(20)
        connection.sendall(with_body(b"{}"))

    with RawServer(hang) as server:
        server.responds_to_logout = False
        client = connect(server.base_url, timeout_seconds=1)
        client.look("1")
        client.close()
        assert server.count("/logout") == 1


def test_connections_of_threads_that_ended_serve_others_and_are_closed(connect: Connect) -> None:
    together = Barrier(3)

    def response(server: RawServer, connection: socket.socket) -> None:
        if server.count("looks/first"):
            together.wait(20)
        connection.sendall(with_body(b"{}"))

    def ask(look_id: str, times: int) -> None:
        with ThreadPoolExecutor(times) as threads:
            assert [*threads.map(client.look, [look_id] * times)] == [{}] * times

    with RawServer(response) as server:
        client = connect(server.base_url)
        ask("before", 1)
        ask("first", 3)
        together.abort()
        server.requests.clear()
        for _ in range(4):
            ask("later", 1)
        assert server.connections == 3
        client.close()
        give_up_at = time.monotonic() + 5
        while server.open_connections and time.monotonic() < give_up_at:
            time.sleep(0.01)
        assert server.open_connections == 0


@pytest.mark.parametrize(("retry_after", "seconds"), [("7", 7), ("600", 60), ("soon", 1), ("0", 0)])
def test_who_is_reported_to_wait_lets_all_wait(
    connect: Connect, retry_after: str, seconds: float
) -> None:
    head = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: %b\r\n" % retry_after.encode()
    with RawServer(responding(with_body(b"{}", head), with_body(b'{"id":"t"}'))) as server:
        clock = StandingClock()
        client = connect(server.base_url, clock=clock)
        with pytest.raises(RetriableRequestError) as caught:
            client.create_query_task("1", "json")
        assert caught.value.safe_to_retry
        assert client.look("1") == {"id": "t"}
        assert clock.pauses == ([seconds] if seconds else [])
        assert len(server.requests) == 3


def test_a_response_cut_off_is_requested_again_without_what_came(connect: Connect) -> None:
    entry = b'"%b":{"status":"complete","data":[]}'
    complete = b"{%b}" % b",".join(entry % id_ for id_ in (b"a", b"b", b"c", b"never asked for"))
    cut = [complete[: len(entry) + 5], b'{"b":{"status":"running"},"b":{"status":"killed"},']
    bodies = [with_body(body)[:-1] for body in (cut[0] + b" ", cut[1] + b" ")]
    responses = responding(*bodies, with_body(complete))

    def response(server: RawServer, connection: socket.socket) -> None:
        responses(server, connection)
        if len(server.requests) < 4:
            connection.shutdown(socket.SHUT_RDWR)

    with RawServer(response) as server:
        clock = StandingClock()
        # Each try brings something, so that two tries are enough for three.
        client = connect(server.base_url, max_tries=2, clock=clock)
        found = [
            (id_, getattr(reported, "status", reported))
            for id_, reported in client.query_task_multi_results(["a", "b", "c"], new_rows=list)
        ]
        assert found == [("a", "complete"), ("b", "running"), ("c", "complete")]
        requested = [request.split()[1].partition("=")[2] for request in server.requests[1:]]
        assert requested == ["a,b,c", "b,c", "c"]
        assert len(clock.pauses) == 2


def test_tries_of_one_call_may_be_fewer(connect: Connect) -> None:
    with RawServer(responding(with_body(b"[]"))) as server:
        client = connect(server.base_url, max_tries=5, clock=StandingClock())
        with pytest.raises(RetriableRequestError, match="a list where an object"):
            [*client.query_task_multi_results(["a"], new_rows=list, max_tries=2)]
        assert server.count("multi_results") == 2


PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><form></form></html>"


@pytest.mark.parametrize(
    ("content_type", "body", "data"),
    [
        ("application/json", b'[{"a":1}]', [{"a": 1}]),
        ("application/json; charset=utf-8", b' {"data":[]} ', {"data": []}),
        ("text/plain", b'[{"a":1}]', [{"a": 1}]),
        ("", b"[]", []),
        ("text/csv", b"[a],b\n1,2\n", "[a],b\n1,2\n"),
        ("text/csv", b'{"a","b"\n', '{"a","b"\n'),
        ("text/plain", b"[see] b\n", "[see] b\n"),
        ("text/plain", "\u00e9".encode(), "\u00e9"),
        ("text/html", b"<style>td{}</style><table></table>", "<style>td{}</style><table></table>"),
        ("text/html", b"<table><tr><td>a</table>", "<table><tr><td>a</table>"),
        ("text/csv", b"", None),
        ("application/json", b'[{"a":1}', RetriableRequestError),
        ("application/json", b"", RetriableRequestError),
        ("application/json", b"5", RetriableRequestError),
        ("application/json", b'[],"status":"killed"', RetriableRequestError),
        ("application/json", PAGE, RetriableRequestError),
        ("text/plain", b'[{"a":', RetriableRequestError),
        ("text/html", PAGE, RequestRejectedError),
        ("text/html", b"<table><form action=/login>", RequestRejectedError),
        ("text/html", b"<div>Maintenance</div>", RequestRejectedError),
        ("text/plain", PAGE, RequestRejectedError),
        ("text/csv", b"\xff", RequestRejectedError),
    ],
)
def test_a_result_is_read_as_declared_or_starts(
    connect: Connect, content_type: str, body: bytes, data: object
) -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    if content_type:
        head += b"Content-Type: %b\r\n" % content_type.encode()
    with RawServer(responding(with_body(body, head))) as server:
        client = connect(server.base_url)
        if isinstance(data, type):
            with pytest.raises(RequestError) as caught:
                client.query_task_results("a", new_rows=list)
            assert type(caught.value) is data
            assert server.base_url in caught.value.message
        else:
            response = client.query_task_results("a", new_rows=list)
            assert response.status == "complete"
            assert (response.data and json.loads(bytes(response.data))) == data


@pytest.mark.parametrize("head", [b"202 Accepted", b"204 No Content"])
def test_a_result_that_is_not_ready_is_requested_again(connect: Connect, head: bytes) -> None:
    waiting = b"HTTP/1.1 %b\r\n\r\n" % head
    if head.startswith(b"202"):
        waiting = with_body(b"", waiting.removesuffix(b"\r\n"))
    with RawServer(responding(waiting, with_body(b"[]"))) as server:
        client = connect(server.base_url, max_tries=2, clock=StandingClock())
        assert client.query_task_results("a", new_rows=list).data is not None


def test_a_long_result_goes_where_rows_may_be_many(connect: Connect) -> None:
    rows = [{"n": n, "text": "x" * 1_000} for n in range(10_000)]
    with RawServer(responding(with_body(json.dumps({"data": rows}).encode()))) as server:
        created: list[list[bytes]] = []

        def new_rows() -> list[bytes]:
            created.append([])
            return created[-1]

        response = connect(server.base_url).query_task_results("a", new_rows=new_rows)
        assert json.loads(bytes(response.data or b"")) == {"data": []}
        assert response.rows is created[0]
        assert [row for array in created[0] for row in json.loads(array)] == rows


def test_a_redirect_is_not_followed(connect: Connect) -> None:
    with RawServer(responding(with_body(b"{}"))) as elsewhere:
        head = b"HTTP/1.1 302 Found\r\nLocation: %b/\r\n" % elsewhere.base_url.encode()
        with RawServer(responding(with_body(b"", head))) as server:
            client = connect(server.base_url)
            with pytest.raises(RequestRejectedError, match="302"):
                client.query_task_results("a", new_rows=list)
        assert elsewhere.requests == []


def test_ids_are_encoded_and_everything_is_requested_by_its_name(connect: Connect) -> None:
    with RawServer(responding(with_body(b'{"id":"1"}'))) as server:
        client = connect(server.base_url)
        odd = "a/b?c=d,\u00e9 #%"
        part = "a%2Fb%3Fc%3Dd%2C%C3%A9%20%23%25"
        assert [*client.query_task_multi_results([odd, "e"], new_rows=list)] == []
        assert client.create_query_task(odd, "json", server_table_calcs=True) == "1"
        assert client.create_query_task(odd, "json") == "1"
        client.kill_query(odd)
        client.look(odd)
        client.dashboard(odd)
        client.run_query(odd, limit=1, server_table_calcs=True)
        client.lookml_model_explore(odd, odd)
        client.versions()
        client.me()
        described = "name,type,label,description,convert_tz,datatype,is_fiscal,time_interval,"
        described += "primary_key,hidden"
        parts = "title,deleted,dashboard_filters,dashboard_elements"
        groups = ",".join(
            f"{group}({described})" for group in ("dimensions", "measures", "filters", "parameters")
        )
        assert [request.split(" HTTP")[0] for request in server.requests[1:]] == [
            f"GET /api/4.0/query_tasks/multi_results?query_task_ids={part},e",
            "POST /api/4.0/query_tasks?server_table_calcs=true",
            "POST /api/4.0/query_tasks",
            f"DELETE /api/4.0/running_queries/{part}",
            f"GET /api/4.0/looks/{part}",
            f"GET /api/4.0/dashboards/{part}?fields={parts}",
            f"GET /api/4.0/queries/{part}/run/json_detail?limit=1&server_table_calcs=true",
            f"GET /api/4.0/lookml_models/{part}/explores/{part}?fields=fields({groups})",
            "GET /api/4.0/versions",
            "GET /api/4.0/user",
        ]


def test_a_launch_whose_login_failed_surely_did_not_happen(
    connect: Connect, simulator: Simulator
) -> None:
    client = connect(
        simulator.base_url,
        client_id=simulator.client_id,
        client_secret=simulator.client_secret,
    )
    simulator.fault("dropped", operation="login")
    with pytest.raises(RetriableRequestError) as caught:
        client.create_query_task("1", "json")
    assert caught.value.safe_to_retry
    simulator.fault("launched_but_dropped")
    with pytest.raises(RetriableRequestError) as caught:
        client.create_query_task("1", "json")
    assert not caught.value.safe_to_retry


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"id":null}', b'{"id":""}', b"[" * 100_000])
def test_a_response_of_another_shape_is_no_id(connect: Connect, body: bytes) -> None:
    with RawServer(responding(with_body(body))) as server:
        client = connect(server.base_url)
        expected = "did not return a Looker API response"
        with pytest.raises(RetriableRequestError, match=expected):
            client.create_query_task("1", "json")
        with pytest.raises(RetriableRequestError, match=expected):
            client.create_query({"model": "m"})


def test_a_description_longer_than_any_is_not_read(connect: Connect) -> None:
    with RawServer(responding(with_body(b" " * 2_000))) as server:
        client = connect(server.base_url, max_response_bytes=1_000)
        with pytest.raises(ResponseTooLargeError, match=r"exceeds 1000 bytes.*max_response_bytes"):
            client.look("1")


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS, and the file of the authority behind it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    request += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [openssl, *request, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


def test_a_certificate_is_verified(
    connect: Connect, tls: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    context, authority = tls
    with RawServer(responding(with_body(b"{}")), context) as server:
        with pytest.raises(UnreachableError, match=r"certificate .* is not trusted.*ca_bundle"):
            connect(server.base_url).look("1")
        assert server.requests == []
        # What is configured counts, whatever the environment says.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "elsewhere.pem")
        assert connect(server.base_url, verify=str(authority)).look("1") == {}


def test_a_certificate_is_verified_by_what_the_environment_names(
    connect: Connect, tls: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    with RawServer(responding(with_body(b"{}")), context) as server:
        assert connect(server.base_url).look("1") == {}


@pytest.mark.parametrize(("no_proxy", "first_word"), [("", "http://looker.test/"), ("*", "/")])
def test_the_environment_names_the_proxy(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, no_proxy: str, first_word: str
) -> None:
    with RawServer(responding(with_body(b"{}"))) as server:
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, no_proxy)
        monkeypatch.setenv("http_proxy", server.base_url)
        client = connect(server.base_url if no_proxy else "http://looker.test")
        assert client.look("1") == {}
        assert [request.split()[1] for request in server.requests] == [
            f"{first_word}api/4.0/login",
            f"{first_word}api/4.0/looks/1",
        ]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_does_not_respond_is_what_to_check(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{port}")
    with pytest.raises(
        RetriableRequestError, match=r"refused.*; check the proxy that HTTPS_PROXY names"
    ):
        connect(f"{scheme}://looker.test").look("1")


def test_no_credentials_are_taken_from_netrc(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer(responding(with_body(b"{}"))) as server:
        server.rejected_tokens.add(f"Basic {b64encode(b'user:secret').decode()}")
        assert connect(server.base_url).look("1") == {}
        assert server.count("/login") == 1


@pytest.mark.parametrize("start", [b"X: ", b"Content-Length: 1000\r\n\r\n"])
def test_a_response_by_tls_ends_in_time(
    connect: Connect, tls: tuple[ssl.SSLContext, Path], start: bytes
) -> None:
    def drip(server: RawServer, connection: socket.socket) -> None:
        connection.sendall(OK + start)
        server.drip(connection, b"x" * 1_000)

    context, authority = tls
    with RawServer(drip, context) as server:
        hasty = connect(server.base_url, verify=str(authority), timeout_seconds=0.3)
        with pytest.raises(RetriableRequestError, match="no response"):
            hasty.look("1")
        client = connect(server.base_url, verify=str(authority))
        with ThreadPoolExecutor(1) as thread:
            call = thread.submit(client.look, "1")
            assert not Event().wait(0.2)
            client.abort()
            with pytest.raises(RequestError, match="stopped, because the run is ending"):
                call.result(0.5)


def test_errors_show_whether_it_is_the_query_or_the_run() -> None:
    assert issubclass(RequestRejectedError, QueryError)
    kinds: tuple[type[Any], ...] = (LoginFailedError, ApiCallLimitError, UnreachableError)
    assert all(issubclass(kind, RunError) for kind in kinds)
    assert not issubclass(RetriableRequestError, QueryError | RunError)


def failing(connect: Connect, response: bytes, operation: str = "look") -> RequestError:
    with RawServer(responding(response)) as server, pytest.raises(RequestError) as caught:
        getattr(connect(server.base_url), operation)("1")
    return caught.value


@pytest.mark.parametrize(
    ("response", "reported"),
    [
        (
            b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
            " reported that the result is not ready",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 1\r\n\r\n\xff",
            " returned no result: text that is not UTF-8",
        ),
    ],
)
def test_a_result_that_is_none_is_named(connect: Connect, response: bytes, reported: str) -> None:
    with RawServer(responding(response)) as server, pytest.raises(RequestError) as caught:
        connect(server.base_url).query_task_results("a", new_rows=list)
    assert caught.value.message == f"query_task_results: {server.base_url}{reported}"


def test_a_stored_query_without_an_id_is_no_query(connect: Connect) -> None:
    with RawServer(responding(with_body(b"{}"))) as server, pytest.raises(RequestError) as caught:
        connect(server.base_url).create_query({})
    assert "did not return a Looker API response: no id in the response" in caught.value.message


def test_a_bundle_that_is_missing_is_named(connect: Connect) -> None:
    with pytest.raises(UnreachableError) as caught:
        connect("https://looker.test", verify="/no/such/file").look("1")
    assert caught.value.message.startswith("login: cannot send a request to https://looker.test: ")
    assert caught.value.message.endswith("; check base_url, ca_bundle and HTTPS_PROXY")


def status(line: str, body: bytes = b"", *headers: str) -> bytes:
    head = "".join(f"{text}\r\n" for text in (f"HTTP/1.1 {line}", *headers))
    return with_body(body, head.encode())


def test_a_token_that_no_header_can_carry_is_rejected_and_not_shown(connect: Connect) -> None:
    with RawServer(responding(b"")) as server:
        server.token_end = "\\r\\nX: hush"
        with pytest.raises(RetriableRequestError, match="no usable access_token") as caught:
            connect(server.base_url).look("1")
    assert "hush" not in str(caught.value)


def test_contradictory_headers_are_tried_again_and_not_shown(connect: Connect) -> None:
    broken = OK + b"Content-Length: 5\r\nContent-Length: 6\r\nX-Secret: hush\r\n\r\n{}"
    error = failing(connect, broken)
    assert isinstance(error, RetriableRequestError)
    assert error.message.endswith("has contradictory or invalid headers; check any proxy before it")
    with RawServer(responding(broken, with_body(b'{"id":"1"}'))) as server:
        clock = StandingClock()
        assert connect(server.base_url, max_tries=2, clock=clock).look("1") == {"id": "1"}


@pytest.mark.parametrize(
    ("errors", "reported"),
    [
        (
            b'[{"field":"model","code":"missing","message":"must name a model"},{"field":"view"}]',
            "(Validation Failed: model: must name a model (missing); view)",
        ),
        (b'[{"message":"bad"},7,{"code":"invalid"}]', "(Validation Failed: bad; invalid)"),
        (b"[]", "(Validation Failed)"),
        (b'"odd"', "(Validation Failed)"),
    ],
)
def test_a_validation_error_names_its_fields(
    connect: Connect, errors: bytes, reported: str
) -> None:
    body = b'{"message":"Validation Failed","errors":%b}' % errors
    assert failing(connect, status("422 Unprocessable Entity", body)).message.endswith(reported)


@pytest.mark.parametrize(
    ("response", "operation", "reported"),
    [
        (
            status("403 Forbidden"),
            "look",
            "403; check that the API user has `see_looks`, and access to the folder of the Look",
        ),
        (
            status("403 Forbidden"),
            "query",
            "403; check that the API user has `explore` on the model",
        ),
        (
            status("403 Forbidden"),
            "dashboard",
            (
                "403; check that the API user has `see_user_dashboards` or "
                "`see_lookml_dashboards`, and access to the dashboard's folder"
            ),
        ),
        (
            status("403 Forbidden"),
            "merge_query",
            "403; check that the API user has `explore` on the model",
        ),
        (
            status("403 Forbidden"),
            "query_sql",
            (
                "403; check that the API user has `access_data` and `explore` on the model, and "
                "`see_sql` for its SQL"
            ),
        ),
        (status("403 Forbidden"), "user_roles", "403; check the port and the path of base_url"),
        (status("429 Too Many"), "look", "429; lower max_connections or max_concurrent_tasks"),
        (
            status("504 Late"),
            "look",
            "504; Looker, or a proxy before it, is overloaded or restarting",
        ),
        (
            status("302 Found", b"", "Location: /login?token=hush"),
            "look",
            "302; it redirects to 'http://127.0.0.1/login'; set base_url to the address",
        ),
        (
            status("302 Found", b"", "Location: https://u:hush@sso.test/start#hush"),
            "look",
            "302; it redirects to 'https://sso.test/start'; set base_url",
        ),
        (
            status("503 Down", b"<html><title>Corporate\n &amp; proxy</title>"),
            "look",
            "503 (a page titled 'Corporate & proxy')",
        ),
        (with_body(b"<!DOCTYPE html><p>"), "look", "a Looker API response: a page without a title"),
        (
            with_body(b"<html><head><title>Sign in</title>"),
            "look",
            "a Looker API response: a page titled 'Sign in'; check base_url",
        ),
    ],
)
def test_an_error_names_what_to_change(
    connect: Connect, response: bytes, operation: str, reported: str
) -> None:
    message = failing(connect, response, operation).message
    assert reported in message
    assert "hush" not in message
