"""The board, without a clock: each test tells it the time and what Looker says."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from tap_looker_tasks.config.settings import Settings
from tap_looker_tasks.errors import (
    ApiCallLimitError,
    LoginFailedError,
    RequestError,
    RequestRejectedError,
    RetriableRequestError,
    SpoolError,
    StillRunningError,
)
from tap_looker_tasks.results.entries import TaskEntry
from tap_looker_tasks.results.json_text import NULL
from tap_looker_tasks.store import ResultStore
from tap_looker_tasks.tasks.board import UNNAMED_LAUNCHES_PER_SLOT, TaskBoard
from tap_looker_tasks.tasks.query_task import (
    Cancel,
    CancelFailed,
    Cancelled,
    Done,
    ExternalTask,
    Fetch,
    FollowedTask,
    Launch,
    Launched,
    LaunchedTask,
    LaunchFailed,
    Outcome,
    Poll,
    Prepare,
    RequestFailed,
    RequestFinished,
    StatusReceived,
    TaskCreated,
    Wait,
)
from tests.examples import at_most

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_looker_tasks.tasks.query_task import Event, Report, Request

RESULT = ResultStore().hold(TaskEntry("complete", data=NULL))
PASSING = RetriableRequestError("multi_results: HTTP 503")
REFUSED = RequestRejectedError("multi_results: HTTP 404", http_status=404)
TOO_MANY = RetriableRequestError("HTTP 429", retry_after=5, safe_to_retry=True)


def settings(**config: object) -> Settings:
    given = {"base_url": "https://looker.test", "client_id": "i", "client_secret": "s"}
    return Settings.from_config(given | {"poll_interval_seconds": 1} | config)


def board_of(*ids: str, **config: object) -> TaskBoard:
    return TaskBoard(settings(**config), tasks=[FollowedTask(ExternalTask(id_)) for id_ in ids])


def launching(*names: str, **config: object) -> TaskBoard:
    return TaskBoard(settings(**config), queries=map(Launch, names))


def launched(id_: str, name: str = "flights", *, at: float = 0, attempt: int = 1) -> LaunchedTask:
    return LaunchedTask(id_, name, "1", attempt, launched_at=at)


def begin(board: TaskBoard, now: float) -> list[Request]:
    """Start everything that can be started, preparations being over at once."""
    begun: list[Request] = []
    while not isinstance(action := board.next_action(now), Wait | Done):
        if isinstance(action, Prepare):
            assert board.note(RequestFinished(action), now) == []
        else:
            begun.append(action)
    return begun


def only(requests: list[Request]) -> Request:
    (request,) = requests
    return request


def report(board: TaskBoard, now: float, *reports: Report) -> list[Event]:
    return [event for each in reports for event in board.note(each, now)]


def response(board: TaskBoard, now: float, **statuses: str) -> list[Outcome]:
    """Play one poll: the tasks named get these statuses, the others are not in the response."""
    poll = only(begin(board, now))
    assert isinstance(poll, Poll)
    responses = [StatusReceived(poll, id_, status, RESULT) for id_, status in statuses.items()]
    events = report(board, now, *responses, RequestFinished(poll))
    return [event for event in events if isinstance(event, Outcome)]


def complete(board: TaskBoard, now: float, poll: Request) -> None:
    """Complete all tasks of a poll."""
    assert isinstance(poll, Poll)
    entries = [StatusReceived(poll, id_, "complete", RESULT) for id_ in poll.query_task_ids]
    report(board, now, *entries, RequestFinished(poll))


def create(board: TaskBoard, id_: str, now: float = 0) -> LaunchedTask:
    """Play one launch."""
    (launch, *_) = begin(board, now)
    assert isinstance(launch, Launch)
    task = launched(id_, launch.query_name, at=now, attempt=launch.attempt)
    assert board.note(TaskCreated(launch, task), now) == [Launched(task)]
    return task


def statuses(events: list[Outcome]) -> list[str]:
    return [event.status for event in events]


def left(board: TaskBoard) -> dict[str, str]:
    """What is unfinished at the end."""
    events = [event for event in board.leave() if isinstance(event, Outcome)]
    assert all(event.finished_at is None for event in events)
    return {event.task.query_task_id: event.status for event in events}


def test_a_board_without_tasks_is_done() -> None:
    assert board_of().next_action(0) == Done()


def test_a_finished_task_is_reported_once_and_never_requested_again() -> None:
    board = board_of("a", "b")
    poll = only(begin(board, 0))
    assert poll == Poll(("a", "b"))
    assert isinstance(poll, Poll)
    (outcome,) = report(board, 0, StatusReceived(poll, "a", "complete", RESULT))
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.finished_at) == ("complete", 0)
    again = StatusReceived(poll, "a", "complete", RESULT), StatusReceived(poll, "b", "running")
    assert report(board, 0, *again, RequestFinished(poll)) == []
    assert board.next_action(0.25) == Wait(0.75)
    assert begin(board, 1) == [Poll(("b",))]


@pytest.mark.parametrize("status", ["complete", "error", "killed", "failure"])
def test_a_final_status_counts_immediately(status: str) -> None:
    board = board_of("a")
    assert statuses(response(board, 0, a=status)) == [status]
    assert board.next_action(0) == Done()


@pytest.mark.parametrize("status", ["expired", "missing"])
def test_an_unconfirmed_status_is_final_when_it_lasts(status: str) -> None:
    board = board_of("a", expired_grace_seconds=60)
    assert response(board, 100, a=status) == []
    assert response(board, 159, a=status) == []
    assert statuses(response(board, 160, a=status)) == [status]


def test_since_when_a_status_is_unconfirmed_is_left_to_the_next_run() -> None:
    board = board_of("a", expired_grace_seconds=60)
    assert response(board, 100, a="expired") == []
    (outcome,) = (event for event in board.leave() if isinstance(event, Outcome))
    assert (outcome.status, outcome.finished_at) == ("expired", None)
    assert outcome.followed.doubted_since == 100


def test_a_result_that_is_fetched_takes_a_connection_from_polls() -> None:
    board = board_of("a", "b", "c", max_connections=2, batch_size=1)
    polls = begin(board, 0)
    assert [type(request) for request in polls] == [Poll, Poll]
    first, _ = polls
    assert isinstance(first, Poll)
    (id_,) = first.query_task_ids
    report(board, 0, StatusReceived(first, id_, "complete"), RequestFinished(first))
    # The result is fetched; the third task is polled when one of the two is over.
    assert [type(request) for request in begin(board, 0)] == [Fetch]
    assert begin(board, 1) == []


def test_a_status_that_flaps_is_not_believed() -> None:
    board = board_of("a", expired_grace_seconds=60)
    assert response(board, 0, a="expired") == []
    assert response(board, 30, a="running") == []
    assert response(board, 61, a="expired") == []
    assert statuses(response(board, 76, a="complete")) == ["complete"]


def test_a_task_that_looker_never_responses_for_is_absent() -> None:
    board = board_of("a", "b", expired_grace_seconds=10)
    assert response(board, 0, b="running") == []
    assert statuses(response(board, 10, b="complete")) == ["complete", "absent"]


def test_a_response_for_a_task_no_one_requested_is_skipped() -> None:
    board = board_of("a")
    assert response(board, 0, a="running", z="complete") == []
    assert left(board) == {"a": "running"}


def test_a_response_that_cannot_be_read_counts_as_none_and_is_reported() -> None:
    board = board_of("a", expired_grace_seconds=0)
    poll = only(begin(board, 0))
    assert isinstance(poll, Poll)
    (outcome,) = report(
        board, 0, StatusReceived(poll, "a", None, problem="torn"), RequestFinished(poll)
    )
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.problem) == ("absent", "torn")


@pytest.mark.parametrize(
    ("status", "reported"),
    [("running", "timeout"), ("added", "timeout"), ("paused", "paused"), ("expired", "expired")],
)
def test_after_the_timeout_a_task_is_abandoned(status: str, reported: str) -> None:
    board = board_of("a", task_timeout_seconds=100, expired_grace_seconds=1000)
    assert response(board, 0, a=status) == []
    assert response(board, 99, a=status) == []
    assert statuses(response(board, 100, a=status)) == [reported]


def test_the_timeout_is_not_slept_through() -> None:
    board = board_of("a", task_timeout_seconds=10, poll_interval_seconds=15)
    assert response(board, 0, a="running") == []
    assert board.next_action(1) == Wait(9)


def test_batches_keep_to_their_size_and_go_side_by_side() -> None:
    board = board_of(*"abcde", batch_size=2)
    assert begin(board, 0) == [Poll(("a", "b")), Poll(("c", "d")), Poll(("e",))]


def test_no_more_requests_are_sent_than_there_are_connections() -> None:
    board = board_of(*"abcde", batch_size=1, max_connections=2)
    first, second = begin(board, 0)
    assert (first, second) == (Poll(("a",)), Poll(("b",)))
    assert report(board, 0, StatusReceived(second, "b", "running"), RequestFinished(second)) == []  # type: ignore[arg-type]
    assert begin(board, 0) == [Poll(("c",))]


def test_launches_find_a_connection_however_long_the_responses_take() -> None:
    tasks = [FollowedTask(ExternalTask(id_)) for id_ in "abcde"]
    limits = settings(batch_size=1, max_connections=4)
    board = TaskBoard(limits, tasks=tasks, queries=[Launch("x"), Launch("y")])
    kinds = [type(request) for request in begin(board, 0)]
    assert kinds.count(Launch) == 2
    assert kinds.count(Poll) == 2


def test_a_request_that_hangs_holds_up_no_other() -> None:
    board = board_of("a", "b", batch_size=1)
    hanging, poll = begin(board, 0)
    assert report(board, 0, StatusReceived(poll, "b", "running"), RequestFinished(poll)) == []  # type: ignore[arg-type]
    assert begin(board, 2) == [Poll(("b",))]
    assert report(board, 3, StatusReceived(hanging, "a", "running"), RequestFinished(hanging)) == []  # type: ignore[arg-type]


@given(st.lists(st.integers(1, 4096), min_size=1, max_size=400), st.integers(1, 250))
def test_a_batch_fits_a_query_string_for_any_ids(lengths: list[int], batch_size: int) -> None:
    ids = [f"{n:0{length}d}" for n, length in enumerate(lengths)]
    board = board_of(*ids, batch_size=batch_size, wait_for_completion=False)
    requested: list[str] = []
    while isinstance(action := board.next_action(0), Poll):
        assert len(action.query_task_ids) <= batch_size
        assert len("query_task_ids=" + "%2C".join(action.query_task_ids)) < 10_240
        requested += action.query_task_ids
        responses = [StatusReceived(action, id_, "running") for id_ in action.query_task_ids]
        assert report(board, 0, *responses, RequestFinished(action)) == []
    assert action == Done()
    assert requested == list(dict.fromkeys(ids))


def test_one_look_is_one_look() -> None:
    board = board_of("a", "b", "c", wait_for_completion=False)
    assert statuses(response(board, 0, a="complete", b="running")) == ["complete"]
    assert board.next_action(0) == Done()
    assert left(board) == {"b": "running", "c": "absent"}


def test_one_look_is_taken_at_a_task_just_launched() -> None:
    board = launching("x", wait_for_completion=False)
    create(board, "a")
    assert response(board, 0, a="running") == []
    assert board.next_action(0) == Done()


def test_one_look_confirms_what_was_unconfirmed_in_an_earlier_run() -> None:
    unconfirmed = FollowedTask(ExternalTask("a"), doubted_since=0)
    board = TaskBoard(settings(wait_for_completion=False), tasks=[unconfirmed])
    assert statuses(response(board, 3600, a="expired")) == ["expired"]


def test_a_result_that_is_not_in_the_response_is_requested() -> None:
    board = board_of("a")
    poll = only(begin(board, 0))
    assert isinstance(poll, Poll)
    assert report(board, 0, StatusReceived(poll, "a", "complete"), RequestFinished(poll)) == []
    fetch = only(begin(board, 0))
    assert fetch == Fetch("a")
    assert isinstance(fetch, Fetch)
    (outcome,) = report(
        board, 1, StatusReceived(fetch, "a", "complete", RESULT), RequestFinished(fetch)
    )
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.finished_at, outcome.stored) == ("complete", 1, RESULT)
    assert board.next_action(1) == Done()


def test_a_result_that_looker_rejects_is_an_error_and_not_data() -> None:
    board = board_of("a")
    poll = only(begin(board, 0))
    assert isinstance(poll, Poll)
    report(board, 0, StatusReceived(poll, "a", "complete"), RequestFinished(poll))
    (outcome,) = report(board, 0, RequestFailed(only(begin(board, 0)), REFUSED))
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.stored) == ("error", None)
    assert "HTTP 404" in str(outcome.problem)


def test_a_result_that_was_not_fetched_any_more_is_not_complete() -> None:
    board = board_of("a")
    poll = only(begin(board, 0))
    assert isinstance(poll, Poll)
    report(board, 0, StatusReceived(poll, "a", "complete"), RequestFinished(poll))
    report(board, 0, RequestFailed(only(begin(board, 0)), ApiCallLimitError("enough")))
    assert board.next_action(0) == Done()
    assert left(board) == {"a": "added"}


def play_polls(
    board: TaskBoard, fails: Callable[[tuple[str, ...]], bool], *, until: float = 1000
) -> tuple[list[Outcome], int]:
    """Answer polls, one at a time, `complete` but for those that fail; count them."""
    now, outcomes, polls = 0.0, list[Outcome](), 0
    while not isinstance(action := board.next_action(now), Done):
        if isinstance(action, Wait):
            now += min(action.seconds, 100)
            assert now < until
            continue
        assert isinstance(action, Poll)
        polls += 1
        ids = action.query_task_ids
        responses = [StatusReceived(action, id_, "complete", RESULT) for id_ in ids]
        reports = (
            [RequestFailed(action, PASSING)]
            if fails(ids)
            else [*responses, RequestFinished(action)]
        )
        outcomes += [e for e in report(board, now, *reports) if isinstance(e, Outcome)]
    return outcomes, polls


def test_one_bad_id_fails_no_other() -> None:
    ids = [f"task{n}" for n in range(50)]
    board = board_of(*ids, expired_grace_seconds=10)
    outcomes, polls = play_polls(board, lambda requested: "task13" in requested)
    ended = {o.task.query_task_id: (o.status, o.problem) for o in outcomes}
    fine = dict.fromkeys(ids, ("complete", None))
    assert ended == fine | {"task13": ("absent", str(PASSING))}
    assert polls <= 25


def test_ids_of_a_failed_request_are_polled_one_at_a_time_whatever_else_succeeds() -> None:
    board = board_of(*"abcdefg", expired_grace_seconds=0)
    report(board, 0, RequestFailed(only(begin(board, 0)), REFUSED))
    complete(board, 1, only(begin(board, 1)))
    failed, other = begin(board, 2)
    assert failed == Poll(("d", "e", "f"), is_probe=True)
    report(board, 3, RequestFailed(failed, REFUSED))
    complete(board, 3, other)
    # With all three at once, "d" could fail last, when no other is left to show that Looker works.
    alone = only(begin(board, 4))
    assert alone == Poll(("d",), is_probe=True)
    report(board, 5, RequestFailed(alone, REFUSED))
    complete(board, 10, only(begin(board, 10)))
    *rest, again = begin(board, 11)
    for poll in rest:
        complete(board, 11, poll)
    assert again == alone
    (outcome,) = report(board, 12, RequestFailed(again, REFUSED))
    assert isinstance(outcome, Outcome)
    assert outcome.status == "absent"
    assert board.next_action(12) == Done()


def test_an_id_on_which_looker_fails_for_the_moment_is_polled_again() -> None:
    board = board_of("a", "b", batch_size=1, expired_grace_seconds=60)
    first, second = begin(board, 0)
    assert isinstance(first, Poll)
    assert isinstance(second, Poll)
    report(board, 0, StatusReceived(first, "a", "running"), RequestFinished(first))
    report(board, 5, RequestFailed(only(begin(board, 5)), REFUSED))
    report(board, 6, StatusReceived(second, "b", "complete", RESULT), RequestFinished(second))
    again = only(begin(board, 10))
    # No other task is left whose poll would wake the board.
    assert isinstance(board.next_action(10), Wait)
    assert report(board, 10, RequestFailed(again, REFUSED)) == []
    assert statuses(response(board, 20, a="complete")) == ["complete"]


def test_a_looker_that_responses_nothing_fails_no_id() -> None:
    board = board_of(*"abcdefgh", expired_grace_seconds=0, http_max_tries=3)
    with pytest.raises(RetriableRequestError):
        play_polls(board, lambda _: True)
    assert [*left(board)] == [*"abcdefgh"]


def test_an_outage_that_ends_leaves_no_trace() -> None:
    board = board_of(*"abcd", expired_grace_seconds=10, http_max_tries=5)
    failures = iter([True] * 5)
    outcomes, _ = play_polls(board, lambda _: next(failures, False))
    assert Counter(statuses(outcomes)) == {"complete": 4}


def test_requests_after_a_failure_are_tried_once() -> None:
    board = board_of("a", "b")
    poll = only(begin(board, 0))
    assert poll == Poll(("a", "b"))
    report(board, 0, RequestFailed(poll, REFUSED))
    assert begin(board, 0) == [Poll(("a",), is_probe=True)]


@pytest.mark.parametrize(
    "error",
    [
        LoginFailedError("login"),
        RequestError("certificate"),
        SpoolError("disk"),
        RequestRejectedError("HTTP 401", http_status=401),
        KeyError("a defect"),
    ],
)
def test_what_no_other_request_can_cure_ends_the_run(error: Exception) -> None:
    board = board_of("a")
    with pytest.raises(type(error)):
        board.note(RequestFailed(only(begin(board, 0)), error), 0)


def test_the_pause_grows_with_the_age_of_a_task() -> None:
    board = board_of("a", "b", poll_interval_seconds=1, poll_max_interval_seconds=3)
    now, pauses = 0.0, []
    for _ in range(4):
        response(board, now, a="running", b="running")
        wait = board.next_action(now)
        assert isinstance(wait, Wait)
        pauses.append(wait.seconds)
        now += wait.seconds
    # Two fifths of its age, but no less than the first pause.
    assert pauses == pytest.approx([1, 1, 1, 1.2])


def test_tasks_finishing_evenly_over_ten_minutes_cost_few_calls() -> None:
    done_at = {f"task{n}": 3.0 * (n + 1) for n in range(200)}
    board = board_of(*done_at, poll_interval_seconds=0.25)
    now, calls = 0.0, 0
    while not isinstance(action := board.next_action(now), Done):
        if isinstance(action, Wait):
            now += action.seconds
            continue
        assert isinstance(action, Poll)
        calls += 1
        report(
            board,
            now,
            *(
                StatusReceived(
                    action, id_, "complete" if now >= done_at[id_] else "running", RESULT
                )
                for id_ in action.query_task_ids
            ),
            RequestFinished(action),
        )
    assert calls <= 120
    assert now <= 615


@pytest.mark.parametrize(
    ("queries", "max_lag", "max_calls"), [(["next"], 0.066, 110), ([], 0.4, 25)]
)
def test_a_slot_that_others_wait_for_is_free_soon(
    queries: list[str], max_lag: float, max_calls: int
) -> None:
    board = launching("flights", *queries, poll_interval_seconds=0.1, max_concurrent_tasks=1)
    create(board, "a")
    now, lags = 0.0, []
    while now < 100:
        action = board.next_action(now)
        if isinstance(action, Wait):
            lags.append(action.seconds / max(now + action.seconds, 2))
            now += action.seconds
        elif isinstance(action, Prepare):
            board.note(RequestFinished(action), now)
        else:
            assert isinstance(action, Poll)
            assert (
                report(board, now, StatusReceived(action, "a", "running"), RequestFinished(action))
                == []
            )
    assert max(lags) <= max_lag
    assert len(lags) <= max_calls


def test_the_next_queries_are_prepared_before_a_slot_is_free() -> None:
    board = launching("x", "y", max_concurrent_tasks=1)
    assert [board.next_action(0), board.next_action(0)] == [Prepare("x"), Prepare("y")]
    assert report(board, 0, RequestFinished(Prepare("x"))) == []
    assert begin(board, 0) == [Launch("x")]


def test_a_launch_in_progress_holds_its_slot() -> None:
    board = launching(*"xyz", max_concurrent_tasks=2)
    first, second = begin(board, 0)
    assert (first, second) == (Launch("x"), Launch("y"))
    assert begin(board, 0) == []
    assert isinstance(first, Launch)
    board.note(TaskCreated(first, launched("a", "x")), 0)
    assert begin(board, 0) == []
    assert board.note(RequestFailed(second, REFUSED), 0) == [LaunchFailed("y", str(REFUSED))]
    assert begin(board, 0) == [Launch("z")]


def test_a_finished_task_frees_a_slot() -> None:
    board = launching(*"xyz", max_concurrent_tasks=2)
    for id_, launch in zip("ab", begin(board, 0), strict=True):
        assert isinstance(launch, Launch)
        board.note(TaskCreated(launch, launched(id_, launch.query_name)), 0)
    assert board.next_action(0) == Wait(1)
    assert statuses(response(board, 1, a="complete", b="running")) == ["complete"]
    assert begin(board, 1) == [Launch("z")]


def test_launching_is_held_while_results_wait_for_the_target() -> None:
    board = launching("x")
    board.hold_launching(is_held=True)
    assert begin(board, 0) == []
    board.hold_launching(is_held=False)
    assert begin(board, 0) == [Launch("x")]


def test_launches_that_no_state_names_are_bounded() -> None:
    board = launching(*map(str, range(30)), max_concurrent_tasks=2)
    ids: list[str] = []
    for now in range(40):
        # Each task is complete at the next poll.
        for request in begin(board, now):
            if isinstance(request, Launch):
                ids.append(f"t{len(ids)}")
                task = launched(ids[-1], request.query_name, at=now)
                board.note(TaskCreated(request, task), now)
            elif isinstance(request, Poll):
                found = [
                    StatusReceived(request, i, "complete", RESULT) for i in request.query_task_ids
                ]
                report(board, now, *found, RequestFinished(request))
    assert len(ids) == 2 * UNNAMED_LAUNCHES_PER_SLOT
    assert not [r for r in begin(board, 50) if isinstance(r, Launch)]
    board.note_named(1)
    assert len([r for r in begin(board, 50) if isinstance(r, Launch)]) == 1


@pytest.mark.parametrize(("seconds", "most"), [(6, 99), (2, 100)])
def test_the_bound_is_not_met_while_a_target_stops_for_a_minute(seconds: int, most: int) -> None:
    """Ten slots, queries of some seconds, and no STATE for 60 s: below 6 s, slots stay empty."""
    board = launching(*map(str, range(400)), max_concurrent_tasks=10)
    started: dict[str, int] = {}
    for now in range(60):
        for request in begin(board, now) + begin(board, now):
            if isinstance(request, Poll):
                ended = {i for i in request.query_task_ids if now - started[i] >= seconds}
                found = [
                    StatusReceived(
                        request, i, *(("complete", RESULT) if i in ended else ("running",))
                    )
                    for i in request.query_task_ids
                ]
                report(board, now, *found, RequestFinished(request))
            elif isinstance(request, Launch):
                id_ = f"t{len(started)}"
                started[id_] = now
                board.note(TaskCreated(request, launched(id_, request.query_name, at=now)), now)
    assert 50 < len(started) <= most
    assert (len(started) == 100) is (most == 100)


def test_queries_whose_tasks_have_one_id_fail_and_nothing_is_delivered_for_another() -> None:
    board = launching(*"xyz", max_concurrent_tasks=3)
    first, second, third = begin(board, 0)
    events: list[Event] = []
    for launch in (first, second, third):
        assert isinstance(launch, Launch)
        events += board.note(TaskCreated(launch, launched("same", launch.query_name)), 0)
    created, *failed = events
    assert isinstance(created, Launched)
    assert {e.query_name for e in failed if isinstance(e, LaunchFailed)} == {"y", "z"}
    (outcome,) = (e for e in failed if isinstance(e, Outcome))
    assert (outcome.task, outcome.status) == (created.task, "error")
    assert "Looker gave two tasks the id" in str(outcome.problem)
    # It is cancelled, as no one waits for it.
    assert [type(request) for request in begin(board, 1)] == [Cancel]


def test_a_launch_that_lies_ahead_counts_as_one_of_now() -> None:
    task = FollowedTask(launched("a", at=10_000))
    board = TaskBoard(settings(task_timeout_seconds=60), tasks=[task])
    assert response(board, 0, a="running") == []
    (outcome,) = response(board, 61, a="running")
    assert outcome.status == "timeout"


def test_a_start_that_lies_ahead_counts_as_one_of_now() -> None:
    task = FollowedTask(ExternalTask("a"), doubted_since=10_000)
    board = TaskBoard(settings(expired_grace_seconds=60), tasks=[task])
    assert response(board, 0, a="expired") == []
    (outcome,) = response(board, 61, a="expired")
    assert outcome.status == "expired"


def test_a_rejection_for_load_lowers_the_number_in_flight_for_a_while() -> None:
    board = launching(*map(str, range(8)), max_concurrent_tasks=4)
    launches = begin(board, 0)
    assert len(launches) == 4
    for id_, launch in zip("abc", launches[:3], strict=True):
        assert isinstance(launch, Launch)
        board.note(TaskCreated(launch, launched(id_, launch.query_name)), 0)
    assert board.note(RequestFailed(launches[3], TOO_MANY), 0) == []
    assert statuses(response(board, 1, a="complete", b="complete", c="running"))
    assert not any(isinstance(request, Launch) for request in begin(board, 4))
    # Two slots were left, and the two that finished gave two back.
    assert begin(board, 5) == [Launch("3"), *map(Launch, "45")]


def test_rejections_side_by_side_are_one_rejection() -> None:
    board = launching(*"abcdefgh", max_concurrent_tasks=8, http_max_tries=2)
    for launch in begin(board, 0):
        assert board.note(RequestFailed(launch, TOO_MANY), 0) == []
    assert len(begin(board, 5)) == 4


def test_launches_that_are_always_rejected_for_load_end_the_run() -> None:
    board = launching("x", http_max_tries=2)
    assert board.note(RequestFailed(only(begin(board, 0)), TOO_MANY), 0) == []
    with pytest.raises(RetriableRequestError):
        board.note(RequestFailed(only(begin(board, 5)), TOO_MANY), 5)


@pytest.mark.parametrize("error", [REFUSED, PASSING, ValueError("no such field")])
def test_a_query_that_cannot_be_launched_is_abandoned(error: Exception) -> None:
    board = launching("x")
    assert board.note(RequestFailed(only(begin(board, 0)), error), 0) == [
        LaunchFailed("x", str(error))
    ]
    assert board.next_action(0) == Done()


def test_a_query_that_cannot_be_prepared_is_abandoned() -> None:
    board = launching("x")
    prepare = board.next_action(0)
    assert isinstance(prepare, Prepare)
    assert board.note(RequestFailed(prepare, REFUSED), 0) == [LaunchFailed("x", str(REFUSED))]
    assert board.next_action(0) == Done()


@pytest.mark.parametrize("status", ["expired", "missing"])
def test_a_lost_task_is_launched_again_up_to_the_limit(status: str) -> None:
    board = launching("flights", expired_grace_seconds=0)
    lost = create(board, "a")
    assert response(board, 1, a=status) == []
    cancel = only(begin(board, 1))
    assert cancel == Cancel(lost)
    assert board.note(RequestFinished(cancel), 1) == [Cancelled(lost)]
    again = create(board, "b", 1)
    assert again.attempt == 2
    assert statuses(response(board, 3, b=status)) == [status]
    assert begin(board, 3) == [Cancel(again)]


def test_a_lost_task_that_may_still_run_is_not_launched_again() -> None:
    board = launching("flights", expired_grace_seconds=0)
    lost = create(board, "a")
    assert response(board, 1, a="expired") == []
    outcome, not_cancelled = board.note(RequestFailed(only(begin(board, 1)), PASSING), 1)
    assert isinstance(outcome, Outcome)
    assert outcome.status == "expired"
    assert not_cancelled == CancelFailed(lost, str(PASSING))
    assert board.next_action(1) == Done()


def test_launches_of_earlier_runs_do_not_count() -> None:
    resumed = FollowedTask(launched("a", attempt=2))
    board = TaskBoard(settings(expired_grace_seconds=0), tasks=[resumed])
    assert response(board, 1, a="expired") == []
    board.note(RequestFinished(only(begin(board, 1))), 1)  # type: ignore[arg-type]
    assert begin(board, 1) == [Launch("flights", attempt=3)]


def test_a_task_that_no_one_waits_for_any_more_is_cancelled() -> None:
    board = TaskBoard(settings(), abandoned=[launched("a")])
    cancel = only(begin(board, 0))
    assert cancel == Cancel(launched("a"))
    board.note(RequestFinished(cancel), 0)
    assert board.next_action(0) == Done()


@pytest.mark.parametrize(
    ("error", "is_launched"), [(None, True), (PASSING, True), (StillRunningError("it runs"), False)]
)
def test_a_query_waits_for_the_end_of_its_task_of_an_earlier_run(
    error: Exception | None, *, is_launched: bool
) -> None:
    board = TaskBoard(
        settings(), queries=[Launch("flights"), Launch("y")], abandoned=[launched("a")]
    )
    cancel, other = begin(board, 0)
    assert (cancel, other) == (Cancel(launched("a")), Launch("y"))
    end = RequestFailed(cancel, error) if error else RequestFinished(cancel)  # type: ignore[arg-type]
    events = board.note(end, 0)
    assert begin(board, 0) == ([Launch("flights")] if is_launched else [])
    failed = [event for event in events if isinstance(event, LaunchFailed)]
    reason = "its task of an earlier run: it runs"
    assert failed == ([] if is_launched else [LaunchFailed("flights", reason)])


def test_an_external_task_is_never_launched_again_nor_cancelled() -> None:
    board = board_of("a", "b", expired_grace_seconds=0, task_timeout_seconds=5)
    assert statuses(response(board, 0, a="expired", b="running")) == ["expired"]
    assert statuses(response(board, 5, b="running")) == ["timeout"]
    assert board.next_action(5) == Done()


def test_a_task_launched_here_is_cancelled_at_its_timeout_and_holds_its_slot_until_then() -> None:
    limits = settings(task_timeout_seconds=5, max_concurrent_tasks=1)
    resumed = FollowedTask(launched("a"))
    board = TaskBoard(limits, tasks=[resumed], queries=[Launch("y")])
    assert statuses(response(board, 5, a="running")) == ["timeout"]
    cancel = only(begin(board, 5))
    assert cancel == Cancel(resumed.task)  # type: ignore[arg-type]
    board.note(RequestFinished(cancel), 6)
    assert begin(board, 6) == [Launch("y")]


@pytest.mark.parametrize("is_all", [False, True])
def test_what_is_to_be_cancelled_when_a_run_must_end_is_cancelled_or_left(*, is_all: bool) -> None:
    board = TaskBoard(settings(task_timeout_seconds=5), queries=[Launch("flights")])
    given_up = create(board, "a")
    assert statuses(response(board, 5, a="running")) == ["timeout"]
    cancel = only(board.take_cancellations(1.0, of_all=is_all))
    assert cancel == Cancel(given_up, 1.0)
    assert board.is_awaiting()
    assert board.leave() == [CancelFailed(given_up, "the run ended first")]
    assert report(board, 6, RequestFinished(cancel)) == [Cancelled(given_up)]
    assert not board.is_awaiting()
    assert board.leave() == []


def test_a_run_that_must_end_leaves_what_is_unfinished() -> None:
    board = TaskBoard(
        settings(), tasks=[FollowedTask(launched("a"))], queries=[Launch("y")], stop_at=10
    )
    poll, launch = begin(board, 0)
    assert isinstance(launch, Launch)
    assert isinstance(poll, Poll)
    board.note(TaskCreated(launch, launched("b", "y")), 0)
    report(board, 0, StatusReceived(poll, "a", "running"), RequestFinished(poll))
    assert board.next_action(10) == Done()
    assert left(board) == {"a": "running", "b": "added"}


def test_a_run_that_must_end_waits_two_seconds_for_a_launch() -> None:
    board = TaskBoard(settings(), queries=[Launch("y")], stop_at=10)
    assert len(begin(board, 9)) == 1
    assert board.next_action(10) == Wait(2)
    assert board.next_action(12) == Done()
    (event,) = board.leave()
    assert isinstance(event, LaunchFailed)


def test_a_run_at_its_call_limit_waits_for_what_is_in_progress() -> None:
    board = board_of("a", "b", batch_size=1)
    first, second = begin(board, 0)
    report(board, 0, RequestFailed(first, ApiCallLimitError("enough")))
    assert board.next_action(1000) == Wait(inf)
    assert isinstance(second, Poll)
    reports = StatusReceived(second, "b", "complete", RESULT), RequestFinished(second)
    (outcome,) = report(board, 1, *reports)
    assert isinstance(outcome, Outcome)
    assert board.next_action(1000) == Done()
    assert left(board) == {"a": "added"}


STATUSES = ["added", "running", "complete", "error", "killed", "expired", "missing", "odd", None]


class World:
    """A Looker that responds at random, in any order, what is in progress at the moment."""

    def __init__(self, data: st.DataObject, board: TaskBoard) -> None:
        self.data = data
        self.board = board
        self.now = 0.0
        self.in_progress: list[Request] = []
        self.alive: set[str] = set()
        self.ended: Counter[str] = Counter()
        self.failures_left = 3
        self.responses_left = 100
        self.created = 0

    def let_something_happen(self, longest: float) -> None:
        if not self.in_progress:
            self.now += longest
            return
        self.now += self.data.draw(st.sampled_from([0.0, min(longest, 20.0), 50.0]))
        place = self.data.draw(st.integers(0, len(self.in_progress) - 1))
        request = self.in_progress.pop(place)
        for each in self.reports(request):
            for event in self.board.note(each, self.now):
                self.count(event)

    def reports(self, request: Request) -> list[Report]:
        if self.failures_left and self.data.draw(st.integers(0, 9)) == 0:
            self.failures_left -= 1
            errors = [REFUSED] if isinstance(request, Poll) else [REFUSED, PASSING, TOO_MANY]
            return [RequestFailed(request, self.data.draw(st.sampled_from(errors)))]
        match request:
            case Launch(name):
                self.created += 1
                id_ = f"{name}-{self.created}"
                self.alive.add(id_)
                return [TaskCreated(request, launched(id_, name, at=self.now))]
            case Poll():
                return [*self.responses(request), RequestFinished(request)]
            case Fetch(id_):
                return [StatusReceived(request, id_, "complete", RESULT), RequestFinished(request)]
            case Cancel(task):
                self.alive.discard(task.query_task_id)
        return [RequestFinished(request)]

    def responses(self, poll: Poll) -> list[Report]:
        responses: list[Report] = []
        for id_ in poll.query_task_ids:
            self.responses_left -= 1
            expected = STATUSES if self.responses_left > 0 else ["complete"]
            status = self.data.draw(st.sampled_from(expected))
            result = self.data.draw(st.sampled_from([RESULT, None]))
            if status in {"complete", "error", "killed"}:
                self.alive.discard(id_)
            if status:
                responses.append(StatusReceived(poll, id_, status, result))
        return responses

    def count(self, event: Event) -> None:
        match event:
            case Outcome(FollowedTask(LaunchedTask(query_name=name))) | LaunchFailed(name):
                self.ended[name] += 1
            case Outcome(followed):
                self.ended[followed.query_task_id] += 1
            case CancelFailed(task):
                self.alive.discard(task.query_task_id)


# One in 20,000 orders once found a task that was not polled again.
@given(st.data())
@at_most(60, soak=20_000)
def test_every_task_ends_exactly_once_in_any_order_with_any_response(
    data: st.DataObject,
) -> None:
    external = [f"external{n}" for n in range(data.draw(st.integers(0, 5)))]
    names = [f"query{n}" for n in range(data.draw(st.integers(0, 5)))]
    connections = data.draw(st.integers(1, 4))
    limits = {"task_timeout_seconds": 300, "max_concurrent_tasks": 2, "batch_size": 3}
    board = TaskBoard(
        settings(max_connections=connections, **limits),
        tasks=[FollowedTask(ExternalTask(id_)) for id_ in external],
        queries=map(Launch, names),
    )
    world = World(data, board)
    while not isinstance(action := board.next_action(world.now), Done):
        if isinstance(action, Wait):
            assert action.seconds > 0
            world.let_something_happen(action.seconds)
            continue
        world.in_progress.append(action)
        assert len(world.in_progress) <= connections
        launching = sum(isinstance(request, Launch) for request in world.in_progress)
        assert len(world.alive) + launching <= 2
        assert not isinstance(action, Poll) or 0 < len(action.query_task_ids) <= 3
        assert world.now < 10_000
    assert world.ended == Counter([*external, *names])


def test_queries_with_one_id_fail_all_because_none_surely_owns_the_result() -> None:
    board = launching("flights", "airports", "carriers", "days", max_concurrent_tasks=10)
    launches = [each for each in begin(board, 0) if isinstance(each, Launch)]
    first, *others = [launched("same", each.query_name) for each in launches[:3]]
    assert report(board, 0, TaskCreated(launches[0], first)) == [Launched(first)]
    failed, outcome = report(board, 1, TaskCreated(launches[1], others[0]))
    assert isinstance(failed, LaunchFailed)
    assert failed.query_name == others[0].query_name
    assert failed.reason == "Looker gave two tasks the id same; run again"
    assert isinstance(outcome, Outcome)
    assert (outcome.task, outcome.status) == (first, "error")
    assert (outcome.problem, outcome.finished_at) == (failed.reason, 1)
    (third,) = report(board, 2, TaskCreated(launches[2], others[1]))
    assert isinstance(third, LaunchFailed)
    # The task may be any of theirs, so it is cancelled; the fourth query runs as if alone.
    cancels = [each for each in begin(board, 2) if isinstance(each, Cancel)]
    assert {each.task.query_task_id for each in cancels} == {"same"}
    own = launched("own", launches[3].query_name)
    assert report(board, 3, TaskCreated(launches[3], own)) == [Launched(own)]


def test_a_launch_with_the_id_of_an_external_task_fails_alone() -> None:
    tasks = [FollowedTask(ExternalTask("theirs"))]
    board = TaskBoard(settings(), tasks=tasks, queries=[Launch("flights")])
    launch = next(each for each in begin(board, 0) if isinstance(each, Launch))
    (failed,) = report(board, 1, TaskCreated(launch, launched("theirs")))
    assert isinstance(failed, LaunchFailed)
    assert [*left(board)] == ["theirs"]
    assert not board.take_cancellations(1, of_all=True)


def test_a_board_that_is_left_names_all_that_is_unfinished() -> None:
    theirs = FollowedTask(ExternalTask("theirs"), status="running", first_seen_at=5)
    board = TaskBoard(settings(), tasks=[theirs], queries=map(Launch, ("mine", "unheard")))
    launches = [each for each in begin(board, 10) if isinstance(each, Launch)]
    mine, unheard = launches
    task = launched("mine", mine.query_name)
    assert report(board, 10, TaskCreated(mine, task)) == [Launched(task)]
    failed, *outcomes = board.leave()
    assert failed == LaunchFailed(
        unheard.query_name, "no response before the run ended; Looker may still run it"
    )
    assert [
        (each.task, each.status, each.followed.first_seen_at)
        for each in outcomes
        if isinstance(each, Outcome)
    ] == [(theirs.task, "running", 5), (task, "added", None)]


def test_only_launched_tasks_are_cancelled_and_only_if_all_are_to_be() -> None:
    tasks = [FollowedTask(ExternalTask("theirs")), FollowedTask(launched("mine"))]
    board = TaskBoard(settings(), tasks=tasks)
    assert board.take_cancellations(2, of_all=False) == []
    (cancel,) = board.take_cancellations(2, of_all=True)
    assert isinstance(cancel, Cancel)
    assert cancel.task.query_task_id == "mine"
    (failed, outcome) = board.leave()
    assert failed == CancelFailed(cancel.task, "the run ended first")
    assert isinstance(outcome, Outcome)
    assert outcome.task.query_task_id == "theirs"


def test_requests_beyond_the_limit_of_calls_leave_their_tasks_to_the_next_run() -> None:
    limit = ApiCallLimitError("api_call_limit")
    tasks = [FollowedTask(ExternalTask("theirs"))]
    abandoned = [launched("old", "former")]
    board = TaskBoard(settings(), tasks=tasks, queries=[Launch("flights")], abandoned=abandoned)
    requests = begin(board, 0)
    assert {type(each) for each in requests} == {Poll, Launch, Cancel}
    events = report(board, 1, *(RequestFailed(each, limit) for each in requests))
    assert events == [CancelFailed(abandoned[0], "api_call_limit")]
    assert isinstance(board.next_action(1), Done)
    assert left(board) == {"theirs": "added"}
