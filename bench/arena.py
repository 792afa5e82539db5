"""What all measures share: rounds, sizes, the stub, and the programs that are run against it."""

from __future__ import annotations

import http.client
import json
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from bench.payloads import build, query_task_id
from bench.processes import PYTHON, PYTHON_OF_TAP, TAP, BenchError, run, server
from bench.report import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bench.payloads import Results
    from bench.processes import Run

    Contender = Callable[[], Run]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Served:
    """A run against the stub.

    Attributes:
        run: of the program.
        calls: that it made, by operation.
        seconds_from_first_call: to its end, without its start.
    """

    run: Run
    calls: Mapping[str, int]
    seconds_from_first_call: float


@dataclass(frozen=True, slots=True)
class Stub:
    """The stub beside the programs.

    Attributes:
        rows: of each of the results that differ.
    """

    base_url: str
    folder: Path
    rows: Sequence[int]

    def tap(self, expected: Mapping[str, int], *options: str, **config: Any) -> Served:
        """Run the tap."""
        return self._measured([TAP, *options, "--config", self._file("config", config)], expected)

    def watched(self, expected: Mapping[str, int], shown: Path, **config: Any) -> Served:
        """Run the tap on a terminal, which tells in a file what watching the run took."""
        command = [PYTHON_OF_TAP, "-m", "bench.watched_tap", str(shown)]
        return self._measured([*command, "--config", self._file("config", config)], expected)

    def stock(self, expected: Mapping[str, int], **config: Any) -> Served:
        """Run a tap as the SDK documents it."""
        command = [PYTHON_OF_TAP, "-m", "bench.stock_tap", "--config", self._file("stock", config)]
        return self._measured(command, expected)

    def floor(self, expected: Mapping[str, int], kind: str, tasks: int) -> Served:
        """Run what does only decode and encode, or copy."""
        command = [PYTHON_OF_TAP, "-m", "bench.floor", kind, self.base_url, str(tasks)]
        return self._measured(command, expected)

    def catalog(self, selected: Sequence[str], *deselected: str) -> str:
        """Write the tap's catalog with some streams, less some of their properties."""
        folder = self.folder / "discovery"
        folder.mkdir(exist_ok=True)
        catalog = discovered(folder, self._file("config", {}))
        return select(catalog, selected, deselected, folder / "catalog.json")

    def _file(self, name: str, config: Mapping[str, Any]) -> str:
        own = {"base_url": self.base_url, "client_id": "stub", "client_secret": "stub"}
        return written(self.folder / f"{name}.json", {**own, **config})

    def _measured(self, command: list[str], expected: Mapping[str, int]) -> Served:
        self._read_and_reset()
        ended = run(command, self.folder)
        check(ended, expected, command)
        shown = self._read_and_reset()
        return Served(ended, shown["calls"], ended.ended_at - shown["first_at"])

    def _read_and_reset(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection(urlsplit(self.base_url).netloc)
        try:
            connection.request("GET", "/calls")
            shown: dict[str, Any] = json.loads(connection.getresponse().read())
            return shown
        finally:
            connection.close()


def written(path: Path, value: object) -> str:
    """Write JSON; returns the path as an argument."""
    path.write_text(json.dumps(value))
    return str(path)


def check(ended: Run, expected: Mapping[str, int], command: Sequence[str]) -> None:
    """Make sure that a run did all its work.

    Raises:
        BenchError: If it wrote another number of records than expected.
    """
    records = dict(ended.output.records)
    if records != expected:
        msg = f"{Path(command[0]).name} {command[1:3]} wrote {records}, expected {expected}"
        raise BenchError(msg)


def check_size(runs: Iterable[Served], least_bytes: float) -> None:
    """Make sure that complete results were written.

    Raises:
        BenchError: If one run wrote too little for that.
    """
    for served in runs:
        if served.run.output.size < least_bytes:
            msg = f"{served.run.output.size:,} bytes written, expected {least_bytes:,.0f}"
            raise BenchError(msg)


def discovered(folder: Path, config: str) -> dict[str, Any]:
    """Have the tap discover its streams."""
    path = folder / "discovered.json"
    run([TAP, "--config", config, "--discover"], folder, keep=path)
    catalog: dict[str, Any] = json.loads(path.read_text())
    return catalog


def select(
    catalog: dict[str, Any], streams: Sequence[str], deselected: Sequence[str], path: Path
) -> str:
    """Write a catalog in which only these streams are selected, less some properties."""
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = stream["tap_stream_id"] in streams
            elif entry["breadcrumb"][-1] in deselected:
                entry["metadata"]["selected"] = False
    return written(path, catalog)


@dataclass(frozen=True, slots=True)
class Arena:
    """Where the measures are taken.

    Attributes:
        rounds: how often, in turn with what they are compared with.
        scale: of all sizes; 1 for those that the goals are set for.
    """

    rounds: int = 3
    scale: float = 1.0

    def scaled(self, size: int) -> int:
        """Return a size for this scale."""
        return max(1, round(size * self.scale))

    def once(self) -> Arena:
        """For what hardly varies, or takes long."""
        return replace(self, rounds=1)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give a folder that is removed at the end."""
        path = Path(tempfile.mkdtemp(prefix="bench-"))
        try:
            yield path
        finally:
            shutil.rmtree(path)

    @contextmanager
    def stub(self, results: Results, round_trip: float = 0.0) -> Iterator[Stub]:
        """Serve results from a separate process."""
        with self.folder() as folder:
            served = folder / "served"
            rows = build(results, served)
            command = [PYTHON, "-m", "bench.stub", str(served), str(round_trip)]
            with server(command, folder) as (base_url,):
                yield Stub(base_url, folder, rows)

    def in_turn(self, contenders: Mapping[str, Callable[[], _T]]) -> dict[str, tuple[_T, ...]]:
        """Run all in each round: what disturbs the machine disturbs them alike."""
        rounds = []
        for number in range(1, self.rounds + 1):
            runs = {}
            for name, contender in contenders.items():
                click.echo(f"  round {number} of {self.rounds}: {name}", err=True)
                runs[name] = contender()
            rounds.append(runs)
        return {name: tuple(runs[name] for runs in rounds) for name in contenders}


def task_ids(count: int) -> list[str]:
    """List the ids of tasks that the stub knows: all of them."""
    return [query_task_id(number) for number in range(count)]


def seconds(what: str, runs: Sequence[Served]) -> Series:
    """Return how long complete processes took."""
    return Series(what, "s", tuple(served.run.seconds for served in runs))


def seconds_without_start(what: str, runs: Sequence[Served]) -> Series:
    """Return how long processes took from their first call on."""
    return Series(what, "s", tuple(served.seconds_from_first_call for served in runs))


def megabytes(what: str, runs: Sequence[Served]) -> Series:
    """Return the peak memory of processes.

    Raises:
        BenchError: If it is not known.
    """
    peaks = [served.run.peak_megabytes for served in runs]
    known = tuple(peak for peak in peaks if peak is not None)
    if len(known) < len(peaks):
        msg = "the benchmark itself takes more memory than what it measures"
        raise BenchError(msg)
    return Series(what, "MB", known)
