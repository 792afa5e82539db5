"""`--dbt-sources`: the streams of a configuration as sources of a dbt project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

AIRLINES = {"name": "airlines", "look_id": 1, "primary_keys": ["flights.carrier"]}


def test_each_selected_stream_is_a_table(simulator: Simulator, tap: Tap) -> None:
    run = tap("--dbt-sources", queries=[AIRLINES])
    assert run.exit_code == 0
    (source,) = yaml.safe_load(run.output)["sources"]
    assert [table["name"] for table in source["tables"]] == ["airlines", "query_task_results"]
    columns = {column["name"]: column for column in source["tables"][0]["columns"]}
    assert columns["flights__carrier"]["description"] == "Flights Carrier: Code of the airline"
    assert source["tables"][1]["loaded_at_field"] == "finished_at"
    assert {call.operation for call in simulator.calls} == {
        *("login", "look", "lookml_model_explore", "logout")
    }


def test_where_an_explore_cannot_be_read_no_query_runs(simulator: Simulator, tap: Tap) -> None:
    run = tap("--dbt-sources", queries=[{"name": "hidden", "query_id": 14}])
    assert run.exit_code == 0
    (source,) = yaml.safe_load(run.output)["sources"]
    assert {"name": "orders__total_amount"} in source["tables"][0]["columns"]
    assert simulator.count("run_query") == 0


def test_a_wrong_configuration_writes_nothing(tap: Tap) -> None:
    run = tap("--dbt-sources", queries=[{**AIRLINES, "primary_keys": ["flights.gone"]}])
    assert run.exit_code == 78
    assert run.output == b""
    assert "flights.gone is not a field of the query" in run.error


def test_one_question_at_a_time(tap: Tap) -> None:
    assert tap("--dbt-sources", "--explain").exit_code == 2
    assert tap("--sql").exit_code == 2
