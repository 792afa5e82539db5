"""What columns become in warehouses that need an account: their targets' own code for types."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.warehouses.environments import environment
from tests.warehouses.every_type import COLUMNS, STREAM, draw_table, query
from tests.warehouses.loading import extract
from tests.warehouses.reading import read_lines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.warehouses.every_type import Kind

pytestmark = [pytest.mark.slow, pytest.mark.warehouses]

_SNOWFLAKE = """
from target_snowflake.connector import SnowflakeConnector
convert = SnowflakeConnector({}).jsonschema_to_sql.to_sql_type
types = {name: str(convert(property)) for name, property in schema["properties"].items()}
"""
_BIGQUERY = """
from target_bigquery.core import SchemaResolverVersion, SchemaTranslator
fields = SchemaTranslator(schema, {}, SchemaResolverVersion.V2).translated_schema
types = {field.name: f"{field.field_type} {field.mode}" for field in fields}
"""
_SQL_SERVER = """
from sqlalchemy.dialects.mssql import dialect
from target_mssql.connector import mssqlConnector
convert = mssqlConnector({}, "mssql+pymssql://u@h/d").to_sql_type
types = {n: convert(p).compile(dialect=dialect()) for n, p in schema["properties"].items()}
"""
_CLICKHOUSE = """
from clickhouse_sqlalchemy.drivers.http.base import dialect
from target_clickhouse.connectors import ClickhouseConnector
convert = ClickhouseConnector({"sqlalchemy_url": "clickhouse+http://u@h/d"}).to_sql_type
types = {n: convert(p).compile(dialect=dialect()) for n, p in schema["properties"].items()}
"""
_PIPELINEWISE_REDSHIFT = """
from target_redshift.db_sync import column_type, flatten_schema
types = {name: column_type(property) for name, property in flatten_schema(schema).items()}
"""
_PIPELINEWISE_SNOWFLAKE = """
from target_snowflake.db_sync import column_type
from target_snowflake.flattening import flatten_schema
types = {name: column_type(property) for name, property in flatten_schema(schema).items()}
"""
_PIPELINEWISE_BIGQUERY = """
from target_bigquery.db_sync import column_schema
from target_bigquery.flattening import flatten_schema
fields = [column_schema(name, p) for name, p in flatten_schema(schema).items()]
types = {field.name: f"{field.field_type} {field.mode}" for field in fields}
"""


class Target(NamedTuple):
    """A target, asked for the types of columns.

    Attributes:
        environment: Where it is installed.
        program: Sets `types` from `schema`.
        types: The type that each kind of column becomes.
        exact: The type of numbers of the setting `decimals`.
        key: The type of the tap's own key.
    """

    environment: str
    program: str
    types: Mapping[Kind, str]
    exact: str
    key: str


TARGETS = {
    "snowflake": Target(
        "snowflake",
        _SNOWFLAKE,
        {
            "text": "VARCHAR",
            "number": "FLOAT",
            "integer": "DECIMAL",
            "yesno": "BOOLEAN",
            "date": "DATE",
            "moment": "TIMESTAMP_NTZ",
            "json": "VARIANT",
        },
        exact="DECIMAL(38, 9)",
        key="VARCHAR(255)",
    ),
    "bigquery": Target(
        "bigquery",
        _BIGQUERY,
        {
            "text": "STRING NULLABLE",
            "number": "FLOAT NULLABLE",
            "integer": "INTEGER NULLABLE",
            "yesno": "BOOLEAN NULLABLE",
            "date": "DATE NULLABLE",
            "moment": "TIMESTAMP NULLABLE",
            "json": "JSON NULLABLE",
        },
        exact="STRING NULLABLE",
        key="STRING NULLABLE",
    ),
    "mssql": Target(
        "targets/mssql",
        _SQL_SERVER,
        {
            "text": "VARCHAR(max)",
            "number": "NUMERIC(38, 16)",
            "integer": "BIGINT",
            "yesno": "VARCHAR(1)",
            "date": "DATE",
            "moment": "DATETIME",
            "json": "VARCHAR(max)",
        },
        exact="VARCHAR(max)",
        key="VARCHAR(255)",
    ),
    "clickhouse": Target(
        "targets/clickhouse",
        _CLICKHOUSE,
        {
            "text": "VARCHAR",
            "number": "FLOAT",
            "integer": "Int64",
            "yesno": "BOOLEAN",
            "date": "Nullable(DATE)",
            "moment": "Nullable(DATETIME)",
            "json": "VARCHAR",
        },
        exact="VARCHAR",
        key="VARCHAR(255)",
    ),
    "pipelinewise-redshift": Target(
        "targets/pipelinewise-redshift",
        _PIPELINEWISE_REDSHIFT,
        {
            "text": "character varying(10000)",
            "number": "double precision",
            "integer": "numeric",
            "yesno": "boolean",
            "date": "character varying(10000)",
            "moment": "timestamp without time zone",
            "json": "character varying(65535)",
        },
        exact="character varying(10000)",
        key="character varying(10000)",
    ),
    "pipelinewise-snowflake": Target(
        "targets/pipelinewise-snowflake",
        _PIPELINEWISE_SNOWFLAKE,
        {
            "text": "text",
            "number": "float",
            "integer": "number",
            "yesno": "boolean",
            "date": "date",
            "moment": "timestamp_ntz",
            "json": "variant",
        },
        exact="text",
        key="text",
    ),
    "pipelinewise-bigquery": Target(
        "targets/pipelinewise-bigquery",
        _PIPELINEWISE_BIGQUERY,
        {
            "text": "STRING NULLABLE",
            "number": "NUMERIC NULLABLE",
            "integer": "INTEGER NULLABLE",
            "yesno": "BOOLEAN NULLABLE",
            "date": "DATE NULLABLE",
            "moment": "TIMESTAMP NULLABLE",
            "json": "STRING NULLABLE",
        },
        exact="STRING NULLABLE",
        key="STRING NULLABLE",
    ),
}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the stream's schema, as the tap writes it without and with `decimals`."""
    table = draw_table(3, numbers=("12345678901234567890123456789.012345678",))
    folder = tmp_path_factory.mktemp("types")
    declared = query(decimals={"precision": 38, "scale": 9})
    return {
        "plain": schema_in(extract(table, folder / "plain")),
        "exact": schema_in(extract(table, folder / "exact", queries=[declared])),
    }


