"""The page on the simulator shows what it does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from docs.walkthrough import read_blocks
from looker_simulator.command import serve
from looker_simulator.engine import Database
from looker_simulator.faults import FAULTS
from looker_simulator.routes import ROUTES
from looker_simulator.scenario import read_scenario
from looker_simulator.simulator import Simulator, SimulatorOptions
from looker_simulator.user_project import read_project
from tests.simulator.readme import README, SIMULATOR, with_lists

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parent.parent.parent / "docs" / "simulator.md").read_text()


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder with the files that the page shows."""
    for block in read_blocks(PAGE):
        if named := re.match(r"# (\S+\.\w+)\n", block.text):
            path = tmp_path / named[1]
            path.parent.mkdir(exist_ok=True)
            content = block.text[named.end() :] if path.suffix == ".csv" else block.text
            path.write_text(content)
    return tmp_path


def rows(folder: Path, model: str, query: dict[str, Any]) -> list[tuple[Any, ...]]:
    project, warnings = read_project(folder / "store", folder / model)
    assert warnings == []
    with project.connect() as connection:
        found: dict[str, Any] = {**(project.content.queries.get("1") or {}), **query}
        return Database(connection, project).run(found).rows


def test_the_model_in_yaml_is_served(written: Path) -> None:
    assert rows(written, "store.yml", {}) == [("Ada", 17.5), ("Grace", 20.25)]
    query = {"fields": ["orders.in_california", "orders.count"], "sorts": []}
    assert rows(written, "store.yml", query) == [(2, 3)]


def test_the_model_in_lookml_is_served(written: Path) -> None:
    query = {
        "model": "store",
        "view": "orders",
        "fields": ["customers.name", "orders.period", "orders.count", "orders.total"],
        "filters": {"orders.unit": "year"},
        "sorts": ["customers.name"],
    }
    assert rows(written, "store.model.lkml", query) == [
        ("Ada", "2026-01-01", 2, 17.5),
        ("Grace", "2026-01-01", 1, 20.25),
    ]


def test_the_scenario_is_played(written: Path, database: Database) -> None:
    options = SimulatorOptions(scenario=read_scenario(written / "scenario.yml"))
    with Simulator(options, database=database) as simulator:
        assert simulator.tasks() == ["from-the-application", "of-a-query"]


def test_every_fault_is_described() -> None:
    _, _, faults = PAGE.partition("\n## Inject faults\n")
    described = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", faults, re.MULTILINE))
    assert described == {name: kind.description for name, kind in FAULTS.items()}


def test_every_option_is_named() -> None:
    shown = CliRunner().invoke(serve, ["--help"]).output
    options = {*re.findall(r"--[a-z-]+", shown)} - {"--help", "--port"}
    assert [option for option in options if option not in PAGE] == []


def python_blocks() -> Iterator[str]:
    yield from (block.text for block in read_blocks(PAGE) if block.language == "python")


def test_programs_shown_run(capsys: pytest.CaptureFixture[str]) -> None:
    program, *tests = python_blocks()
    exec(compile(program, "program", "exec"), {})  # noqa: S102 - the page's own
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+ [0-9a-f]{32} 0\n", capsys.readouterr().out)
    for test in tests:
        compile(test, "test", "exec")


def test_the_readme_lists_operations_and_modules() -> None:
    text = README.read_text()
    assert text == with_lists(text)
    assert len(ROUTES) >= 60
    assert len([*SIMULATOR.glob("looker_simulator/*.py")]) - 1 <= 32
