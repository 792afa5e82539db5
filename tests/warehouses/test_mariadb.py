"""Every type of column in MariaDB, through a target for MySQL that needs a lot of help."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.warehouses.environments import environment
from tests.warehouses.every_type import COLUMNS, STREAM, compare, draw_table, query
from tests.warehouses.loading import EXTERNAL_TASK, extract, load
from tests.warehouses.reading import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.warehouses.every_type import Kind

pytestmark = [pytest.mark.slow, pytest.mark.warehouses]
_START_SECONDS = 120
_NUMBERS = ("123456789012345678901234567890.012345678", "-7.5")
_LONGEST = 100_000
# A row of MariaDB has 65,535 bytes, and the target gives a text 4,000 of them by default.
_TEXTS = {
    column.name: {"type": ["string", "null"], "maxLength": 255}
    for column in COLUMNS
    if column.kind == "text"
} | {"every__text": {"type": ["string", "null"], "maxLength": _LONGEST}}
_TYPES: dict[Kind, str] = {
    "text": "varchar(255)",
    "number": "varchar(1000)",
    "integer": "bigint(20)",
    "yesno": "tinyint(1)",
    "date": "date",
    "moment": "datetime",
    "json": "text",
}
# The target writes names in snake case, and cannot write decimals in a list as JSON.
_RENAMED = {"every___note_3e779f42": "every__Note_3e779f42"}
_LEFT_OUT = "every__place"
# It moves a leading `_` to a name's end, and then misses a key of the old name.
_KEY = {"row_key": "_row_key", "_row_key": "__NULL__", "__key_properties__": ["row_key"]}
_READ = """
import json, sys
import pymysql
connection = pymysql.connect(unix_socket=sys.argv[1], user="root", charset="utf8mb4")
cursor = connection.cursor(pymysql.cursors.DictCursor)
cursor.execute(sys.argv[2])
print(json.dumps(cursor.fetchall(), default=str))
"""


class MariaDb:
    """A server on a socket, and an empty database of it.

    Attributes:
        sqlalchemy_url: As the target takes it.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self.query("create or replace database looker character set utf8mb4")
        self.sqlalchemy_url = f"mysql+pymysql://root@/looker?unix_socket={socket}&charset=utf8mb4"

    def query(self, sql: str) -> list[dict[str, Any]]:
        python = environment("targets/mysql") / "python"
        done = subprocess.check_output([python, "-c", _READ, self._socket, sql])
        rows: list[dict[str, Any]] = read_json(done)
        return rows


@pytest.fixture(scope="module")
def socket() -> Iterator[Path]:
    server = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    install = shutil.which("mariadb-install-db")
    if server is None or install is None:
        pytest.skip("no MariaDB: install the package `mariadb-server-core`")
    # The path of a socket cannot be longer than about 100 bytes.
    with tempfile.TemporaryDirectory(prefix="maria-") as folder, running(server, install, folder):
        yield Path(folder, "socket")


@pytest.fixture
def mariadb(socket: Path) -> MariaDb:
    return MariaDb(socket)


@contextmanager
def running(server: str, install: str, folder: str) -> Iterator[None]:
    """Run an empty server that listens on a socket of the folder only."""
    where = ["--no-defaults", f"--datadir={folder}/data", f"--user={getuser()}"]
    open_root = "--auth-root-authentication-method=normal"
    subprocess.run([install, *where, open_root], check=True, stdout=subprocess.DEVNULL)
    ready = Path(folder, "socket")
    log = Path(folder, "log")
    options = [f"--socket={ready}", "--skip-networking"]
    with log.open("wb") as output:
        process = subprocess.Popen([server, *where, *options], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not ready.exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def test_every_type_and_digit_lands_by_a_key_without_underscore(
    mariadb: MariaDb, tmp_path: Path
) -> None:
    table = draw_table(60, numbers=_NUMBERS)
    messages = extract(
        table,
        tmp_path / "run",
        declared=_TEXTS,
        queries=[query(primary_keys="auto", decimals={"precision": 39, "scale": 9})],
        stream_maps={
            STREAM: {**_KEY, _LEFT_OUT: "__NULL__"},
            "query_task_results": {"data": "__NULL__"},
            "query_task_rows": "__NULL__",
        },
    )
    target = str(environment("targets/mysql") / "target-mysql")
    for _ in range(2):  # the second load finds every key
        load(target, messages, sqlalchemy_url=mariadb.sqlalchemy_url)

    rows = [rename(row) for row in mariadb.query("select * from looker.every_type")]
    for row in rows:
        row["every__tags"] = None if row["every__tags"] is None else json.loads(row["every__tags"])
        row["every__is_new"] = {None: None, 0: False, 1: True}[row["every__is_new"]]
        row[_LEFT_OUT] = None
    expected = [{**record, _LEFT_OUT: None} for record in table.records]
    assert compare(expected, rows) == []

    described = mariadb.query("describe looker.every_type")
    types = rename({column["Field"]: column["Type"] for column in described})
    expected_types = {c.name: _TYPES[c.kind] for c in COLUMNS if c.name != _LEFT_OUT}
    expected_types["every__text"] = "mediumtext"
    assert {name: types[name] for name in expected_types} == expected_types
    assert types["query_task_id_"] == "varchar(255)"
    (key,) = (column for column in described if column["Key"] == "PRI")
    assert (key["Field"], key["Type"]) == ("row_key", "varchar(255)")
    results = mariadb.query(
        "select query_task_id, status, row_count from looker.query_task_results"
    )
    assert {"query_task_id": EXTERNAL_TASK, "status": "complete", "row_count": 60} in results
    assert len(results) == 2


def test_numbers_are_floats_without_decimals(mariadb: MariaDb, tmp_path: Path) -> None:
    maps = {STREAM: {**_KEY, _LEFT_OUT: "__NULL__"}}
    queries = [query(primary_keys="auto")]
    messages = extract(
        draw_table(3), tmp_path / "run", declared=_TEXTS, queries=queries, stream_maps=maps
    )
    load_stream(mariadb, messages, STREAM)
    described = mariadb.query("describe looker.every_type")
    types = {column["Field"]: column["Type"] for column in described}
    assert types["every__thirty_digits"] == types["every__total"] == "float"


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        ("query_task_rows", "right syntax to use near 'row_number"),
        ("query_task_results", "Decimal is not JSON serializable"),
        (STREAM, "missing one or more key_properties"),
    ],
)
def test_what_the_target_cannot_load_fails(
    mariadb: MariaDb, tmp_path: Path, stream: str, reason: str
) -> None:
    messages = extract(draw_table(3), tmp_path / "run", queries=[query(primary_keys=[])])
    with pytest.raises(AssertionError, match=reason):
        load_stream(mariadb, messages, stream)


def load_stream(mariadb: MariaDb, messages: Path, stream: str) -> None:
    """Load one stream of the messages."""
    alone = messages.with_name("alone.jsonl")
    lines = messages.read_text().split("\n")
    alone.write_text("".join(f"{line}\n" for line in lines if f'"stream":"{stream}"' in line))
    target = str(environment("targets/mysql") / "target-mysql")
    load(target, alone, sqlalchemy_url=mariadb.sqlalchemy_url)


def rename(row: dict[str, Any]) -> dict[str, Any]:
    return {_RENAMED.get(name, name): value for name, value in row.items()}
