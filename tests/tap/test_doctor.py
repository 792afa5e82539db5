"""`--doctor`: what a person sees before the first run."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tap_looker_tasks.looker.client import LookerClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

AIRLINES = {"name": "airlines", "query_id": 1}
DAYS = {
    "model": "flights_2013",
    "explore": "flights",
    "fields": ["flights.departure_date", "flights.count"],
}
LAUNCHING = ("create_query_task", "query_task_multi_results")


def shown(run: Run) -> str:
    """What was printed, however wide the table is."""
    return " ".join(run.output.decode().split())


def test_a_good_configuration_is_reported_in_a_table_and_launches_nothing(
    simulator: Simulator, tap: Callable[..., Run]
) -> None:
    run = tap("--doctor", queries=[AIRLINES])
    assert run.exit_code == 0
    lines = run.output.decode().splitlines()
    verdicts = [line.split()[0] for line in lines if line.split()[:1] in (["ok"], ["note"])]
    assert verdicts == ["ok"] * 7
    assert "Looker 26.14.0, as Simulator" in shown(run)
    assert any("airlines" in line and "7 columns" in line for line in lines)
    assert not any(simulator.count(operation) for operation in LAUNCHING)
    assert simulator.count("logout") == 1


def test_a_permission_that_is_missing_is_named_with_its_use(
    tap: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    roles = [{"permission_set": {"permissions": ["access_data", "explore", "see_looks"]}}, {}]
    monkeypatch.setattr(LookerClient, "user_roles", lambda *_: roles)
    run = tap("--doctor", queries=[AIRLINES])
    assert run.exit_code == 0
    expected = (
        "note permissions missing: see_user_dashboards (for dashboards), see_lookml_dashboards "
        "(for LookML dashboards)"
    )
    assert expected in shown(run)


def test_every_permission_has_its_use(
    tap: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LookerClient, "user_roles", lambda *_: [{}])
    assert (
        "permissions missing: access_data (to run queries), explore (to run queries of `explore`, "
        "and those that the configuration changes), see_looks (for Looks), see_user_dashboards"
    ) in shown(tap("--doctor", queries=[AIRLINES]))


def test_what_may_surprise_is_noted(tap: Callable[..., Run], simulator: Simulator) -> None:
    fields = ["flights.departure_date", "flights.count"]
    days = {
        "name": "days",
        "explore": {"model": "flights_2013", "explore": "flights", "fields": fields},
        "replication_key": "flights.departure_date",
    }
    seen = shown(
        tap(
            "--doctor",
            queries=[days],
            query_task_ids=[simulator.create_task("4")],
            wait_for_completion=False,
            max_name_length=20,
        )
    )
    assert "ok query_task_ids external tasks: 1" in seen
    assert "incremental without primary_keys: the rows at each bookmark are loaded again" in seen
    assert (
        "note wait_for_completion what a run leaves to the next one may be gone by then: Looker "
        "keeps results for 300 s and tasks for 6 hours; such queries are launched again"
    ) in seen
    assert "API calls a month every hour:" in seen


def test_a_looker_without_a_version_is_noted(
    tap: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LookerClient, "versions", lambda _: {})
    assert ": Looker of unknown version, as Simulator" in shown(tap("--doctor", queries=[AIRLINES]))


def test_roles_that_the_user_cannot_see_are_skipped(
    simulator: Simulator, tap: Callable[..., Run]
) -> None:
    simulator.fault("forbidden", operation="user_roles")
    run = tap("--doctor", queries=[AIRLINES])
    assert run.exit_code == 0
    assert "permissions" not in shown(run)


def test_a_time_zone_that_looker_does_not_offer_is_noted(tap: Callable[..., Run]) -> None:
    offered = tap("--doctor", query_timezone="Asia/Tokyo")
    assert "ok query_timezone queries run in Asia/Tokyo" in shown(offered)
    other = tap("--doctor", query_timezone="Asia/Tokio", queries=[AIRLINES])
    assert other.exit_code == 78
    old = tap("--doctor", query_timezone="Asia/Calcutta", queries=[AIRLINES])
    assert old.exit_code == 0
    assert "note query_timezone queries run in Asia/Calcutta, which is not among the 12" in shown(
        old
    )


def test_time_zones_that_looker_does_not_show_fail_nothing(
    simulator: Simulator, tap: Callable[..., Run]
) -> None:
    simulator.fault("not_found", operation="all_timezones")
    run = tap("--doctor", queries=[AIRLINES])
    assert run.exit_code == 0
    assert "queries run in UTC; cannot check whether Looker knows it" in shown(run)
    assert "7 columns" in shown(run)


def test_time_zones_of_another_shape_are_no_time_zones(
    tap: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    zones = [{"value": "UTC"}, {"value": ["UTC"]}, {"value": 1}, {"value": None}, {}]
    monkeypatch.setattr(LookerClient, "all_timezones", lambda _: zones)
    assert "ok query_timezone queries run in UTC" in shown(tap("--doctor", queries=[AIRLINES]))
    other = tap("--doctor", query_timezone="Asia/Tokyo", queries=[AIRLINES])
    assert "which is not among the 1 time zones" in shown(other)


def test_everything_that_would_fail_is_reported_together(tap: Callable[..., Run]) -> None:
    run = tap(
        "--doctor",
        queries=[AIRLINES, {"name": "gone", "query_id": 999}],
        dashboards=[{"dashboard_id": 77, "name": "missing"}],
    )
    assert run.exit_code == 1
    output = shown(run)
    assert output.count("fails") == 2
    assert "there is no query 999" in output
    assert "there is no dashboard 77" in output
    assert "7 columns" in output


def test_wrong_credentials_end_the_examination(tap: Callable[..., Run]) -> None:
    run = tap("--doctor", client_secret="wrong", queries=[AIRLINES])
    assert run.exit_code == 1
    output = shown(run)
    assert "client_id and client_secret" in output
    assert "airlines" not in output


def test_an_explore_that_cannot_be_read_is_noted_and_no_query_runs(
    simulator: Simulator, tap: Callable[..., Run]
) -> None:
    run = tap("--doctor", queries=[{"name": "hidden", "query_id": 14, "replication_key": "x.y"}])
    assert run.exit_code == 1
    assert "x.y is not a field of the query; there are" in shown(run)
    run = tap("--doctor", queries=[{"name": "hidden", "query_id": 14}])
    assert run.exit_code == 0
    assert "note hidden Looker shows no such Explore to this user" in shown(run)
    assert not any(simulator.count(name) for name in (*LAUNCHING, "run_query", "create_query"))


def test_a_limit_that_allows_no_run_fails(tap: Callable[..., Run]) -> None:
    run = tap("--doctor", queries=[AIRLINES], api_call_limit=8)
    assert run.exit_code == 1
    assert "8 are allowed" in shown(run)


def test_calls_are_estimated_by_kind_and_month(tap: Callable[..., Run]) -> None:
    named = [{**AIRLINES, "name": f"airlines_{number}"} for number in range(11)]
    found = shown(tap("--doctor", queries=named, query_task_ids=["a"]))
    assert (
        "14 to 74 query-based, 22 administrative in a first run; "
        "28 query-based, 0 administrative in later ones"
    ) in found
    assert "every hour: 20,440 query-based, 0 administrative a month, within Enterprise" in found
    assert "every day: 868 query-based, 0 administrative a month, within Standard" in found


def test_a_first_run_takes_calls_within_the_estimate(tap: Callable[..., Run]) -> None:
    assert "2 to 22 query-based, 2 administrative" in shown(tap("--doctor", queries=[AIRLINES]))
    counted = re.search(r"(\d+) query-based, (\d+) administrative", tap(queries=[AIRLINES]).log)
    assert counted
    assert 2 <= int(counted[1]) <= 22
    assert int(counted[2]) <= 2


@pytest.mark.parametrize(
    "config",
    [
        {"queries": [AIRLINES]},
        {"queries": [{"name": "look", "look_id": 1}]},
        {"dashboards": [{"dashboard_id": 1, "name": "board"}]},
        {"queries": [{"name": "days", "explore": DAYS, "replication_key": DAYS["fields"][0]}]},
    ],
)
def test_a_later_run_takes_calls_within_the_estimate(
    tap: Callable[..., Run], config: dict[str, Any]
) -> None:
    estimated = re.search(
        r"(\d+) query-based, (\d+) administrative in later ones", shown(tap("--doctor", **config))
    )
    # On a slow machine, shorter intervals would take more polls.
    config |= {"poll_interval_seconds": 1, "poll_max_interval_seconds": 60}
    catalog = json.loads(tap("--discover", **config).output)
    first = tap(catalog=catalog, **config)
    later = tap(catalog=catalog, state=first.state, **config)
    counted = re.search(r"(\d+) query-based, (\d+) administrative", later.log)
    assert estimated
    assert counted
    assert int(counted[1]) <= int(estimated[1])
    # Look-ups are known beforehand.
    assert counted[2] == estimated[2]


def test_content_that_is_gone_fails_and_is_not_good_as_well(tap: Callable[..., Run]) -> None:
    doctor = tap("--doctor", queries=[{"name": "gone", "look_id": 6}])
    assert doctor.exit_code == 1
    checks = [line.split()[0] for line in doctor.text.splitlines() if " gone " in line]
    assert checks == ["fails"]
