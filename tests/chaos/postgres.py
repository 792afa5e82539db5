"""A real target and a real PostgreSQL behind the runs that are ended."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from tests.warehouses.loading import meltano_loader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from demo.postgres import Database

_OUTCOMES = "query_task_results"
_END_SECONDS = 120
# So that the target passes on state in the middle of a run.
_ROWS_AT_ONCE = 500


class PostgresWarehouse:
    """Tables in a schema of their own, loaded by target-postgres: one process for each run.

    Attributes:
        state: the last STATE that the target handed on; None before the first.
    """

    def __init__(self, database: Database, schema: str, folder: Path) -> None:
        self.state: dict[str, Any] | None = None
        self._database = database
        self._schema = schema
        self._states = folder / f"{schema}.states"
        self._log = folder / f"{schema}.log"
        self._config = folder / f"{schema}.json"
        settings = {
            "sqlalchemy_url": database.sqlalchemy_url,
            "default_target_schema": schema,
            "batch_size_rows": _ROWS_AT_ONCE,
            "hard_delete": True,
        }
        self._config.write_text(json.dumps(settings))
        self._process: subprocess.Popen[bytes] | None = None

    def take(self, line: bytes) -> None:
        """Give the target a whole line."""
        process = self._process or self._begin()
        assert process.stdin
        process.stdin.write(line + b"\n")

    def commit(self) -> None:
        """End the target's input, and wait until it has loaded everything."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin
        process.stdin.close()
        status = process.wait(_END_SECONDS)
        assert status == 0, self._log.read_text()[-2000:]
        self._read_state()

    def die(self) -> None:
        """Kill the target, whatever it is doing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.communicate()
        self._read_state()

    def rows(self, stream: str, without: Collection[str] = ()) -> list[str]:
        """Return the rows of a table as sorted JSON, less the columns that differ by run."""
        return sorted(
            json.dumps(
                {k: v for k, v in row.items() if not (k in without or k.startswith("_sdc_"))},
                sort_keys=True,
                default=str,
            )
            for row in self._table(stream)
        )

    def outcomes(self) -> list[dict[str, Any]]:
        """Return the outcomes of tasks."""
        return [*self._table(_OUTCOMES)]

    def _begin(self) -> subprocess.Popen[bytes]:
        command = [meltano_loader("target-postgres"), "--config", str(self._config)]
        with self._states.open("wb") as states, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=states, stderr=log
            )
        return self._process

    def _read_state(self) -> None:
        # The last line may be half, when the target was killed.
        *lines, _ = self._states.read_bytes().split(b"\n")
        if lines:
            self.state = json.loads(lines[-1])

    def _table(self, stream: str) -> Iterator[dict[str, Any]]:
        query = SQL("select * from {}").format(Identifier(self._schema, stream))
        with psycopg.connect(self._database.url, row_factory=dict_row) as connection:
            yield from connection.execute(query)
