"""What columns become in Snowflake, by the code of its target that maps types: none is loaded."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.warehouses.environments import environment
from tests.warehouses.every_type import STREAM, draw_table, query
from tests.warehouses.loading import extract
from tests.warehouses.reading import read_lines

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.warehouses]
_TYPES = """
import json, sys
from target_snowflake.connector import SnowflakeConnector
convert = SnowflakeConnector({}).jsonschema_to_sql.to_sql_type
print(json.dumps({name: str(convert(p)) for name, p in json.load(sys.stdin).items()}))
"""


def snowflake_types(messages: Path) -> dict[str, str]:
    (properties,) = (
        line["schema"]["properties"]
        for line in read_lines(messages)
        if line["type"] == "SCHEMA" and line["stream"] == STREAM
    )
    done = subprocess.run(
        [environment("snowflake") / "python", "-c", _TYPES],
        input=json.dumps(properties, default=str),
        capture_output=True,
        text=True,
        check=True,
    )
    types: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return types


def test_snowflake_has_exact_decimals_if_they_are_declared(tmp_path: Path) -> None:
    table = draw_table(3, numbers=("1234567890123456789.012345678",))
    declared = query(decimals={"precision": 38, "scale": 9})
    plain = snowflake_types(extract(table, tmp_path / "plain"))
    exact = snowflake_types(extract(table, tmp_path / "exact", queries=[declared]))

    assert plain["every__total"] == "FLOAT"
    assert exact["every__total"] == exact["share"] == "DECIMAL(38, 9)"
    changed = {name for name in plain if plain[name] != exact[name]}
    assert {plain[name] for name in changed} == {"FLOAT"}


def test_snowflake_has_a_type_of_its_own_for_most_columns(tmp_path: Path) -> None:
    types = snowflake_types(extract(draw_table(3), tmp_path / "run"))

    assert {
        name: types[f"every__{name}"]
        for name in ("text", "count", "is_new", "day", "moment", "tags")
    } == {
        "text": "VARCHAR",
        "count": "DECIMAL",
        "is_new": "BOOLEAN",
        "day": "DATE",
        "moment": "TIMESTAMP_NTZ",
        "tags": "VARIANT",
    }
