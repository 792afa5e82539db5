"""What landed, read back from each kind of target."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from psycopg.types.json import set_json_loads

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Warehouse:
    """A PostgreSQL server.

    Attributes:
        sqlalchemy_url: as target-postgres wants it.
    """

    sqlalchemy_url: str

    def rows(self, schema: str, table: str) -> list[dict[str, Any]]:
        """Read a table."""
        query = SQL("select * from {}").format(Identifier(schema, table))
        with self._connect() as connection:
            return connection.execute(query).fetchall()

    def types(self, schema: str, table: str) -> dict[str, str]:
        """Read the types of a table's columns."""
        query = """
            select column_name, data_type from information_schema.columns
             where table_schema = %s and table_name = %s
        """
        with self._connect() as connection:
            found = connection.execute(query, (schema, table)).fetchall()
        return {row["column_name"]: row["data_type"] for row in found}

    def database(self, name: str) -> str:
        """Create an empty database; return its address."""
        with self._connect() as connection:
            connection.autocommit = True
            connection.execute(SQL("create database {}").format(Identifier(name)))
        return self.sqlalchemy_url.replace("/postgres?", f"/{name}?", 1)

    def _connect(self) -> psycopg.Connection[dict[str, Any]]:
        url = self.sqlalchemy_url.replace("postgresql+psycopg:", "postgresql:", 1)
        connection = psycopg.connect(url, row_factory=dict_row)
        set_json_loads(read_json, connection)
        return connection


def read_json(text: str | bytes) -> Any:  # noqa: ANN401 - whatever the text says
    """Read JSON with every digit."""
    return json.loads(text, parse_float=Decimal)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines, whose text may hold what only Python takes for line breaks."""
    return [read_json(line) for line in path.read_text().split("\n") if line]
