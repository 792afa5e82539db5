"""What can go wrong on demand, by name."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MULTI_RESULTS = "query_task_multi_results"
_ANY = None


@dataclass(frozen=True)
class FaultKind:
    """One thing that can go wrong.

    Attributes:
        description: one line for `--help`.
        operation: operationId it concerns unless told otherwise; None for all but the login.
    """

    description: str
    operation: str | None = MULTI_RESULTS


FAULTS: Mapping[str, FaultKind] = MappingProxyType(
    {
        "rate_limited": FaultKind("HTTP 429 with Retry-After", _ANY),
        "server_error": FaultKind("HTTP 500 with an error as JSON", _ANY),
        "unavailable": FaultKind("HTTP 503 with Retry-After", _ANY),
        "bad_gateway": FaultKind("HTTP 502 with a page of a proxy", _ANY),
        "not_found_html": FaultKind("HTTP 404 with a page"),
        "bad_request": FaultKind("HTTP 400 with an error as JSON"),
        "hang": FaultKind("the answer comes after so many seconds", _ANY),
        "dropped": FaultKind("the connection is closed without an answer", _ANY),
        "cut_short": FaultKind("the body ends in the middle"),
        "not_json": FaultKind("HTTP 200 with a sign-in page"),
        "not_a_map": FaultKind("HTTP 200 with a JSON list"),
        "token_lost": FaultKind("HTTP 401 for a token that is still good", _ANY),
        "redirected": FaultKind("HTTP 302 to another host", _ANY),
        "absent": FaultKind("tasks asked for are left out of the answer"),
        "missing": FaultKind("tasks are told to be missing"),
        "unknown_status": FaultKind("tasks have a status that nobody knows"),
        "capitalised": FaultKind("statuses are written as in prose: Complete"),
        "expired_flap": FaultKind("tasks are told to be expired, and then are not"),
        "results_expired": FaultKind("results are gone for good"),
        "killed": FaultKind("an administrator kills the tasks asked for"),
        "no_data": FaultKind("complete, but without data; it is at /results"),
        "dev_mode_note": FaultKind("json_detail results carry a note that is no error"),
        "malformed_data": FaultKind("complete, but data is a number"),
        "unknown_id_refuses_batch": FaultKind("an unknown id makes it HTTP 404 for all"),
        "launched_but_dropped": FaultKind(
            "the task is created, but the connection closed without an answer",
            "create_query_task",
        ),
        "forbidden": FaultKind(
            "HTTP 403, as for an Explore one may not see", "lookml_model_explore"
        ),
    }
)
"""Every fault, by name."""


@dataclass
class _Armed:
    name: str
    operation: str | None
    times: int | None
    after: int
    seconds: float


class Faults:
    """Faults waiting for the next requests they concern."""

    def __init__(self) -> None:
        """Begin without any."""
        self._armed: list[_Armed] = []
        self._lock = threading.Lock()

    def add(
        self,
        name: str,
        *,
        times: int | None = 1,
        operation: str | None = None,
        after: int = 0,
        seconds: float = 1.0,
    ) -> None:
        """Let a fault happen to so many requests (None: until cleared), after so many others.

        Raises:
            KeyError: there is no fault of that name.
        """
        concerned = operation or FAULTS[name].operation
        with self._lock:
            self._armed.append(_Armed(name, concerned, times, after, seconds))

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._armed.clear()

    def names(self) -> list[str]:
        """Tell the faults still waiting."""
        with self._lock:
            return [armed.name for armed in self._armed]

    def taken(self, operation: str) -> dict[str, float]:
        """Take the faults for one request: seconds, by name."""
        with self._lock:
            concerned = [a for a in self._armed if _concerns(a, operation)]
            happening = {a.name: a.seconds for a in concerned if _happens(a)}
            self._armed = [a for a in self._armed if a.times is None or a.times > 0]
        return happening


def _concerns(armed: _Armed, operation: str) -> bool:
    if armed.operation is None:
        return operation not in {"login", "logout", "simulator", "alive"}
    return armed.operation == operation


def _happens(armed: _Armed) -> bool:
    if armed.after:
        armed.after -= 1
        return False
    if armed.times is not None:
        armed.times -= 1
    return True
