"""Complete runs against a Looker that damages its responses, with damaged state and catalog."""

from __future__ import annotations

import copy
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.chaos.damage import damage, damage_value
from tests.proxy import Proxy
from tests.singer import parse, run_tap, stored_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from looker_simulator.engine import Database
    from tests.proxy import Exchange
    from tests.singer import Run

_SHARE_DAMAGED = 0.1
_SHARE_CHOSEN = 0.3
_MAX_SECONDS = 20
_QUERIES = [
    {"name": "saved", "query_id": stored_id(1)},
    {"name": "look", "look_id": 5},
    {"name": "pivoted", "query_id": stored_id(16)},
    {
        "name": "explored",
        "explore": {"model": "shop", "explore": "orders", "fields": ["orders.id", "orders.state"]},
        "primary_keys": ["orders.id"],
        "replication_key": "orders.id",
    },
]
_CONFIG: dict[str, Any] = {
    "queries": _QUERIES,
    "dashboards": [{"dashboard_id": "2", "name": "board"}],
    "poll_interval_seconds": 0.01,
    "poll_max_interval_seconds": 0.02,
    "expired_grace_seconds": 0.05,
    "task_timeout_seconds": 5,
    "sync_timeout_seconds": 5,
    "http_timeout_seconds": 3,
    "http_max_tries": 1,
}
_COMMANDS = ((), (), ("--discover",), ("--doctor",))


@dataclass
class Damages:
    """What came of runs.

    Attributes:
        exits: by command and exit status.
        responses: that were damaged, by the first part of their path.
        problems: what should not have happened.
    """

    exits: Counter[str] = field(default_factory=Counter)
    responses: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def shown(self) -> Iterator[str]:
        """Yield a table."""
        for what, count in sorted(self.exits.items()):
            yield f"{what:24} {count:8,}"
        yield f"{'responses damaged':24} {self.responses.total():8,}"
        for what, count in self.responses.most_common():
            yield f"  {what:22} {count:8,}"


def run_damaged(folder: Path, database: Database, count: int, seed: int) -> Damages:
    """Run the tap that many times against a Looker of which a part of all responses is damaged."""
    damages = Damages()
    with Simulator(SimulatorOptions(latency_seconds=0.0), database=database) as simulator:
        config = {
            **_CONFIG,
            "client_id": simulator.client_id,
            "client_secret": simulator.client_secret,
        }
        run = partial(run_tap, folder, {**config, "base_url": simulator.base_url})
        catalog = json.loads(run("--discover").output)
        state = run(catalog=catalog).state
        # Each proxy is another instance.
        del state["bookmarks"]["query_task_results"]["instance"]
        for number in range(count):
            drawn = random.Random(f"{seed} {number}")  # noqa: S311 - damages, not secrets
            with _DamagingProxy(simulator.base_url, f"{seed} {number}", damages) as proxy:
                damaged = partial(run_tap, folder, {**config, "base_url": proxy.base_url})
                files = {"catalog": _select_some(catalog, drawn), "state": state}
                _run(damaged, drawn, damages, files)
    return damages


def _run(run: partial[Run], drawn: random.Random, damages: Damages, files: dict[str, Any]) -> None:
    command = drawn.choice(_COMMANDS)
    given = {name: _perhaps_damaged(file, drawn) for name, file in files.items()}
    given = {name: file for name, file in given.items() if not command and drawn.random() < 0.5}
    started = time.monotonic()
    try:
        ended = run(*command, **given)
    except AssertionError as error:
        damages.problems.append(f"{command} {error!r}"[:2000])
        return
    damages.exits[f"{' '.join(command) or 'sync'}, exit {ended.exit_code}"] += 1
    damages.problems += _problems(command, ended, time.monotonic() - started)


def _select_some(catalog: dict[str, Any], drawn: random.Random) -> dict[str, Any]:
    """Return the catalog with other streams and columns selected."""
    chosen: dict[str, Any] = copy.deepcopy(catalog)
    for stream in chosen["streams"]:
        for item in stream["metadata"]:
            if drawn.random() < _SHARE_CHOSEN:
                item["metadata"]["selected"] = drawn.random() < 1 / 2
    return chosen


def _perhaps_damaged(file: object, drawn: random.Random) -> object:
    """Return a file with another value or key in some place, or unchanged."""
    text = json.dumps(file).encode()
    return json.loads(damage_value(text, drawn)) if drawn.random() < 0.5 else file


def _problems(command: tuple[str, ...], run: Run, seconds: float) -> Iterator[str]:
    shown = f"{command} exit {run.exit_code}: {run.log[-3000:]}"
    if run.exit_code not in {0, 1, 78}:
        yield f"exit status, {shown}"
    if "Traceback" in run.log:
        yield f"traceback, {shown}"
    reasons = [line for line in run.log.splitlines() if line.startswith("Error: ")]
    if run.exit_code and command != ("--doctor",) and len(reasons) != 1:
        yield f"not one reason, {shown}"
    if seconds > _MAX_SECONDS:
        yield f"{seconds:.0f} s, {shown}"
    if not command and run.output and not parse(run.output):
        yield f"invalid output, {shown}"
    if command == ("--discover",) and not run.exit_code:
        json.loads(run.output)


class _DamagingProxy(Proxy):
    """Damages a share of the responses."""

    def __init__(self, base_url: str, seed: str, damages: Damages) -> None:
        super().__init__(base_url)
        self._seed = seed
        self._damages = damages

    @override
    def response(self, exchange: Exchange) -> bytes:
        path = exchange.target.partition("?")[0]
        # The same in each run of the same seed, whatever comes first.
        drawn = random.Random(f"{self._seed} {exchange.verb} {path}")  # noqa: S311 - damages
        if drawn.random() >= _SHARE_DAMAGED:
            return super().response(exchange)
        self._damages.responses[f"{exchange.verb} {path.split('/')[3]}"] += 1
        return damage(exchange.received.body, drawn)
