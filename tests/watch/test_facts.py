"""What is told of a run adds up."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tap_looker_tasks.tasks import Collected, Launched, LaunchedTask
from tap_looker_tasks.watch.facts import PHASES, RunFacts, Stage
from tap_looker_tasks.watch.summary import format_bytes, format_duration, summary_lines
from tests.watch.shown import START, log_a_run, log_half_a_run


def test_every_task_is_in_one_stage() -> None:
    facts = log_half_a_run()
    counts = {stage: facts.count(stage) for stage in Stage if facts.count(stage)}
    assert counts == {Stage.QUEUED: 1, Stage.RUNNING: 2, Stage.DELIVERING: 1}
    assert facts.total == len(facts.tasks) == 4
    assert [task.title for task in facts.in_stage(Stage.RUNNING)] == ["orders", "events"]
    assert (facts.row_count, facts.delivered_bytes, facts.launches) == (250, 2_000, 2)


def test_phases_follow_each_other_without_a_gap() -> None:
    facts = log_a_run()
    task = next(task for task in facts.tasks if task.query_task_id == "task-external")
    phases = task.phases(START + 100)
    assert [(stage, begin - START, end - START) for stage, begin, end in phases] == [
        (Stage.RUNNING, 2, 5),
        (Stage.COLLECTING, 5, 6),
        (Stage.COLLECTED, 6, 8),
        (Stage.DELIVERING, 8, 12),
    ]


def test_a_phase_that_is_not_over_lasts_until_now() -> None:
    facts = log_half_a_run()
    (users,) = facts.in_stage(Stage.QUEUED)
    assert users.phases(START + 9) == [(Stage.QUEUED, START, START + 9)]


def test_a_phase_never_lasts_less_than_nothing() -> None:
    facts = RunFacts(START, Counter())
    facts.followed("1", START)
    facts.collected("1", 10, START + 4)
    facts.finished("1", "complete", START + 5)
    facts.delivered("1", "complete", 1, None, None, START + 4.5)
    (task,) = facts.tasks
    phases = task.phases(START + 9)
    assert {stage for stage, _, _ in phases} <= {*PHASES}
    assert all(begin <= end for _, begin, end in phases)


def test_a_lost_task_counts_once_with_the_one_launched_in_its_place() -> None:
    facts = RunFacts(START, Counter())
    facts.queued("orders", START)
    facts.launched(LaunchedTask("1", "orders", "101"), START + 1)
    facts.queued("orders", START + 5)
    facts.launched(LaunchedTask("2", "orders", "101", 2), START + 6)
    assert facts.total == 1
    assert [(t.query_task_id, t.stage) for t in facts.tasks] == [
        ("1", Stage.RELAUNCHED),
        ("2", Stage.RUNNING),
    ]
    assert facts.tasks[0].ended_at == START + 5


def test_a_task_that_timed_out_and_was_cancelled_failed() -> None:
    facts = RunFacts(START, Counter())
    facts.launched(LaunchedTask("1", "orders", "101"), START)
    facts.launched(LaunchedTask("2", "users", "102"), START)
    facts.delivered("1", "timeout", None, None, None, START + 9)
    facts.cancelled("1", START + 9)
    facts.cancelled("2", START + 9)
    assert [task.stage for task in facts.tasks] == [Stage.FAILED, Stage.CANCELLED]


def test_rows_in_the_record_of_the_task_itself_are_counted() -> None:
    facts = RunFacts(START, Counter(login=1))
    facts.followed("1", START)
    facts.delivered("1", "complete", 12, None, 0.5, START + 1)
    assert (facts.row_count, facts.tasks[0].row_count) == (12, 12)


def test_time_left_is_what_earlier_runs_and_the_slots_say() -> None:
    facts = RunFacts(START, Counter())
    for name, seconds in (("a", 60), ("b", 30), ("c", 30), ("d", 30)):
        facts.expect(name, seconds)
        facts.queued(name, START)
    facts.launched(LaunchedTask("1", "a"), START)
    facts.slots = 10
    assert facts.time_left(START + 10) == 50
    facts.slots = 2
    assert facts.time_left(START + 10) == (50 + 90) / 2


def test_a_query_that_is_new_takes_as_long_as_others_do() -> None:
    facts = RunFacts(START, Counter())
    facts.queued("new", START)
    facts.followed("1", START)
    assert facts.time_left(START + 1) is None
    facts.finished("1", "complete", START + 8)
    assert facts.time_left(START + 8) == 8
    facts.launched(LaunchedTask("2", "new"), START + 8)
    assert facts.time_left(START + 11) == 5


def test_time_left_accounts_for_a_slow_target() -> None:
    facts = RunFacts(START, Counter())
    for id_ in ("1", "2", "3"):
        facts.followed(id_, START)
        facts.finished(id_, "complete", START)
        facts.collected(id_, 1_000, START)
    facts.delivering("1", START)
    facts.delivered("1", "complete", 1, None, None, START + 20)
    assert facts.time_left(START + 20) == 40


def test_the_summary_shows_what_to_act_on_and_ends_with_the_failure() -> None:
    facts = log_a_run()
    facts.call_limit = 1_000
    assert summary_lines(facts) == [
        "delivered 1 of 4 query tasks in 1 min 1 s: 500 rows, 4.0 kB",
        (
            "API calls made: 44 of 1,000 allowed (40 query_task_multi_results, "
            "3 create_query_task, 1 login): 43 query-based, 0 administrative"
        ),
        "launched again: 1 query task",
        "  orders, query task task-orders, was lost as attempt 1",
        "left for the next run: 1 query task",
        "  events, query task task-events, running in Looker",
        "failed: 2 query tasks",
        (
            '  orders, query task task-orders-2, error: SQL Error: column "a" does not exist '
            "</script><script>alert(1)</script>"
        ),
        "  users, not launched: users: Looker refused it: no such query",
        "the run ended with exit code 1: 2 query tasks did not complete",
    ]


def test_a_run_that_went_well_is_two_lines() -> None:
    facts = RunFacts(START, Counter(login=1))
    facts.followed("1", START)
    facts.delivered("1", "complete", 12, None, 0.5, START + 1)
    facts.ended(0, None, START + 2)
    assert summary_lines(facts) == [
        "delivered 1 of 1 query task in 2.0 s: 12 rows, 0 bytes",
        "API calls made: 1 (1 login): 0 query-based, 0 administrative",
    ]


def test_the_summary_names_the_first_failures_only() -> None:
    facts = RunFacts(START, Counter())
    for number in range(25):
        facts.followed(str(number), START)
        facts.delivered(str(number), "error", None, "x" * 2_000, None, START)
    facts.ended(1, None, START)
    lines = summary_lines(facts)
    assert lines[-2:] == ["  and 15 more", "the run ended with exit code 1"]
    assert len(lines) == 15
    assert max(map(len, lines)) <= 502


def test_what_a_run_that_broke_off_leaves_is_left_for_the_next() -> None:
    facts = log_half_a_run()
    facts.ended(130, "interrupted", START + 20)
    lines = summary_lines(facts)
    assert "left for the next run: 4 query tasks" in lines
    assert "  users, not launched yet" in lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (133, "2 min 13 s"),
        (3_600, "1 h"),
        (93_600, "1 d 2 h"),
    ],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_234, "1.2 kB"), (5e8, "500 MB"), (2e12, "2.0 TB")],
)
def test_sizes_read_well(size: float, text: str) -> None:
    assert format_bytes(size) == text


def test_reporting_costs_nothing_that_shows() -> None:
    facts = RunFacts(START, Counter())
    before = time.process_time()
    for number in range(5_000):
        id_ = str(number)
        facts.queued(id_, START)
        facts.launched(LaunchedTask(id_, id_, id_), START)
        facts.finished(id_, "complete", START)
        facts.collected(id_, 10, START)
        for _ in range(10):
            facts.rows(id_, 10, 10, START)
        facts.delivered(id_, "complete", 100, None, 1, START)
    # 75,000 events: a tenth of a second here; the bound holds on a machine far slower.
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    ("query_id", "share_url", "link"),
    [
        ("aB3dE5fG7hI9jK1lM3nO5p", "https://l.test/x/aB3dE5", "https://l.test/x/aB3dE5"),
        ("aB3dE5fG7hI9jK1lM3nO5p", None, "/x/aB3dE5fG7hI9jK1lM3nO5p"),
        ("7", "https://l.test/x/aB3dE5", "https://l.test/x/aB3dE5"),
        ("7", None, "/looks/42"),
        (None, None, "/looks/42"),
    ],
)
def test_a_query_is_linked_as_it_was_run(
    query_id: str | None, share_url: str | None, link: str
) -> None:
    facts = RunFacts(START, Counter())
    facts.expect("orders", None, "/looks/42")
    facts.note(Launched(LaunchedTask("1", "orders", query_id, share_url=share_url)), START)
    facts.note(Collected("1", "complete", 7, 2.5, START + 9), START + 9)
    (task,) = facts.tasks
    assert (task.link, task.finished_at, task.collected_at) == (link, START + 6.5, START + 9)
    assert facts.collected_bytes == 7
