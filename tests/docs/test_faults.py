"""The tables of faults: each is done by the simulator, and ends as the page says."""

from __future__ import annotations

import re
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest

from docs.generate import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

FAULTS: Mapping[str, Sequence[str]] = {
    "429": ("rate_limited",),
    "5xx": ("server_error", "unavailable", "bad_gateway", "gateway_timeout"),
    "no response": ("dropped", "reset", "hang", "reset_in_body", "cut_short_chunked"),
    "not the API": ("not_json", "invalid_json"),
    "401": ("token_lost",),
    "redirect": ("redirected",),
    "rejected": ("bad_request", "forbidden", "not_found", "validation_failed", "uri_too_long"),
}
pytestmark = pytest.mark.slow
OPERATIONS = (
    *("login", "look", "dashboard", "lookml_model_explore", "create_query"),
    *("create_query_task", "query_task_multi_results", "query_task_results"),
)


def table(title: str) -> list[list[str]]:
    """The cells below the head of the first table of a section."""
    page = (PROJECT / "docs/explanation/faults.md").read_text()
    _, _, section = page.partition(f"\n## {title}\n")
    (rows, *_) = re.findall(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    return [[cell.strip(" `") for cell in row[1:-1].split("|")] for row in rows.splitlines()]


def cells() -> list[tuple[str, str, str]]:
    """Each request, fault and outcome; the faults of a kind take turns."""
    head, _, *rows = table("Persistent faults")
    turns = {kind: cycle(names) for kind, names in FAULTS.items()}
    return [
        (operation, _fault(operation, kind, turns), outcome)
        for operation, *outcomes in rows
        for kind, outcome in zip(head[1:], outcomes, strict=True)
        if outcome
    ]


def _fault(operation: str, kind: str, turns: Mapping[str, Iterator[str]]) -> str:
    # The response to it has no body that could be cut short.
    is_short = (operation, kind) == ("kill_query", "no response")
    return "dropped" if is_short else next(turns[kind])


def work(simulator: Simulator, operation: str) -> dict[str, Any]:
    """A query, an external task, and what makes the tap make that request."""
    by_operation: dict[str, dict[str, Any]] = {
        "query": {"queries": [{"name": "a", "query_id": 1, "limit": 5}]},
        "dashboard": {"dashboards": [{"dashboard_id": 1, "name": "a"}]},
        "kill_query": {
            "state": {
                "bookmarks": {
                    "query_task_results": {"to_cancel": {simulator.create_task("1"): "gone"}}
                }
            }
        },
    }
    if operation == "query_task_results":
        simulator.fault("no_data", times=None)
    return {
        "queries": [{"name": "a", "look_id": 1, "limit": 5}],
        "query_task_ids": [simulator.create_task("4")],
        "http_max_tries": 2,
        **by_operation.get(operation, {}),
    }


def outcome_of(run: Run, external_id: str) -> str:
    """What the run came to, in the page's words."""
    statuses = run.statuses()
    if run.exit_code == 0:
        assert {*statuses.values()} == {"complete"}
        assert len(statuses) > 1
        return "kept" if run.bookmark.get("to_cancel") else "none"
    assert "Traceback" not in run.log
    if "did not complete: " not in run.error:
        assert not {*statuses.values()} - {"complete"}
        return "stops"
    if "(not launched: " in run.error:
        (failed,) = (id_ for id_, status in statuses.items() if status != "complete")
        assert failed.startswith("not-launched-")
        assert (statuses[failed], statuses[external_id]) == ("error", "complete")
        return "query"
    assert {*statuses.values()} == {"error"}
    assert run.bookmark["finished"] == {}
    return "task"


@pytest.mark.parametrize(("operation", "fault", "outcome"), cells())
def test_a_fault_that_stays(
    simulator: Simulator, tap: Tap, operation: str, fault: str, outcome: str
) -> None:
    config = work(simulator, operation)
    config |= {"http_timeout_seconds": 1} if fault == "hang" else {}
    simulator.fault(fault, operation=operation, times=None, seconds=30)
    assert outcome_of(tap(**config), config["query_task_ids"][0]) == outcome


def passing() -> list[tuple[str, tuple[str, ...]]]:
    """Each kind of fault, and the requests that are made again when it hits them."""
    head, _, (_, *others), *exceptions = table("Transient faults")
    tried_again = {
        operation: dict(zip(head[1:], words, strict=True)) for operation, *words in exceptions
    }
    return [
        (kind, tuple(o for o in OPERATIONS if tried_again.get(o, {}).get(kind, other) != "no"))
        for kind, other in zip(head[1:], others, strict=True)
        if other != "no"
    ]


@pytest.mark.parametrize(("kind", "operations"), passing())
def test_a_fault_that_passes(
    simulator: Simulator, tap: Tap, kind: str, operations: tuple[str, ...]
) -> None:
    config = work(simulator, "query_task_results")
    config |= {"dashboards": [{"dashboard_id": 1, "name": "board"}], "http_max_tries": 3}
    if kind == "no response":
        config["http_timeout_seconds"] = 2
    # The token that a login brings is what 401 is about.
    hit = [o for o in operations if (o, kind) != ("login", "401")]
    for operation, fault in zip(hit, cycle(FAULTS[kind]), strict=False):
        simulator.fault(fault, operation=operation)
    assert outcome_of(tap(**config), "") == "none"


def test_a_launch_that_may_have_succeeded_is_not_tried_again(
    simulator: Simulator, tap: Tap
) -> None:
    kinds = [kind for kind, operations in passing() if "create_query_task" not in operations]
    assert kinds
    for kind in kinds:
        config = work(simulator, "create_query_task")
        simulator.fault(FAULTS[kind][0], operation="create_query_task")
        assert outcome_of(tap(**config), config["query_task_ids"][0]) == "query", kind
