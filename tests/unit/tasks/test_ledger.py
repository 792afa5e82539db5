"""What state keeps from run to run."""

from __future__ import annotations

from typing import Any

import pytest

from tap_looker_tasks.queries.body import Limits
from tap_looker_tasks.tasks.ledger import Ledger, claim_instance
from tap_looker_tasks.tasks.query_task import ExternalTask, FollowedTask, LaunchedTask, Outcome

TWELVE = "1970-01-01T00:00:12.000000+00:00"


def finished(id_: str, status: str, problem: str | None = None) -> Outcome:
    return Outcome(FollowedTask(ExternalTask(id_)), status, finished_at=20.0, problem=problem)


def unfinished(id_: str, status: str, doubted_since: float | None = None) -> Outcome:
    return Outcome(FollowedTask(ExternalTask(id_), doubted_since=doubted_since), status)


def followed(bookmark: dict[str, Any], *external_ids: str) -> list[str]:
    return [task.query_task_id for task in Ledger(bookmark, external_ids).tasks_to_follow()]


def test_everything_is_followed_in_the_given_order() -> None:
    assert followed({}, "b", "a", "b") == ["b", "a"]


def test_a_finished_task_is_not_followed_again() -> None:
    bookmark: dict[str, Any] = {}
    Ledger(bookmark, ["a", "b"]).save(finished("a", "complete"))
    assert bookmark["finished"] == {"a": "complete"}
    assert followed(bookmark, "a", "b") == ["b"]


def test_a_task_whose_result_could_not_be_had_is_followed_again() -> None:
    bookmark: dict[str, Any] = {}
    Ledger(bookmark, ["a"]).save(finished("a", "error", "HTTP 404"))
    assert followed(bookmark, "a") == ["a"]


def test_a_task_the_input_no_longer_lists_is_forgotten() -> None:
    bookmark: dict[str, Any] = {"finished": {"a": "complete", "b": "error"}}
    assert followed(bookmark, "b") == []
    assert bookmark["finished"] == {"b": "error"}
    assert followed(bookmark, "a", "b") == ["a"]


def test_what_was_unconfirmed_is_forgotten_with_its_task() -> None:
    bookmark: dict[str, Any] = {"doubted_since": {"a": TWELVE, "b": TWELVE}}
    Ledger(bookmark, ["b"])
    assert bookmark["doubted_since"] == {"b": TWELVE}


def test_an_unconfirmed_task_stays_so_until_the_next_run() -> None:
    bookmark: dict[str, Any] = {}
    ledger = Ledger(bookmark, ["a", "b"])
    ledger.save(unfinished("a", "expired", 12.0))
    ledger.save(unfinished("b", "running"))
    assert bookmark["doubted_since"] == {"a": TWELVE}
    unconfirmed_since = {
        t.query_task_id: t.doubted_since for t in Ledger(bookmark, ["a", "b"]).tasks_to_follow()
    }
    assert unconfirmed_since == {"a": 12.0, "b": None}


def test_an_unconfirmed_status_ends_with_an_outcome_or_another_status() -> None:
    bookmark: dict[str, Any] = {"doubted_since": {"a": TWELVE, "b": TWELVE}}
    ledger = Ledger(bookmark, ["a", "b"])
    ledger.save(finished("a", "complete"))
    ledger.save(unfinished("b", "running"))
    assert not bookmark.get("doubted_since")


def test_a_state_of_another_shape_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"\$\.finished"):
        Ledger({"finished": ["a"]}, ["a"])


def test_an_unconfirmed_status_since_no_moment_starts_again() -> None:
    assert followed({"finished": None, "doubted_since": {"a": "yesterday"}}, "a") == ["a"]


FLIGHTS = LaunchedTask("t1", "flights", "7", launched_at=12.0, fingerprint="f")
IN_FLIGHT = {
    "query_task_id": "t1",
    "query_id": "7",
    "launched_at": TWELVE,
    "attempt": 1,
    "fingerprint": "f",
}


def test_a_task_launched_is_resumed_by_the_next_run() -> None:
    bookmark: dict[str, Any] = {}
    Ledger(bookmark, []).note_launched(FLIGHTS)
    assert bookmark["in_flight"] == {"flights": IN_FLIGHT}
    ledger = Ledger(bookmark, [])
    assert ledger.names_in_flight() == ["flights"]
    assert ledger.resume({"flights": "f"}) == [FLIGHTS]
    assert bookmark["in_flight"] == {"flights": IN_FLIGHT}


