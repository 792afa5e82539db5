"""How many tasks were where over the time of a run, and what it waited for."""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import partial
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import pytest

from tap_looker_tasks.tasks import LaunchedTask
from tap_looker_tasks.watch.facts import PHASES, RunFacts, Stage
from tap_looker_tasks.watch.report import SAMPLES, Cause, explain_load, measure_load
from tests.watch.big_run import log_big_run
from tests.watch.shown import START, log_half_a_run

if TYPE_CHECKING:
    from collections.abc import Callable


def log_one(
    *, running: float, waiting: float, delivering: float, arriving: float = 0
) -> tuple[RunFacts, float]:
    facts = RunFacts(START, Counter(), slots=10)
    facts.launched(LaunchedTask("1", "orders", "7"), START)
    facts.finished("1", "complete", START + running)
    here = START + running + arriving
    facts.collected("1", 1, here)
    facts.delivering("1", here + waiting)
    end = here + waiting + delivering
    facts.delivered("1", "complete", 1, None, None, end)
    facts.ended(0, None, end)
    return facts, end


@pytest.mark.parametrize(
    ("seconds", "sentence"),
    [
        (
            (8, 1, 1),
            (
                "Looker: for 80% of the run, its queries were what was waited for; "
                "orders took longest, 8.0 s."
            ),
        ),
        ((2, 4, 4), "The target: for 80% of the run, it was all that was waited for."),
        (
            (2, 1, 1, 6),
            (
                "The transfer: for 60% of the run, results on their way from Looker were what was "
                "waited for; filters and fewer fields make them smaller."
            ),
        ),
    ],
)
def test_what_took_most_is_named(seconds: tuple[int, ...], sentence: str) -> None:
    running, waiting, delivering, *arriving = seconds
    facts, end = log_one(
        running=running, waiting=waiting, delivering=delivering, arriving=sum(arriving)
    )
    load = measure_load(facts, end)
    assert explain_load(load, facts, end) == sentence
    assert sum(load.seconds) == pytest.approx(10)


def test_queries_that_wait_for_slots_are_named() -> None:
    facts = log_half_a_run()
    facts.slots = 2
    load = measure_load(facts, START + 60)
    assert explain_load(load, facts, START + 60) == (
        "The slots: for 97% of the run, all of them were in use while queries waited; "
        "see max_concurrent_tasks."
    )


def test_a_run_that_never_started_waited_for_no_one() -> None:
    facts = RunFacts(START, Counter(), slots=10)
    load = measure_load(facts, START + 2)
    assert load.seconds[-1] == pytest.approx(2)
    sentence = explain_load(load, facts, START + 2)
    assert sentence.startswith("Neither Looker nor the target: 100% of the run")


def test_load_counts_the_tasks_of_each_moment() -> None:
    facts, end = log_one(running=2.5, waiting=5, delivering=2.5)
    load = measure_load(facts, end, samples=4)
    assert load.moments == (1.25, 3.75, 6.25, 8.75)
    assert load.tasks == (
        (0.0, 0.0, 0.0, 0.0),
        (1.0, 0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 1.0, 1.0, 0.0),
        (0.0, 0.0, 0.0, 1.0),
    )
    assert load.slots == (1.0, 0.0, 0.0, 0.0)


def test_load_is_a_mean_and_the_most_slots_are_exact() -> None:
    facts = RunFacts(START, Counter(), slots=10)
    for number, (begin, end) in enumerate([(0, 3), (1, 3), (2, 9), (3, 9)]):
        facts.launched(LaunchedTask(str(number), str(number)), START + begin)
        facts.finished(str(number), "complete", START + end)
        facts.collected(str(number), 1, START + end)
        facts.delivered(str(number), "complete", 1, None, None, START + end)
    load = measure_load(facts, START + 10, samples=5)
    assert load.tasks[PHASES.index(Stage.RUNNING)] == (1.5, 2.5, 2.0, 2.0, 1.0)
    assert load.slots == (1.5, 2.5, 2.0, 2.0, 1.0)
    assert load.max_slots == 3


def log_at_random(chance: random.Random) -> RunFacts:
    """Tell of up to 5 tasks that get as far as they get, within 10 seconds."""
    facts = RunFacts(START, Counter(), slots=10)
    for name in map(str, range(chance.randrange(6))):
        moments = iter(sorted(START + chance.uniform(0, 10) for _ in range(6)))
        facts.queued(name, next(moments))
        stages: list[Callable[[float], None]] = [
            partial(facts.launched, LaunchedTask(name, name)),
            partial(facts.finished, name, "complete"),
            partial(facts.collected, name, 1),
            partial(facts.delivering, name),
            partial(facts.delivered, name, "complete", 1, None, None),
        ]
        for tell in stages[: chance.randrange(6)]:
            tell(next(moments))
    return facts


def count_moment_by_moment(facts: RunFacts, end: float, slots: int) -> list[float]:
    """Return the seconds that each cause held, looking at all tasks at every moment."""
    phases = [phase for task in facts.tasks for phase in task.phases(end)]
    moments = sorted({START, end, *chain.from_iterable(phase[1:] for phase in phases)})
    seconds = [0.0] * len(Cause)
    for before, after in pairwise(moments):
        there = [stage for stage, begin, last in phases if begin <= before < last]
        is_full = there.count(Stage.RUNNING) >= slots
        holds = (
            is_full and Stage.QUEUED in there,
            Stage.RUNNING in there,
            Stage.COLLECTING in there,
            Stage.COLLECTED in there or Stage.DELIVERING in there,
            True,
        )
        seconds[holds.index(True)] += after - before
    return seconds


@pytest.mark.parametrize("seed", range(50))
def test_what_a_run_waits_for_is_what_a_look_at_every_moment_shows(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - it makes up runs, no secret
    facts, slots = log_at_random(chance), chance.randint(1, 5)
    facts.slots = slots
    load = measure_load(facts, START + 10)
    counted = count_moment_by_moment(facts, START + 10, slots)
    # Within a sample, of which a moment can spoil one, only the most is seen.
    spoiled = 6 * len(facts.tasks) * 10 / SAMPLES
    assert load.seconds == pytest.approx(counted, abs=spoiled + 1e-5)


def test_building_the_report_is_cheap() -> None:
    facts = log_big_run(4_600)
    before = time.process_time()
    measure_load(facts, START + 3_000)
    # Some hundredths of a second here; the bound holds on a machine far slower.
    assert time.process_time() - before < 3
