"""`--explain`: what a run would send, without running a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from looker_simulator.simulator import Simulator, SimulatorOptions
from tap_looker_tasks.looker import LookerClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest

    from looker_simulator.engine import Database
    from tests.singer import Run

    Tap = Callable[..., Run]

AIRLINES = {"name": "airlines", "look_id": 1, "primary_keys": ["flights.carrier"]}
ORDERS: dict[str, Any] = {
    "name": "orders",
    "explore": {
        "model": "shop",
        "explore": "orders",
        "fields": ["orders.id", "orders.created_date", "orders.count"],
        "filters": {"orders.state": "CA"},
    },
    "limit": 7,
    "primary_keys": ["orders.id"],
    "replication_key": "orders.created_date",
}


def explained(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(run.output)
    return found


def test_it_shows_what_is_sent_and_launches_nothing(simulator: Simulator, tap: Tap) -> None:
    run = tap("--explain", queries=[AIRLINES, ORDERS], start_date="2026-03-02")
    assert run.exit_code == 0
    found = explained(run)
    assert "query-based" in found["run"]["api_calls"]
    assert "a month" in found["run"]["api_calls_a_month"]
    orders = found["queries"]["orders"]
    assert orders["from"] == "queries[1].explore"
    assert orders["filters"] == {"orders.state": "CA", "orders.created_date": "after 2026-03-02"}
    assert orders["body"]["filters"] == orders["filters"]
    assert orders["body"]["sorts"] == ["orders.created_date"]
    assert orders["query_id"] == "a changed copy, which Looker stores before the launch"
    assert orders["bookmark"] == {"orders.created_date": "2026-03-02"}
    assert (orders["row_limit"], orders["query_timezone"]) == (7, "UTC")
    assert orders["primary_keys"] == ["orders__id"]
    assert "sql" not in orders
    airlines = found["queries"]["airlines"]
    assert "vis_config" not in airlines["body"]
    assert airlines["row_limit"] == 500
    assert simulator.tasks() == []
    assert {call.operation for call in simulator.calls} == {
        *("login", "look", "lookml_model_explore", "logout")
    }


def test_what_it_shows_is_what_a_run_sends(tap: Tap, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tap(queries=[ORDERS])
    shown = explained(tap("--explain", queries=[ORDERS], state=first.state))["queries"]["orders"]
    sent: list[Mapping[str, Any]] = []
    create_query = LookerClient.create_query

    def spy(client: LookerClient, body: Mapping[str, Any]) -> tuple[str, str | None]:
        sent.append(body)
        return create_query(client, body)

    monkeypatch.setattr(LookerClient, "create_query", spy)
    tap(queries=[ORDERS], state=first.state)
    assert [{k: v for k, v in body.items() if v is not None} for body in sent] == [shown["body"]]


def test_sql_is_what_looker_would_run_and_takes_no_run(database: Database, tap: Tap) -> None:
    # A query takes a minute here; its SQL takes nothing.
    with Simulator(SimulatorOptions(latency_seconds=60), database=database) as slow:
        run = tap("--explain", "--sql", queries=[AIRLINES, ORDERS], base_url=slow.base_url)
        assert slow.tasks() == []
    sql = {name: query["sql"] for name, query in explained(run)["queries"].items()}
    assert sql["airlines"].startswith("select ")
    assert "orders.state = 'CA'" in sql["orders"]


def test_what_is_in_flight_comes_from_state(simulator: Simulator, tap: Tap) -> None:
    simulator.fault("hang", operation="query_task_multi_results", times=None, seconds=30)
    left = tap(
        queries=[AIRLINES],
        sync_timeout_seconds=2,
        on_interrupt="leave",
    )
    simulator.clear_faults()
    (query_task_id,) = simulator.tasks()
    found = explained(tap("--explain", queries=[AIRLINES], state=left.state))
    assert found["queries"]["airlines"]["in_flight"]["query_task_id"] == query_task_id
    assert found["run"]["tasks_to_cancel"] == []
    changed = explained(tap("--explain", queries=[AIRLINES | {"limit": 3}], state=left.state))
    assert "in_flight" not in changed["queries"]["airlines"]
    assert changed["run"]["tasks_to_cancel"] == [query_task_id]


def test_external_tasks_that_are_finished_are_not_followed(tap: Tap) -> None:
    state = {"bookmarks": {"query_task_results": {"finished": {"a": "complete"}}}}
    found = explained(tap("--explain", query_task_ids=["a", "b"], state=state))
    assert found["run"]["external_tasks_to_follow"] == 1


def test_a_query_that_looker_rejects_is_a_problem_and_the_others_are_shown(
    simulator: Simulator, tap: Tap
) -> None:
    simulator.fault("bad_request", operation="run_query")
    run = tap("--explain", "--sql", queries=[AIRLINES, ORDERS], max_connections=1)
    assert run.exit_code == 1
    found = explained(run)["queries"]
    assert "run_query" in found["airlines"]["problem"]
    assert "sql" in found["orders"]


def test_what_a_run_of_the_same_name_has_delivered_is_marked(tap: Tap) -> None:
    state = tap(queries=[AIRLINES], run_id="one").state
    again = explained(tap("--explain", queries=[AIRLINES], run_id="one", state=state))
    assert again["queries"]["airlines"]["already_delivered_in_run"] == "one"
    assert again["queries"]["airlines"]["expected_seconds"] >= 0
    other = explained(tap("--explain", queries=[AIRLINES], run_id="two", state=state))
    assert "already_delivered_in_run" not in other["queries"]["airlines"]
