"""How many tasks were where over the time of a run, and what it waited for."""

from __future__ import annotations

from bisect import bisect_right
from enum import Enum
from itertools import accumulate, chain, islice, pairwise
from math import inf
from operator import sub
from typing import TYPE_CHECKING, NamedTuple

from tap_looker_tasks.watch.facts import PHASES, Stage
from tap_looker_tasks.watch.summary import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tap_looker_tasks.watch.facts import RunFacts

    Interval = tuple[float, float]

SAMPLES = 400


class Cause(Enum):
    """What would have to be faster at a moment for the run to end sooner.

    Looker and the target work at the same time: as long as Looker has something to do, the
    target keeps nobody waiting.
    """

    SLOTS = "queries wait, all slots in use"
    LOOKER = "Looker runs queries"
    TARGET = "only the target works"
    ELSE = "preparing and ending"


class Times(NamedTuple):
    """When some things began and when they ended, each in seconds from the start of the run."""

    begins: list[float]
    ends: list[float]

    @property
    def seconds(self) -> float:
        """How long all of them took together."""
        return sum(end - begin for begin, end in zip(self.begins, self.ends, strict=True))


class Course(NamedTuple):
    """When tasks were where in a run.

    Attributes:
        facts: of the run.
        seconds: that it took so far.
        stages: when a task was in each of `PHASES`.
        slots: when a task held a slot in Looker.
    """

    facts: RunFacts
    seconds: float
    stages: Mapping[Stage, Times]
    slots: Times


class Load(NamedTuple):
    """What went on at the same time.

    Attributes:
        moments: the middle of each sample, in seconds from the start of the run.
        tasks: for each of `PHASES`, the mean number of tasks in it during each sample.
        slots: the most tasks that held a slot in Looker during each sample.
    """

    moments: tuple[float, ...]
    tasks: tuple[tuple[float, ...], ...]
    slots: tuple[int, ...]


class HoldUp(NamedTuple):
    """What the run waited for.

    Attributes:
        sentence: the same in words.
        seconds: for each `Cause`, in their order; together they are the run.
        most_slots: tasks that held a slot at once.
    """

    sentence: str
    seconds: tuple[float, ...]
    most_slots: int


def trace_course(facts: RunFacts, now: float) -> Course:
    """Return when tasks were where, from the start of the run until `now`; all tasks are read once.

    What is measured of a course is measured with sorted moments, whatever task they are of:
    looking at tasks takes most of the time.
    """
    start = facts.started_at
    stages, slots = {stage: Times([], []) for stage in PHASES}, Times([], [])
    for task in facts.tasks:
        for stage, begin, end in task.phases(now):
            begins, ends = stages[stage]
            begins.append(begin - start)
            ends.append(end - start)
        if task.is_launched and task.running_at is not None:
            lasts = (task.finished_at, task.ended_at, now)
            last = next(at for at in lasts if at is not None)
            slots.begins.append(task.running_at - start)
            slots.ends.append(max(task.running_at, last) - start)
    return Course(facts, now - start, stages, slots)


def measure_load(course: Course, samples: int = SAMPLES) -> Load:
    """Return what went on at the same time in a run."""
    width = max(course.seconds, 0.001) / samples
    edges = [i * width for i in range(samples + 1)]
    return Load(
        tuple(round((i + 0.5) * width, 3) for i in range(samples)),
        tuple(_mean_counts(course.stages[stage], edges) for stage in PHASES),
        _most_counts(course.slots, edges),
    )


