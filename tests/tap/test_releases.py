"""The tap delivers the same from each release of Looker that a variant of the simulator is like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from looker_simulator.faults import VARIANTS
from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.singer import stored_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.engine import Database
    from tests.singer import Run

    Tap = Callable[..., Run]

# IDs of Looker, seconds, and what `no_fields` leaves out; the rest of an outcome is equal.
_VARYING = {"query_task_id", "query_id", "runtime_seconds", "data", "fields"}
_VARYING |= {"launched_at", "first_seen_at", "finished_at"}
_OF_JSON_BI = {"columns_truncated_as_text", "flat_pivots", "no_fields"}
_PIVOTED = {
    "model": "shop",
    "view": "orders",
    "fields": ["orders.state", "orders.category", "orders.count"],
    "pivots": ["orders.category"],
    "sorts": ["orders.state"],
    "limit": "50",
    "query_timezone": "UTC",
}


def delivered(tap: Tap, simulator: Simulator, result_format: str) -> dict[str, Any]:
    """Run the tap on content of each kind, and again for a Look that is gone."""
    where = {"base_url": simulator.base_url, "result_format": result_format}
    ours = simulator.create_task("4", "json_detail")
    run = tap(
        **where,
        query_task_ids=[ours],
        queries=[
            {"name": "look", "look_id": "1"},
            {"name": "numbers", "query_id": stored_id(9)},
            {"name": "pivoted", "query_id": simulator.create_query(_PIVOTED)},
        ],
        dashboards=[{"dashboard_id": "2", "name": "board", "filters": {"State": "CA"}}],
    )
    gone = tap(**where, queries=[{"name": "gone", "look_id": "999"}])
    assert (gone.exit_code, "999" in gone.log) == (1, True), gone.log
    streams: dict[str, list[dict[str, Any]]] = {}
    for message in run.of("RECORD"):
        kept = {k: v for k, v in message["record"].items() if k.lstrip("_") not in _VARYING}
        streams.setdefault(message["stream"], []).append(kept)
    # Where Looker leaves `truncated` out, it is null instead of false.
    outcomes = [
        {**outcome, "truncated": bool(outcome["truncated"])}
        for outcome in streams.pop("query_task_results")
    ]
    schemas = {m["stream"]: [*m["schema"]["properties"]] for m in run.of("SCHEMA")}
    return {
        "exit_code": run.exit_code,
        "schemas": schemas,
        "rows": streams,
        "outcomes": sorted(map(str, outcomes)),
        "warnings": sorted(line for line in run.log.splitlines() if "WARNING" in line),
    }


@pytest.fixture(scope="module")
def today() -> dict[str, dict[str, Any]]:
    """What today's release delivers, by result format."""
    return {}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_release_makes_no_difference(
    database: Database,
    tap: Tap,
    today: dict[str, dict[str, Any]],
    variant: str,
) -> None:
    result_format = "json_bi" if variant in _OF_JSON_BI else "json_detail"
    if result_format not in today:
        with Simulator(database=database) as simulator:
            today[result_format] = delivered(tap, simulator, result_format)
    expected = today[result_format]
    assert expected["exit_code"] == 0
    assert {*expected["rows"]} > {"look", "numbers", "pivoted"}
    with Simulator(SimulatorOptions(variants=frozenset({variant})), database=database) as simulator:
        assert delivered(tap, simulator, result_format) == expected
