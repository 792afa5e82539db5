"""Servers and messages that the tests of a session share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo.postgres import running_postgres
from tests.warehouses.every_type import draw_table
from tests.warehouses.loading import extract
from tests.warehouses.reading import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.warehouses.every_type import Table


@pytest.fixture(scope="session")
def warehouse() -> Iterator[Warehouse]:
    with running_postgres() as database:
        yield Warehouse(database.sqlalchemy_url)


@pytest.fixture(scope="session")
def small() -> Table:
    return draw_table(60)


@pytest.fixture(scope="session")
def small_messages(small: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extract(small, tmp_path_factory.mktemp("small") / "run")


@pytest.fixture(scope="session")
def large() -> Table:
    return draw_table(5_000)


@pytest.fixture(scope="session")
def large_messages(large: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extract(large, tmp_path_factory.mktemp("large") / "run", query_task_ids=[])
