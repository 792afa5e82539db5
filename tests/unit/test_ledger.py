"""What state remembers from run to run."""

from __future__ import annotations

from typing import Any

import pytest

from tap_looker_tasks.tasks.board import Running
from tap_looker_tasks.tasks.ledger import Ledger

TWELVE = "1970-01-01T00:00:12.000000+00:00"


def followed(bookmark: dict[str, Any], *given_ids: str) -> list[str]:
    return [task.query_task_id for task in Ledger(bookmark, given_ids).tasks_to_follow()]


def test_everything_is_followed_in_the_order_given() -> None:
    assert followed({}, "b", "a", "b") == ["b", "a"]


def test_a_finished_task_is_not_followed_again() -> None:
    bookmark: dict[str, Any] = {}
    Ledger(bookmark, ["a", "b"]).remember(Running("a"), "complete")
    assert bookmark["finished"] == {"a": "complete"}
    assert followed(bookmark, "a", "b") == ["b"]


def test_a_task_the_input_no_longer_lists_is_forgotten() -> None:
    bookmark: dict[str, Any] = {"finished": {"a": "complete", "b": "error"}}
    assert followed(bookmark, "b") == []
    assert bookmark["finished"] == {"b": "error"}
    assert followed(bookmark, "a", "b") == ["a"]


def test_a_task_in_doubt_stays_in_doubt_until_the_next_run() -> None:
    bookmark: dict[str, Any] = {}
    ledger = Ledger(bookmark, ["a", "b"])
    ledger.leave(Running("a", status="expired", doubted_since=12.0))
    ledger.leave(Running("b", status="running"))
    assert bookmark["doubted_since"] == {"a": TWELVE}
    doubts = {
        t.query_task_id: t.doubted_since for t in Ledger(bookmark, ["a", "b"]).tasks_to_follow()
    }
    assert doubts == {"a": 12.0, "b": None}


def test_a_doubt_ends_with_an_outcome_or_another_status() -> None:
    bookmark: dict[str, Any] = {"doubted_since": {"a": TWELVE, "b": TWELVE}}
    ledger = Ledger(bookmark, ["a", "b"])
    ledger.remember(Running("a"), "complete")
    ledger.leave(Running("b", status="running"))
    assert not bookmark.get("doubted_since")


def test_a_state_of_another_shape_is_begun_anew() -> None:
    bookmark: dict[str, Any] = {"finished": ["a"], "doubted_since": {"a": "yesterday"}}
    assert followed(bookmark, "a") == ["a"]


FLIGHTS = Running("t1", "flights", 1, launched_at=12.0, query_id="7")
IN_FLIGHT = {
    "query_task_id": "t1",
    "query_id": "7",
    "launched_at": TWELVE,
    "attempt": 1,
    "fingerprint": "f",
}


def test_a_task_launched_is_resumed_by_the_next_run() -> None:
    bookmark: dict[str, Any] = {}
    Ledger(bookmark, []).launched(FLIGHTS, "f")
    assert bookmark["in_flight"] == {"flights": IN_FLIGHT}
    ledger = Ledger(bookmark, [])
    assert ledger.names_in_flight() == ["flights"]
    assert ledger.resume({"flights": "f"}) == ([FLIGHTS], [])
    assert bookmark["in_flight"] == {"flights": IN_FLIGHT}


@pytest.mark.parametrize("fingerprints", [{"flights": "changed"}, {}])
def test_a_task_of_a_query_that_changed_is_abandoned(fingerprints: dict[str, str]) -> None:
    bookmark: dict[str, Any] = {"in_flight": {"flights": IN_FLIGHT}}
    ledger = Ledger(bookmark, [])
    resumed, [abandoned] = ledger.resume(fingerprints)
    assert resumed == []
    assert abandoned.query_task_id == FLIGHTS.query_task_id
    assert bookmark["in_flight"] == {}
    # It is not forgotten before it is cancelled.
    assert Ledger(bookmark, []).resume({}) == ([], [abandoned])
    Ledger(bookmark, []).cancelled(abandoned)
    assert Ledger(bookmark, []).resume({}) == ([], [])
    assert "to_cancel" not in bookmark


def test_a_task_delivered_is_no_longer_in_flight() -> None:
    bookmark: dict[str, Any] = {"in_flight": {"flights": IN_FLIGHT}}
    ledger = Ledger(bookmark, ["t1"])
    ledger.remember(FLIGHTS, "complete")
    assert bookmark == {"finished": {}, "doubted_since": {}, "in_flight": {}}


def test_a_task_launched_later_stays_in_flight() -> None:
    bookmark: dict[str, Any] = {"in_flight": {"flights": IN_FLIGHT}}
    Ledger(bookmark, []).forget(Running("t0", "flights", launched_at=1.0))
    assert bookmark["in_flight"] == {"flights": IN_FLIGHT}


@pytest.mark.parametrize(
    "noted", [None, [], {}, {"query_task_id": 5}, IN_FLIGHT | {"attempt": "one"}]
)
def test_what_nobody_can_resume_is_forgotten(noted: object) -> None:
    bookmark: dict[str, Any] = {"in_flight": {"flights": noted}}
    assert Ledger(bookmark, []).resume({"flights": "f"}) == ([], [])
    assert bookmark["in_flight"] == {}
