"""STATE messages: often enough to resume from, and a small share of the output."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from singer_sdk.helpers._state import StateWriter
from typing_extensions import override

from tap_looker_tasks.errors import TargetClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_sdk.helpers.types import TapState

    from tap_looker_tasks.singer.message_writer import MessageWriter

_MAX_SILENCE_SECONDS = 30
# The last STATE, which is as large as all tasks remembered, comes on top of these.
_OUTPUT_PER_STATE = 30


class PacedStateWriter(StateWriter):
    """Holds back STATE messages that would cost more than they save.

    State grows with the tasks remembered, so one message per so many records would let its
    share of the output grow with their number.
    """

    def __init__(self, message_writer: MessageWriter, clock: Callable[[], float]) -> None:
        """Write to `message_writer`; the clock tells epoch seconds."""
        super().__init__(message_writer)
        self._output = message_writer
        self._clock = clock
        self._written_at = clock()
        self._growth = 0.0
        self._spent = 0

    @override
    def write_state(self, state: TapState) -> None:
        """Write what is held back, and the state if one is due and it changed."""
        self.write_if_due(state)
        self._output.flush()

    def write_if_due(self, state: TapState) -> None:
        """Write the state if one is due and it changed."""
        output = self._output.bytes_written
        cost = self._spent + output * self._growth
        silence = self._clock() - self._written_at
        if cost * _OUTPUT_PER_STATE <= output or silence >= _MAX_SILENCE_SECONDS:
            self.write_now(state)

    def write_now(self, state: TapState) -> None:
        """Write the state if it changed."""
        before = self._output.bytes_written
        super().write_state(state)
        self._output.flush()
        self._written_at = self._clock()
        if size := self._output.bytes_written - before:
            self._spent += size
            # The next one is taken to have grown as the output will have.
            self._growth = size / self._output.bytes_written

    def write_last(self, state: TapState) -> None:
        """Write the state if it changed and the target still reads; why a run ends is known."""
        with suppress(TargetClosedError):
            self.write_now(state)
