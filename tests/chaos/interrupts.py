"""Runs that an interrupt ends between any two lines of the tap or of the SDK."""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
import weakref
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import singer_sdk
from typing_extensions import override

import tap_looker_tasks
from looker_simulator.simulator import Simulator, SimulatorOptions
from tap_looker_tasks.singer import Interrupts
from tests.chaos.kills import MAY_RUN, named_tasks, unfinished_tasks
from tests.chaos.warehouse import Warehouse
from tests.singer import Run, run_tap, stored_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType, TracebackType

    from looker_simulator.engine import Database

    Trace = Callable[[FrameType, str, Any], Any]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SHARE_IN_FINALIZERS = 0.3
_MAX_END_SECONDS = 5.0
_MAX_JOIN_SECONDS = 2.0
_PACKAGES = (*tap_looker_tasks.__path__, *singer_sdk.__path__)
# Where threads are started and waited for.
_FILES = (threading.__file__,)
_QUERIES: list[dict[str, Any]] = [
    {"name": "whole", "query_id": stored_id(1), "limit": 100},
    {"name": "keyed", "query_id": stored_id(1), "limit": 200, "primary_keys": ["flights.carrier"]},
    {
        "name": "days",
        "explore": {
            "model": "flights_2013",
            "explore": "flights",
            "fields": ["flights.departure_date", "flights.count"],
        },
        "replication_key": "flights.departure_date",
        "primary_keys": ["flights.departure_date"],
    },
]
_VOLATILE = ("_query_task_id", "_row_number")
_CONFIG: dict[str, Any] = {
    "queries": _QUERIES,
    "max_concurrent_tasks": 2,
    "poll_interval_seconds": 0.02,
    "poll_max_interval_seconds": 0.05,
}


@dataclass(frozen=True)
class Line:
    """A line of code, and the how-manieth time that it is run."""

    file: str
    number: int
    time: int = 1

    @override
    def __str__(self) -> str:
        """Name it as tracebacks do."""
        return f"{self.file}:{self.number}, time {self.time}"


@dataclass
class Interruptions:
    """What came of runs.

    Attributes:
        lines: that an undisturbed run passes through.
        in_finalizers: interrupts that came while a finalizer ran.
        exits: by exit status.
        problems: what should not have happened.
    """

    lines: int = 0
    in_finalizers: int = 0
    exits: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def shown(self) -> Iterator[str]:
        """Yield a table."""
        yield f"{'lines to choose from':24} {self.lines:8,}"
        yield f"{'in finalizers':24} {self.in_finalizers:8,}"
        for status, count in sorted(self.exits.items()):
            yield f"{f'exit {status}':24} {count:8,}"


class _Tracer:
    """Counts the lines that this thread runs, and sends a signal at one of them."""

    def __init__(
        self,
        line: Line | None = None,
        number: signal.Signals = signal.SIGTERM,
        *,
        is_in_finalizer: bool = False,
    ) -> None:
        self._line = line
        self._number = number
        self._is_in_finalizer = is_in_finalizer
        self.counts: Counter[tuple[str, int]] = Counter()
        self.interrupted_at: float | None = None

    def __enter__(self) -> Self:
        self._former = sys.gettrace()
        sys.settrace(self._see_call)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, where: TracebackType | None
    ) -> None:
        sys.settrace(self._former)

    def _see_call(self, frame: FrameType, _: str, __: object) -> Trace | None:
        file = frame.f_code.co_filename
        return self._see_line if file.startswith(_PACKAGES) or file in _FILES else None

    def _see_line(self, frame: FrameType, event: str, _: object) -> Trace:
        if event == "line":
            place = frame.f_code.co_filename, frame.f_lineno
            self.counts[place] += 1
            line = self._line
            if line and place == (line.file, line.number) and self.counts[place] == line.time:
                self.interrupted_at = time.monotonic()
                self._interrupt()
        return self._see_line

    def _interrupt(self) -> None:
        handler = signal.getsignal(self._number)
        if self._is_in_finalizer and isinstance(getattr(handler, "__self__", None), Interrupts):
            # Python drops what the handler raises there.
            weakref.finalize(self._Short(), signal.raise_signal, self._number)
        else:
            signal.raise_signal(self._number)

    class _Short:
        """Gone as soon as it is made."""


