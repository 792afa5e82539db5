"""Runs the measures, shows them as a table and writes them as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from bench.arena import Arena
from bench.machine import machine, versions
from bench.measures import MEASURES
from bench.processes import BenchError
from bench.report import as_json, table

if TYPE_CHECKING:
    from bench.report import Line

_WIDTH_OF_FILES = 160


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Times each thing is measured.")
@click.option("--only", default="", metavar="SUBSTRING", help="Measures whose name holds this.")
@click.option(
    "--json",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("bench.json"),
    show_default=True,
    help="File for all figures.",
)
@click.option("--scale", default=1.0, show_default=True, help="Factor of all sizes, to try it out.")
def main(*, rounds: int, only: str, path: Path, scale: float) -> None:
    """Measure the tap beside what one would use in its place."""
    chosen = {name: measure for name, measure in MEASURES.items() if only in name}
    if not chosen:
        msg = f"no measure's name holds {only!r}; there are: {', '.join(MEASURES)}"
        raise click.BadParameter(msg, param_hint="--only")
    about = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "rounds": rounds,
        "scale": scale,
    }
    lines: list[Line] = []
    for name, measure in chosen.items():
        click.echo(name, err=True)
        try:
            lines += measure(Arena(rounds, scale))
        except BenchError as error:
            msg = f"{name}: {error}"
            raise click.ClickException(msg) from None
        path.write_text(json.dumps({**about, "lines": as_json(lines)}, indent=2) + "\n")
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    console.print(table(lines))
    console.print(f"{about['date']}, {', '.join(map(str, machine().values()))}", highlight=False)


if __name__ == "__main__":
    main()
