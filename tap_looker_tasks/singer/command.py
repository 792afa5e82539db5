"""The command line, which ends in good order wherever it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_sdk.plugin_base import SingerCommand
from typing_extensions import override

if TYPE_CHECKING:
    import click


class ClosingCommand(SingerCommand):
    """Closes the context also when reading options fails.

    The SDK discovers and tests while options are read, and click closes a context only from
    then on: a failure would leave the login and the files of options open.
    """

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except BaseException:
            ctx.close()
            raise
