"""One call of a method of the client, with all its tries: what it is, and how long it may go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_looker_tasks.errors import AbortedError

if TYPE_CHECKING:
    from threading import Event


@dataclass(frozen=True, slots=True)
class Operation:
    """A call that has begun.

    Attributes:
        name: Looker's operationId.
        ends_at: epoch seconds by which it is over, whatever happens.
        aborted: set when it is to end at once.
        frees: whether it frees what Looker holds. Kept back until too late, that would be held on:
            where there is no time for a pause, it is made without.
    """

    name: str
    ends_at: float
    aborted: Event
    frees: bool = False

    def check(self) -> None:
        """Check that it may go on.

        Raises:
            AbortedError: it may not.
        """
        if self.aborted.is_set():
            raise AbortedError(self.name)
