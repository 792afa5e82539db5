"""Query task statuses, in one table."""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ABSENT = "absent"
TIMEOUT = "timeout"
COMPLETE = "complete"
ADDED = "added"
ERROR = "error"
KILLED = "killed"


class Phase(Enum):
    """What a status says about the task."""

    FINAL = "the outcome"
    DOUBTFUL = "an outcome that Looker may take back"
    UNFINISHED = "no outcome yet"


PHASES: Mapping[str, Phase] = MappingProxyType(
    {
        COMPLETE: Phase.FINAL,
        ERROR: Phase.FINAL,
        "failure": Phase.FINAL,
        KILLED: Phase.FINAL,
        TIMEOUT: Phase.FINAL,
        # Looker reports running tasks as expired for about a second now and then, and a task
        # just created may be unknown to the node that answers.
        "expired": Phase.DOUBTFUL,
        "missing": Phase.DOUBTFUL,
        ABSENT: Phase.DOUBTFUL,
        ADDED: Phase.UNFINISHED,
        "pending": Phase.UNFINISHED,
        "running": Phase.UNFINISHED,
    }
)
"""Every status known, in lower case."""


def phase_of(status: str) -> Phase:
    """Return what a status, in lower case, says; an unknown word is taken for unfinished."""
    return PHASES.get(status, Phase.UNFINISHED)
