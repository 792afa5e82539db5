"""The command line, which ends in good order wherever it fails."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from singer_sdk.plugin_base import SingerCommand
from typing_extensions import override

if TYPE_CHECKING:
    from types import FrameType

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


# SIGINT and SIGTERM end a run by an exception, so that it unwinds in good order.

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# What shells report of a process that a signal ended: 130 and 143.
_EXIT_CODE_OF_SIGNAL = 128


class Interrupts:
    """Raises `SystemExit` with code 130 or 143 on the first SIGINT or SIGTERM.

    Further ones are ignored: what the first one began takes seconds at most. The handler does
    nothing else, as it may run between any two instructions.

    Attributes:
        number: of the signal that came; None before.
    """

    def __init__(self) -> None:
        """Begin without handling any signal."""
        self.number: int | None = None
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}

    def handle(self) -> None:
        """Set the handlers; in the main thread only."""
        for number in _SIGNALS:
            signal.signal(number, self._exit)

    def ignore(self) -> None:
        """Handle none from now on, as after the first."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def restore(self) -> None:
        """Set the handlers that were there when this was made."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _exit(self, number: int, _: FrameType | None) -> None:
        self.number = number
        self.ignore()
        sys.exit(_EXIT_CODE_OF_SIGNAL + number)
