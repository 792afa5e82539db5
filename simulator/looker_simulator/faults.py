"""Faults on demand: their names, and the requests that they affect."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MULTI_RESULTS = "query_task_multi_results"
_ANY = None
_NEVER_BY_DEFAULT = frozenset({"login", "logout", "simulator", "alive"})


@dataclass(frozen=True)
class FaultKind:
    """A kind of fault.

    Attributes:
        description: One line for `--help`.
        operation: Operation ID that it affects by default; None for all except the login.
    """

    description: str
    operation: str | None = MULTI_RESULTS


FAULTS: Mapping[str, FaultKind] = MappingProxyType(
    {
        "rate_limited": FaultKind("HTTP 429 with Retry-After: 0", _ANY),
        "rate_limited_seconds": FaultKind("HTTP 429 with Retry-After in seconds", _ANY),
        "rate_limited_date": FaultKind("HTTP 429 with Retry-After as a date", _ANY),
        "rate_limited_nonsense": FaultKind("HTTP 429 with Retry-After: nan", _ANY),
        "rate_limited_bare": FaultKind("HTTP 429 without Retry-After", _ANY),
        "server_error": FaultKind("HTTP 500 with an error as JSON", _ANY),
        "bad_gateway": FaultKind("HTTP 502 with a page of a proxy", _ANY),
        "unavailable": FaultKind("HTTP 503 with Retry-After", _ANY),
        "gateway_timeout": FaultKind("HTTP 504 with a page of a proxy", _ANY),
        "bad_request": FaultKind("HTTP 400 with an error as JSON"),
        "token_lost": FaultKind("HTTP 401 for a token that is still good", _ANY),
        "token_expired": FaultKind("HTTP 401, and from then on for this token", _ANY),
        "forbidden": FaultKind(
            "HTTP 403, as for an Explore that the user cannot see", "lookml_model_explore"
        ),
        "not_found": FaultKind("HTTP 404 with an error as JSON", _ANY),
        "not_found_html": FaultKind("HTTP 404 with a page"),
        "uri_too_long": FaultKind("HTTP 414 with a page"),
        "validation_failed": FaultKind("HTTP 422 with an error as JSON", _ANY),
        "redirected": FaultKind("HTTP 302 to another host", _ANY),
        "hang": FaultKind("the response starts after `seconds`", _ANY),
        "header_drip": FaultKind("the head of the response: a byte every `seconds`", _ANY),
        "body_drip": FaultKind("the body of the response: a byte every `seconds`", _ANY),
        "error_drip": FaultKind("HTTP 500, its body: a byte every `seconds`", _ANY),
        "dropped": FaultKind("the connection is closed without a response", _ANY),
        "reset": FaultKind("the connection is reset without a response", _ANY),
        "reset_in_body": FaultKind("the connection is reset in the middle of the body", _ANY),
        "cut_short": FaultKind("the body ends before its Content-Length"),
        "cut_short_chunked": FaultKind("the body ends before its last chunk", _ANY),
        "cut_short_gzip": FaultKind("the body is half of a gzip stream", _ANY),
        "gzip_bomb": FaultKind("HTTP 200, a megabyte that unpacks to one string of a gigabyte"),
        "error_bomb": FaultKind("HTTP 500, the same as the body of an error", _ANY),
        "not_json": FaultKind("HTTP 200 with a login page"),
        "invalid_json": FaultKind("HTTP 200 with half a JSON object", _ANY),
        "not_a_map": FaultKind("HTTP 200 with a JSON list"),
        "entry_not_an_object": FaultKind("the entries of tasks are numbers"),
        "absent": FaultKind("requested tasks are not in the response"),
        "missing": FaultKind("tasks have the status `missing`"),
        "unknown_status": FaultKind("tasks have an unknown status"),
        "capitalized": FaultKind("statuses are written as in prose: Complete"),
        "expired_flap": FaultKind("tasks have the status `expired`, and then another"),
        "results_expired": FaultKind("results are gone for good"),
        "killed": FaultKind("an administrator kills the requested tasks"),
        "no_data": FaultKind("complete, but without data; it is at /results"),
        "no_fields": FaultKind("results name no fields, as cached ones do"),
        "columns_truncated": FaultKind("`columns_truncated` of json_bi is true"),
        "columns_truncated_text": FaultKind('`columns_truncated` of json_bi is text: "true"'),
        "severed": FaultKind("the database breaks off: the last row of a result is its error"),
        "rows_null": FaultKind("complete, but null instead of the rows"),
        "rows_capped": FaultKind("results end at 5,000 rows, without a note of it"),
        "from_cache": FaultKind("results come from the cache, unless a task forbids it"),
        "dev_mode_note": FaultKind("json_detail results have a note that isn't an error"),
        "malformed_data": FaultKind("complete, but data is a number"),
        "unknown_id_refuses_batch": FaultKind("HTTP 404 for all tasks because of an unknown ID"),
        "launched_but_dropped": FaultKind(
            "the task is created, but the connection is closed without a response",
            "create_query_task",
        ),
        "repeated_id": FaultKind(
            "the task is created, but the response has the ID of the first task",
            "create_query_task",
        ),
    }
)
"""Every fault, by name."""


VARIANTS: Mapping[str, str] = MappingProxyType(
    {
        "numeric_ids": "queries have numbers as IDs, as before release 24.20",
        "capitalized": "statuses are written as in prose: Complete",
        "columns_truncated_as_text": "`columns_truncated` of json_bi is text",
        "listen_object": "tiles listen by an object from filter to field",
        "no_fields": "results name no fields, as cached ones of release 26.14",
        "runtime_number": "`runtime` of json_detail is a number",
        "runtime_left_out": "json_detail has no `runtime`, as cached results of release 26.14",
        "great_numbers_as_text": "numbers of more than 15 digits are text",
        "truncated_left_out": "`truncated` of json_detail is left out when it would be false",
        "pending_204": "results that are not there yet: 204, as before release 25.0",
        "unknown_id_missing": "tasks that do not exist have the status `missing`",
        "unknown_id_refuses_batch": "HTTP 404 for all tasks because of an unknown ID",
        "not_found_html": "HTTP 404 has a page instead of JSON",
        "flat_pivots": "pivoted cells of json_bi have keys `measure|FIELD|pivot`",
    }
)
"""What differs between releases of Looker, by name."""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fault that waits for the requests it affects.

    Attributes:
        name: Name in `FAULTS`.
        times: Number of requests it affects; None until it is cleared.
        operation: Operation ID it affects; None for the fault's default.
        after: Number of requests that pass before it.
        seconds: Duration of faults that take time.
        query_task_id: Task that a request must name to be affected, in any operation.
        query_id: Query that a request must name, directly or by one of its tasks.
    """

    name: str
    times: int | None = 1
    operation: str | None = None
    after: int = 0
    seconds: float = 1.0
    query_task_id: str | None = None
    query_id: str | None = None

    def __post_init__(self) -> None:
        """Check the name.

        Raises:
            ValueError: If there is no fault of that name.
        """
        if self.name not in FAULTS:
            msg = f"there is no fault {self.name!r}; name must be one of {', '.join(FAULTS)}"
            raise ValueError(msg)

    def concerns(self, operation: str, named: Collection[str], query_ids: Collection[str]) -> bool:
        """Return whether the fault affects a request.

        Args:
            operation: Operation ID of the request.
            named: IDs of the tasks that it names.
            query_ids: IDs of the queries that it names, and of those tasks.
        """
        if self.query_task_id is not None or self.query_id is not None:
            is_named = self.query_task_id in named or self.query_id in query_ids
            return is_named and self.operation in {None, operation}
        concerned = self.operation or FAULTS[self.name].operation
        return operation == concerned if concerned else operation not in _NEVER_BY_DEFAULT


@dataclass
class _Armed:
    fault: Fault
    times: int | None
    after: int

    def happens(self) -> bool:
        """Count a request, and return whether the fault affects it."""
        if self.after:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """Faults that wait for the next requests they affect."""

    def __init__(self) -> None:
        """Start without faults."""
        self._armed: list[_Armed] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Add a fault, which affects the next requests it matches."""
        with self._lock:
            self._armed.append(_Armed(fault, fault.times, fault.after))

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._armed.clear()

    def waiting(self) -> list[Fault]:
        """Return the waiting faults, with the times and requests that are left."""
        with self._lock:
            return [
                msgspec.structs.replace(armed.fault, times=armed.times, after=armed.after)
                for armed in self._armed
            ]

    def take(
        self, operation: str, named: Collection[str], query_ids: Collection[str]
    ) -> dict[str, Fault]:
        """Return the faults of one request, by name, and count them.

        The arguments are those of `Fault.concerns`.
        """
        with self._lock:
            concerned = [a for a in self._armed if a.fault.concerns(operation, named, query_ids)]
            happening = {a.fault.name: a.fault for a in concerned if a.happens()}
            self._armed = [a for a in self._armed if a.times is None or a.times > 0]
        return happening
