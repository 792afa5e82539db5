"""How many tasks were where over the time of a run, and what it waited for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import ceil
from typing import TYPE_CHECKING

from tap_looker_tasks.watch.facts import PHASES, Stage
from tap_looker_tasks.watch.figures import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tap_looker_tasks.watch.facts import RunFacts, TaskFacts

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


@dataclass(frozen=True, slots=True)
class Load:
    """What went on at the same time.

    Attributes:
        moments: the middle of each sample, in seconds from the start of the run.
        tasks: for each of `PHASES`, the mean number of tasks in it during each sample.
        slots: the most tasks that held a slot in Looker during each sample.
    """

    moments: tuple[float, ...]
    tasks: tuple[tuple[float, ...], ...]
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HoldUp:
    """What the run waited for.

    Attributes:
        sentence: the same in words.
        seconds: for each `Cause`, in their order; together they are the run.
        most_slots: tasks that held a slot at once.
    """

    sentence: str
    seconds: tuple[float, ...]
    most_slots: int


def measure_load(facts: RunFacts, now: float, samples: int = SAMPLES) -> Load:
    """Return what went on at the same time, from the start of the run until `now`."""
    begin, width = facts.started_at, max(now - facts.started_at, 0.001) / samples
    by_stage = _split_by_stage(facts, now)

    def scale(intervals: Iterable[Interval]) -> list[Interval]:
        return [((b - begin) / width, (e - begin) / width) for b, e in intervals]

    return Load(
        tuple(round((i + 0.5) * width, 3) for i in range(samples)),
        tuple(_mean_counts(scale(by_stage[stage]), samples) for stage in PHASES),
        _most_counts(scale(_slots_held(facts, now)), samples),
    )


def find_hold_up(facts: RunFacts, now: float, slots: int) -> HoldUp:
    """Return what the run waited for until `now`, when `slots` tasks may run at once."""
    seconds = dict.fromkeys(Cause, 0.0)
    most_slots = 0
    intervals = [[*_slots_held(facts, now)], *_split_by_stage(facts, now).values()]
    for length, (used, *counts) in _sweep(intervals):
        seconds[_find_cause(counts, is_full=used >= slots)] += length
        most_slots = max(most_slots, used)
    seconds[Cause.ELSE] += max(0.0, now - facts.started_at - sum(seconds.values()))
    return HoldUp(_explain(seconds, facts, now), tuple(seconds.values()), most_slots)


def _find_cause(counts: Sequence[int], *, is_full: bool) -> Cause:
    """Return what is waited for while so many tasks are in each of `PHASES`."""
    queued, running, collecting, collected, delivering = counts
    causes = (
        (Cause.SLOTS, queued and is_full),
        (Cause.LOOKER, running or collecting),
        (Cause.TARGET, collected or delivering),
        (Cause.ELSE, True),
    )
    return next(cause for cause, holds in causes if holds)


def _explain(seconds: Mapping[Cause, float], facts: RunFacts, now: float) -> str:
    """Return a sentence on what the run waited for most."""
    cause = max(seconds, key=lambda cause: seconds[cause])
    share = f"{seconds[cause] / max(sum(seconds.values()), 0.001):.0%} of the run"
    match cause:
        case Cause.SLOTS:
            return (
                f"The slots: for {share}, all of them were in use while queries waited; "
                "see max_concurrent_tasks."
            )
        case Cause.LOOKER:
            longest = _name_longest(facts.tasks, now)
            return f"Looker: for {share}, its queries were what was waited for; {longest}"
        case Cause.TARGET:
            return f"The target: for {share}, it was all that was waited for."
        case _:
            return f"Neither Looker nor the target: {share} went by before and after them."


def _name_longest(tasks: Iterable[TaskFacts], now: float) -> str:
    seconds, task = max(
        (
            (phase.end - phase.begin, task)
            for task in tasks
            for phase in task.phases(now)
            if phase.stage is Stage.RUNNING
        ),
        key=lambda pair: pair[0],
    )
    return f"{task.title} took longest, {format_duration(seconds)}."


def _split_by_stage(facts: RunFacts, now: float) -> dict[Stage, list[Interval]]:
    """Return when a task was in each of `PHASES`."""
    by_stage: dict[Stage, list[Interval]] = {stage: [] for stage in PHASES}
    for task in facts.tasks:
        for stage, begin, end in task.phases(now):
            by_stage[stage].append((begin, end))
    return by_stage


def _slots_held(facts: RunFacts, now: float) -> Iterator[Interval]:
    for task in facts.tasks:
        if task.is_launched and task.running_at is not None:
            ends = (task.finished_at, task.ended_at, now)
            yield task.running_at, next(end for end in ends if end is not None)


def _sweep(groups: Sequence[Sequence[Interval]]) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Yield for how many seconds how many intervals of each group lay over each other."""
    changes = sorted(
        change
        for number, intervals in enumerate(groups)
        for begin, end in intervals
        for change in ((begin, number, 1), (end, number, -1))
    )
    counts = [0] * len(groups)
    before = changes[0][0] if changes else 0.0
    for at, number, step in changes:
        if at > before:
            yield at - before, tuple(counts)
            before = at
        counts[number] += step


def _mean_counts(intervals: Iterable[Interval], samples: int) -> tuple[float, ...]:
    """Return the mean number of intervals over each sample; a sample is 1 long."""
    parts, steps = [0.0] * (samples + 1), [0] * (samples + 1)
    for begin, end in intervals:
        first, last = min(max(begin, 0.0), samples), min(max(end, 0.0), samples)
        # Both samples at the ends are covered in part, those between them whole.
        parts[int(first)] += int(first) - first
        parts[int(last)] += last - int(last)
        steps[int(first)] += 1
        steps[int(last)] -= 1
    count, means = 0, []
    for part, step in zip(parts, steps, strict=True):
        count += step
        means.append(round(count + part, 2))
    return tuple(means[:samples])


def _most_counts(intervals: Iterable[Interval], samples: int) -> tuple[int, ...]:
    """Return the most intervals that lay over each other in each sample; a sample is 1 long."""
    changes = sorted(
        change for begin, end in intervals for change in ((begin, 1), (max(begin, end), -1))
    )
    most = [0] * samples
    count, place = 0, 0
    for at, step in [*changes, (float(samples), 0)]:
        for sample in range(place, min(ceil(at), samples)):
            most[sample] = max(most[sample], count)
        count += step
        place = min(max(int(at), 0), samples - 1)
        most[place] = max(most[place], count)
    return tuple(most)
