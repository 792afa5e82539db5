"""What progress on a terminal and the report of a run cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.arena import megabytes, task_ids
from bench.payloads import Results
from bench.report import Line, Series, at_most

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.arena import Arena, Served, Stub

_TASKS = 2_000
_ROWS = 100
_RESULTS_THAT_DIFFER = 16


def of_a_short_run(arena: Arena) -> Iterator[Line]:
    """Watch a run of some seconds, and run the same without terminal and report."""
    tasks = arena.scaled(_TASKS)
    told: list[dict[str, float]] = []
    with arena.stub(Results(("json_detail",), _RESULTS_THAT_DIFFER, _ROWS)) as stub:

        def run_watched() -> Served:
            path = stub.folder / "told.json"
            served = stub.watched(_expected(tasks), path, **_config(stub, tasks, "report.html"))
            told.append(json.loads(path.read_text()))
            return served

        runs = arena.in_turn(
            {
                "watched": run_watched,
                "unwatched": lambda: stub.tap(_expected(tasks), **_config(stub, tasks)),
            }
        )
    for parts in (("progress", "report"), ("progress",), ("report",)):
        shares = tuple(100 * sum(t[part] for part in parts) / t["whole"] for t in told)
        what = f"{tasks:,} tasks of {_ROWS} rows, {' and '.join(parts)}"
        yield Line("watching", Series(what, "%", shares), goal=at_most(2) if parts[1:] else None)
    yield Line(
        "watching", Series("processor time of the run", "s", tuple(t["whole"] for t in told))
    )
    watched, unwatched = (megabytes(name, served).values for name, served in runs.items())
    more = tuple(w - u for w, u in zip(watched, unwatched, strict=True))
    yield Line("watching", Series("peak memory, more than without", "MB", more), goal=at_most(20))


def _expected(tasks: int) -> dict[str, int]:
    return {"query_task_results": tasks}


def _config(stub: Stub, tasks: int, report: str | None = None) -> dict[str, object]:
    ids = stub.folder / "ids.txt"
    ids.write_text("\n".join(task_ids(tasks)))
    given = {"query_task_ids_file": str(ids), "batch_size": 250}
    return given if report is None else {**given, "report_path": str(stub.folder / report)}
