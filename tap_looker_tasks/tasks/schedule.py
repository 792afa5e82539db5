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

- *Unknown*: a task is polled again once its age has grown by 40%, and as soon as a task of the run
  has ended, by 10% of its age or of their mean run time, the longer of both. The window is that
  moment.
- *Known*: with a run time that earlier runs measured, the window opens when the task has
  probably ended and closes `slack` later. Before that, it is polled after pauses of 1 s and 40% of
  its age, or up to twice as long if that saves a request, because its result may come from the
  cache, or its warehouse may be faster today.
- *Late*: a known task that has not ended by then is polled after pauses equal to its lateness,
  which thus double, and at last like an unknown one.
- Once more tasks of a run ended far from their expected time than near it, all are unknown. A task
  that had ended by its first poll does not count, because its result may come from the cache.

The shares and windows depend on what waits. While queries wait for a slot, a free slot that has not
been noticed yet is lost time, so the share is 7%. When none waits, calls matter, and with
`polling: sparing` they always do. The more requests it takes to poll all tasks, the longer is the
pause.

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
from statistics import fmean
from typing import NamedTuple

from tap_looker_tasks.config import Settings
from tap_looker_tasks.tasks.query_task import FollowedTask, Launch, LaunchedTask, Poll, Prepare

_Window = tuple[float, float]

# Looker keeps a result for 300 s, and forgets tasks that are not polled.
_MAX_PAUSE_SECONDS = 120.0
# Growth of an unknown task's age until the next poll, before a task of the run has ended and while
# no query waits for a slot.
_FIRST_SHARE = 0.4
# After that, the share of the first pause that is the shortest one: with short tasks, slots would
# stay unused.
_SHORTEST_SHARE = 0.4
# Before a known task should end: its first pause in poll intervals, and the time until a window
# closes as a multiple of that until it opens.
_FIRST_LOOK = 4
_EARLY_CLOSING = 2
# A task that took this many times as long, or as short, contradicts what earlier runs measured.
_NEAR = 2
# Run times vary a little even where earlier runs did not show it.
_SPREAD_SHARE = 0.01
# Moments in epoch seconds are rounded.
_ROUNDING_SECONDS = 0.001
# Looker accepts about 10,240 bytes of query string; a comma may be sent as `%2C`.
_MAX_BATCH_BYTES = 10_000
_SEPARATOR_BYTES = 3


class _Pace(NamedTuple):
    """Lengths of pauses and windows.

    Attributes:
        first: Shortest pause, in seconds.
        longest: Longest pause between two polls of an unknown task, in seconds.
        share: That pause as a share of its age.
        slack: From the opening of a known task's window to its closing, as a share of its time.
        min_slack: Shortest window, in seconds.
        max_slack: Longest window, in seconds.
    """

    first: float
    longest: float
    share: float
    slack: float
    min_slack: float = 0.0
    max_slack: float = inf


