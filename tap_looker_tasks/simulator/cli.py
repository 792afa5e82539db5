"""The command `looker-simulator`."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import click
from typing_extensions import override

from tap_looker_tasks.simulator.content import DASHBOARDS, LOOKS, QUERY_TITLES
from tap_looker_tasks.simulator.faults import FAULTS
from tap_looker_tasks.simulator.model import EXPLORES, MODEL_NAME
from tap_looker_tasks.simulator.simulator import CREDENTIAL, Simulator, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

_PORT = 19999


class _SecondsRange(click.ParamType[tuple[float, float]]):
    """`0.5`, or `1-3` for anything between."""

    name = "seconds"

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        least, _, most = str(value).partition("-")
        try:
            return float(least), float(most or least)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor a range like 1-3", param, ctx)


class _Fault(click.ParamType[tuple[str, int | None]]):
    """`name`, or `name:3` for so many requests, or `name:always`."""

    name = "name[:times]"

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int | None]:
        name, _, times = str(value).partition(":")
        if name not in FAULTS:
            self.fail(f"there is no fault {name!r}; see --help", param, ctx)
        if not (times.isdigit() or times in {"", "always"}):
            self.fail(f"{times!r} is neither a number nor 'always'", param, ctx)
        return name, None if times == "always" else int(times or 1)


def _epilog() -> str:
    blocks = [
        ("Explores", ((f"{MODEL_NAME}/{e.name}", e.description) for e in EXPLORES.values())),
        ("Stored queries", iter(QUERY_TITLES.items())),
        ("Looks", ((id_, str(look["title"])) for id_, look in LOOKS.items())),
        ("Dashboards", ((id_, str(found["title"])) for id_, found in DASHBOARDS.items())),
        ("Faults", ((name, fault.description) for name, fault in FAULTS.items())),
    ]
    return "\n\n".join(f"\b\n{title}:\n" + "\n".join(_lines(rows)) for title, rows in blocks)


def _lines(rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    for name, description in rows:
        yield f"  {name:<24}  {description}"


@click.command(epilog=_epilog())
@click.option("--port", default=_PORT, show_default=True, help="Port to listen on; 0: a free one.")
@click.option(
    "--latency",
    type=_SecondsRange(),
    default="0",
    show_default=True,
    help="Seconds every query takes beforehand; 1-3: anything between.",
)
@click.option(
    "--concurrency", default=15, show_default=True, help="Queries at once; the others queue."
)
@click.option(
    "--result-ttl", default=300.0, show_default=True, help="Seconds for which results stay."
)
@click.option("--token-lifetime", default=3600.0, show_default=True, help="Seconds a login lasts.")
@click.option(
    "--fault",
    "faults",
    type=_Fault(),
    multiple=True,
    help="Let something go wrong, once, so many times or always; see below.",
)
def main(
    port: int,
    latency: tuple[float, float],
    concurrency: int,
    result_ttl: float,
    token_lifetime: float,
    faults: tuple[tuple[str, int | None], ...],
) -> None:
    """Serve a Looker API 4.0 on this machine, with real queries behind it.

    The data are all flights that left New York in 2013. Credentials are "simulator" and
    "simulator". It listens on loopback only, until it is interrupted.

    Faults can also be switched on while it runs: POST {"name": ..., "times": ...} to
    /simulator/faults, DELETE them there; GET /simulator/calls tells the requests so far.
    """
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    options = SimulatorOptions(
        port=port,
        latency_seconds=latency,
        concurrency=concurrency,
        result_ttl_seconds=result_ttl,
        token_lifetime_seconds=token_lifetime,
    )
    try:
        with Simulator(options) as simulator:
            for name, times in faults:
                simulator.fault(name, times=times)
            click.echo(
                f"Looker API at {simulator.base_url} "
                f"client_id {CREDENTIAL} client_secret {CREDENTIAL}; Ctrl-C stops it"
            )
            stopped.wait()
    except OSError as error:
        msg = f"cannot listen on port {port}: {error.strerror}"
        raise click.ClickException(msg) from None
