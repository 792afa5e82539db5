"""One HTML file that shows what a run did; it needs nothing else, and no network."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tap_looker_tasks.errors import TapError
from tap_looker_tasks.watch.facts import PHASES
from tap_looker_tasks.watch.load import Cause, find_bottleneck, measure_load, trace_course
from tap_looker_tasks.watch.summary import summary_lines

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from tap_looker_tasks.watch.facts import RunFacts

_SHORT = 60


class ReportError(TapError):
    """The report cannot be written; the message names the setting and the path."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a run was given, and what it used of that.

    Attributes:
        configuration: settings and their values, without secrets.
        base_url: of the Looker instance.
        calls: requests made to Looker, by operation.
        call_limit: the most that are allowed, if there is a limit.
        slots: tasks that may run in Looker at once.
    """

    configuration: Mapping[str, object]
    base_url: str
    calls: Counter[str]
    call_limit: int | None
    slots: int


def write_report(path_pattern: str, facts: RunFacts, given: Circumstances, now: float) -> Path:
    """Write the report of a run; returns where.

    Args:
        path_pattern: where to, with date patterns of `strftime` for `now` in UTC. Folders that
            bear a date are created, all others have to be there.
        facts: of the run.
        given: what the run was given.
        now: epoch seconds.

    Raises:
        ReportError: it cannot be written; no part of it is left behind.
    """
    page = _build_page(
        _data_of(facts, given, now), summary_lines(facts, given.calls, given.call_limit)
    )
    try:
        path = Path(datetime.fromtimestamp(now, UTC).strftime(path_pattern))
        _create_dated_folders(path, Path(path_pattern))
        _write_whole(path, page)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        msg = f"report_path: cannot write {path_pattern}: {reason}"
        raise ReportError(msg) from None
    return path


def _create_dated_folders(path: Path, pattern: Path) -> None:
    is_dated = any("%" in part for part in pattern.parent.parts)
    if is_dated:
        fixed = next(folder for folder in pattern.parents if "%" not in str(folder))
        if fixed.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there as a whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def _build_page(data: Mapping[str, object], summary: list[str]) -> bytes:
    """Return the page, whose policy allows for its own scripts and nothing else."""
    texts = {
        "style": _read("uPlot.min.css") + _read("report.css"),
        "chart": _read("uPlot.iife.min.js"),
        "script": _read("report.js"),
        "licence": escape(_read("uPlot-LICENSE.txt").decode()).encode(),
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
    """Return JSON that is safe within a `script` element: nothing in it can end that."""
    try:
        encoded = msgspec.json.encode(data, enc_hook=str)
    except (UnicodeEncodeError, OverflowError):
        # Half a character, or an integer of more than 64 bits: rare, and slower.
        builtins = msgspec.to_builtins(data, enc_hook=str)
        encoded = json.dumps(builtins, separators=(",", ":")).encode()
    return encoded.replace(b"<", b"\\u003c")


def _data_of(facts: RunFacts, given: Circumstances, now: float) -> dict[str, object]:
    end = now if facts.ended_at is None else facts.ended_at
    course = trace_course(facts, end)
    load, hold_up = measure_load(course), find_bottleneck(course, given.slots)
    return {
        "run": {
            "begin": facts.started_at,
            "seconds": round(end - facts.started_at, 3),
            "exitCode": facts.exit_status,
            "error": facts.error,
            "baseUrl": given.base_url,
            "total": facts.total,
            "rows": facts.row_count,
            "deliveredBytes": facts.delivered_bytes,
            "collectedBytes": facts.collected_bytes,
            "slots": given.slots,
            "callLimit": given.call_limit,
        },
        "stages": [stage.value for stage in PHASES],
        "tasks": facts.tasks,
        "load": {"moments": load.moments, "tasks": load.tasks, "slots": load.slots},
        "holdUp": {
            "sentence": hold_up.sentence,
            "causes": [
                (cause.value, round(seconds, 3))
                for cause, seconds in zip(Cause, hold_up.seconds, strict=True)
            ],
            "mostSlots": hold_up.most_slots,
        },
        "calls": given.calls.most_common(),
        "configuration": [
            (name, value if isinstance(value, str) else _as_text(value))
            for name, value in given.configuration.items()
        ],
    }


def _as_text(value: object) -> str:
    """Return a value as JSON, in one line if it is short."""
    line = json.dumps(value, default=str, ensure_ascii=False)
    if len(line) <= _SHORT:
        return line
    return json.dumps(value, default=str, ensure_ascii=False, indent=2)
