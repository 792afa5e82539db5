"""Runs of the tap, some with BATCH, that are ended at random moments, and resumed."""

from __future__ import annotations

import gzip
import json
import os
import random
import resource
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from looker_simulator.content import query_key
from looker_simulator.simulator import Simulator, SimulatorOptions
from looker_simulator.tasks import FINAL
from tests.singer import stored_id, unmeasured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from looker_simulator.engine import Database
    from looker_simulator.looker import User
    from looker_simulator.tasks import QueryTask
    from tests.chaos.postgres import PostgresWarehouse
    from tests.chaos.warehouse import Warehouse as ExactWarehouse

    Warehouse = ExactWarehouse | PostgresWarehouse

DEATH_OF_TARGET = "target dies"
# It reads nothing more while SIGTERM ends the tap.
STOPPED_TARGET = "target stops"
# No file may grow beyond a few bytes any more.
FULL_DISK = "disk is full"
_IN_GOOD_ORDER = ("SIGTERM", "SIGINT", "SIGHUP")
WAYS = ("SIGKILL", *_IN_GOOD_ORDER, DEATH_OF_TARGET, STOPPED_TARGET, FULL_DISK)
_FULL_AT_BYTES = 16_384
_CANNOT_STORE = "batch_config.storage: cannot write"
_KILLS_IN_A_ROW = 8
# Of the time that an undisturbed run takes; a run that resumes takes less.
_LATEST_MOMENT = 0.8
_MAX_RUN_SECONDS = 120
_MAX_END_SECONDS = 20
_LARGEST_SHARE_LAUNCHED_TWICE = 0.02
_MOMENT_SECONDS = 0.005
_CHUNK_BYTES = 1 << 18
_OUTCOMES = "query_task_results"
# What is said of a launch that has no response by the end.
MAY_RUN = "Looker may still run it"
# They differ by task, and by where an incremental query continues.
_VOLATILE = ("_query_task_id", "_row_number", "_row_key")
_LONG_FIELDS = ["flights.departure_date", "flights.carrier"]
_LONG = {
    "model": "flights_2013",
    "explore": "flights",
    "fields": [*_LONG_FIELDS, "flights.count"],
    "sorts": _LONG_FIELDS,
}
_DAYS = {
    "model": "flights_2013",
    "explore": "flights",
    "fields": ["flights.departure_date", "flights.count"],
}
# Their limits are never reached, so that each is whole and replaces the former rows; they differ,
# so that no query is treated as another.
QUERIES: list[dict[str, Any]] = [
    *({"name": f"short_{n}", "query_id": stored_id(1), "limit": 100 + n} for n in range(5)),
    {"name": "keyed", "query_id": stored_id(1), "limit": 200, "primary_keys": ["flights.carrier"]},
    {"name": "long", "explore": _LONG, "limit": -1},
    {
        "name": "days",
        "explore": _DAYS,
        "replication_key": "flights.departure_date",
        "primary_keys": ["flights.departure_date"],
    },
]
# Without ACTIVATE_VERSION, which needs records, only keys replace the rows of a task that was lost.
QUERIES_IN_FILES = [{"primary_keys": "auto", **query} for query in QUERIES]
_ROWS_IN_FILE = 500
_EXTERNAL_SHORT = 4