class PollSchedule:
    """Chooses the next request that polls tasks."""

    def __init__(self, settings: Settings, tasks: Mapping[str, FollowedTask]) -> None:
        """Follow `tasks`, a mapping by id that changes with the run."""
        self._settings = settings
        self._tasks = tasks
        self._due: deque[str] = deque()
        self._in_poll: dict[str, Poll] = {}
        self._polled_times: dict[str, float] = {}
        # Moment and tasks of the next polls; None until the windows are compared again.
        self._next_round: tuple[float, list[str]] | None = None
        self._others_wait = False
        # A poll may be sent that long before a task ends.
        self._round_trip = 0.0
        # Tasks launched in this run, until they end.
        self._launched: set[str] = set()
        # Of those: their run times, and whether the expected times were right.
        self._run_times: list[float] = []
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
        if now < self.next_moment(now):
            return None
        if not self._due:
            self._due.extend(self._compare_windows()[1])
            self._next_round = None
            # Tasks may have been given up since their windows were compared.
            self._drop_gone()
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
        if self._is_suspicious and self._probe is not None:
            return inf
        if now < self._hold_until:
            return self._hold_until
        self._drop_gone()
        return now if self._due else self._compare_windows()[0]

    def note_launch(self, task: LaunchedTask, *, others_wait: bool) -> None:
        """Add a launched task; `others_wait` is whether queries wait for slots."""
        self._others_wait = others_wait
        self._launched.add(task.query_task_id)
        if self._settings.wait_for_completion:
            # It had not ended then.
            self._polled_times[task.query_task_id] = task.launched_at
        self._next_round = None

    def note_status(self, seen: FollowedTask, now: float, *, is_finished: bool) -> None:
        """Record a task's status."""
        query_task_id = seen.query_task_id
        self._in_poll.pop(query_task_id, None)
        polled_at = self._polled_times.get(query_task_id, now)
        self._round_trip = min(self._round_trip or inf, max(0.0, now - polled_at))
        if is_finished:
            self._polled_times.pop(query_task_id, None)
            self._note_finished(seen, polled_at, is_first=seen.first_seen_at == now)
        if self._batch_limits.get(query_task_id) != 1:
            self._batch_limits.pop(query_task_id, None)

    def _note_finished(self, seen: FollowedTask, polled_at: float, *, is_first: bool) -> None:
        # The end of a task that an earlier run launched is not known.
        if not isinstance(seen.task, LaunchedTask) or seen.query_task_id not in self._launched:
            return
        self._launched.discard(seen.query_task_id)
        seconds = polled_at - seen.task.launched_at
        self._run_times.append(seconds)
        # A task that ended before its first poll may come from the cache, and predicts nothing.
        if seen.task.expected and not is_first:
            expected = seen.task.expected.seconds
            self._trust += 1 if expected / _NEAR <= seconds <= expected * _NEAR else -1

    def note_end(self, poll: Poll, now: float, *, others_wait: bool) -> None:
        """Record a successful request; `others_wait` is whether queries wait for slots."""
        if poll is self._probe:
            # Requests sent before the failure say nothing about its ids.
            self._is_suspicious = False
        self.put_back(poll)
        for query_task_id in poll.query_task_ids:
            self._fails_since.pop(query_task_id, None)
        self._responded_at = now
        self._holds = 0
        self._others_wait = others_wait

    def note_failure(self, poll: Poll, now: float, *, was_repeated: bool) -> bool:
        """Record a failed request; return whether its only task is the cause.

        Args:
            poll: The request.
            now: Epoch seconds.
            was_repeated: Whether the request had all its tries already.
        """
        self.put_back(poll)
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
        """Record that the tasks of a request without a status are no longer polled."""
        for query_task_id in self.without_status(poll):
            del self._in_poll[query_task_id]
        # They have windows again.
        self._next_round = None
        if self._probe is poll:
            self._probe = None

    @property
    def is_given_up(self) -> bool:
        """Return whether requests have failed for so long that Looker is the cause."""
        return self._holds >= self._settings.http_max_tries

    def without_status(self, poll: Poll) -> list[str]:
        """Return the tasks of a request that have no entry in its response."""
        return [id_ for id_ in poll.query_task_ids if self._in_poll.get(id_) is poll]

    def _drop_gone(self) -> None:
        while self._due and (self._due[0] not in self._tasks or self._due[0] in self._in_poll):
            self._due.popleft()

    def _compare_windows(self) -> tuple[float, list[str]]:
        """Return the last opening before the first closing, and the tasks to poll then."""
        if self._next_round:
            return self._next_round
        pace = self._pace()
        windows = {
            id_: self._window(task, pace)
            for id_, task in self._tasks.items()
            if id_ not in self._in_poll
        }
        first_closing = min((closes for _, closes in windows.values()), default=inf)
        moment = max((o for o, _ in windows.values() if o <= first_closing), default=inf)
        # A task that is being polled cannot be polled again when it ends.
        soon = moment + self._round_trip
        ids = [id_ for id_, (o, closes) in windows.items() if not moment < o < min(closes, soon)]
        self._next_round = moment, ids
        return self._next_round

    def _pace(self) -> _Pace:
        first = self._settings.poll_interval_seconds
        is_typical_known = bool(self._run_times)
        if self._settings.polling == "sparing":
            share = 0.2 if is_typical_known else _FIRST_SHARE
            return _Pace(max(first, 5.0), _MAX_PAUSE_SECONDS, share, 0.1, min_slack=5.0)
        longest = self._settings.poll_max_interval_seconds
        first *= _SHORTEST_SHARE if is_typical_known else 1
        if self._others_wait:
            return _Pace(first, longest, 0.07, 0.03)
        share = 0.1 if is_typical_known else _FIRST_SHARE
        return _Pace(first, longest, share, 0.3, max_slack=5.0)

    def _window(self, followed: FollowedTask, pace: _Pace) -> _Window:
        """Return when a task's window opens and closes, in epoch seconds."""
        task, started_at, expected = followed.task, followed.first_seen_at, None
        if isinstance(task, LaunchedTask):
            started_at = task.launched_at
            expected = task.expected if self._trust >= 0 else None
        polled_at = self._polled_times.get(task.query_task_id)
        if polled_at is None:
            return -inf, -inf
        if not self._settings.wait_for_completion:
            return inf, inf
        age = polled_at - (polled_at if started_at is None else started_at)
        again = min(polled_at + self._pause(age, pace), followed.deadline(self._settings))
        if expected is None:
            return again, again
        spread = min(max(expected.spread, expected.seconds * _SPREAD_SHARE), pace.longest)
        ends_after = expected.seconds + spread - self._round_trip
        if age >= ends_after - _ROUNDING_SECONDS:
            late = min(again, polled_at + max(age - ends_after, spread, pace.first))
            return late, late
        slack = min(max(pace.min_slack, pace.slack * expected.seconds), pace.max_slack)
        ends_in = min(ends_after - age, _MAX_PAUSE_SECONDS)
        first = slack if pace.min_slack else _FIRST_LOOK * self._settings.poll_interval_seconds
        look_in = first + _FIRST_SHARE * age
        if _EARLY_CLOSING * look_in < ends_in:
            return polled_at + look_in, polled_at + _EARLY_CLOSING * look_in
        return polled_at + ends_in, polled_at + ends_in + slack

    def _pause(self, age: float, pace: _Pace) -> float:
        """Return the pause before the next poll of an unknown task of an age."""
        requests = max(1, ceil(len(self._tasks) / self._settings.batch_size))
        typical = max(age, fmean(self._run_times or [0.0]))
        return min(requests * max(pace.first, pace.share * typical), pace.longest)

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
        self, settings: Settings, queries: Iterable[Launch], abandoned: Iterable[LaunchedTask]
    ) -> None:
        """Queue the queries in their order; one with an abandoned task waits until that ends."""
        self._settings = settings
        self._queued = deque(queries)
        self._capacity = settings.max_concurrent_tasks
        self._held = {task.query_task_id: task.query_name for task in abandoned}
        self._prepared: set[str] = set()
        self._preparing: set[str] = set()
        self._resume_at = -inf
        self._postponements = 0

    def __bool__(self) -> bool:
        """Return whether a query waits for its launch."""
        return bool(self._queued)

    def take_launch(self, now: float, in_flight: int) -> Launch | None:
        """Return the next launch for which a slot is free, and take its query from the queue."""
        query = self._next_launch(now, in_flight)
        if query is not None:
            self._queued.remove(query)
        return query

    def take_preparation(self, now: float) -> Prepare | None:
        """Return the next preparation, as far ahead as there are slots."""
        query = self._next_unprepared(now)
        if query is None:
            return None
        self._preparing.add(query.query_name)
        return Prepare(query.query_name)

    def note_prepared(self, query_name: str) -> None:
        """Record that the query is prepared and needs only a slot."""
        self._preparing.discard(query_name)
        self._prepared.add(query_name)

    def note_created(self) -> None:
        """Record that Looker accepts launches."""
        self._postponements = 0

    def note_finished(self) -> None:
        """Record that a task launched here is over."""
        self._capacity = min(self._settings.max_concurrent_tasks, self._capacity + 1)

    def give_up(self, query_name: str) -> None:
        """Remove a query that cannot be run."""
        self._preparing.discard(query_name)
        self._queued = deque(q for q in self._queued if q.query_name != query_name)

    def release(self, query_task_id: str) -> bool:
        """Stop holding the query of a task; return whether it is queued and was held."""
        name = self._held.pop(query_task_id, None)
        return any(query.query_name == name for query in self._queued)

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
        """Use fewer slots for a while; return whether another attempt makes sense.

        With 9 tasks in flight, a rejection halves the slots to 5 ((9 + 1) // 2).

        Args:
            request: Rejected request, which is queued again.
            now: Epoch seconds.
            retry_after: Seconds that Looker requested to wait; None for the longest pause.
            in_flight: Number of launched, unfinished tasks.
        """
        self.put_back(request)
        # Concurrent requests are rejected together: that counts as one rejection.
        if now >= self._resume_at:
            self._capacity = max(1, min(self._capacity, in_flight + 1) // 2)
            self._postponements += 1
        longest = self._settings.poll_max_interval_seconds
        pause = longest if retry_after is None else retry_after
        self._resume_at = max(self._resume_at, now + pause)
        return in_flight > 0 or self._postponements < self._settings.http_max_tries

    def next_moment(self, now: float, in_flight: int) -> float:
        """Return when a request can be taken, in epoch seconds; `inf` if that is not yet known."""
        if now < self._resume_at:
            return self._resume_at if self._queued else inf
        can_take = self._next_launch(now, in_flight) or self._next_unprepared(now)
        return now if can_take else inf

    def _next_launch(self, now: float, in_flight: int) -> Launch | None:
        if in_flight >= self._capacity:
            return None
        for query in self._next(now):
            if query.query_name in self._prepared and query.query_name not in self._held.values():
                return query
        return None

    def _next_unprepared(self, now: float) -> Launch | None:
        for query in self._next(now):
            if query.query_name not in self._prepared and query.query_name not in self._preparing:
                return query
        return None

    def _next(self, now: float) -> Iterator[Launch]:
        most = 0 if now < self._resume_at else 2 * self._settings.max_concurrent_tasks
        return islice(self._queued, most)
