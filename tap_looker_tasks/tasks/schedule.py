"""Choose the next request: which query to prepare or launch, and which tasks to poll when.

Theory
------
A request polls many tasks, so the number of calls is the number of moments at which polls are sent.
Each task has a window: it opens when the task has probably ended, and closes when a later poll
would be too late. The next poll is sent at the last opening before the first closing. No schedule
serves all windows with fewer polls, because the window that closes first needs a poll by then, and
among the moments until then, that one serves the most windows:

    a  |-----|                    polls at the opening of b (for a and b)
    b     |-----|                 and at that of c
    c             |-----|

Windows by what is known of the task:

- *Unknown*: a task is polled again once its age has grown by a fixed share. As soon as a task of
  the run has ended, the share is smaller, of its age or of their mean run time, the longer of both.
  The window is that moment.
- *Known*: with a run time that earlier runs measured, the window opens when the task has
  probably ended and closes `slack` later. Until then it is polled only each time its age has
  grown two and a half times, because its result may come from the cache, or its warehouse may be
  faster today.
- *Late*: a known task that has not ended by then is polled after pauses equal to its lateness,
  which thus double, and at last like an unknown one.
- Once more tasks of a run ended far from their expected time than near it, all are unknown. A task
  that had ended by its first poll does not count, because its result may come from the cache.

The length of the windows depends on what waits. While queries wait for a slot, a free slot that has
not been noticed yet is lost time. When none waits, calls matter, and with `polling: sparing` they
always do. The more requests it takes to poll all tasks, the longer is the pause.

When a request fails, its tasks are polled again in halves, one request at a time, until Looker
responds to one. That finds an id on which Looker fails, and separates it from a Looker that fails
on every request: an id is the cause if it failed alone and another request succeeded after that.
Until a request succeeds, all tasks wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from math import ceil, inf
from typing import NamedTuple

from tap_looker_tasks.config import Settings
from tap_looker_tasks.tasks.query_task import (
    FollowedTask,
    Launch,
    LaunchedTask,
    Poll,
    Prepare,
    QueryTask,
)

_Window = tuple[float, float]

# Looker keeps a result for 300 s, and forgets tasks that are not polled.
_MAX_PAUSE_SECONDS = 120.0
# Before a known task should end: its first poll, in first pauses, and the growth of its age until
# the next.
_FIRST_LOOK = 4
_AGE_GROWTH = 1.5
# A task that took this many times as long, or as short, contradicts what earlier runs measured.
_NEAR = 2
# Run times vary a little even where earlier runs did not show it.
_SPREAD_SHARE = 0.01
# Looker accepts about 10,240 bytes of query string; a comma may be sent as `%2C`.
_MAX_BATCH_BYTES = 10_000
_SEPARATOR_BYTES = 3


class _Pace(NamedTuple):
    """Lengths of the windows.

    Attributes:
        first: Shortest pause, in seconds.
        longest: Longest pause between two polls of an unknown task, in seconds.
        first_share: The same as a share of its age, before a task of the run has ended.
        share: The same after that.
        slack: From the opening of a known task's window to its closing, as a share of its time.
        min_slack: Shortest window, in seconds.
        max_slack: Longest window, in seconds.
    """

    first: float
    longest: float
    first_share: float
    share: float
    slack: float
    min_slack: float
    max_slack: float


class PollSchedule:
    """Chooses the next request that polls tasks."""

    def __init__(self, settings: Settings, tasks: Mapping[str, FollowedTask]) -> None:
        """Follow `tasks`, a mapping by id that changes with the run."""
        self._settings = settings
        self._tasks = tasks
        self._repeats = settings.wait_for_completion
        # A single poll of each task needs no schedule.
        self._due: deque[str] = deque(() if self._repeats else tasks)
        self._in_poll: dict[str, Poll] = {}
        self._polled_times: dict[str, float] = {}
        # None until the windows are compared again.
        self._moment: float | None = -inf if tasks else inf
        self._polled_at = -inf
        self._earliest_deadline = inf
        self._others_wait = False
        # A poll may be sent that long before a task ends.
        self._round_trip = 0.0
        # Tasks launched in this run, until they end.
        self._launched: set[str] = set()
        # Of those: their run times, and whether the expected times were right.
        self._ended = 0
        self._run_seconds = 0.0
        self._trust = 0
        # Failures: the maximum batch size of an id, and since when it fails alone.
        self._batch_limits: dict[str, int] = {}
        self._fails_since: dict[str, float] = {}
        self._responded_at = -inf
        self._is_suspicious = False
        self._probe: Poll | None = None
        self._holds = 0
        self._hold_until = -inf

    def take_poll(self, now: float) -> Poll | None:
        """Return the next request that is due."""
        if self._is_probing() or now < self._hold_until:
            return None
        self._drop_gone()
        if not self._due and now >= self._moment_of_round():
            self._begin_round(now)
        if not self._due:
            return None
        batch = self._take_batch()
        poll = Poll(batch, is_probe=batch[0] in self._batch_limits)
        self._in_poll.update(dict.fromkeys(batch, poll))
        self._polled_times.update(dict.fromkeys(batch, now))
        if self._is_suspicious:
            self._probe = poll
        return poll

    def next_moment(self, now: float) -> float:
        """Return when a request will be due, in epoch seconds; `inf` if that is not yet known."""
        if self._is_probing() or len(self._in_poll) >= len(self._tasks):
            return inf
        if now < self._hold_until:
            return self._hold_until
        return now if self._due else self._moment_of_round()

    def note_launch(self, task: LaunchedTask, *, others_wait: bool) -> None:
        """Add a launched task; `others_wait` is whether queries wait for slots."""
        self._others_wait = others_wait
        self._launched.add(task.query_task_id)
        if not self._repeats:
            self._due.append(task.query_task_id)
        elif self._moment is not None:
            _, closes = self._window(task.query_task_id, FollowedTask(task), self._pace())
            self._moment = min(self._moment, closes)

    def note_status(
        self, task: FollowedTask, now: float, deadline: float | None, *, is_finished: bool
    ) -> None:
        """Record a task's status; `deadline` is when that becomes its outcome."""
        query_task_id = task.query_task_id
        self._in_poll.pop(query_task_id, None)
        round_trip = max(0.0, now - self._polled_times.get(query_task_id, -inf))
        self._round_trip = min(self._round_trip or inf, round_trip)
        if is_finished:
            polled_at = self._polled_times.pop(query_task_id, now)
            # A task that ended before its first poll may come from the cache, and predicts nothing.
            self._note_finished(task.task, polled_at, is_first=task.first_seen_at == now)
        if self._batch_limits.get(query_task_id) != 1:
            self._batch_limits.pop(query_task_id, None)
        if deadline is not None and not is_finished:
            self._earliest_deadline = min(self._earliest_deadline, deadline)

    def _note_finished(self, task: QueryTask, polled_at: float, *, is_first: bool) -> None:
        # The end of a task that an earlier run launched is not known.
        if not isinstance(task, LaunchedTask) or task.query_task_id not in self._launched:
            return
        self._launched.discard(task.query_task_id)
        seconds = polled_at - task.launched_at
        self._ended += 1
        self._run_seconds += seconds
        if task.expected and not is_first:
            expected = task.expected.seconds
            is_near = expected / _NEAR <= seconds <= expected * _NEAR
            self._trust += 1 if is_near else -1

    def note_end(self, poll: Poll, now: float, *, others_wait: bool) -> None:
        """Record a successful request; `others_wait` is whether queries wait for slots."""
        self._release(poll)
        for query_task_id in poll.query_task_ids:
            self._fails_since.pop(query_task_id, None)
        self._responded_at = now
        self._is_suspicious = False
        self._holds = 0
        self._others_wait = others_wait
        self._moment = None

    def note_failure(self, poll: Poll, now: float, *, was_repeated: bool) -> bool:
        """Record a failed request; return whether its only task is the cause.

        Args:
            poll: The request.
            now: Epoch seconds.
            was_repeated: Whether the request had all its tries already.
        """
        self._release(poll)
        ids = poll.query_task_ids
        # Until another request succeeds, poll one at a time: Looker may be the cause, not an id.
        self._is_suspicious = True
        limit = max(1, len(ids) // 2)
        self._batch_limits.update(dict.fromkeys(ids, limit))
        if len(ids) > 1:
            self._due.extendleft(reversed(ids))
            return False
        if self._responded_at > self._fails_since.setdefault(ids[0], now):
            self._is_suspicious = False
            return True
        self._due.append(ids[0])
        is_last_hope = was_repeated and len(self._tasks) == 1
        self._holds += self._settings.http_max_tries if is_last_hope else 1
        self._hold_until = now + min(2.0**self._holds, self._settings.poll_max_interval_seconds)
        return False

    def put_back(self, poll: Poll) -> None:
        """Queue the tasks of a request again that was not sent."""
        self._release(poll)

    @property
    def is_given_up(self) -> bool:
        """Return whether requests have failed for so long that Looker is the cause."""
        return self._holds >= self._settings.http_max_tries

    def without_status(self, poll: Poll) -> list[str]:
        """Return the tasks of a request that have no entry in its response."""
        return [id_ for id_ in poll.query_task_ids if self._in_poll.get(id_) is poll]

    def _is_probing(self) -> bool:
        return self._is_suspicious and self._probe is not None

    def _release(self, poll: Poll) -> None:
        for query_task_id in self.without_status(poll):
            del self._in_poll[query_task_id]
        if self._probe is poll:
            self._probe = None

    def _drop_gone(self) -> None:
        while self._due and (self._due[0] not in self._tasks or self._due[0] in self._in_poll):
            self._due.popleft()

    def _moment_of_round(self) -> float:
        if len(self._in_poll) >= len(self._tasks) or not self._repeats:
            return inf
        if self._moment is None:
            self._moment = self._compare_windows()
        return min(self._moment, self._earliest_deadline)

    def _compare_windows(self) -> float:
        """Return the last opening before the first closing."""
        pace = self._pace()
        windows = [
            self._window(id_, task, pace)
            for id_, task in self._tasks.items()
            if id_ not in self._in_poll
        ]
        first_closing = min((closes for _, closes in windows), default=inf)
        return max((opens for opens, _ in windows if opens <= first_closing), default=inf)

    def _begin_round(self, now: float) -> None:
        pace = self._pace()
        for query_task_id, task in self._tasks.items():
            opens, closes = self._window(query_task_id, task, pace)
            # A task that is being polled cannot be polled again when it ends.
            ends_soon = now < opens < min(closes, now + self._round_trip)
            if query_task_id not in self._in_poll and not ends_soon:
                self._due.append(query_task_id)
        self._polled_at = now
        self._moment = None
        self._earliest_deadline = inf

    def _pace(self) -> _Pace:
        settings = self._settings
        first, longest = settings.poll_interval_seconds, settings.poll_max_interval_seconds
        if settings.polling == "sparing":
            return _Pace(max(first, 5.0), _MAX_PAUSE_SECONDS, 0.4, 0.2, 0.1, 5.0, inf)
        if self._others_wait:
            # With short tasks, the first pause would leave slots unused.
            first *= 0.4 if self._ended else 1
            return _Pace(first, longest, 0.065, 0.065, 0.03, 0.0, inf)
        return _Pace(first, longest, 0.4, 0.1, 0.2, 0.0, 3.0)

    def _window(self, query_task_id: str, followed: FollowedTask, pace: _Pace) -> _Window:
        """Return when a task's window opens and closes, in epoch seconds."""
        task, expected, started_at = followed.task, None, followed.first_seen_at
        if isinstance(task, LaunchedTask):
            started_at = task.launched_at
            expected = task.expected if self._trust >= 0 else None
        polled_at = self._polled_times.get(query_task_id, started_at)
        if polled_at is None:
            return -inf, -inf
        started_at = polled_at if started_at is None else started_at
        age = polled_at - started_at
        requests = max(1, ceil(len(self._tasks) / self._settings.batch_size))
        share, typical = pace.first_share, age
        if self._ended:
            share, typical = pace.share, max(age, self._run_seconds / self._ended)
        pause = min(requests * max(pace.first, share * typical), pace.longest)
        # Tasks polled in different requests all wait for the pause after the last one.
        last_poll_at = max(polled_at, self._polled_at)
        if expected is None:
            return last_poll_at + pause, last_poll_at + pause
        spread = min(max(expected.spread, expected.seconds * _SPREAD_SHARE), pace.longest)
        ends_at = started_at + expected.seconds + spread - self._round_trip
        if polled_at >= ends_at:
            pause = min(pause, max(polled_at - ends_at, spread, pace.first))
            return last_poll_at + pause, last_poll_at + pause
        slack = min(max(pace.min_slack, pace.slack * expected.seconds), pace.max_slack)
        first_look = slack if pace.min_slack else _FIRST_LOOK * pace.first
        early = polled_at + min(max(first_look, _AGE_GROWTH * age), _MAX_PAUSE_SECONDS)
        return (early, early) if early < ends_at else (ends_at, ends_at + slack)

    def _take_batch(self) -> tuple[str, ...]:
        """Take as many ids as fit a request; those of a failed batch stay together."""
        limit = self._batch_limits.get(self._due[0])
        room = _MAX_BATCH_BYTES
        batch: list[str] = []
        for id_ in islice(self._due, limit or self._settings.batch_size):
            room -= len(id_) + _SEPARATOR_BYTES
            if (batch and room < 0) or self._batch_limits.get(id_) != limit:
                break
            batch.append(id_)
        for _ in batch:
            self._due.popleft()
        # Tasks that finished in the meantime are not polled.
        return tuple(id_ for id_ in batch if id_ in self._tasks and id_ not in self._in_poll)


class LaunchQueue:
    """Queries to launch, in their order; a query is prepared before a slot is free for it.

    When Looker is overloaded, all launches pause and the number of slots is halved; each task that
    finishes restores one.
    """

    def __init__(
        self, queries: Iterable[Launch], *, slots: int, max_pause: float, patience: int
    ) -> None:
        """Queue the queries.

        Args:
            queries: Queries in launch order.
            slots: Maximum number of tasks in flight.
            max_pause: Seconds to pause after Looker rejected a launch for load without naming a
                delay.
            patience: Maximum number of such rejections in a row while nothing is in flight.
        """
        self._queued = deque(queries)
        self._slots = self._capacity = slots
        self._max_pause = max_pause
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
        pause = self._max_pause if retry_after is None else retry_after
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