@dataclass
class Tally:
    """What happened over many kills.

    Attributes:
        kills: runs that were ended, by way.
        in_files: those of them that wrote BATCH, by way.
        launched: query tasks.
        launched_twice: those launched while a task of the same query lived, by way of the kill.
        unexplained: of these, the ones whose former task was named in the state handed on.
        unnamed: tasks alive after a kill that no state names, by way.
        stopped_by_full_disk: runs that failed because a file could not be stored.
        chains: of runs, up to one that ended by itself.
        problems: what must not happen.
    """

    kills: Counter[str] = field(default_factory=Counter)
    in_files: Counter[str] = field(default_factory=Counter)
    launched: int = 0
    launched_twice: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)
    unnamed: Counter[str] = field(default_factory=Counter)
    stopped_by_full_disk: int = 0
    chains: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def share_launched_twice(self) -> float:
        """How many launches of a query whose task lived there were for each kill."""
        return self.launched_twice.total() / self.kills.total()

    def found(self) -> list[str]:
        """Return the promises that were broken."""
        found = [*self.problems]
        found += [f"{id_} is in state and alive, and not resumed" for id_ in self.unexplained]
        if self.share_launched_twice >= _LARGEST_SHARE_LAUNCHED_TWICE:
            found.append(f"{self.share_launched_twice:.1%} of kills made a query run twice")
        return found

    def lines(self) -> Iterator[str]:
        """Yield a table."""
        heads = ("ended by", "kills", "BATCH", "alive and unnamed", "launched twice")
        yield "{:12} {:>6} {:>6} {:>18} {:>15}".format(*heads)
        for way in WAYS:
            counts = (
                n[way] for n in (self.kills, self.in_files, self.unnamed, self.launched_twice)
            )
            yield "{:12} {:6} {:6} {:18} {:15}".format(way, *counts)
        yield (
            f"{self.kills.total()} kills in {self.chains} chains of runs, {self.launched} launches,"
            f" {self.share_launched_twice:.1%} launched twice; problems: {len(self.problems)}"
        )
        yield f"{self.stopped_by_full_disk} runs ended because a file could not be stored"


class _Launches:
    """Sees each launch as it happens, and which tasks of the same query live then."""

    def __init__(self, simulator: Simulator) -> None:
        self._looker = simulator._looker  # noqa: SLF001 - no call shows what lived at its moment
        self._create = self._looker.create_query_task
        self.twice: list[str] = []
        self.count = 0
        self._looker.create_query_task = self._create_seen  # type: ignore[method-assign]
        self._simulator = simulator

    def _create_seen(
        self, about: Mapping[str, Any], user: User, limit: str | None = None
    ) -> QueryTask:
        alive = unfinished_tasks(self._simulator)
        key = query_key(str(about["query_id"]))
        former = [id_ for id_, query in alive.items() if query == key]
        self.count += 1
        self.twice += former
        return self._create(about, user, limit)


