"""STATE messages: often enough to resume from, and a small share of the output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_sdk.helpers._state import StateWriter
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_sdk.helpers.types import TapState

    from tap_looker_tasks.writer import MessageWriter

_LONGEST_SILENCE_SECONDS = 30
# Each STATE costs at most a twentieth of the records before it.
_OUTPUT_PER_STATE = 20


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
        self._output_then = 0
        self._size = 0

    @override
    def write_state(self, state: TapState) -> None:
        """Write what is held back, and the state if it changed and one is due."""
        output = self._output.bytes_written - self._output_then
        silence = self._clock() - self._written_at
        if output >= self._size * _OUTPUT_PER_STATE or silence >= _LONGEST_SILENCE_SECONDS:
            self.write_now(state)
        else:
            self._output.flush()

    def write_now(self, state: TapState) -> None:
        """Write the state if it changed."""
        before = self._output.bytes_written
        super().write_state(state)
        self._output.flush()
        self._written_at = self._clock()
        self._output_then = self._output.bytes_written
        self._size = self._output_then - before or self._size
