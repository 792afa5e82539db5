"""How fast BATCH files are written."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.contrib.batch_encoder_jsonl import JSONLinesBatcher
from singer_sdk.helpers._batch import BatchConfig

from bench.payloads import FIELDS, Results, build
from bench.processes import BenchError
from bench.report import Line, Series, times_as_fast
from bench.throughput import ROWS, STOCK, TAP, TASKS, compared, explore_query
from tap_looker_tasks.records.rows import RecordBatch, RecordType
from tap_looker_tasks.singer.message_writer import BatchFiles, RecordChunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.arena import Arena, Served

_SDK = "the SDK's JSONLinesBatcher"
_FLOOR = "msgspec and zlib alone, columns declared"


def complete_runs(arena: Arena) -> Iterator[Line]:
    """Launch queries, and write the rows of each into files."""
    tasks, rows = arena.scaled(TASKS), arena.scaled(ROWS)
    queries = [explore_query(number) for number in range(tasks)]
    impatient = {"poll_interval_seconds": 0.1, "max_concurrent_tasks": tasks, "batch_size": 50}
    with arena.stub(Results(("json_detail",), tasks, rows)) as stub, arena.folder() as files:
        batches = {"batch_config": _config(files)}
        stock = {"stream": "rows", "tasks": tasks, **batches}
        config = {"queries": queries, **impatient, **batches}
        records = {"query_task_results": tasks}

        def checked(served: Served) -> Served:
            _check_and_remove(files, tasks * rows)
            return served

        runs = arena.in_turn(
            {
                TAP: lambda: checked(stub.tap(records, **config)),
                STOCK: lambda: checked(stub.stock({}, **stock)),
                _FLOOR: lambda: stub.floor({}, "compressed", tasks),
            }
        )
    what = f"{tasks} queries of {rows:,} rows, BATCH files of jsonl.gz"
    goal = times_as_fast(8)
    yield from compared("BATCH files", what, runs, {STOCK: goal, _FLOOR: goal.without_limit()})


def writing_alone(arena: Arena) -> Iterator[Line]:
    """Write typed rows, which are in memory, into files."""
    tasks, rows = arena.scaled(TASKS), arena.scaled(ROWS)
    with arena.folder() as folder:
        batch = _typed_rows(rows, folder / "served")
        files = folder / "files"
        files.mkdir()
        config = BatchConfig.from_dict(_config(files))

        def tap() -> None:
            chunks = (RecordChunk(batch.lines(), rows) for _ in range(tasks))
            list(BatchFiles(config, "tap", "rows").write(chunks))

        def sdk() -> None:
            records = (record for _ in range(tasks) for record in batch.records())
            list(JSONLinesBatcher("tap", "rows", config).get_batches(records))

        def timed(write: Callable[[], None]) -> float:
            started = time.perf_counter()
            write()
            seconds = time.perf_counter() - started
            _check_and_remove(files, tasks * rows)
            return seconds

        times = arena.in_turn({TAP: lambda: timed(tap), _SDK: lambda: timed(sdk)})
    what = f"{tasks * rows:,} typed rows in memory, into files of jsonl.gz"
    yield Line(
        "BATCH files, writing alone",
        Series(what, "s", times[TAP]),
        Series(_SDK, "s", times[_SDK]),
        times_as_fast(8),
    )


def _config(files: Path) -> dict[str, Any]:
    storage = {"root": files.as_uri(), "prefix": ""}
    return {"encoding": {"format": "jsonl", "compression": "gzip"}, "storage": storage}


def _typed_rows(count: int, folder: Path) -> RecordBatch:
    build(Results(("json",), 1, count), folder)
    (entry,) = folder.glob("entry-*")
    rows = msgspec.json.decode(entry.read_bytes())["data"]
    columns = [[row[name] for row in rows] for name in FIELDS]
    return RecordBatch(RecordType(FIELDS), columns, count)


def _check_and_remove(files: Path, lines: int) -> None:
    """Make sure that files hold all lines; remove them.

    Raises:
        BenchError: If they hold another number.
    """
    found = 0
    for path in files.iterdir():
        with gzip.open(path) as file:
            found += sum(1 for _ in file)
        path.unlink()
    if found != lines:
        msg = f"{found:,} lines in BATCH files, expected {lines:,}"
        raise BenchError(msg)