@dataclass
class _Experiment:
    simulator: Simulator
    folder: Path
    moments: random.Random
    new_warehouse: Callable[[], Warehouse]
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._launches = _Launches(self.simulator)
        self._former_way = ""
        self._is_in_files = False
        self._temporary = self.folder / "temporary"
        self._temporary.mkdir()

    def run_chain(self, kills: int, expected: Mapping[str, list[str]], seconds: float) -> None:
        """End runs at random moments, up to that many; then compare the tables."""
        warehouse, external = self.new_warehouse(), self._create_external_tasks()
        self._is_in_files = self.moments.choice((False, True))
        for _ in range(min(kills, _KILLS_IN_A_ROW)):
            way = self.moments.choice(WAYS)
            if self._run(external, warehouse, way, self.moments.uniform(0, seconds)):
                break
        else:
            if not self._run(external, warehouse):
                self.tally.problems.append("the last run did not end by itself")
        self.tally.chains += 1
        self._compare(warehouse, expected, external)

    def run_undisturbed(self) -> tuple[dict[str, list[str]], float]:
        """Return what a run delivers, and the seconds after its first request to end others in."""
        warehouse, external = self.new_warehouse(), self._create_external_tasks()
        started_at = time.monotonic()
        if not self._run(external, warehouse):
            msg = f"a run that nothing disturbs failed: {self.tally.problems}"
            raise RuntimeError(msg)
        started_at = max(started_at, next(c.at for c in self.simulator.calls))
        expected = {q["name"]: warehouse.rows(q["name"], _VOLATILE) for q in QUERIES}
        return expected, (time.monotonic() - started_at) * _LATEST_MOMENT

    def _create_external_tasks(self) -> list[str]:
        short = [self.simulator.create_task("1", "json") for _ in range(_EXTERNAL_SHORT)]
        long = self.simulator.create_query({**_LONG, "view": "flights", "limit": "2000"})
        return [*short, self.simulator.create_task(long, "json")]

    def _run(
        self, external: list[str], warehouse: Warehouse, way: str | None = None, after: float = 0
    ) -> bool:
        """Run the tap, and end it; returns whether it had ended by itself."""
        named = named_tasks(warehouse.state)
        launches, twice = self._launches.count, len(self._launches.twice)
        with self._started(external, warehouse.state) as process:
            is_over = _load(process, warehouse, _Kill(way, after, self._is_polled))
            status = process.wait(_MAX_RUN_SECONDS)
        self._check_end(status, None if is_over else way)
        self._check_files(None if is_over else way)
        former = self._launches.twice[twice:]
        self.tally.launched += self._launches.count - launches
        self.tally.launched_twice[self._former_way] += len(former)
        self.tally.unexplained += [id_ for id_ in former if id_ in named]
        if way and not is_over:
            self.tally.kills[way] += 1
            self.tally.in_files[way] += self._is_in_files
            unnamed = {*unfinished_tasks(self.simulator)} - named_tasks(warehouse.state)
            self.tally.unnamed[way] += len(unnamed)
            self._check_unnamed(way, unnamed)
            self._former_way = way
        return is_over and status == 0

    def _is_polled(self) -> bool:
        return bool(self.simulator.calls)

    @contextmanager
    def _started(self, external: list[str], state: object) -> Iterator[subprocess.Popen[bytes]]:
        self.simulator.clear_calls()
        config = {
            "base_url": self.simulator.base_url,
            "client_id": self.simulator.client_id,
            "client_secret": self.simulator.client_secret,
            "queries": QUERIES_IN_FILES if self._is_in_files else QUERIES,
            "query_task_ids": external,
            "query_timezone": "America/New_York",
            "max_concurrent_tasks": 3,
            "poll_interval_seconds": 0.05,
            "poll_max_interval_seconds": 0.1,
        }
        if self._is_in_files:
            config["batch_config"] = {
                "encoding": {"format": "jsonl", "compression": "gzip"},
                "storage": {"root": (self.folder / "files").as_uri()},
                "batch_size": _ROWS_IN_FILE,
            }
        files = {"config": config, "state": state or {}}
        command = [sys.executable, "-m", "tap_looker_tasks"]
        for name, content in files.items():
            (self.folder / f"{name}.json").write_text(json.dumps(content))
            command += [f"--{name}", str(self.folder / f"{name}.json")]
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**unmeasured(), "TMPDIR": str(self._temporary)},
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            _close(process)

    def _check_end(self, status: int, way: str | None) -> None:
        log = (self.folder / "log").read_text()
        if status not in _expected_statuses(way) or "Traceback" in log:
            self.tally.problems.append(f"{way}: exit status {status}\n{log[-3000:]}")
        if way == FULL_DISK and status and _CANNOT_STORE not in log:
            self.tally.problems.append(f"{way}: another reason\n{log[-3000:]}")
        self.tally.stopped_by_full_disk += way == FULL_DISK and bool(status)

    def _check_files(self, way: str | None) -> None:
        """Only SIGKILL may leave a part of a file, or a temporary one."""
        for path in (self.folder / "files").glob("*.gz"):
            gzip.decompress(path.read_bytes())
            path.unlink()
        for path in (*(self.folder / "files").glob("*"), *self._temporary.iterdir()):
            if way != "SIGKILL":
                self.tally.problems.append(f"{way}: {path} is left")
            path.unlink()

    def _check_unnamed(self, way: str, unnamed: set[str]) -> None:
        """Only what ends at once may leave a task that neither state nor log names."""
        log = (self.folder / "log").read_text()
        if way in _IN_GOOD_ORDER and len(unnamed) > log.count(MAY_RUN):
            self.tally.problems.append(f"{way}: {unnamed} alive and unnamed\n{log[-3000:]}")

    def _compare(
        self, warehouse: Warehouse, expected: Mapping[str, list[str]], external: list[str]
    ) -> None:
        for name, rows in expected.items():
            if warehouse.rows(name, _VOLATILE) != rows:
                found = len(warehouse.rows(name))
                self.tally.problems.append(f"{name}: {found} rows in place of {len(rows)}")
        outcomes = warehouse.outcomes()
        complete = {row["query_task_id"] for row in outcomes if row["status"] == "complete"}
        counts = [row["row_count"] for row in outcomes if row["query_task_id"] in external]
        if not {*external} <= complete or len(counts) != len(external) or not all(counts):
            self.tally.problems.append(f"external tasks: {counts}, complete {complete}")


