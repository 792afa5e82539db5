"""One long run in which something is always wrong: what it delivers, and what it takes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.singer import stored_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import IO

    from looker_simulator.engine import Database
    from looker_simulator.tasks import ScriptedEntry

_IDS_IN_A_REQUEST = 20
_SHARE_OF_FAULTS = 0.01
_LAUNCHED_SHARE = 0.005
_ROWS_LAUNCHED = 16
_KILOBYTE = 1024
_LARGEST_GROWTH = 1.2
# Each has a file and two threads; which of them are in use at a given moment is chance.
_CONNECTIONS = 4
# Beside them: the file of results that wait, and the thread that coordinates.
_MAX_NEW_FILES = _CONNECTIONS + 1
_MAX_NEW_THREADS = 2 * _CONNECTIONS + 1
_FAULTS = (
    "rate_limited",
    "server_error",
    "bad_gateway",
    "unavailable",
    "token_lost",
    "dropped",
    "reset_in_body",
    "cut_short",
    "cut_short_gzip",
    "invalid_json",
    "not_json",
    "not_a_map",
)
# What Looker may say of a task before the truth comes out.
_DETOURS: tuple[ScriptedEntry, ...] = (
    None,
    b'{"status":"running"}',
    b'{"status":"missing"}',
    b'{"status":"expired","data":{"error":"Results have expired. Run the query again."}}',
    b"5",
)


@dataclass(frozen=True)
class Size:
    """How long a soak is."""

    tasks: int
    rows_of_task: int
    seed: int = 0

    @property
    def queries(self) -> int:
        """How many queries are launched beside the external tasks."""
        return int(self.tasks * _LAUNCHED_SHARE)

    @property
    def launched_rows(self) -> int:
        """How many rows these bring."""
        return self.queries * _ROWS_LAUNCHED


@dataclass(frozen=True)
class Use:
    """What a process takes.

    Attributes:
        megabytes: of memory that is resident.
        files: that are open.
        threads: of it.
    """

    megabytes: float
    files: int
    threads: int

    @classmethod
    def of(cls, process_id: int) -> Use:
        """Measure a process that runs."""
        proc = Path("/proc") / str(process_id)
        resident = next(
            line for line in (proc / "status").read_text().splitlines() if line.startswith("VmRSS")
        )
        return cls(
            int(resident.split()[1]) / _KILOBYTE,
            sum(1 for _ in (proc / "fd").iterdir()),
            sum(1 for _ in (proc / "task").iterdir()),
        )


@dataclass
class Soak:
    """What came of a soak.

    Attributes:
        exit_status: of the tap.
        faults: that happened.
        tasks: external ones that arrived as complete.
        rows: of external tasks that arrived, each counted once.
        rows_doubled: that arrived more than once.
        launched_rows: of launched queries that arrived, each counted once.
        start: what the tap took at its first line.
        early: what it took after the first tenth of the rows.
        late: what it took after the last of them.
        log: the end of what the tap logged.
    """

    exit_status: int
    faults: int
    tasks: int
    rows: int
    rows_doubled: int
    launched_rows: int
    start: Use
    early: Use
    late: Use
    log: str

    def found(self, size: Size) -> list[str]:
        """Return the promises that were broken."""
        rows = size.tasks * size.rows_of_task
        growth = self.late.megabytes / self.early.megabytes
        new_files = self.late.files - self.start.files
        new_threads = self.late.threads - self.start.threads
        kept = {
            f"exit status {self.exit_status}: {self.log}": self.exit_status == 0,
            f"{self.tasks} of {size.tasks} tasks arrived": self.tasks == size.tasks,
            f"{self.rows} of {rows} rows arrived": self.rows == rows,
            f"{self.rows_doubled} rows arrived twice": self.rows_doubled == 0,
            f"{self.launched_rows} rows of queries": self.launched_rows == size.launched_rows,
            f"memory grew to {growth:.2f} times": growth <= _LARGEST_GROWTH,
            f"{new_files} more open files": new_files <= _MAX_NEW_FILES,
            f"{new_threads} more threads": new_threads <= _MAX_NEW_THREADS,
        }
        return [promise for promise, is_kept in kept.items() if not is_kept]

    def lines(self) -> Iterator[str]:
        """Yield a table."""
        yield f"exit status {self.exit_status}, {self.faults} faults"
        yield f"{self.tasks} external tasks, {self.rows} rows, {self.rows_doubled} of them doubled"
        yield f"{self.launched_rows} rows of launched queries"
        for name, use in (("first tenth", self.early), ("end", self.late)):
            yield f"{name:12} {use.megabytes:6.0f} MB {use.files:4} files {use.threads:4} threads"
        yield f"memory grew to {self.late.megabytes / self.early.megabytes:.2f} times"


class _Message(msgspec.Struct):
    type: str
    stream: str = ""
    record: msgspec.Raw = msgspec.Raw()


class _Row(msgspec.Struct):
    query_task_id: str
    row_number: int


class _Outcome(msgspec.Struct):
    query_task_id: str
    status: str


class _LaunchedRow(msgspec.Struct):
    task: str = msgspec.field(name="_query_task_id")
    row_number: int = msgspec.field(name="_row_number")


class _Arrivals:
    """What has arrived so far, by key."""

    def __init__(self, ids: Sequence[str], rows_of_task: int) -> None:
        self._first_row = {id_: n * rows_of_task for n, id_ in enumerate(ids)}
        self._rows = bytearray(len(ids) * rows_of_task)
        self._read = msgspec.json.Decoder(_Message).decode
        self._read_row = msgspec.json.Decoder(_Row).decode
        self._complete: set[str] = set()
        self._launched: dict[tuple[str, str, int], None] = {}
        self.rows = self.rows_doubled = 0

    def take(self, line: bytes) -> None:
        message = self._read(line)
        if message.type != "RECORD":
            return
        if message.stream == "query_task_rows":
            self._take_row(self._read_row(message.record))
        elif message.stream == "query_task_results":
            outcome = msgspec.json.decode(message.record, type=_Outcome)
            if outcome.status == "complete":
                self._complete.add(outcome.query_task_id)
        else:
            row = msgspec.json.decode(message.record, type=_LaunchedRow)
            self._launched[message.stream, row.task, row.row_number] = None

    def _take_row(self, row: _Row) -> None:
        place = self._first_row[row.query_task_id] + row.row_number - 1
        self.rows_doubled += self._rows[place]
        self.rows += not self._rows[place]
        self._rows[place] = 1

    @property
    def tasks(self) -> int:
        return len(self._complete & self._first_row.keys())

    @property
    def launched_rows(self) -> int:
        return len(self._launched)


def run_soak(folder: Path, database: Database, size: Size) -> Soak:
    """Deliver that many tasks while at least 1 % of requests and of tasks go wrong."""
    drawn = random.Random(size.seed)  # noqa: S311 - faults, not secrets
    options = SimulatorOptions(latency_seconds=(0.0, 0.2), seed=size.seed)
    with Simulator(options, database=database) as simulator:
        ids = _add_tasks(simulator, size, drawn)
        requests = max(1, size.tasks // _IDS_IN_A_REQUEST)
        # Each kind at least once.
        faults = max(len(_FAULTS), int(requests * _SHARE_OF_FAULTS))
        for fault in islice(cycle(_FAULTS), faults):
            simulator.fault(
                fault, operation="query_task_multi_results", after=drawn.randrange(requests)
            )
        arrivals = _Arrivals(ids, size.rows_of_task)
        command = _write_files(simulator, folder, ids, size.queries)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        with process:
            assert process.stdout
            start, early, late = _take_all(
                process.stdout, arrivals, process.pid, len(ids) * size.rows_of_task
            )
    return Soak(
        process.returncode,
        faults + int(size.tasks * _SHARE_OF_FAULTS),
        arrivals.tasks,
        arrivals.rows,
        arrivals.rows_doubled,
        arrivals.launched_rows,
        start,
        early,
        late,
        (folder / "log").read_text()[-3000:],
    )


def _take_all(
    output: IO[bytes], arrivals: _Arrivals, process_id: int, rows: int
) -> tuple[Use, Use, Use]:
    """Take all that the tap writes; return its use at first, after a tenth, and after all rows."""
    start = early = late = None
    for line in output:
        start = start or Use.of(process_id)
        arrivals.take(line)
        if early is None and arrivals.rows >= rows // 10:
            early = Use.of(process_id)
        if late is None and arrivals.rows >= rows:
            late = Use.of(process_id)
    nothing = Use(0, 0, 0)
    return start or nothing, early or nothing, late or nothing


def _add_tasks(simulator: Simulator, size: Size, drawn: random.Random) -> list[str]:
    rows = [{"a.n": n, "a.text": "x" * (n % 50)} for n in range(size.rows_of_task)]
    truth = msgspec.json.encode({"status": "complete", "data": rows})
    return [
        simulator.add_scripted_task(
            [drawn.choice(_DETOURS), truth] if drawn.random() < _SHARE_OF_FAULTS else [truth]
        )
        for _ in range(size.tasks)
    ]


def _write_files(simulator: Simulator, folder: Path, ids: Sequence[str], queries: int) -> list[str]:
    (folder / "ids").write_text("\n".join(ids))
    config: dict[str, Any] = {
        "base_url": simulator.base_url,
        "client_id": simulator.client_id,
        "client_secret": simulator.client_secret,
        "query_task_ids_file": str(folder / "ids"),
        "queries": [
            {"name": f"query_{n}", "query_id": stored_id(1), "limit": 100 + n}
            for n in range(queries)
        ],
        "batch_size": _IDS_IN_A_REQUEST,
        "max_connections": _CONNECTIONS,
        "poll_interval_seconds": 0.1,
        "poll_max_interval_seconds": 1,
        "expired_grace_seconds": 60,
    }
    (folder / "config.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "tap_looker_tasks", "--config", str(folder / "config.json")]
    found = subprocess.run([*command, "--discover"], check=True, capture_output=True)
    (folder / "catalog.json").write_text(json.dumps(_with_rows(json.loads(found.stdout))))
    return [*command, "--catalog", str(folder / "catalog.json")]


def _with_rows(catalog: dict[str, Any]) -> dict[str, Any]:
    """Select `query_task_rows` instead of `data`."""
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if stream["tap_stream_id"] == "query_task_rows":
                entry["metadata"]["selected"] = True
            if entry["breadcrumb"] == ["properties", "data"]:
                entry["metadata"]["selected"] = False
    return catalog
