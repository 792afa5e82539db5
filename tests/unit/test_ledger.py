"""What state remembers from run to run."""

from __future__ import annotations

from typing import Any

from tap_looker_tasks.ledger import Ledger
from tap_looker_tasks.query_task import Running

TWELVE = "1970-01-01T00:00:12.000000+00:00"


def followed(bookmark: dict[str, Any], *given_ids: str) -> list[str]:
    return [task.query_task_id for task in Ledger(bookmark, given_ids).tasks_to_follow()]


def test_everything_is_followed_in_the_order_given() -> None:
    assert followed({}, "b", "a", "b") == ["b", "a"]


def test_a_finished_task_is_not_followed_again() -> None:
    bookmark: dict[str, Any] = {}
    Ledger(bookmark, ["a", "b"]).remember("a", "complete")
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
    ledger.remember("a", "complete")
    ledger.leave(Running("b", status="running"))
    assert not bookmark.get("doubted_since")


def test_a_state_of_another_shape_is_begun_anew() -> None:
    bookmark: dict[str, Any] = {"finished": ["a"], "doubted_since": {"a": "yesterday"}}
    assert followed(bookmark, "a") == ["a"]