def schema_in(messages: Path) -> dict[str, Any]:
    (schema,) = (
        line["schema"]
        for line in read_lines(messages)
        if line["type"] == "SCHEMA" and line["stream"] == STREAM
    )
    return dict(schema)


def types_of(target: Target, schema: dict[str, Any]) -> dict[str, str]:
    program = (
        f"import json, sys\nschema = json.load(sys.stdin)\n{target.program}\n"
        "print(json.dumps(types))"
    )
    done = subprocess.run(
        [environment(target.environment) / "python", "-W", "ignore", "-c", program],
        input=json.dumps(schema, default=str),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    types: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    # Some targets write all names in lower case.
    names = ("_query_task_id", *(column.name for column in COLUMNS))
    return {name: types.get(name) or types[name.lower()] for name in names}


@pytest.mark.parametrize("name", TARGETS)
def test_every_column_has_its_type(schemas: dict[str, dict[str, Any]], name: str) -> None:
    target = TARGETS[name]
    plain = types_of(target, schemas["plain"])
    expected = {column.name: target.types[column.kind] for column in COLUMNS}
    assert {column: plain[column] for column in expected} == expected
    assert plain["_query_task_id"] == target.key

    exact = types_of(target, schemas["exact"])
    numbers = {column.name for column in COLUMNS if column.kind == "number"}
    assert {column: exact[column] for column in numbers} == dict.fromkeys(numbers, target.exact)
    assert {c: exact[c] for c in expected if c not in numbers} == {
        c: expected[c] for c in expected if c not in numbers
    }
