"""Every type of column in an emulator of BigQuery, through target-bigquery."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from tests.warehouses.environments import environment
from tests.warehouses.every_type import STREAM, Table, compare
from tests.warehouses.loading import extract, load, run, write_json
from tests.warehouses.reading import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.warehouses]
_START_SECONDS = 120
_AS_JSON_TEXT = ("every__place", "every__tags")
# BigQuery's FLOAT64 has 53 bits.
_AS_DIGITS = ("every__thirty_digits", "every__bits54")
_TYPES = {
    "every__text": "STRING",
    "every__thirty_digits": "STRING",
    "every__total": "FLOAT",
    "every__day": "DATE",
    "every__moment": "TIMESTAMP",
    "every__is_new": "BOOLEAN",
    "every__count": "INTEGER",
}
# Run where BigQuery's client is installed.
_READER = """
import json
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
client = bigquery.Client("p", AnonymousCredentials())
types = {field.name: field.field_type for field in client.get_table("ds.every_type").schema}
rows = [dict(row) for row in client.query("select * from ds.every_type").result()]
print(json.dumps([types, rows], default=str))
"""


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Serve BigQuery; give the environment in which its client finds it."""
    folder = environment("bigquery-emulator")
    # Where DuckDB's extensions are installed.
    home = {**os.environ, "HOME": str(tmp_path)}
    install = "from duckdb_extensions import import_extension as i; i('spatial')"
    subprocess.run([folder / "python", "-c", install], env=home, check=True)
    log = tmp_path / "emulator.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [folder / "bqemulator", "start", "--rest-port", "0", "--grpc-port", "0"],
            env=home,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{_port_in(log)}"
        yield {"BIGQUERY_EMULATOR_HOST": url, "NO_PROXY": "127.0.0.1"}
    finally:
        server.terminate()
        server.wait()


def _port_in(log: Path) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if '"rest.listen"' in line:
                return int(json.loads(line)["port"])
        time.sleep(0.1)
    pytest.fail(f"the emulator did not start: {log.read_text()}")


class _Tokens(BaseHTTPRequestHandler):
    """Gives every service account a token."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b'{"access_token": "made-up", "expires_in": 3600, "token_type": "Bearer"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _running_tokens() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Tokens) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/token"
        server.shutdown()
        thread.join()


def _write_service_account(path: Path, token_uri: str) -> str:
    generate = ["openssl", "genrsa", "2048"]
    key = subprocess.run(generate, capture_output=True, text=True, check=True)
    account = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "made-up",
        "private_key": key.stdout,
        "client_email": "tap@p.test",
        "client_id": "1",
        "token_uri": token_uri,
    }
    return write_json(path, account)


def _only_the_stream(messages: Path) -> Path:
    """Keep what `query_task_results` says out of it: the emulator rejects its free objects."""
    kept = messages.with_name("kept.jsonl")
    lines = messages.read_text().split("\n")
    kept.write_text(
        "".join(f"{line}\n" for line in lines if line and json.loads(line).get("stream") == STREAM)
    )
    return kept


def test_every_type_lands(emulator: dict[str, str], large: Table, tmp_path: Path) -> None:
    as_text = {name: {"type": ["string", "null"]} for name in (*_AS_JSON_TEXT, *_AS_DIGITS)}
    messages = extract(large, tmp_path / "run", query_task_ids=[], declared=as_text)
    commands = environment("bigquery")
    with _running_tokens() as token_uri:
        load(
            str(commands / "target-bigquery"),
            _only_the_stream(messages),
            emulator,
            credentials_path=_write_service_account(tmp_path / "account.json", token_uri),
            project="p",
            dataset="ds",
            method="streaming_insert",
            denormalized=True,
        )

    read = tmp_path / "read.json"
    run([str(commands / "python"), "-c", _READER], write=read, environment=emulator)
    types, rows = read_json(read.read_text())
    for row in rows:
        _read_values(row)
    assert compare(large.records, rows) == []
    assert {name: types[name] for name in _TYPES} == _TYPES


def _read_values(row: dict[str, Any]) -> None:
    row |= {name: read_json(row[name] or "null") for name in _AS_JSON_TEXT}
