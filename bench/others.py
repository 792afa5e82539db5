"""The programs that run one query after the other."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.arena import check, written
from bench.environments import environment
from bench.processes import PYTHON, run, server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.processes import Run

_HERE = Path(__file__).resolve().parent
_LOOKS = {
    "stream": {
        "name": "run_looks",
        "json_schema": {"type": "object", "properties": {}},
        "supported_sync_modes": ["full_refresh"],
    },
    "sync_mode": "full_refresh",
    "destination_sync_mode": "append",
}


@dataclass(frozen=True, slots=True)
class Other:
    """A program, ready to run.

    Attributes:
        starting: its command when it has nothing to do.
        working: its command.
        stream: what it calls what it delivers.
    """

    starting: Sequence[str]
    working: Sequence[str]
    stream: str

    def start(self, folder: Path) -> Run:
        """Run it with nothing to do."""
        return run(self.starting, folder)

    def work(self, folder: Path, records: int) -> Run:
        """Run it."""
        ended = run(self.working, folder)
        check(ended, {self.stream: records}, self.working)
        return ended


@contextmanager
def one_by_one(_: Path, base_url: str, query_ids: Sequence[str]) -> Iterator[Other]:
    """Prepare a script with the official client and singer-python."""
    starting = [environment("looker-sdk"), str(_HERE / "one_by_one.py"), base_url]
    yield Other(starting, [*starting, *query_ids], "rows")


@contextmanager
def airbyte(folder: Path, base_url: str, look_ids: Sequence[str]) -> Iterator[Other]:
    """Prepare airbyte-source-looker, which wants https."""
    python = environment("airbyte")
    run([python, str(_HERE / "certificates.py"), str(folder)], folder)
    front = [PYTHON, "-m", "bench.tls_front", base_url, str(folder / "server.pem")]
    with server(front, folder) as (domain,):
        credentials = {"client_id": "simulator", "client_secret": "simulator"}
        config = {**credentials, "domain": domain, "run_look_ids": [*look_ids]}
        files = [
            *("--config", written(folder / "airbyte.json", config)),
            *("--catalog", written(folder / "airbyte-catalog.json", {"streams": [_LOOKS]})),
        ]
        source = [python, str(_HERE / "airbyte_looker.py"), str(folder / "authority.pem")]
        working = [*source, "read", *files]
        yield Other([*source, "spec"], working, "run_looks")