@pytest.mark.parametrize(
    ("noted", "limits"),
    [
        ({"row_limit": 500, "column_limit": 50}, Limits(500, 50)),
        ({"row_limit": 500}, Limits(500)),
        ({}, Limits()),
    ],
)
def test_limits_that_a_result_does_not_show_are_kept(
    noted: dict[str, object], limits: Limits
) -> None:
    ledger = Ledger({"in_flight": {"flights": IN_FLIGHT | noted}}, [])
    (task,) = ledger.resume({"flights": "f"})
    assert task.limits == limits
    bookmark: dict[str, Any] = {}
    Ledger(bookmark, []).note_launched(task)
    assert bookmark["in_flight"]["flights"] == IN_FLIGHT | noted


@pytest.mark.parametrize("fingerprints", [{"flights": "changed"}, {}])
def test_a_task_of_a_query_that_changed_is_abandoned(fingerprints: dict[str, str]) -> None:
    bookmark: dict[str, Any] = {"in_flight": {"flights": IN_FLIGHT}}
    ledger = Ledger(bookmark, [])
    assert ledger.resume(fingerprints) == []
    (abandoned,) = ledger.tasks_to_cancel()
    assert abandoned.query_task_id == FLIGHTS.query_task_id
    assert bookmark["in_flight"] == {}
    # It is not forgotten before it is cancelled.
    assert Ledger(bookmark, []).tasks_to_cancel() == [abandoned]
    Ledger(bookmark, []).note_cancelled(abandoned)
    assert Ledger(bookmark, []).tasks_to_cancel() == []
    assert "to_cancel" not in bookmark


def test_a_task_delivered_is_no_longer_in_flight() -> None:
    bookmark: dict[str, Any] = {"in_flight": {"flights": IN_FLIGHT}}
    ledger = Ledger(bookmark, ["t1"])
    ledger.save(Outcome(FollowedTask(FLIGHTS), "complete", finished_at=20.0))
    assert bookmark == {"finished": {}, "doubted_since": {}, "in_flight": {}}


def test_a_task_launched_later_stays_in_flight() -> None:
    bookmark: dict[str, Any] = {"in_flight": {"flights": IN_FLIGHT}}
    Ledger(bookmark, []).forget(LaunchedTask("t0", "flights"))
    assert bookmark["in_flight"] == {"flights": IN_FLIGHT}


@pytest.mark.parametrize(
    "noted",
    [
        *(None, [], {}, {"query_task_id": 5}),
        *(IN_FLIGHT | {"attempt": "one"}, IN_FLIGHT | {"row_limit": True}),
    ],
)
def test_a_task_in_flight_that_cannot_be_read_is_rejected(noted: object) -> None:
    with pytest.raises(ValueError, match="in_flight"):
        Ledger({"in_flight": {"flights": noted}}, [])


def test_all_tasks_in_flight_are_read_and_those_no_longer_needed_are_named() -> None:
    noted = {
        "query_task_id": "t0",
        "query_id": "7",
        "launched_at": "1970-01-01T00:00:12.000000+00:00",
        "attempt": 3,
        "fingerprint": "same",
        "row_limit": 500,
        "column_limit": 50,
    }
    in_flight = {f"q{n}": {**noted, "query_task_id": f"t{n}"} for n in range(4)}
    bookmark: dict[str, Any] = {"in_flight": in_flight}
    ledger = Ledger(bookmark, [])
    # The second was changed and the third removed; those after them are resumed.
    resumed = ledger.resume({"q0": "same", "q1": "another", "q3": "same"})
    assert [(task.query_task_id, task.query_name) for task in resumed] == [
        ("t0", "q0"),
        ("t3", "q3"),
    ]
    assert resumed[0] == LaunchedTask(
        "t0", "q0", "7", 3, launched_at=12.0, fingerprint="same", limits=Limits(500, 50)
    )
    assert [(task.query_task_id, task.query_name) for task in ledger.tasks_to_cancel()] == [
        ("t1", "q1"),
        ("t2", "q2"),
    ]
    assert bookmark["to_cancel"] == {"t1": "q1", "t2": "q2"}
    # Cancelled one by one; a task that state no longer names does not matter.
    for id_ in ("t1", "t1", "t2"):
        ledger.note_cancelled(LaunchedTask(id_, f"q{id_[1]}"))
    assert "to_cancel" not in bookmark
    assert [*bookmark["in_flight"]] == ["q0", "q3"]


@pytest.mark.parametrize(
    ("url", "other", "is_same"),
    [
        ("https://a.test", "https://a.test:19999", True),
        ("https://a.test:9999", "https://a.test:443", True),
        ("http://a.test:8001", "http://a.test:8001", True),
        ("http://a.test:8001", "http://a.test:8002", False),
        ("https://a.test", "https://a.test:8001", False),
        ("https://a.test", "https://b.test", False),
    ],
)
def test_an_instance_is_a_host_with_the_ports_of_one_looker(
    url: str, other: str, *, is_same: bool
) -> None:
    bookmark: dict[str, Any] = {}
    assert claim_instance(bookmark, url)
    assert claim_instance(bookmark, other) is is_same
