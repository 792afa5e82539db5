"""What progress on a terminal and the report of a run cost."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from bench.arena import megabytes, task_ids
from bench.payloads import Results
from bench.report import Line, Series, at_most

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from bench.arena import Arena, Served, Stub

_TASKS = 2_000
_ROWS = (100, 250)
_RESULTS_THAT_DIFFER = 16
_TOLD = "told.json"


def processor_time(arena: Arena) -> Iterator[Line]:
    """Watch runs of some seconds."""
    tasks = arena.scaled(_TASKS)
    for rows in _ROWS:
        with _stub(arena, rows) as stub:
            runs = arena.in_turn({f"{rows} rows": partial(_read_from, stub, tasks)})
        (shown,) = runs.values()
        for parts in (("progress", "report"), ("progress",), ("report",)):
            shares = tuple(100 * sum(t[part] for part in parts) / t["whole"] for t in shown)
            what = f"{tasks:,} tasks of {rows} rows, {' and '.join(parts)}"
            goal = at_most(2) if parts[1:] else None
            yield Line("watching", Series(what, "%", shares), goal=goal)
        complete = tuple(t["whole"] for t in shown)
        yield Line("watching", Series("processor time of the run", "s", complete))


def memory(arena: Arena) -> Iterator[Line]:
    """Watch a run, and run the same without terminal and report."""
    tasks = arena.scaled(_TASKS)
    with _stub(arena, _ROWS[0]) as stub:
        runs = arena.in_turn(
            {
                "watched": lambda: _watched(stub, tasks),
                "unwatched": lambda: stub.tap(_expected(tasks), **_config(stub, tasks)),
            }
        )
    watched, unwatched = (megabytes(name, served).values for name, served in runs.items())
    more = tuple(w - u for w, u in zip(watched, unwatched, strict=True))
    yield Line("watching", Series("peak memory, more than without", "MB", more), goal=at_most(20))


def _stub(arena: Arena, rows: int) -> AbstractContextManager[Stub]:
    return arena.stub(Results(("json_detail",), _RESULTS_THAT_DIFFER, rows))


def _read_from(stub: Stub, tasks: int) -> dict[str, float]:
    _watched(stub, tasks)
    shown: dict[str, float] = json.loads((stub.folder / _TOLD).read_text())
    return shown


def _watched(stub: Stub, tasks: int) -> Served:
    config = _config(stub, tasks) | {"report_path": str(stub.folder / "report.html")}
    return stub.watched(_expected(tasks), stub.folder / _TOLD, **config)


def _expected(tasks: int) -> dict[str, int]:
    return {"query_task_results": tasks}


def _config(stub: Stub, tasks: int) -> dict[str, object]:
    ids = stub.folder / "ids.txt"
    ids.write_text("\n".join(task_ids(tasks)))
    return {"query_task_ids_file": str(ids), "batch_size": 250}
