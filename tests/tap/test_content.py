"""What other people change in Looker costs its own stream; the others are delivered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

GOOD = {"name": "good", "query_id": "17"}


def inline(*fields: str, **more: Any) -> dict[str, Any]:
    return {"model": "shop", "explore": "orders", "fields": [*fields], **more}


def tile(id_: str, title: str, query_id: str | None, **more: Any) -> dict[str, Any]:
    return {"id": id_, "title": title, "query_id": query_id, **more}


def listening(*names: str, field: str) -> dict[str, Any]:
    listen = [{"dashboard_filter_name": name, "field": field} for name in names]
    return {
        "result_maker": {"filterables": [{"model": "shop", "view": "orders", "listen": listen}]}
    }


def streams_of(tap: Tap, **config: Any) -> set[str]:
    run = tap("--discover", **config)
    assert run.exit_code == 0, run.log
    return {entry["stream"] for entry in json.loads(run.output)["streams"]} - {
        "query_task_results",
        "query_task_rows",
    }


OF_AN_OLD_LOOKER = (
    "or this user cannot see it; since Looker 25.2, IDs of queries are slugs, not numbers: use url "
    "or query_slug"
)


def test_only_a_number_is_reported_as_the_id_of_an_old_looker(tap: Tap) -> None:
    for query_id in (812, "812"):
        assert OF_AN_OLD_LOOKER in tap(queries=[{"name": "gone", "query_id": query_id}]).error
    assert "slugs" not in tap(queries=[{"name": "gone", "query_id": 99}]).log


def check_costs_one(run: Run, name: str, reason: str) -> None:
    """Check that one stream is named with its reason, and the other is delivered."""
    assert run.exit_code == 1
    assert len(run.records("good")) == 3
    assert run.records(name) == []
    (failed,) = (r for r in run.records() if r["query_name"] != "good")
    assert (failed["status"], failed["query_name"]) == ("error", name)
    assert failed["query_task_id"].startswith(f"not-launched-{name}-20")
    assert reason in failed["error_message"]
    assert f"{name} (not launched: " in run.error
    assert reason in run.error
    assert "Traceback" not in run.log


@pytest.mark.parametrize(
    ("source", "stream", "reason", "has_columns"),
    [
        (
            {"look_id": "5"},
            "bad",
            "Look 5 is deleted; restore it in Looker, or remove it here",
            True,
        ),
        ({"look_id": "3"}, "bad", "Look 3 has no query", False),
        ({"look_id": "99"}, "bad", "there is no Look 99", False),
        ({"query_id": "99"}, "bad", "there is no query ", False),
        ({"query_id": 812}, "bad", f"there is no query 812, {OF_AN_OLD_LOOKER}", False),
        ({"query_slug": "slug99"}, "bad", "there is no query with the slug slug99", False),
        (
            {"dashboard_id": "70"},
            "bad_by_city",
            "dashboard 70 is deleted; restore it in Looker, or remove it here",
            True,
        ),
        ({"dashboard_id": "99"}, "bad", "there is no dashboard 99", False),
        ({"dashboard_id": "71"}, "bad_gone", "the Explore gone/orders cannot be read", False),
    ],
)
def test_content_that_is_gone_costs_its_own_stream(
    simulator: Simulator,
    tap: Tap,
    source: dict[str, str],
    stream: str,
    reason: str,
    *,
    has_columns: bool,
) -> None:
    simulator.add_dashboard(
        "70", {"title": "B", "dashboard_elements": [tile("1", "By city", "17")]}
    )
    gone = {"model": "gone", "view": "orders", "fields": ["orders.id"]}
    tiles = [tile("1", "Gone", None, query=gone)]
    simulator.add_dashboard("71", {"title": "B", "dashboard_elements": tiles})
    simulator.trash(look_id="5", dashboard_id="70")
    is_board = "dashboard_id" in source
    bad = {"name": "bad", **source}
    config: dict[str, Any] = {"queries": [GOOD] if is_board else [bad, GOOD]}
    config["dashboards"] = [bad] if is_board else []
    found = streams_of(tap, **config)
    assert found == {"good", *([stream] if has_columns else [])}
    check_costs_one(tap(**config), stream, reason)
    if stream != "bad_gone":
        # Whether the Explore is there or only not shown, no call that runs nothing can tell.
        doctor = tap("--doctor", **config)
        assert doctor.exit_code == 1
        assert "fails" in doctor.output.decode()
    if has_columns:
        catalog = json.loads(tap("--discover", **config).output)
        check_costs_one(tap(catalog=catalog, **config), stream, reason)


@pytest.mark.parametrize("result_format", ["json_detail", "json_bi"])
def test_a_hidden_field_is_left_out_with_a_warning(
    simulator: Simulator, tap: Tap, result_format: str
) -> None:
    simulator.hide_field("orders.count")
    run = tap(queries=[GOOD], result_format=result_format)
    assert run.exit_code == 0
    assert [*run.records("good")[0]][2:] == ["orders__city"]
    assert (
        "orders.count is not a field of the Explore, or hidden from this user: left out" in run.log
    )
    keyed = {"name": "bad", "query_id": "13", "primary_keys": ["orders.count"]}
    assert "queries[0].primary_keys" in tap(queries=[keyed]).error


def test_a_hidden_key_costs_its_own_stream(simulator: Simulator, tap: Tap) -> None:
    simulator.hide_field("orders.id")
    keyed = {"name": "bad", "query_id": "13", "primary_keys": ["orders.id"]}
    check_costs_one(tap(queries=[keyed, GOOD]), "bad", "orders.id is not a field of the Explore")


@pytest.mark.parametrize(
    "wrong",
    [
        {"explore": inline("orders.idd")},
        {"explore": {**inline("orders.id"), "explore": "nowhere"}},
        {"query_id": "17", "primary_keys": ["orders.idd"]},
        {"query_id": "17", "filters": {"orders.idd": "1"}},
    ],
)
def test_what_the_user_wrote_is_rejected_before_anything_runs(
    simulator: Simulator, tap: Tap, wrong: dict[str, Any]
) -> None:
    run = tap(queries=[{"name": "bad", **wrong}, GOOD])
    assert run.exit_code == 78
    assert run.error.startswith("queries[0].")
    assert simulator.tasks() == []


def test_a_query_that_the_catalog_lacks_is_reported(tap: Tap) -> None:
    catalog = json.loads(tap("--discover", queries=[GOOD]).output)
    new = {"name": "new", "query_id": "4"}
    run = tap(queries=[GOOD, new], catalog=catalog)
    assert run.exit_code == 0
    assert run.log.count("new: not in the catalog, so it does not run; discover again") == 1
    assert len(run.records("good")) == 3


@pytest.mark.parametrize(
    ("values", "days"),
    [
        (("after 2026-03-10", "before 2026-03-12"), {"2026-03-10", "2026-03-11"}),
        (("2026/03/01 to 2026/03/11", "after 2026/03/10"), {"2026-03-10"}),
        (("2026-03-10 to 2026-03-12", ""), {"2026-03-10", "2026-03-11"}),
        (("any time", "2026-03-10 to 2026-03-11"), {"2026-03-10"}),
    ],
)
def test_dashboard_filters_on_one_field_hold_both(
    simulator: Simulator, tap: Tap, values: tuple[str, str], days: set[str]
) -> None:
    days_query = {"model": "shop", "view": "orders", "fields": ["orders.created_date"]}
    query_id = simulator.create_query(days_query)
    listens = listening("From", "Until", field="orders.created_date")
    simulator.add_dashboard(
        "72", {"title": "B", "dashboard_elements": [tile("1", "Days", query_id, **listens)]}
    )
    filters = dict(zip(("From", "Until"), values, strict=True))
    run = tap(dashboards=[{"dashboard_id": "72", "name": "b", "filters": filters}])
    assert run.exit_code == 0
    assert {row["orders__created_date"] for row in run.records("b_days")} == days


def test_dashboard_filters_that_cannot_be_combined_cost_their_tile(
    simulator: Simulator, tap: Tap
) -> None:
    listens = listening("From", "Until", field="orders.created_date")
    tiles = [tile("1", "Days", "17", **listens)]
    simulator.add_dashboard("73", {"title": "B", "dashboard_elements": tiles})
    filters = {"From": "7 days", "Until": "before 2026-03-12"}
    board = {"dashboard_id": "73", "name": "bad", "filters": filters}
    run = tap(queries=[GOOD], dashboards=[board])
    check_costs_one(
        run,
        "bad_days",
        "the dashboard filters 'From' (7 days) and 'Until' (before 2026-03-12) both filter "
        "orders.created_date, and cannot be combined",
    )


@pytest.mark.parametrize("stored", [5, True, 5.5, ["5"], [5]])
def test_filters_that_are_not_text_become_text(
    simulator: Simulator, tap: Tap, stored: object
) -> None:
    odd = {"model": "shop", "view": "orders", "fields": ["orders.id"]}
    query_id = simulator.create_query(
        {**odd, "filters": {"orders.items": "3", "orders.id": stored}}
    )
    run = tap("--discover", queries=[{"name": "q", "query_id": query_id, "limit": 7}])
    assert run.exit_code == 0, run.log
    keyed = {"name": "q", "query_id": query_id, "replication_key": "orders.id"}
    assert "queries[0].replication_key: a bookmark cannot be" in tap(queries=[keyed]).error


def test_a_stored_filter_of_another_shape_costs_its_own_stream(
    simulator: Simulator, tap: Tap
) -> None:
    odd = {"model": "shop", "view": "orders", "fields": ["orders.id"]}
    query_id = simulator.create_query({**odd, "filters": {"orders.id": {"min": 5}}})
    run = tap(queries=[{"name": "bad", "query_id": query_id}, GOOD])
    check_costs_one(run, "bad", 'its filter on orders.id is {"min":5}, not text')


CALCULATIONS = [
    ("running_total(${orders.count})", "running_total"),
    ("${orders.count} / sum(${orders.count})", "sum"),
    ("offset(${orders.count}, -1)", "offset"),
    ("row()", "row"),
    ("rank(${orders.count}, ${orders.count})", "rank"),
    ("${orders.count} / ${orders.count:total}", "total"),
    ("made_up(1)", "made_up"),
    (None, "percent_of_column_sum"),
]


@pytest.mark.parametrize(("expression", "reason"), CALCULATIONS)
@pytest.mark.parametrize("has_catalog", [False, True])
def test_what_is_computed_over_rows_is_rejected_with_a_replication_key(
    simulator: Simulator, tap: Tap, expression: str | None, reason: str, *, has_catalog: bool
) -> None:
    calculation = {"table_calculation": "calc", "_type_hint": "number", "expression": expression}
    if expression is None:
        calculation = {"table_calculation": "calc", "calculation_type": "percent_of_column_sum"}
    days = inline("orders.created_date", "orders.count")
    keyed = {"name": "q", "replication_key": "orders.created_date"}
    plain = [{**keyed, "explore": days}]
    catalog = json.loads(tap("--discover", queries=plain).output) if has_catalog else None
    queries = [{**keyed, "explore": {**days, "dynamic_fields": [calculation]}}]
    run = tap(queries=queries, catalog=catalog)
    assert run.exit_code in {1, 78}
    assert f"calc is computed over the rows of the result ({reason})" in run.error
    assert simulator.tasks() == []


def test_what_is_computed_in_one_row_is_loaded_incrementally(tap: Tap) -> None:
    calculation = {"table_calculation": "calc", "expression": "round(${orders.count} * 2, 1) + 1"}
    days = inline("orders.created_date", "orders.count", dynamic_fields=[calculation])
    keyed = {"name": "q", "replication_key": "orders.created_date", "explore": days}
    assert tap(queries=[keyed]).exit_code == 0


def test_custom_fields_that_are_not_json_are_rejected(tap: Tap) -> None:
    run = tap("--discover", queries=[{"name": "q", "explore": inline("a.b", dynamic_fields="{")}])
    assert run.exit_code == 78
    assert run.error == "queries[0].explore: not a JSON array of custom fields: '{'"


def test_a_filter_that_an_expression_has_already_is_rejected(
    simulator: Simulator, tap: Tap
) -> None:
    odd = {"model": "shop", "view": "orders", "fields": ["orders.id"]}
    expression = "${orders.state} = 'CA' OR ${orders.city} = 'Austin'"
    query_id = simulator.create_query({**odd, "filter_expression": expression})
    filtered = {"name": "q", "query_id": query_id, "filters": {"orders.state": "NY"}}
    run = tap("--discover", queries=[filtered])
    assert run.error.startswith(
        "queries[0].filters: the query's filter expression filters orders.s"
    )


@pytest.mark.parametrize("rejection", ["forgotten", "not_found", "validation_failed"])
@pytest.mark.parametrize("source", ["look", "explore", "tile"])
def test_a_query_id_that_looker_forgot_is_looked_up_again(
    simulator: Simulator, tap: Tap, source: str, rejection: str
) -> None:
    city = {"orders.city": "New York"}
    sources: dict[str, dict[str, Any]] = {
        "look": {"queries": [{"name": "q", "look_id": "1", "limit": 2}]},
        "explore": {"queries": [{"name": "q", "explore": inline("orders.city", "orders.count")}]},
        "tile": {"dashboards": [{"dashboard_id": "77", "name": "q"}]},
    }
    listens = listening("City", field="orders.city")
    board = {
        "dashboard_filters": [{"name": "City", "default_value": city["orders.city"]}],
        "dashboard_elements": [tile("1", "Cities", "17", **listens)],
    }
    simulator.add_dashboard("77", {"title": "B", **board})
    config, stream = sources[source], "q_cities" if source == "tile" else "q"
    catalog = json.loads(tap("--discover", **config).output)
    first = tap(catalog=catalog, **config)
    saved = first.state["bookmarks"][stream]["query"]["query_id"]
    if rejection == "forgotten":
        simulator.forget_query(saved)
    else:
        simulator.fault(rejection, times=1, operation="create_query_task")
    second = tap(catalog=catalog, state=first.state, **config)
    assert second.exit_code == 0, second.log
    assert len(second.records(stream)) == len(first.records(stream)) > 0
    # Rejected, created again, launched: once.
    assert simulator.count("create_query_task") == 3
    simulator.clear_calls()
    third = tap(catalog=catalog, state=second.state, **config)
    assert third.exit_code == 0
    assert simulator.count("create_query") == 0


def test_a_query_id_that_looker_rejects_in_every_form_costs_its_own_stream(
    simulator: Simulator, tap: Tap
) -> None:
    queries = [{"name": "q", "explore": inline("orders.city", "orders.count")}]
    first = tap(queries=queries)
    simulator.fault("validation_failed", times=None, operation="create_query_task")
    second = tap(queries=queries, state=first.state)
    assert second.exit_code == 1
    assert "q (not launched: create_query_task: " in second.error
    # Once per run.
    assert simulator.count("create_query_task") == 3


def test_a_dashboard_filter_goes_by_its_title_where_that_is_clear(
    simulator: Simulator, tap: Tap
) -> None:
    board = {
        "title": "B",
        "dashboard_filters": [
            {"name": "state_filter", "title": "State", "default_value": ""},
            {"name": "city_filter", "title": "City", "default_value": ""},
        ],
        "dashboard_elements": [
            tile("1", "Cities", "17", **listening("state_filter", field="orders.state"))
        ],
    }
    simulator.add_dashboard("74", board)
    config = {"dashboard_id": "74", "name": "b"}
    run = tap(dashboards=[{**config, "filters": {"State": "NY"}}])
    assert [row["orders__city"] for row in run.records("b_cities")] == ["New York"]
    wrong = tap(dashboards=[{**config, "filters": {"Zip": "1"}}])
    assert wrong.error.endswith("there are state_filter")


@pytest.mark.parametrize("more", [{"wait_for_completion": False}, {"sync_timeout_seconds": 60}])
def test_doctor_shows_that_what_is_left_may_be_gone(tap: Tap, more: dict[str, Any]) -> None:
    doctor = tap("--doctor", queries=[GOOD], **more)
    assert doctor.exit_code == 0
    assert "300 s" in " ".join(doctor.output.decode().split())


def sales(*ids: str) -> dict[str, Any]:
    return {"title": "B", "dashboard_elements": [tile(id_, "Sales", "17") for id_ in ids]}


@pytest.mark.parametrize("known_by", ["state", "catalog", "both"])
def test_a_tile_keeps_the_name_that_state_or_catalog_knows(
    simulator: Simulator, tap: Tap, known_by: str
) -> None:
    simulator.add_dashboard("75", sales("11", "12"))
    config: dict[str, Any] = {"dashboards": [{"dashboard_id": "75", "name": "d"}]}
    first = tap(**config)
    catalog = json.loads(tap("--discover", **config).output)
    simulator.add_dashboard("75", sales("12"))
    known: dict[str, Any] = {} if known_by == "catalog" else {"state": first.state}
    run = tap(catalog=None if known_by == "state" else catalog, **known, **config)
    assert run.exit_code == 0
    assert len(run.records("d_sales_12")) == 3
    assert run.records("d_sales") == []
    assert "this stream was" not in run.log


def test_a_tile_that_is_discovered_under_another_name_is_warned_of(
    simulator: Simulator, tap: Tap
) -> None:
    simulator.add_dashboard("76", sales("11", "12"))
    config: dict[str, Any] = {"dashboards": [{"dashboard_id": "76", "name": "d"}]}
    first = tap(**config)
    simulator.add_dashboard("76", sales("12"))
    # As Meltano does, which discovers without state.
    catalog = json.loads(tap("--discover", **config).output)
    run = tap(catalog=catalog, state=first.state, **config)
    assert len(run.records("d_sales")) == 3
    assert run.log.count("d_sales: this stream was d_sales_12 before; targets load it into a") == 1
    assert "`name` of dashboards[0]: tile 'Sales' keeps the name" in run.log
    later = tap(catalog=catalog, state=run.state, **config)
    assert "this stream was" not in later.log
    named = config["dashboards"][0] | {"tiles": [{"id": "12", "name": "sales_12"}]}
    kept = tap(dashboards=[named], state=first.state)
    assert len(kept.records("d_sales_12")) == 3
    assert "this stream was" not in kept.log


def test_a_test_run_fails_when_content_is_gone(tap: Tap) -> None:
    run = tap("--test", queries=[{"name": "bad", "look_id": "99"}])
    assert run.exit_code == 1
    assert "bad (not launched: queries[0].look_id: there is no Look 99" in run.error
    assert run.only()["status"] == "error"
    assert tap("--test", queries=[GOOD, {"name": "bad", "look_id": "99"}]).exit_code == 1
    left = tap("--test", queries=[{"name": "bad", "look_id": "99"}], fail_on_task_error=False)
    assert left.exit_code == 0


@pytest.mark.parametrize("look_id", ["5", "99"])
def test_summary_and_report_name_content_that_is_gone(
    simulator: Simulator, tap: Tap, tmp_path: Path, look_id: str
) -> None:
    simulator.trash(look_id="5")
    summary, page = tmp_path / "summary.json", tmp_path / "report.html"
    queries = [GOOD, {"name": "bad", "look_id": look_id}]
    run = tap(queries=queries, summary_path=str(summary), report_path=str(page))
    reason = {"5": "Look 5 is deleted", "99": "there is no Look 99"}[look_id]
    assert run.exit_code == 1
    assert (
        f"bad, not launched: {'queries[1].look_id: ' if look_id == '99' else ''}{reason}" in run.log
    )
    shown = json.loads(summary.read_text())
    assert (shown["exit_code"], shown["row_count"]) == (1, 3)
    assert shown["query_tasks"] == {"delivered": 1, "not_launched": 1}
    (bad,) = (found for found in shown["queries"] if found["name"] == "bad")
    assert reason in bad["error"]
    assert reason in page.read_text()
