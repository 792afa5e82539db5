"""The queue of queries to launch: the next to prepare or launch, and the limit of slots."""

from __future__ import annotations

from collections import deque
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

from tap_looker_tasks.tasks.query_task import Launch, Prepare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class LaunchQueue:
    """Queries to launch, in their order; a query is prepared before a slot is free for it.

    When Looker is overloaded, all launches pause and the number of slots is halved; each task that
    finishes restores one.
    """

    def __init__(
        self, queries: Iterable[Launch], *, slots: int, longest_pause: float, patience: int
    ) -> None:
        """Queue the queries.

        Args:
            queries: Queries in launch order.
            slots: Maximum number of tasks in flight.
            longest_pause: Seconds to pause after Looker rejected a launch for load without naming a
                delay.
            patience: Maximum number of such rejections in a row while nothing is in flight.
        """
        self._queued = deque(queries)
        self._slots = self._capacity = slots
        self._longest_pause = longest_pause
        self._patience = patience
        self._prepared: set[str] = set()
        self._preparing: set[str] = set()
        self._resume_at = -inf
        self._postponements = 0

    def __bool__(self) -> bool:
        """Return whether a query waits for its launch."""
        return bool(self._queued)

    def take_launch(self, now: float, in_flight: int) -> Launch | None:
        """Return the next launch for which a slot is free, and take its query from the queue."""
        if now < self._resume_at or in_flight >= self._capacity:
            return None
        for query in self._next_queries():
            if query.query_name in self._prepared:
                self._queued.remove(query)
                return query
        return None

    def take_preparation(self, now: float) -> Prepare | None:
        """Return the next preparation, as far ahead as there are slots."""
        if now < self._resume_at:
            return None
        for query in self._next_queries():
            name = query.query_name
            if name not in self._prepared and name not in self._preparing:
                self._preparing.add(name)
                return Prepare(name)
        return None

    def note_prepared(self, query_name: str) -> None:
        """Record that the query is prepared and needs only a slot."""
        self._preparing.discard(query_name)
        self._prepared.add(query_name)

    def note_created(self) -> None:
        """Record that Looker accepts launches."""
        self._postponements = 0

    def note_finished(self) -> None:
        """Record that a task launched here is over."""
        self._capacity = min(self._slots, self._capacity + 1)

    def give_up(self, query_name: str) -> None:
        """Remove a query that cannot be run."""
        self._preparing.discard(query_name)
        self._queued = deque(q for q in self._queued if q.query_name != query_name)

    def put_back(self, request: Launch | Prepare) -> None:
        """Return a launch or preparation that was not performed to the queue."""
        match request:
            case Launch():
                self._queued.appendleft(request)
            case Prepare(query_name):
                self._preparing.discard(query_name)

    def queue_again(self, query_name: str, attempt: int) -> None:
        """Queue another launch of a query, after all others."""
        self._queued.append(Launch(query_name, attempt))

    def postpone(
        self, request: Launch | Prepare, now: float, retry_after: float | None, in_flight: int
    ) -> bool:
        """Use fewer slots for a while; return whether another attempt makes sense."""
        self.put_back(request)
        # Concurrent requests are rejected together: that counts as one rejection.
        if now >= self._resume_at:
            self._capacity = max(1, min(self._capacity, in_flight + 1) // 2)
            self._postponements += 1
        pause = self._longest_pause if retry_after is None else retry_after
        self._resume_at = max(self._resume_at, now + pause)
        return in_flight > 0 or self._postponements < self._patience

    def next_moment(self, now: float, in_flight: int) -> float:
        """Return when a request can be taken, in epoch seconds; `inf` if that is not yet known."""
        if now < self._resume_at:
            return self._resume_at if self._queued else inf
        names = [query.query_name for query in self._next_queries()]
        has_slot = in_flight < self._capacity
        ready = any(
            has_slot if name in self._prepared else name not in self._preparing for name in names
        )
        return now if ready else inf

    def _next_queries(self) -> Iterator[Launch]:
        return islice(self._queued, 2 * self._slots)
