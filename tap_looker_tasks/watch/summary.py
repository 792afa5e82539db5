"""The summary of a run: a few lines that someone paged at night can act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from itertools import islice

import click

from tap_looker_tasks.errors import TapError
from tap_looker_tasks.looker import MeteredCalls
from tap_looker_tasks.watch.facts import RunFacts, Stage, TaskFacts
from tap_looker_tasks.wording import one_line

_TASKS_NAMED = 10
_LINE_LENGTH = 500


def summary_lines(facts: RunFacts) -> list[str]:
    """Return the lines of a run's summary; the reason of a failure comes last."""
    failed = [*facts.in_stage(Stage.FAILED), *facts.in_stage(Stage.NOT_LAUNCHED)]
    return [
        _describe_run(facts),
        describe_calls(facts.calls, facts.call_limit),
        *_name_tasks("launched again", facts.in_stage(Stage.RELAUNCHED), _describe_relaunch),
        *_name_tasks("cancelled in Looker", facts.in_stage(Stage.CANCELLED), _describe_task),
        *_name_tasks("left for the next run", facts.in_stage(Stage.LEFT), _describe_left),
        *_name_tasks("failed", failed, _describe_failure),
        *_describe_end(facts),
    ]


def describe_calls(calls: Counter[str], call_limit: int | None = None) -> str:
    """Return the number of API calls, beside the limit, by kind and by operation."""
    limit = "" if call_limit is None else f" of {call_limit:,} allowed"
    by_operation = ", ".join(f"{count:,} {name}" for name, count in calls.most_common())
    return f"API calls made: {calls.total():,}{limit}" + (
        by_operation and f" ({by_operation}): {MeteredCalls.of(calls)}"
    )


def _describe_run(facts: RunFacts) -> str:
    end = facts.started_at if facts.ended_at is None else facts.ended_at
    named = "" if facts.run_id is None else f" (run_id {shorten(facts.run_id, _LINE_LENGTH)})"
    return (
        f"delivered {facts.count(Stage.DELIVERED):,} of {format_count(facts.total, 'query task')} "
        f"in {format_duration(end - facts.started_at)}: {format_count(facts.row_count, 'row')}, "
        f"{format_bytes(facts.delivered_bytes or facts.collected_bytes)}{named}"
    )


def _name_tasks(
    what: str, tasks: Collection[TaskFacts], describe: Callable[[TaskFacts], str]
) -> Iterator[str]:
    """Yield one line for each of the first tasks, and the number of others."""
    if not tasks:
        return
    yield f"{what}: {format_count(len(tasks), 'query task')}"
    for task in islice(tasks, _TASKS_NAMED):
        yield f"  {shorten(describe(task), _LINE_LENGTH)}"
    if len(tasks) > _TASKS_NAMED:
        yield f"  and {len(tasks) - _TASKS_NAMED:,} more"


def _describe_task(task: TaskFacts) -> str:
    if task.name is None or task.query_task_id is None:
        return task.title
    return f"{task.name}, query task {task.query_task_id}"


def _describe_relaunch(task: TaskFacts) -> str:
    return f"{_describe_task(task)}, was lost as attempt {task.attempt}"


def _describe_left(task: TaskFacts) -> str:
    if task.query_task_id is None:
        return f"{task.title}, not launched yet"
    return f"{_describe_task(task)}, {task.status or 'running'} in Looker"


def _describe_failure(task: TaskFacts) -> str:
    status = Stage.NOT_LAUNCHED.value if task.status is None else task.status
    reason = f": {shorten(task.error, _LINE_LENGTH)}" if task.error else ""
    return f"{_describe_task(task)}, {status}{reason}"


def _describe_end(facts: RunFacts) -> Iterator[str]:
    if facts.exit_status:
        reason = f": {shorten(facts.error, _LINE_LENGTH)}" if facts.error else ""
        yield f"the run ended with exit code {facts.exit_status}{reason}"


# Numbers in the form that users read.

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_BYTES_STEP = 1000
_TENTHS_BELOW = 10


def format_duration(seconds: float) -> str:
    """Return a duration with its two largest units, such as `2 min 13 s`."""
    if seconds < _TENTHS_BELOW:
        return f"{max(seconds, 0):.1f} s"
    rounded = round(seconds)
    for unit, name, part, part_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if rounded >= unit:
            rest = rounded % unit // part
            return f"{rounded // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{rounded} s"


def format_bytes(size: float) -> str:
    """Return a size in decimal units, such as `1.2 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < _BYTES_STEP:
            digits = 1 if size < _TENTHS_BELOW and unit != "bytes" else 0
            return f"{size:.{digits}f} {unit}"
        size /= _BYTES_STEP
    return f"{size:,.1f} TB"


def format_count(count: int, singular: str) -> str:
    """Return a number with its noun, such as `1 task` or `1,234 tasks`."""
    return f"{count:,} {singular}{'' if count == 1 else 's'}"


def shorten(text: str, length: int) -> str:
    """Return a text on one line, its spaces merged, of at most `length` characters."""
    return one_line(" ".join(text[: 10 * length].split()), length)


# Log lines of a command's end: its summary, and the report of a run.


def lines_to_log(facts: RunFacts) -> list[str]:
    """Return the summary without its reason of a failure, which the log shows next."""
    if facts.error is None:
        return summary_lines(facts)
    if not facts.total:
        return [describe_calls(facts.calls, facts.call_limit)]
    return summary_lines(facts)[:-1]


def exit_status_of(error: BaseException | None) -> int:
    """Return the exit status of a command that an exception ends."""
    match error:
        case None:
            return 0
        case SystemExit(code=int(code)) | click.ClickException(exit_code=code):
            return code
        case _:
            return 1


def describe_end(error: BaseException | None) -> str | None:
    """Return the description of the exception that ends a command."""
    if error is None or isinstance(error, SystemExit):
        return None
    match error:
        case TapError(lines=lines):
            return "\n  ".join(map(one_line, lines))
        case click.ClickException(message=message):
            return one_line(message)
        case _:
            return one_line(repr(error))
