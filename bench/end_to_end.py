"""How fast flights get into PostgreSQL, and which way of loading is fastest."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import psycopg

from bench.arena import written
from bench.processes import PROJECT, SIMULATOR, TAP, BenchError, server
from bench.report import Line, Series, times_as_fast
from demo.postgres import running_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.arena import Arena

_TARGET = PROJECT / ".meltano" / "loaders" / "target-postgres" / "venv" / "bin" / "target-postgres"
_LOOKER = [SIMULATOR, "--port", "0"]
_FLIGHTS = 336_776
_KEYS = ["flights.departure_time", "flights.carrier", "flights.number", "flights.origin"]
_FIELDS = [
    *_KEYS,
    *("flights.tail_number", "flights.destination", "flights.distance", "flights.air_time"),
    *("flights.departure_delay", "flights.arrival_delay", "flights.is_cancelled"),
]
_PLAIN = "upsert, row by row"
_WAYS: tuple[tuple[str, dict[str, Any], bool], ...] = (
    (_PLAIN, {}, False),
    ("use_copy", {"use_copy": True}, False),
    ("BATCH, jsonl.gz", {}, True),
    ("BATCH and use_copy", {"use_copy": True}, True),
)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A table that was loaded.

    Attributes:
        rows: in the table.
        seconds: of the pipeline as a whole.
        tap_seconds: of the tap's processor time.
        target_seconds: of the target's.
    """

    rows: int
    seconds: float
    tap_seconds: float
    target_seconds: float


def into_postgres(arena: Arena) -> Iterator[Line]:
    """Load the flights with the real target, in each way."""
    if not _TARGET.exists():
        msg = "target-postgres is not installed: make setup"
        raise BenchError(msg)
    rows, loads = arena.scaled(_FLIGHTS), {}
    with arena.folder() as folder, server(_LOOKER, folder) as words, running_postgres() as database:
        (base_url,) = (word for word in words if word.startswith("http"))
        for number, (way, target, is_batch) in enumerate(_WAYS):
            click.echo(f"  {way}", err=True)
            schema = f"bench_{number}"
            settings = {"sqlalchemy_url": database.sqlalchemy_url, "default_target_schema": schema}
            config = _tap_config(base_url, rows, folder if is_batch else None)
            commands = (
                [TAP, "--config", written(folder / "tap.json", config)],
                [str(_TARGET), "--config", written(folder / "target.json", settings | target)],
            )
            loads[way] = _load(commands, database.url, schema, folder)
    yield from _lines(loads)


def _tap_config(base_url: str, rows: int, batches: Path | None) -> dict[str, Any]:
    explore = {"model": "flights_2013", "explore": "flights", "fields": _FIELDS}
    query = {"name": "flights", "explore": explore, "limit": rows, "primary_keys": _KEYS}
    credentials = {"client_id": "simulator", "client_secret": "simulator"}
    config = {"base_url": base_url, **credentials, "queries": [query]}
    if batches is None:
        return config
    storage = {"root": batches.as_uri(), "prefix": "batch-"}
    encoding = {"format": "jsonl", "compression": "gzip"}
    return {**config, "batch_config": {"encoding": encoding, "storage": storage}}


def _load(commands: Sequence[list[str]], url: str, schema: str, folder: Path) -> _Loaded:
    tap_command, target_command = commands
    started = time.monotonic()
    with (folder / "stderr").open("wb") as log, (folder / "state").open("wb") as state:
        tap = subprocess.Popen(tap_command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=log)
        target = subprocess.Popen(
            target_command, cwd=PROJECT, stdin=tap.stdout, stdout=state, stderr=log
        )
        if tap.stdout:
            tap.stdout.close()
        used = [_wait_for(process) for process in (tap, target)]
    seconds = time.monotonic() - started
    if tap.returncode or target.returncode:
        end = (folder / "stderr").read_text(errors="replace")[-1000:]
        msg = f"exit codes {tap.returncode} and {target.returncode}: {end}"
        raise BenchError(msg)
    with psycopg.connect(url) as connection:
        counted = connection.execute(f"select count(*) from {schema}.flights").fetchall()  # noqa: S608 - a name of this module
    return _Loaded(counted[0][0], seconds, *used)


def _wait_for(process: subprocess.Popen[bytes]) -> float:
    """Wait for a process; return the seconds of processor time it used."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def _lines(loads: dict[str, _Loaded]) -> Iterator[Line]:
    plain = Series(_PLAIN, "s", (loads[_PLAIN].seconds,))
    for way, loaded in loads.items():
        what = f"{loaded.rows:,} flights, {way}"
        speed = Series(what, "rows/s", (loaded.rows / loaded.seconds,))
        share = 100 * loaded.tap_seconds / (loaded.tap_seconds + loaded.target_seconds)
        note = f"the tap takes {share:.0f} % of the processor time of both"
        yield Line("end to end into PostgreSQL", speed, note=note)
        if way != _PLAIN:
            seconds = Series(way, "s", (loaded.seconds,))
            goal = times_as_fast(1).without_limit()
            yield Line("end to end into PostgreSQL", seconds, plain, goal)
