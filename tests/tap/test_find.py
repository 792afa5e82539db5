"""`--find`: what there is, with something to paste."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml
from typing_extensions import override

from looker_simulator.builtin import BUILTIN
from looker_simulator.engine import Database
from looker_simulator.model import Model
from looker_simulator.simulator import Simulator, SimulatorOptions
from tap_looker_tasks.cli import print_content
from tap_looker_tasks.launching import Content
from tap_looker_tasks.wording import Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb

    from tests.singer import Run

    Tap = Callable[..., Run]


def rows(run: Run) -> list[list[str]]:
    """The rows of the table that was printed, by their columns."""
    lines = run.output.decode().splitlines()
    kinds = ("Look", "dashboard", "Explore", "dimension", "measure", "filter", "parameter")
    found = ([cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines)
    return [cells for cells in found if len(cells) > 1 and cells[0].startswith(kinds)]


def test_words_find_content_of_every_kind_with_its_address(simulator: Simulator, tap: Tap) -> None:
    simulator.add_look("77", "[red]Orders[/red] by\nmonth", "1")
    run = tap("--find", "ORDERS")
    assert run.exit_code == 0
    found = rows(run)
    # Names come from outside: they are neither markup nor lines of their own.
    title = "[red]Orders[/red] by month"
    assert ["Look", title, "Shared", f"{simulator.base_url}/looks/77"] in found
    assert {row[-1].removeprefix(simulator.base_url) for row in found} >= {
        "/looks/5",
        "/dashboards/2",
        "/dashboards/shop::overview",
        "shop/orders",
    }
    assert not any("Airports" in row[1] for row in found)


def test_all_words_must_match_in_any_order(simulator: Simulator, tap: Tap) -> None:
    run = tap("--find", "state", "by", "orders")
    assert [row[-1] for row in rows(run)] == [f"{simulator.base_url}/looks/5"]
    assert tap("--find=state orders").output == tap("--find", "orders state").output


def test_nothing_found_is_no_error(tap: Tap) -> None:
    run = tap("--find", "nothing like this")
    assert run.exit_code == 0
    assert run.output.decode() == "This user can see nothing with these words; try fewer.\n"


def test_what_is_below_the_table_can_be_pasted(simulator: Simulator, tap: Tap) -> None:
    lines = tap("--find").output.decode().splitlines()
    below = yaml.safe_load("\n".join(lines[lines.index("queries:") : -1]))
    assert below == {
        "queries": [{"url": f"{simulator.base_url}/looks/1"}],
        "dashboards": [{"url": f"{simulator.base_url}/dashboards/1"}],
    }
    assert lines[-1].endswith("--find flights_2013/flights")


class Terminal(io.StringIO):
    """Text that is shown on a terminal."""

    @override
    def isatty(self) -> bool:
        return True


def test_a_terminal_of_80_columns_breaks_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    address = "https://a-long-name-of-an-instance.cloud.looker.com/dashboards/shop::overview"
    title = "Orders of all customers and all times, by month and state"
    found = (
        Content("dashboard", title, "Finance", address),
        Content("Explore", title, title, "shop/orders_of_customers"),
    )
    print_content(Findings(found), shown := Terminal())
    lines = [line.rstrip() for line in shown.getvalue().splitlines()]
    assert [line.split()[0] for line in lines if line.endswith("/dashboards/shop::overview")] == [
        "dashboard",
        "-",
    ]
    assert any(line.endswith(" shop/orders_of_customers") for line in lines)
    assert f"- url: {address}" in lines


@pytest.fixture
def big(connection: duckdb.DuckDBPyConnection) -> Iterator[Simulator]:
    """An instance with 5,000 Looks, 500 dashboards and 200 Explores, at a round trip of 0.25 s."""
    orders = BUILTIN.models["shop"].explores["orders"]
    explores = (replace(orders, name=f"o{n}", label=f"Monthly orders {n}") for n in range(200))
    project = replace(BUILTIN, models={"many": Model.of("many", *explores)})
    options = SimulatorOptions(round_trip_seconds=0.25)
    with Simulator(options, database=Database(connection, project)) as simulator:
        simulator.add_looks(5000, "Monthly figures {}")
        for number in range(500):
            simulator.add_dashboard(f"{1000 + number}", {"title": f"Monthly board {number}"})
        yield simulator


def test_thousands_of_looks_take_few_calls_seconds_and_lines(big: Simulator, tap: Tap) -> None:
    for words in ((), ("monthly",), ("figures", "49")):
        big.clear_calls()
        started = time.process_time()
        run = tap("--find", *words, base_url=big.base_url)
        # With four round trips, three seconds on an idle machine.
        assert time.process_time() - started < 2
        assert len(big.calls) == 6
        assert "API calls made: 6 (1 login, " in run.log
        assert len(run.output.decode().splitlines()) < 90
        if len(words) < 2:
            assert "there are more Looks; add words to find others" in run.output.decode()
            assert "there are more dashboards" in run.output.decode()
            assert "there are more Explores" in run.output.decode()


def test_a_kind_that_the_user_cannot_see_hides_no_other(simulator: Simulator, tap: Tap) -> None:
    simulator.fault("forbidden", operation="search_looks")
    run = tap("--find", "orders")
    assert run.exit_code == 0
    assert "Note: search_looks: " in run.output.decode()
    assert {row[0] for row in rows(run)} == {"dashboard", "Explore"}


def test_an_explore_lists_its_fields(tap: Tap) -> None:
    run = tap("--find", "shop/orders")
    by_name = {row[-1]: row for row in rows(run)}
    assert by_name["orders.id"][:4] == ["dimension", "number", "Orders Id", "Number of the order"]
    assert by_name["orders.unit"][0] == "parameter (filter only)"
    text = run.output.decode()
    (query,) = yaml.safe_load(text[text.index("queries:") :])["queries"]
    assert query["explore"]["fields"] == ["orders.id", "orders.customer", "orders.state"]
    assert tap(queries=[query]).exit_code == 0


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("shop/ordrs", "; did you mean shop/orders?"),
        ("nowhere/at_all", "; the nearest of 11 are "),
    ],
)
def test_an_explore_that_is_not_there_is_served_with_those_that_are(
    tap: Tap, name: str, end: str
) -> None:
    run = tap("--find", name)
    assert run.exit_code == 1
    assert run.error.startswith(f"Looker shows this user no Explore {name}{end}")
    assert run.output == b""


def test_find_needs_address_and_credentials_only(tap: Tap) -> None:
    run = tap("--find", "orders", base_url=None, client_secret=None)
    assert run.exit_code == 78
    assert run.error == "base_url, client_secret: required, but not set"