def find_bottleneck(course: Course, slots: int) -> HoldUp:
    """Return what a run waited for, when `slots` tasks may run at once."""
    queued, running, collecting, collected, delivering = (course.stages[s] for s in PHASES)
    by_slots = _times_with(2, _times_with(1, queued), _times_with(slots, course.slots))
    by_looker = _times_with(1, by_slots, running, collecting)
    by_target = _times_with(1, by_looker, collected, delivering)
    # Each includes the one before.
    ends = (0.0, by_slots.seconds, by_looker.seconds, by_target.seconds)
    lasts = (*ends[1:], max(course.seconds, ends[-1]))
    seconds = tuple(max(0.0, last - end) for end, last in zip(ends, lasts, strict=True))
    most_slots = max(_counts_from_begins(course.slots), default=0)
    return HoldUp(_explain(seconds, course), seconds, most_slots)


def _explain(seconds: Sequence[float], course: Course) -> str:
    """Return a sentence on what the run waited for most."""
    most = max(seconds)
    cause = [*Cause][seconds.index(most)]
    share = f"{most / max(sum(seconds), 0.001):.0%} of the run"
    match cause:
        case Cause.SLOTS:
            return (
                f"The slots: for {share}, all of them were in use while queries waited; "
                "see max_concurrent_tasks."
            )
        case Cause.LOOKER:
            longest = _name_longest(course)
            return f"Looker: for {share}, its queries were what was waited for; {longest}"
        case Cause.TARGET:
            return f"The target: for {share}, it was all that was waited for."
        case _:
            return f"Neither Looker nor the target: {share} went by before and after them."


def _name_longest(course: Course) -> str:
    begins, ends = course.stages[Stage.RUNNING]
    lengths = [*map(sub, ends, begins)]
    longest = max(lengths)
    # Of every task that ran, in their order.
    ran = (task for task in course.facts.tasks if task.running_at is not None)
    task = next(islice(ran, lengths.index(longest), None))
    return f"{task.title} took longest, {format_duration(longest)}."


def _times_with(least: int, *things: Times) -> Times:
    """Return when at least so many things went on at the same time.

    When n of them have ended, that many go on as soon as n more than that have begun.
    """
    begins = sorted(chain.from_iterable(each.begins for each in things))
    ends = sorted(chain.from_iterable(each.ends for each in things))
    times = Times([], [])
    last = -inf
    for begin, end in zip(begins[max(least, 1) - 1 :], ends, strict=False):
        if begin <= last:
            times.ends[-1] = last = end
        elif begin < end:
            times.begins.append(begin)
            times.ends.append(end)
            last = end
    return times


def _mean_counts(things: Times, edges: Sequence[float]) -> tuple[float, ...]:
    """Return the mean number of things that went on between each two edges."""
    begun, ended = _ages(things.begins, edges), _ages(things.ends, edges)
    seconds = [*map(sub, begun, ended)]
    width = edges[1] - edges[0]
    # Zero is added to what would be shown as -0.0.
    return tuple(round((after - before) / width, 2) + 0.0 for before, after in pairwise(seconds))


def _ages(moments: Iterable[float], edges: Iterable[float]) -> Iterator[float]:
    """Yield, at each edge, the sum of the times that have passed since the moments before it."""
    ordered = sorted(moments)
    sums = [*accumulate(ordered, initial=0.0)]
    for edge in edges:
        count = bisect_right(ordered, edge)
        yield count * edge - sums[count]


def _most_counts(things: Times, edges: Sequence[float]) -> tuple[int, ...]:
    """Return the most things that went on at the same time between each two edges."""
    begins, ends = sorted(things.begins), sorted(things.ends)
    # There are most of them at an edge, or when another one begins.
    most = [bisect_right(begins, edge) - bisect_right(ends, edge) for edge in edges[:-1]]
    for begin, count in zip(begins, _counts_from_begins(things), strict=True):
        place = max(bisect_right(edges, begin, hi=len(most)) - 1, 0)
        most[place] = max(most[place], count)
    return tuple(most)


def _counts_from_begins(things: Times) -> Iterator[int]:
    """Yield how many things went on when each of them began, in order."""
    ends = sorted(things.ends)
    for count, begin in enumerate(sorted(things.begins), 1):
        yield count - bisect_right(ends, begin)
