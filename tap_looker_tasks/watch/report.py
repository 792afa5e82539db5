"""The report of a run: one HTML file that needs no other file and no network."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from html import escape
from importlib.resources import files
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from secrets import token_hex
from stat import S_ISREG
from typing import NamedTuple

import msgspec

from tap_looker_tasks.errors import SettingsError
from tap_looker_tasks.looker import MeteredCalls
from tap_looker_tasks.records import to_rfc3339
from tap_looker_tasks.watch.facts import PHASES, RunFacts, Stage
from tap_looker_tasks.watch.summary import format_duration, summary_lines

_SHORT = 60


def write_report(
    path_pattern: str,
    facts: RunFacts,
    base_url: str,
    configuration: Mapping[str, object],
    now: float,
) -> Path:
    """Write the report of a run; return its path.

    Args:
        path_pattern: Path, with date patterns of `strftime` for the start of the run in UTC.
        facts: Facts of the run.
        base_url: URL of the Looker instance.
        configuration: Settings and their values, without secrets.
        now: Epoch seconds.

    Raises:
        SettingsError: If it cannot be written; no part of it is left behind.
    """
    page = _build_page(_data_of(facts, base_url, configuration, now), summary_lines(facts))
    return write_completely("report_path", path_pattern, facts.started_at, page)


def write_summary(path_pattern: str, facts: RunFacts, now: float) -> Path:
    """Write the summary of a run as JSON, for programs; return its path.

    Raises:
        SettingsError: If it cannot be written; no part of it is left behind.
    """
    summary = {
        "run_id": facts.run_id,
        "exit_code": facts.exit_status,
        "error": facts.error,
        "started_at": to_rfc3339(facts.started_at),
        "ended_at": to_rfc3339(now),
        "row_count": facts.row_count,
        "api_calls": facts.calls.total(),
        "query_tasks": {s.name.lower(): facts.count(s) for s in Stage if facts.count(s)},
        "queries": [
            {
                "name": task.name,
                "query_task_id": task.query_task_id,
                "status": task.status,
                "row_count": task.row_count,
                "runtime_seconds": task.runtime_seconds,
                "error": task.error,
            }
            for task in facts.tasks
        ],
    }
    content = msgspec.json.encode(summary) + b"\n"
    return write_completely("summary_path", path_pattern, facts.started_at, content)


def check_place(setting: str, path_pattern: str, started_at: float) -> None:
    """Check that a file of the run can be written, and create its folder.

    Raises:
        SettingsError: If it cannot be.
    """
    _create_part(setting, path_pattern, started_at)[1].unlink()


def write_completely(setting: str, path_pattern: str, started_at: float, content: bytes) -> Path:
    """Write a file completely or not at all; return its path.

    Raises:
        SettingsError: If it cannot be written.
    """
    path, part = _create_part(setting, path_pattern, started_at)
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise _cannot_write(setting, path, error) from None
    return path


def _create_part(setting: str, path_pattern: str, started_at: float) -> tuple[Path, Path]:
    """Create the part file, under a name that cannot be guessed, and its folders."""
    path = Path(path_pattern)
    try:
        path = Path(datetime.fromtimestamp(started_at, UTC).strftime(path_pattern))
        path.parent.mkdir(parents=True, exist_ok=True)
        # A device, a pipe, a link or a folder would be replaced by the file.
        if os.path.lexists(path) and not S_ISREG(path.lstat().st_mode):
            raise _cannot_write(setting, path, ValueError("not a regular file"))
        part = path.with_name(f".{path.name[:50]}.{token_hex(8)}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        os.close(os.open(part, flags, 0o666))
    except (OSError, ValueError, OverflowError) as error:
        raise _cannot_write(setting, path, error) from None
    return path, part


def _cannot_write(setting: str, path: Path, error: Exception) -> SettingsError:
    reason = getattr(error, "strerror", None) or error
    return SettingsError(f"{setting}: cannot write {path}: {reason}")


def _build_page(data: Mapping[str, object], summary: list[str]) -> bytes:
    """Return the page, whose policy allows its own scripts and nothing else."""
    texts = {
        "style": _read("uPlot.min.css") + _read("report.css"),
        "chart": _read("uPlot.iife.min.js"),
        "script": _read("report.js"),
        "license": escape(_read("uPlot-LICENSE.txt").decode()).encode(),
        "data": _as_json(data),
        "summary": escape("\n".join(summary)).encode(errors="replace"),
    }
    texts["policy"] = (
        b"default-src 'none'; base-uri 'none'; form-action 'none'; "
        b"style-src '%(style)b'; script-src '%(chart)b' '%(script)b'"
    ) % {name.encode(): _hash_of(texts[name]) for name in ("style", "chart", "script")}
    first, *rest = _read("report.html").split(b"{{")
    parts = [first]
    for part in rest:
        name, _, text = part.partition(b"}}")
        parts += [texts[name.decode()], text]
    return b"".join(parts)


def _read(name: str) -> bytes:
    return files("tap_looker_tasks.watch").joinpath("page", name).read_bytes()


def _hash_of(text: bytes) -> bytes:
    return b"sha256-" + b64encode(sha256(text).digest())


def _as_json(data: Mapping[str, object]) -> bytes:
    """Return JSON that is safe within a `script` element: no text can close the element."""
    try:
        encoded = msgspec.json.encode(data, enc_hook=str)
    except (UnicodeEncodeError, OverflowError):
        # Half a character, or an integer of more than 64 bits: rare, and slower.
        builtins = msgspec.to_builtins(data, enc_hook=str)
        encoded = json.dumps(builtins, separators=(",", ":")).encode()
    return encoded.replace(b"<", b"\\u003c")


def _data_of(
    facts: RunFacts, base_url: str, configuration: Mapping[str, object], now: float
) -> dict[str, object]:
    end = now if facts.ended_at is None else facts.ended_at
    load = measure_load(facts, end)
    return {
        "run": {
            "begin": facts.started_at,
            "seconds": round(end - facts.started_at, 3),
            "exitCode": facts.exit_status,
            "error": facts.error,
            "baseUrl": base_url,
            "total": facts.total,
            "rows": facts.row_count,
            "deliveredBytes": facts.delivered_bytes,
            "collectedBytes": facts.collected_bytes,
            "slots": facts.slots,
            "callLimit": facts.call_limit,
        },
        "stages": [stage.value for stage in PHASES],
        "tasks": facts.tasks,
        "load": {"moments": load.moments, "tasks": load.tasks, "slots": load.slots},
        "holdUp": {
            "sentence": explain_load(load, facts, end),
            "causes": [
                (cause.value, round(seconds, 3))
                for cause, seconds in zip(Cause, load.seconds, strict=True)
            ],
            "maxSlots": load.max_slots,
        },
        "calls": facts.calls.most_common(),
        "metered": str(MeteredCalls.of(facts.calls)),
        "configuration": [
            (name, value if isinstance(value, str) else _as_text(value))
            for name, value in configuration.items()
        ],
    }


def _as_text(value: object) -> str:
    """Return a value as JSON, on one line if it is short."""
    line = json.dumps(value, default=str, ensure_ascii=False)
    if len(line) <= _SHORT:
        return line
    return json.dumps(value, default=str, ensure_ascii=False, indent=2)


# The number of tasks in each phase over the time of a run, and the bottleneck.

SAMPLES = 400
_HALF = 0.5


class Cause(Enum):
    """The part that would have to be faster at a moment for the run to end sooner.

    Looker and the target work concurrently: while Looker has queries to run, the target delays
    nothing.
    """

    SLOTS = "queries wait, all slots in use"
    LOOKER = "Looker runs queries"
    TRANSFER = "results arrive"
    TARGET = "only the target works"
    ELSE = "preparing and ending"


class Load(NamedTuple):
    """Load of a run over time.

    Attributes:
        moments: Middle of each sample, in seconds from the start of the run.
        tasks: For each of `PHASES`, the mean number of tasks in it during each sample.
        slots: The mean number of tasks that held a slot in Looker during each sample.
        max_slots: The most tasks that held a slot at the same time.
        seconds: Seconds the run waited for each `Cause`, to a sample exactly.
    """

    moments: tuple[float, ...]
    tasks: tuple[tuple[float, ...], ...]
    slots: tuple[float, ...]
    max_slots: int
    seconds: tuple[float, ...]


class _Sums:
    """Seconds that tasks spent in each of some samples of equal width.

    With a width of 1 s, a task from 0.5 s to 2.25 s adds 0.5, 1 and 0.25 s to three samples: the
    steps add a full second from sample 0 to before sample 2, the rests correct both ends.
    """

    def __init__(self, width: float, samples: int) -> None:
        self._width = width
        self._last = samples - 1
        self._steps = [0.0] * samples
        self._rests = [0.0] * samples

    def add(self, begin: float, end: float) -> None:
        for moment, sign in ((begin, 1), (end, -1)):
            sample = min(int(moment / self._width), self._last)
            self._steps[sample] += sign * self._width
            self._rests[sample] -= sign * (moment - sample * self._width)

    def means(self) -> tuple[float, ...]:
        sums = zip(accumulate(self._steps), self._rests, strict=True)
        # Zero is added to avoid -0.0.
        return tuple(round((step + rest) / self._width, 2) + 0.0 for step, rest in sums)


def measure_load(facts: RunFacts, now: float, samples: int = SAMPLES) -> Load:
    """Measure the load of a run over time, until `now` in epoch seconds."""
    start = facts.started_at
    width = max(now - start, 0.001) / samples
    stages = {stage: _Sums(width, samples) for stage in PHASES}
    in_slots, changes = _Sums(width, samples), []
    for task in facts.tasks:
        for stage, begin, end in task.phases(now):
            stages[stage].add(begin - start, end - start)
        if task.is_launched and task.running_at is not None:
            lasts = (task.finished_at, task.ended_at, now)
            end = max(task.running_at, next(at for at in lasts if at is not None))
            in_slots.add(task.running_at - start, end - start)
            changes += [(task.running_at, 1), (end, -1)]
    means, mean_slots = {stage: stages[stage].means() for stage in PHASES}, in_slots.means()
    each_sample = zip(*means.values(), mean_slots, strict=True)
    causes = Counter(_cause_of(each, facts.slots) for each in each_sample)
    return Load(
        tuple(round((i + 0.5) * width, 3) for i in range(samples)),
        (*means.values(),),
        mean_slots,
        max(accumulate(change for _, change in sorted(changes)), default=0),
        tuple(causes[cause] * width for cause in Cause),
    )


def _cause_of(means: Sequence[float], slots: int) -> Cause:
    """Return the cause of waiting in a sample: what lasted for at least half of it."""
    queued, running, collecting, collected, delivering, in_slots = means
    if queued >= _HALF and in_slots >= slots - _HALF:
        return Cause.SLOTS
    if running >= _HALF:
        return Cause.LOOKER
    if running + collecting >= _HALF:
        return Cause.TRANSFER
    return Cause.TARGET if collected + delivering >= _HALF else Cause.ELSE


def explain_load(load: Load, facts: RunFacts, now: float) -> str:
    """Return a sentence on the cause that the run waited for most."""
    most = max(load.seconds)
    cause = [*Cause][load.seconds.index(most)]
    share = f"{most / max(sum(load.seconds), 0.001):.0%} of the run"
    match cause:
        case Cause.SLOTS:
            return (
                f"The slots: for {share}, all of them were in use while queries waited; "
                "see max_concurrent_tasks."
            )
        case Cause.LOOKER:
            longest = _name_longest(facts, now)
            return f"Looker: for {share}, its queries were what was waited for; {longest}"
        case Cause.TRANSFER:
            return (
                f"The transfer: for {share}, results on their way from Looker were what was waited "
                "for; filters and fewer fields make them smaller."
            )
        case Cause.TARGET:
            return f"The target: for {share}, it was all that was waited for."
        case _:
            return f"Neither Looker nor the target: {share} went by before and after them."


def _name_longest(facts: RunFacts, now: float) -> str:
    seconds, task = max(
        (
            (end - begin, task)
            for task in facts.tasks
            for stage, begin, end in task.phases(now)
            if stage is Stage.RUNNING
        ),
        key=itemgetter(0),
    )
    return f"{task.title} took longest, {format_duration(seconds)}."
