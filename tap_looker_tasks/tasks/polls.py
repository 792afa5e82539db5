"""When to ask for which tasks, in which requests.

Polling goes in rounds. A round asks for every task that no request asks for at the moment, in
batches, several of them at the same time; a request that hangs holds up no other. The pause
from one round to the next grows while nothing finishes; the more of the tasks finished in a
round, the sooner comes the next. While queries wait for a slot, and before the last ones end,
the pause is in proportion to how long tasks run: ends that nobody knows of are time lost.

When a request fails, its tasks are asked for again in halves, one request at a time, until one
is answered. That finds the id that Looker stumbles over, and tells it from a Looker that answers
nothing any more: an id is to blame when others were answered after it had failed alone, and as
long as none is, all wait.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

from tap_looker_tasks.tasks.actions import Poll

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_looker_tasks.config import Settings
    from tap_looker_tasks.tasks.query_task import FollowedTask

_PAUSE_GROWTH = 1.5
# Of the time that tasks run: a pause while others wait for their slots, and before the last ends.
_SHARE_FOR_SLOTS = 0.05
_SHARE_BEFORE_LAST = 0.1
# Of the first pause: the shortest, where tasks are so short that it would leave slots unused.
_SHARE_OF_FIRST = 0.4
# Looker takes about 10,240 bytes of query string; a comma may be sent as `%2C`.
_MAX_BATCH_BYTES = 10_000
_SEPARATOR_BYTES = 3


class PollSchedule:
    """Chooses the next request for the statuses of tasks."""

    def __init__(self, settings: Settings, tasks: Mapping[str, FollowedTask]) -> None:
        """Follow tasks that come and go, by their ids."""
        self._settings = settings
        self._tasks = tasks
        self._repeats = settings.wait_for_completion
        # One look at each task needs no rounds.
        self._due: deque[str] = deque(() if self._repeats else tasks)
        self._asking: dict[str, Poll] = {}
        self._pause = settings.poll_interval_seconds
        self._round_began_at = -inf
        self._next_round_at = -inf if tasks else inf
        self._asked = self._finished = 0
        self._run_times = _RunTimes()
        self._earliest_deadline = inf
        self._others_wait = False
        # Failures: how small the batches of an id must be, and since when it fails alone.
        self._batch_limits: dict[str, int] = {}
        self._fails_since: dict[str, float] = {}
        self._answered_at = -inf
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
        self._asking.update(dict.fromkeys(batch, poll))
        if self._is_suspicious:
            self._probe = poll
        return poll

    def next_moment(self, now: float) -> float:
        """Return when a request will be due, in epoch seconds; `inf` for not yet known."""
        if self._is_probing() or len(self._asking) >= len(self._tasks):
            return inf
        if now < self._hold_until:
            return self._hold_until
        return now if self._due else self._moment_of_round()

    def note_launch(self, query_task_id: str, now: float) -> None:
        """Note a task that will be among the others, and is asked for soon."""
        if not self._repeats:
            self._due.append(query_task_id)
        self._run_times.note_launch(query_task_id, now)
        self._pause = self._first_pause()
        soon = now + self._pause
        self._next_round_at = min(self._next_round_at, soon) if self._tasks else soon

    def note_answer(
        self, query_task_id: str, now: float, deadline: float | None, *, is_finished: bool
    ) -> None:
        """Note what Looker said of a task; `deadline` is when that becomes its outcome."""
        self._asking.pop(query_task_id, None)
        self._asked += 1
        if is_finished:
            self._finished += 1
            self._run_times.note_end(query_task_id, now)
        if self._batch_limits.get(query_task_id) != 1:
            self._batch_limits.pop(query_task_id, None)
        if deadline is not None and not is_finished:
            self._earliest_deadline = min(self._earliest_deadline, deadline)

    def note_end(self, poll: Poll, now: float, *, others_wait: bool) -> None:
        """Note that a request was answered, all tasks in it; `others_wait` for their slots."""
        self._release(poll)
        for query_task_id in poll.query_task_ids:
            self._fails_since.pop(query_task_id, None)
        self._answered_at = now
        self._is_suspicious = False
        self._holds = 0
        self._others_wait = others_wait
        if not self._asking and not self._due:
            self._end_round(now)

    def note_failure(self, poll: Poll, now: float, *, was_repeated: bool) -> bool:
        """Note that a request failed; return whether its only task is to blame.

        Args:
            poll: the request.
            now: epoch seconds.
            was_repeated: whether it had all its tries already.
        """
        self._release(poll)
        ids = poll.query_task_ids
        # Until another is answered, one at a time: it may be Looker, not an id.
        self._is_suspicious = True
        limit = max(1, len(ids) // 2)
        self._batch_limits.update(dict.fromkeys(ids, limit))
        if len(ids) > 1:
            self._due.extendleft(reversed(ids))
            return False
        if self._answered_at > self._fails_since.setdefault(ids[0], now):
            self._is_suspicious = False
            return True
        self._due.append(ids[0])
        is_last_hope = was_repeated and len(self._tasks) == 1
        self._holds += self._settings.http_max_tries if is_last_hope else 1
        self._hold_until = now + min(2.0**self._holds, self._settings.poll_max_interval_seconds)
        return False

    def put_back(self, poll: Poll) -> None:
        """Take back a request that was not made."""
        self._release(poll)

    @property
    def is_given_up(self) -> bool:
        """Whether nothing was answered for so long that it is Looker which fails."""
        return self._holds >= self._settings.http_max_tries

    def unanswered(self, poll: Poll) -> list[str]:
        """Return the tasks of a request that it brought no answer for."""
        return [id_ for id_ in poll.query_task_ids if self._asking.get(id_) is poll]

    def _is_probing(self) -> bool:
        return self._is_suspicious and self._probe is not None

    def _release(self, poll: Poll) -> None:
        for query_task_id in self.unanswered(poll):
            del self._asking[query_task_id]
        if self._probe is poll:
            self._probe = None

    def _drop_gone(self) -> None:
        while self._due and (self._due[0] not in self._tasks or self._due[0] in self._asking):
            self._due.popleft()

    def _moment_of_round(self) -> float:
        if len(self._asking) >= len(self._tasks) or not self._repeats:
            return inf
        return min(self._next_round_at, self._earliest_deadline)

    def _begin_round(self, now: float) -> None:
        if self._asked:
            # A request of the last round hangs.
            self._end_round(now)
        self._due.extend(id_ for id_ in self._tasks if id_ not in self._asking)
        self._round_began_at = now
        self._next_round_at = now + self._pause
        self._earliest_deadline = inf

    def _take_batch(self) -> tuple[str, ...]:
        """Take as many ids as fit a request; those of a failed batch keep among themselves."""
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
        # Those that finished meanwhile need not be asked for.
        return tuple(id_ for id_ in batch if id_ in self._tasks and id_ not in self._asking)

    def _end_round(self, now: float) -> None:
        pause = self._pause_for_slots(now) if self._others_wait else self._grown_pause(now)
        self._pause = min(self._settings.poll_max_interval_seconds, pause)
        self._next_round_at = self._round_began_at + self._pause
        self._asked = self._finished = 0

    def _first_pause(self) -> float:
        """Return the pause after a launch, and the shortest of all."""
        first = self._settings.poll_interval_seconds
        if not self._run_times:
            return first
        return min(first, max(first * _SHARE_OF_FIRST, self._run_times.mean * _SHARE_FOR_SLOTS))

    def _grown_pause(self, now: float) -> float:
        # A round of many requests in which few tasks finish is not worth repeating so soon.
        unfinished_share = 1 - self._finished / self._asked if self._asked else 1.0
        pause = self._pause * _PAUSE_GROWTH * unfinished_share**2
        if self._run_times.of_youngest(now) < self._run_times.mean:
            # The last ones will end soon.
            pause = min(pause, self._run_times.mean * _SHARE_BEFORE_LAST)
        return max(self._first_pause(), pause)

    def _pause_for_slots(self, now: float) -> float:
        # Once all have been running for longer than others did, they will go on for a while.
        typical = max(self._run_times.mean, self._run_times.of_youngest(now))
        return max(self._first_pause(), typical * _SHARE_FOR_SLOTS)


class _RunTimes:
    """How long the tasks launched here run, in seconds."""

    def __init__(self) -> None:
        self._launched_at: dict[str, float] = {}
        self._last_launch_at = -inf
        self._ended = 0
        self._sum = 0.0

    def __bool__(self) -> bool:
        return self._ended > 0

    def note_launch(self, query_task_id: str, now: float) -> None:
        self._launched_at[query_task_id] = self._last_launch_at = now

    def note_end(self, query_task_id: str, now: float) -> None:
        launched_at = self._launched_at.pop(query_task_id, None)
        if launched_at is not None:
            self._ended += 1
            self._sum += now - launched_at

    @property
    def mean(self) -> float:
        """That of the tasks that have ended."""
        return self._sum / self._ended if self._ended else 0.0

    def of_youngest(self, now: float) -> float:
        """How long the task launched last has been running, if it still does."""
        return now - self._last_launch_at