def run_interrupted(folder: Path, database: Database, count: int, seed: int) -> Interruptions:
    """Interrupt the tap that many times, each at another line; then run it to its end."""
    drawn = random.Random(seed)  # noqa: S311 - lines, not secrets
    interruptions = Interruptions()
    options = SimulatorOptions(latency_seconds=(0.02, 0.2), seed=seed)
    with Simulator(options, database=database) as simulator:
        config = {
            **_CONFIG,
            "base_url": simulator.base_url,
            "client_id": simulator.client_id,
            "client_secret": simulator.client_secret,
        }
        run = partial(run_tap, folder, config)
        with _ending_on_signals(), _Tracer() as tracer:
            output = run().output
        expected = _rows(_load(Warehouse(), output))
        lines = [Line(*place) for place in tracer.counts]
        interruptions.lines = len(lines)
        for _ in range(count):
            line = drawn.choice(lines)
            most = tracer.counts[line.file, line.number]
            line = Line(line.file, line.number, drawn.choice((1, drawn.randint(1, most))))
            _Experiment(simulator, run, line, drawn, interruptions).perform(expected)
    return interruptions


@dataclass
class _Experiment:
    simulator: Simulator
    run: partial[Run]
    line: Line
    drawn: random.Random
    found: Interruptions

    def perform(self, expected: list[list[str]]) -> None:
        """Interrupt a run, look at what it left, and let the next one finish."""
        on_interrupt = self.drawn.choice(("cancel", "leave"))
        number = self.drawn.choice(_SIGNALS)
        is_in_finalizer = self.drawn.random() < _SHARE_IN_FINALIZERS
        self.simulator.clear_calls()
        ended, interrupted_at = self._interrupt(
            number, on_interrupt, is_in_finalizer=is_in_finalizer
        )
        self.found.in_finalizers += is_in_finalizer
        self.found.exits[ended.exit_code] += 1
        warehouse = _load(Warehouse(), ended.output)
        problems = [*self._problems(ended, number, interrupted_at, warehouse.state)]
        resumed = self.run(state=warehouse.state)
        if resumed.exit_code:
            problems.append(f"the next run ends with {resumed.exit_code}: {resumed.log[-3000:]}")
        elif _rows(_load(warehouse, resumed.output)) != expected:
            problems.append("the tables are not what an undisturbed run loads")
        place = "a finalizer at " if is_in_finalizer else ""
        shown = f"{number.name} in {place}{self.line}, {on_interrupt}"
        self.found.problems += [f"{shown}: {problem}" for problem in problems]

    def _interrupt(
        self, number: signal.Signals, on_interrupt: str, *, is_in_finalizer: bool
    ) -> tuple[Run, float]:
        """Return the run, and the moment of the interrupt, or that of its end if none came."""
        tracer = _Tracer(self.line, number, is_in_finalizer=is_in_finalizer)
        with _ending_on_signals(), tracer:
            try:
                ended = self.run(on_interrupt=on_interrupt)
            except SystemExit as end:
                # The command was not built yet.
                ended = Run(int(end.code or 0), b"", "")
        at = tracer.interrupted_at
        return ended, time.monotonic() if at is None else at

    def _problems(
        self, ended: Run, number: signal.Signals, at: float, state: dict[str, Any] | None
    ) -> Iterator[str]:
        seconds = time.monotonic() - at
        if ended.exit_code not in {0, 128 + number}:
            yield f"exit status {ended.exit_code}: {ended.log[-3000:]}"
        if not ended.exit_code and any(
            c.at > at for c in self.simulator.calls if c.operation != "logout"
        ):
            yield f"the interrupt is lost: {ended.log[-3000:]}"
        if "Traceback" in ended.log:
            yield f"traceback: {ended.log[-3000:]}"
        if seconds > _MAX_END_SECONDS:
            yield f"it ended after {seconds:.1f} s"
        unnamed = {*unfinished_tasks(self.simulator)} - named_tasks(state)
        if len(unnamed) > ended.log.count(MAY_RUN):
            yield f"{unnamed} alive and unnamed: {ended.log[-3000:]}"
        logins, logouts = self.simulator.count("login"), self.simulator.count("logout")
        if logins != logouts:
            yield f"{logins} logins, {logouts} logouts"
        yield from (f"thread {name} lives on" for name in _threads_left())


def _threads_left() -> Iterator[str]:
    """Yield the names of the tap's threads that do not end."""
    give_up_at = time.monotonic() + _MAX_JOIN_SECONDS
    for thread in threading.enumerate():
        if thread.name in {"coordinator", "looker-request"}:
            thread.join(max(0.0, give_up_at - time.monotonic()))
            if thread.is_alive():
                yield thread.name


def _load(warehouse: Warehouse, output: bytes) -> Warehouse:
    for line in output.splitlines():
        warehouse.take(line)
    warehouse.commit()
    return warehouse


def _rows(warehouse: Warehouse) -> list[list[str]]:
    return [warehouse.rows(query["name"], _VOLATILE) for query in _QUERIES]


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """End a run that handles no signals, before it starts or after its end, as systems do."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    handlers = {number: signal.signal(number, end) for number in _SIGNALS}
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)
