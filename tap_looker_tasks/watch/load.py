"""How many tasks were where over the time of a run, and what it waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_looker_tasks.watch.facts import PHASES, Stage
from tap_looker_tasks.watch.figures import format_count, format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_looker_tasks.watch.facts import RunFacts, TaskFacts

    Interval = tuple[float, float]

SAMPLES = 400
# Of the run's time, from which on one thing is named as what held it up.
_MOST = 0.7


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
        seconds: of the whole run.
        writing_seconds: while records were being written.
        crowded_seconds: while queries waited and all slots were in use.
        most_slots: tasks that held a slot at once.
    """

    sentence: str
    seconds: float
    writing_seconds: float
    crowded_seconds: float
    most_slots: int


def measure_load(facts: RunFacts, now: float, samples: int = SAMPLES) -> Load:
    """Return what went on at the same time, from the start of the run until `now`."""
    begin, width = facts.started_at, max(now - facts.started_at, 0.001) / samples
    phases = [phase for task in facts.tasks for phase in task.phases(now)]
    return Load(
        tuple(round((i + 0.5) * width, 3) for i in range(samples)),
        tuple(
            _mean_counts(
                [
                    ((p.begin - begin) / width, (p.end - begin) / width)
                    for p in phases
                    if p.stage is stage
                ],
                samples,
            )
            for stage in PHASES
        ),
        _most_counts(
            [((b - begin) / width, (e - begin) / width) for b, e in _slots_held(facts, now)],
            samples,
        ),
    )


def find_hold_up(facts: RunFacts, now: float, slots: int) -> HoldUp:
    """Return what the run waited for until `now`, when `slots` tasks may run at once."""
    writing = _in_phase(facts, now, Stage.DELIVERING)
    queued = _in_phase(facts, now, Stage.QUEUED)
    held = [*_slots_held(facts, now)]
    seconds = max(now - facts.started_at, 0.001)
    writing_seconds = sum(s for s, (count,) in _sweep([writing]) if count)
    crowded_seconds = sum(
        s for s, (used, waiting) in _sweep([held, queued]) if used >= slots and waiting
    )
    most_slots = max((used for _, (used,) in _sweep([held])), default=0)
    if writing_seconds / seconds >= _MOST:
        sentence = (
            f"The target: records were being written {writing_seconds / seconds:.0%} of the time."
        )
    elif crowded_seconds / seconds >= _MOST:
        sentence = (
            f"The slots: {format_count(slots, 'slot')} in Looker "
            f"{'was' if slots == 1 else 'were'} in use while queries waited, "
            f"{crowded_seconds / seconds:.0%} of the time; see max_concurrent_tasks."
        )
    else:
        sentence = _name_longest(facts.tasks, now)
    return HoldUp(sentence, seconds, writing_seconds, crowded_seconds, most_slots)


def _name_longest(tasks: Iterable[TaskFacts], now: float) -> str:
    runtimes = (
        (phase.end - phase.begin, task)
        for task in tasks
        for phase in task.phases(now)
        if phase.stage is Stage.RUNNING
    )
    longest = max(runtimes, key=lambda pair: pair[0], default=None)
    if longest is None:
        return "Nothing: no task ran."
    seconds, task = longest
    return f"Looker: {task.title} took longest, {format_duration(seconds)}."


def _in_phase(facts: RunFacts, now: float, stage: Stage) -> list[Interval]:
    return [
        (phase.begin, phase.end)
        for task in facts.tasks
        for phase in task.phases(now)
        if phase.stage is stage
    ]


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
        first, last = (min(max(x, 0.0), samples) for x in (begin, end))
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
        here = min(int(max(at, 0.0)), samples - 1)
        for sample in range(place, here + 1):
            most[sample] = max(most[sample], count)
        count += step
        most[here] = max(most[here], count)
        place = here
    return tuple(most)