def _expected_statuses(way: str | None) -> set[int]:
    if way is None:
        return {0}
    if way in {DEATH_OF_TARGET, FULL_DISK}:
        return {0, 1}
    if way == STOPPED_TARGET:
        # What was left fit into the pipe, or was given up.
        return {0, 1, 128 + signal.SIGTERM, -signal.SIGTERM}
    number = signal.Signals[way]
    # A run that is over when the signal comes has restored the handlers, or ends by itself.
    return {0, -number} if number == signal.SIGKILL else {0, 128 + number, -number}


def unfinished_tasks(simulator: Simulator) -> dict[str, str]:
    """Return the launched tasks that are not at their end: query by task."""
    return {
        task.query_task_id: task.query_id
        for task in simulator._looker.tasks.every()  # noqa: SLF001 - no call shows a format
        if task.status not in FINAL and task.result_format == "json_detail"
    }


def named_tasks(state: dict[str, Any] | None) -> set[str]:
    """Return the launched tasks that a state names."""
    bookmark = (state or {}).get("bookmarks", {}).get(_OUTCOMES, {})
    in_flight = {task["query_task_id"] for task in bookmark.get("in_flight", {}).values()}
    return in_flight | {*bookmark.get("to_cancel", {})}


@dataclass
class _Kill:
    """The end of a run, that many seconds after its first request; none without a way."""

    way: str | None
    after: float
    is_polled: Callable[[], bool]
    _at: float | None = None

    def is_due(self) -> bool:
        """Return whether the moment has come."""
        if self._at is None and self.is_polled():
            self._at = time.monotonic() + self.after
        return self.way is not None and self._at is not None and time.monotonic() >= self._at


def _load(process: subprocess.Popen[bytes], warehouse: Warehouse, kill: _Kill) -> bool:
    """Load what the tap writes, up to its end; returns whether it ended by itself."""
    lines, is_over = _Lines(process), True
    while not lines.is_over:
        if is_over and kill.is_due() and process.poll() is None:
            is_over = False
            if kill.way == DEATH_OF_TARGET:
                warehouse.die()
                _close(process)
                return is_over
            if kill.way == STOPPED_TARGET:
                process.send_signal(signal.SIGTERM)
                # Then it reads what the pipe holds, up to a line that may be torn.
                process.wait(_MAX_END_SECONDS)
            elif kill.way == FULL_DISK:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (_FULL_AT_BYTES,) * 2)
            else:
                process.send_signal(signal.Signals[str(kill.way)])
        for line in lines.read():
            warehouse.take(line)
    warehouse.commit()
    return is_over


class _Lines:
    """The complete lines that a process writes, as far as they have come."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        self._descriptor = process.stdout.fileno()
        self._rest = b""
        self.is_over = False

    def read(self) -> list[bytes]:
        """Wait a moment; return the lines that came."""
        if not select.select([self._descriptor], [], [], _MOMENT_SECONDS)[0]:
            return []
        chunk = os.read(self._descriptor, _CHUNK_BYTES)
        self.is_over = not chunk
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return lines


def _close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout
    process.stdout.close()


def run_kills(
    folder: Path, database: Database, kills: int, seed: int, new_warehouse: Callable[[], Warehouse]
) -> Tally:
    """End runs at that many random moments, and compare what is loaded in the end."""
    options = SimulatorOptions(latency_seconds=(0.1, 0.5), seed=seed)
    with Simulator(options, database=database) as simulator:
        moments = random.Random(seed)  # noqa: S311 - moments, not secrets
        experiment = _Experiment(simulator, folder, moments, new_warehouse)
        expected, seconds = experiment.run_undisturbed()
        tally = experiment.tally
        while (left := kills - tally.kills.total()) > 0 and not tally.problems:
            experiment.run_chain(left, expected, seconds)
    return tally
