"""The board, without a clock: each test tells it the time and what Looker says."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_looker_tasks.settings import Settings
from tap_looker_tasks.tasks.board import (
    Cancel,
    Done,
    Finished,
    Launch,
    Poll,
    QueuedQuery,
    Running,
    TaskBoard,
    Wait,
)


def settings(**config: object) -> Settings:
    given = {"base_url": "https://looker.test", "client_id": "i", "client_secret": "s"}
    return Settings.from_config(given | {"poll_interval_seconds": 1} | config)


def board_of(*ids: str, **config: object) -> TaskBoard:
    return TaskBoard(settings(**config), running=[Running(id_) for id_ in ids])


def launched(id_: str, name: str = "flights", *, at: float = 0, attempt: int = 1) -> Running:
    return Running(id_, name, attempt, launched_at=at)


def answer(board: TaskBoard, now: float, **statuses: str) -> list[Finished]:
    """Play one poll: the tasks named get these statuses, the others are not in the answer."""
    action = board.next_action(now)
    assert isinstance(action, Poll)
    finished = [board.answered(id_, status, now) for id_, status in statuses.items()]
    return [f for f in finished if f] + board.poll_ended(now)


def test_a_board_without_tasks_is_done() -> None:
    assert board_of().next_action(0) == Done()


def test_a_finished_task_is_told_once_and_never_asked_for_again() -> None:
    board = board_of("a", "b")
    assert board.next_action(0) == Poll(("a", "b"))
    finished = board.answered("a", "complete", 0)
    assert finished
    assert (finished.status, finished.finished_at) == ("complete", 0)
    assert board.answered("a", "complete", 0) is None
    assert board.answered("b", "running", 0) is None
    assert board.poll_ended(0) == []
    assert board.next_action(0.25) == Wait(0.75)
    assert board.next_action(1) == Poll(("b",))


@pytest.mark.parametrize("status", ["complete", "error", "killed", "failure"])
def test_a_final_status_is_believed_at_once(status: str) -> None:
    board = board_of("a")
    assert [f.status for f in answer(board, 0, a=status)] == [status]
    assert board.next_action(0) == Done()


@pytest.mark.parametrize("status", ["expired", "missing"])
def test_a_doubtful_status_is_believed_when_it_lasts(status: str) -> None:
    board = board_of("a", expired_grace_seconds=60)
    assert answer(board, 100, a=status) == []
    assert answer(board, 159, a=status) == []
    assert [f.status for f in answer(board, 160, a=status)] == [status]


def test_a_status_that_flaps_is_not_believed() -> None:
    board = board_of("a", expired_grace_seconds=60)
    assert answer(board, 0, a="expired") == []
    assert answer(board, 30, a="running") == []
    assert answer(board, 61, a="expired") == []
    assert [f.status for f in answer(board, 65, a="complete")] == ["complete"]


def test_a_task_that_looker_never_answers_for_is_absent() -> None:
    board = board_of("a", "b", expired_grace_seconds=10)
    assert answer(board, 0, b="running") == []
    assert [f.status for f in answer(board, 10, b="complete")] == ["complete", "absent"]


def test_an_answer_for_a_task_nobody_asked_for_is_passed_over() -> None:
    board = board_of("a")
    assert answer(board, 0, a="running", z="complete") == []
    assert [task.query_task_id for task in board.unfinished()] == ["a"]


@pytest.mark.parametrize(
    ("status", "reported"),
    [("running", "timeout"), ("added", "timeout"), ("paused", "paused"), ("expired", "expired")],
)
def test_after_the_timeout_a_task_is_given_up(status: str, reported: str) -> None:
    board = board_of("a", task_timeout_seconds=100, expired_grace_seconds=1000)
    assert answer(board, 0, a=status) == []
    assert answer(board, 99, a=status) == []
    assert [f.status for f in answer(board, 100, a=status)] == [reported]


def test_the_timeout_is_not_slept_through() -> None:
    board = board_of("a", task_timeout_seconds=10, poll_interval_seconds=15)
    assert answer(board, 0, a="running") == []
    assert board.next_action(1) == Wait(9)


def test_batches_keep_to_their_size() -> None:
    board = board_of(*"abcde", batch_size=2)
    assert board.next_action(0) == Poll(("a", "b"))
    board.poll_ended(0)
    assert board.next_action(0) == Poll(("c", "d"))
    board.poll_ended(0)
    assert board.next_action(0) == Poll(("e",))


@given(st.lists(st.integers(1, 4096), min_size=1, max_size=400), st.integers(1, 250))
def test_a_batch_fits_a_query_string_whatever_the_ids(lengths: list[int], batch_size: int) -> None:
    ids = [f"{n:0{length}d}" for n, length in enumerate(lengths)]
    board = board_of(*ids, batch_size=batch_size, wait_for_completion=False)
    asked: list[str] = []
    while isinstance(action := board.next_action(0), Poll):
        assert len(action.query_task_ids) <= batch_size
        assert len("query_task_ids=" + "%2C".join(action.query_task_ids)) < 10_240
        asked += action.query_task_ids
        for id_ in action.query_task_ids:
            board.answered(id_, "running", 0)
        assert board.poll_ended(0) == []
    assert asked == list(dict.fromkeys(ids))


def test_one_look_is_one_look() -> None:
    board = board_of("a", "b", "c", wait_for_completion=False)
    assert [f.status for f in answer(board, 0, a="complete", b="running")] == ["complete"]
    assert board.next_action(0) == Done()
    left = {task.query_task_id: task.status for task in board.unfinished()}
    assert left == {"b": "running", "c": "absent"}


def test_one_look_believes_what_was_doubted_in_an_earlier_run() -> None:
    doubted = Running("a", doubted_since=0)
    board = TaskBoard(settings(wait_for_completion=False), running=[doubted])
    assert [f.status for f in answer(board, 3600, a="expired")] == ["expired"]


def test_one_bad_id_condemns_no_other() -> None:
    ids = [f"task{n}" for n in range(50)]
    board = board_of(*ids, expired_grace_seconds=0)
    outcomes: dict[str, str] = {}
    requests = 0
    while isinstance(action := board.next_action(0), Poll):
        requests += 1
        if "task13" in action.query_task_ids:
            over = board.poll_refused(action.query_task_ids, 0)
        else:
            for id_ in action.query_task_ids:
                finished = board.answered(id_, "complete", 0)
                assert finished
                outcomes[id_] = finished.status
            over = board.poll_ended(0)
        outcomes |= {f.task.query_task_id: f.status for f in over}
    assert outcomes == dict.fromkeys(ids, "complete") | {"task13": "absent"}
    assert requests <= 14


def test_the_pause_grows_while_nothing_finishes_and_shrinks_when_results_come() -> None:
    board = board_of("a", "b", poll_interval_seconds=1, poll_max_interval_seconds=3)
    now, pauses = 0.0, []
    for _ in range(4):
        answer(board, now, a="running", b="running")
        wait = board.next_action(now)
        assert isinstance(wait, Wait)
        pauses.append(wait.seconds)
        now += wait.seconds
    assert pauses == [1.5, 2.25, 3, 3]
    answer(board, now, a="complete", b="running")
    assert board.next_action(now) == Wait(1.125)


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
        for id_ in action.query_task_ids:
            board.answered(id_, "complete" if now >= done_at[id_] else "running", now)
        board.poll_ended(now)
    assert calls <= 150
    assert now <= 615


@pytest.mark.parametrize(
    ("queries", "longest_lag", "most_calls"), [(["next"], 0.06, 110), ([], 0.4, 25)]
)
def test_a_slot_that_others_wait_for_is_free_soon(
    queries: list[str], longest_lag: float, most_calls: int
) -> None:
    names = ["flights", *queries]
    board = TaskBoard(
        settings(poll_interval_seconds=0.1, max_concurrent_tasks=1),
        running=[],
        waiting=[QueuedQuery(name) for name in names],
    )
    assert board.next_action(0) == Launch(QueuedQuery("flights"))
    board.launched("a", "1", 0)
    now, lags = 0.0, []
    while now < 100:
        action = board.next_action(now)
        if isinstance(action, Wait):
            lags.append(action.seconds / max(now + action.seconds, 2))
            now += action.seconds
        else:
            assert answer(board, now, a="running") == []
    assert max(lags) <= longest_lag
    assert len(lags) <= most_calls


def test_launches_keep_within_the_budget_and_a_finished_task_frees_a_slot() -> None:
    waiting = [QueuedQuery(name) for name in "xyz"]
    board = TaskBoard(settings(max_concurrent_tasks=2), running=[], waiting=waiting)
    assert board.next_action(0) == Launch(QueuedQuery("x"))
    board.launched("a", "1", 0)
    assert board.next_action(0) == Launch(QueuedQuery("y"))
    board.launched("b", "1", 0)
    assert board.next_action(0) == Wait(1)
    assert [f.task.query_name for f in answer(board, 1, a="complete", b="running")] == ["x"]
    assert board.next_action(1) == Launch(QueuedQuery("z"))


def test_a_refusal_for_load_lowers_the_number_in_flight_for_a_while() -> None:
    waiting = [QueuedQuery(str(n)) for n in range(8)]
    board = TaskBoard(settings(max_concurrent_tasks=4), running=[], waiting=waiting)
    for id_ in "abcd":
        assert isinstance(board.next_action(0), Launch)
        if id_ == "d":
            board.launch_postponed(0, 5)
        else:
            board.launched(id_, "1", 0)
    assert [f.task.query_name for f in answer(board, 1, a="complete", b="complete")] == ["0", "1"]
    assert board.next_action(1.25) == Wait(0.75)
    assert board.next_action(5) == Launch(QueuedQuery("3", not_before=5))


def test_a_query_that_cannot_be_launched_is_given_up() -> None:
    board = TaskBoard(settings(), running=[], waiting=[QueuedQuery("x")])
    assert board.next_action(0) == Launch(QueuedQuery("x"))
    board.launch_failed()
    assert board.next_action(0) == Done()


@pytest.mark.parametrize("status", ["expired", "missing"])
def test_a_lost_task_is_launched_again_up_to_the_limit(status: str) -> None:
    board = TaskBoard(
        settings(expired_grace_seconds=0), running=[], waiting=[QueuedQuery("flights")]
    )
    assert board.next_action(0) == Launch(QueuedQuery("flights"))
    board.launched("a", "1", 0)
    assert answer(board, 1, a=status) == []
    assert board.next_action(1) == Launch(QueuedQuery("flights", attempt=2))
    board.launched("b", "1", 1)
    assert [f.task.attempt for f in answer(board, 3, b=status)] == [2]
    assert board.next_action(3) == Done()


def test_launches_of_earlier_runs_do_not_count() -> None:
    resumed = launched("a", at=0, attempt=2)
    board = TaskBoard(settings(expired_grace_seconds=0), running=[resumed])
    assert answer(board, 1, a="expired") == []
    assert board.next_action(1) == Launch(QueuedQuery("flights", attempt=3))


def test_a_task_that_nobody_waits_for_any_more_is_cancelled() -> None:
    board = TaskBoard(settings(), running=[], abandoned=[launched("a")])
    assert board.next_action(0) == Cancel(launched("a"))
    assert board.next_action(0) == Done()


def test_a_task_made_elsewhere_is_never_launched_again_nor_cancelled() -> None:
    board = board_of("a", "b", expired_grace_seconds=0, task_timeout_seconds=5)
    assert [f.status for f in answer(board, 0, a="expired", b="running")] == ["expired"]
    assert [f.status for f in answer(board, 5, b="running")] == ["timeout"]
    assert board.next_action(5) == Done()


def test_a_task_launched_here_is_cancelled_at_its_timeout() -> None:
    board = TaskBoard(settings(task_timeout_seconds=5), running=[launched("a", at=0)])
    assert [f.status for f in answer(board, 5, a="running")] == ["timeout"]
    action = board.next_action(5)
    assert isinstance(action, Cancel)
    assert action.task.query_task_id == "a"
    assert board.next_action(5) == Done()


def test_a_run_that_must_end_leaves_what_is_unfinished() -> None:
    board = TaskBoard(settings(), running=[launched("a")], waiting=[QueuedQuery("y")], stop_at=10)
    assert isinstance(board.next_action(0), Launch)
    board.launched("b", "1", 0)
    answer(board, 1, a="running", b="running")
    assert board.next_action(10) == Done()
    assert [task.query_task_id for task in board.unfinished()] == ["a", "b"]


def test_a_stopped_board_is_done() -> None:
    board = board_of("a")
    board.stop()
    assert board.next_action(0) == Done()


STATUSES = ["added", "running", "complete", "error", "killed", "expired", "missing", "odd", None]


@given(st.data())
def test_every_task_ends_exactly_once_whatever_looker_says(data: st.DataObject) -> None:
    given_ids = [f"given{n}" for n in range(data.draw(st.integers(0, 5)))]
    waiting = [QueuedQuery(f"query{n}") for n in range(data.draw(st.integers(0, 5)))]
    limits = settings(
        task_timeout_seconds=300, max_concurrent_tasks=2, max_task_attempts=2, batch_size=3
    )
    board = TaskBoard(limits, running=map(Running, given_ids), waiting=waiting)
    now, in_flight, outcomes = 0.0, set[str](), Counter[str]()
    for step in range(3000):
        action = board.next_action(now)
        match action:
            case Done():
                break
            case Wait(seconds):
                assert seconds >= 0
                now += seconds
            case Launch(query):
                assert len(in_flight) < 2
                in_flight.add(board.launched(f"{query.query_name}-{step}", "1", now).query_task_id)
            case Cancel(task):
                assert task.query_name
            case Poll(ids):
                assert 0 < len(ids) <= 3
                told = [data.draw(st.sampled_from(STATUSES)) for _ in ids]
                over = [board.answered(i, s, now) for i, s in zip(ids, told, strict=True) if s]
                for finished in [*filter(None, over), *board.poll_ended(now)]:
                    outcomes[finished.task.query_name or finished.task.query_task_id] += 1
                in_flight &= {task.query_task_id for task in board.unfinished()}
    assert outcomes == Counter([*given_ids, *(query.query_name for query in waiting)])
