"""The command `looker-simulator` and its options."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import threading
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

from looker_simulator.builtin import BUILTIN
from looker_simulator.content import query_slug
from looker_simulator.declarations import ModelError
from looker_simulator.engine import load_database
from looker_simulator.faults import FAULTS, VARIANTS
from looker_simulator.looker import CREDENTIAL
from looker_simulator.scenario import read_scenario
from looker_simulator.simulator import Simulator, SimulatorOptions
from looker_simulator.user_project import read_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from looker_simulator.model import Project

_PORT = 19999
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_MAX_KEPT_BYTES = 1 << 18
_SECONDS = click.FloatRange(min=0)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _SecondsRange(click.ParamType[tuple[float, float]]):
    """`0.5`, or `1-3` for a random value between them."""

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
    """`name`, `name:3` for three requests, or `name:always`."""

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
    content = BUILTIN.content
    explores = [
        (f"{model.name}/{explore.name}", explore.description)
        for model in BUILTIN.models.values()
        for explore in model.explores.values()
    ]
    blocks = [
        ("Explores", iter(explores)),
        ("Stored queries", ((query_slug(key), title) for key, title in content.titles.items())),
        ("Looks", ((id_, str(look["title"])) for id_, look in content.looks.items())),
        ("Dashboards", ((id_, str(d["title"])) for id_, d in content.dashboards.items())),
        ("Variants", iter(VARIANTS.items())),
        ("Faults", ((name, fault.description) for name, fault in FAULTS.items())),
    ]
    return "\n\n".join(f"\b\n{title}:\n" + "\n".join(_lines(rows)) for title, rows in blocks)


def _lines(rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    for name, description in rows:
        yield f"  {name:<24}  {description}"


def _read_project(data: Path | None, model: Path | None) -> Project:
    """Return the project to serve; warnings about its files go to standard error."""
    if data is None and model is None:
        return BUILTIN
    if data is None or model is None:
        msg = "--data and --model go together: the tables, and what to serve of them"
        raise click.UsageError(msg)
    project, warnings = read_project(data, model)
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)
    return project


def _make_certificate(folder: Path, host: str) -> Path:
    """Create a certificate for loopback and an address, with its key in the same file."""
    path = folder / "certificate.pem"
    names = ",".join(dict.fromkeys(("DNS:localhost", "IP:127.0.0.1", f"IP:{host}")))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]
    command += ["-subj", "/CN=localhost", "-addext", f"subjectAltName={names}"]
    command += ["-keyout", str(path), "-out", str(folder / "public.pem")]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603 - fixed
    except (OSError, subprocess.SubprocessError) as error:
        msg = f"--tls needs openssl, which cannot be run ({error}); use --certificate"
        raise click.ClickException(msg) from None
    with path.open("ab") as both:
        both.write((folder / "public.pem").read_bytes())
    return path


@click.command("looker-simulator", epilog=_epilog())
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; its one secret is known, so mind who reaches another.",
)
@click.option("--tls", is_flag=True, help="Serve https with a certificate that openssl makes.")
@click.option("--certificate", type=_FILE, help="Serve https with this certificate (PEM).")
@click.option("--private-key", type=_FILE, help="Key of the certificate, if in another file.")
@click.option("--port", default=_PORT, show_default=True, help="Port to listen on; 0: a free one.")
@click.option(
    "--latency",
    "latency_seconds",
    type=_SecondsRange(),
    default="0",
    show_default=True,
    help="Seconds every query takes beforehand; 1-3: anything between.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    help="Maximum number of concurrent queries; the others queue.",
)
@click.option(
    "--result-ttl",
    "result_ttl_seconds",
    type=_SECONDS,
    default=300.0,
    show_default=True,
    help="Seconds for which results stay.",
)
@click.option(
    "--token-lifetime",
    "token_lifetime_seconds",
    type=_SECONDS,
    default=3600.0,
    show_default=True,
    help="Seconds a login lasts.",
)
@click.option(
    "--round-trip",
    "round_trip_seconds",
    type=_SECONDS,
    default=0.0,
    show_default=True,
    help="Seconds added to every request; requests do not wait for each other.",
)
@click.option(
    "--stall-timeout",
    "stall_timeout_seconds",
    type=_SECONDS,
    help="Seconds after which a connection is closed whose client does not read.",
)
@click.option(
    "--data",
    type=_FOLDER,
    help="Folder of CSV and Parquet files to serve, a table each; with --model.",
)
@click.option(
    "--model",
    type=_FILE,
    help="What to serve of them: a LookML model file, or one in YAML.",
)
@click.option(
    "--scenario",
    type=_FILE,
    help="YAML file with scripts of given tasks and queries.",
)
@click.option(
    "--variant",
    "variants",
    type=click.Choice([*VARIANTS]),
    metavar="NAME",
    multiple=True,
    help="Be like another release of Looker in one respect; see below.",
)
@click.option(
    "--fault",
    "faults",
    type=_Fault(),
    multiple=True,
    help="Fault that happens once, N times or always; see below.",
)
def serve(
    data: Path | None,
    model: Path | None,
    scenario: Path | None,
    faults: tuple[tuple[str, int | None], ...],
    *,
    tls: bool,
    **options: Any,
) -> None:
    """Serve a Looker API 4.0 on this machine, with a real query engine.

    Unless --data and --model are given, the data are all flights that left New York in 2013, an
    invented shop, and Looker's own activity. Credentials are "simulator" and "simulator". It
    listens on loopback, unless --host says otherwise, until it is interrupted.

    Faults can also be switched on while it runs: POST {"name": ..., "times": ...} to
    /simulator/faults, DELETE them there; GET /simulator/calls lists the requests so far.
    """
    _return_freed_memory()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    if not ip_address(options["host"]).is_loopback:
        click.echo(
            f"Warning: any client that reaches {options['host']} can log in, "
            "because the secret of the simulator is known",
            err=True,
        )
    with ExitStack() as until_stopped:
        if tls:
            folder = Path(until_stopped.enter_context(TemporaryDirectory()))
            options["certificate"] = _make_certificate(folder, options["host"])
        _serve(data, model, scenario, faults, stopped, options)


def _return_freed_memory() -> None:
    """Return the memory of large results to the system once they are sent.

    Without this, glibc keeps freed blocks of up to 32 MiB, in as many arenas as there are threads.
    """
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _MAX_KEPT_BYTES)
        mallopt(_M_ARENA_MAX, 2)


def _serve(
    data: Path | None,
    model: Path | None,
    scenario: Path | None,
    faults: tuple[tuple[str, int | None], ...],
    stopped: threading.Event,
    options: dict[str, Any],
) -> None:
    try:
        given = SimulatorOptions(**options, scenario=read_scenario(scenario) if scenario else None)
        project = _read_project(data, model)
        with Simulator(given, database=load_database(project)) as simulator:
            for name, times in faults:
                simulator.fault(name, times=times)
            click.echo(
                f"Looker API at {simulator.base_url} "
                f"client_id {CREDENTIAL} client_secret {CREDENTIAL}; Ctrl-C stops it"
            )
            stopped.wait()
    except ModelError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        msg = f"cannot listen on port {options['port']}: {error.strerror}"
        raise click.ClickException(msg) from None
