"""The collector: follows, launches and fetches tasks while results are delivered.

Three kinds of threads share the work:

- The coordinator requests the next action from the board, passes requests to workers, and reports
  their results to the board. No other thread uses the board while it runs.
- Workers, at most one for each request in progress, send requests and report.
- The thread that delivers takes events, and never waits for Looker.

Reports and events pass through two queues; the threads share nothing else.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import assert_never

from tap_looker_tasks.errors import ApiCallLimitError, RetriableRequestError, StillRunningError
from tap_looker_tasks.launching import Launcher
from tap_looker_tasks.looker import Clock
from tap_looker_tasks.results import MalformedResponseError, TaskEntry
from tap_looker_tasks.store import ResultStore
from tap_looker_tasks.tasks import (
    END_TIMES,
    PHASES,
    Action,
    Cancel,
    Collected,
    Done,
    EndTimes,
    Event,
    Fetch,
    Launch,
    Launched,
    LaunchFailed,
    Outcome,
    Phase,
    Poll,
    Prepare,
    ProgressEvent,
    Report,
    Request,
    RequestFailed,
    RequestFinished,
    StatusReceived,
    TaskBoard,
    TaskCreated,
    Wait,
    phase_of,
)
from tap_looker_tasks.threads import Inbox, Workers, daemon, starting

# Bytes on disk that wait for the target before launching pauses.
MAX_SPOOL_BYTES = 4 * 1024**3
_IDLE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing has happened for a moment."""


@dataclass(frozen=True, slots=True)
class _Named:
    """STATE names one more launch."""


@dataclass(frozen=True, slots=True)
class _End:
    """No event follows; `error` is why, if collecting failed."""

    error: BaseException | None = None


class Collector:
    """Follows and launches the tasks of a board, while its events are being delivered."""

    def __init__(  # noqa: PLR0913 - where decisions, requests and deliveries meet
        self,
        board: TaskBoard,
        requests: RequestRunner,
        results: ResultStore,
        *,
        clock: Clock,
        logger: logging.Logger,
        deliver_until: float = inf,
        end_times: EndTimes = END_TIMES,
    ) -> None:
        """Connect the parts; nothing starts before `start`.

        Args:
            board: Decides the next request.
            requests: Performs requests, and aborts them at the end.
            results: Store of results until delivery.
            clock: Clock of the run.
            logger: Logger for warnings to users.
            deliver_until: Epoch seconds after which no other result is yielded.
            end_times: Seconds that the end may take.
        """
        self._end_times = end_times
        self._deliver_until = deliver_until
        self._board = board
        self._requests = requests
        self._results = results
        self._clock = clock
        self._logger = logger
        self._reports = Inbox(clock)
        self._events = Inbox(clock)
        self._outcomes: deque[Outcome | _End] = deque()
        self._workers = Workers(requests.perform, self._reports, clock)
        self._coordinator = daemon(self._coordinate, "coordinator")
        self._must_end = False
        # Whether all events of tasks left to the next run were reported.
        self._is_left = False
        # Whether launching pauses, because too many results wait for the target.
        self._is_full = False
        self._unknown_statuses: set[str] = set()

    def start(self) -> None:
        """Start collecting.

        Raises:
            NoThreadError: If the system starts no thread.
        """
        with starting():
            self._coordinator.start()

    def close(self) -> None:
        """End all requests and threads; a thread that hangs in the operating system is left."""
        self._end_coordinator()
        self._workers.end()
        self._requests.abort()
        self._workers.join(self._threads_end_at)
        self._results.close()

    # On the thread that delivers.

    def events(self) -> Iterator[Event | Idle]:
        """Yield events; outcomes in the order of completion, after all other events.

        Raises:
            TapError: If no further request can succeed, or results cannot be stored.
        """
        while True:
            yield from self.news()
            if not self._outcomes:
                if not self._events.wait(_IDLE_SECONDS):
                    yield Idle()
                continue
            match self._outcomes.popleft():
                case _End(error):
                    if error:
                        raise error
                    return
                case outcome if self._is_too_late_for(outcome):
                    self._leave(outcome)
                case outcome:
                    yield outcome
                    if outcome.stored:
                        outcome.stored.discard()
                    if self._is_full:
                        # There may be room again.
                        self._reports.wake()

    def _is_too_late_for(self, outcome: Outcome) -> bool:
        return outcome.finished_at is not None and self._clock.now() >= self._deliver_until

    def _leave(self, outcome: Outcome) -> None:
        """Leave a collected result to the next run, which fetches it again."""
        if outcome.stored:
            outcome.stored.discard()
        self._logger.warning(
            "query task %s: not collected, because the time of this run is over; the next run "
            "collects its result",
            outcome.task.query_task_id,
        )

    def news(self) -> Iterator[ProgressEvent]:
        """Yield events other than outcomes, without waiting."""
        for event in self._events.each():
            if isinstance(event, Outcome | _End):
                self._outcomes.append(event)
            else:
                yield event
                if isinstance(event, Launched):
                    # STATE was written in the meantime, so more may be launched.
                    self._reports.put(_Named())

    def end(self, *, cancels: bool) -> Iterator[Event]:
        """Start nothing more; yield what was launched until then, and what becomes of it.

        Launches in progress are waited for, because only this run knows the tasks they create.

        Args:
            cancels: Whether to cancel tasks that this tap launched and has not collected.
        """
        if not self._end_coordinator():
            # The coordinator still uses the board.
            return
        yield from self.news()
        if cancels or not self._is_left:
            yield from self._end_requests(cancels=cancels)
        self._requests.abort()
        if not self._is_left:
            yield from self._board.leave()

    def _end_requests(self, *, cancels: bool) -> Iterator[Event]:
        if not self._board.is_awaiting():
            # Requests for results that are no longer delivered would only slow down the others.
            self._requests.abort()
        end_at = self._clock.now() + self._end_times.requests
        while True:
            for report in self._reports.take_all():
                yield from self._note_last(report)
            seconds = end_at - self._clock.now()
            max_seconds = min(seconds, self._end_times.cancellations)
            for cancel in self._board.take_cancellations(max_seconds, of_all=cancels):
                self._workers.begin(cancel)
            if seconds <= 0 or not self._board.is_awaiting():
                return
            self._reports.wait(seconds)

    def _note_last(self, report: Report | _Named) -> list[Event]:
        match report:
            case TaskCreated() | RequestFinished(Cancel()) | RequestFailed(Cancel(), _):
                return self._board.note(report, self._clock.now())
            case RequestFailed(Launch(query_name) as request, error):
                self._board.drop(request)
                return [LaunchFailed(query_name, str(error))]
            case StatusReceived(stored=stored) if stored:
                stored.discard()
        return []

    def _end_coordinator(self) -> bool:
        """End the coordinator's thread; return whether it has ended."""
        self._must_end = True
        self._reports.wake()
        if self._coordinator.ident is not None:
            self._coordinator.join(max(0.0, self._threads_end_at - self._clock.now()))
        return not self._coordinator.is_alive()

    @cached_property
    def _threads_end_at(self) -> float:
        """When no thread is waited for any longer, counted from the first use."""
        return self._clock.now() + self._end_times.threads

    # On the coordinator's thread.

    def _coordinate(self) -> None:
        try:
            self._follow_board()
        except BaseException as error:  # noqa: BLE001 - raised on the thread that delivers
            self._events.put(_End(error))
        else:
            self._events.put(_End())

    def _follow_board(self) -> None:
        while not isinstance(action := self._next_action(), Done):
            if isinstance(action, Wait):
                self._reports.wait(action.seconds)
            else:
                self._workers.begin(action)
            for report in self._reports.take_all():
                self._note(report)
        if not self._must_end:
            self._is_left = True
            self._events.put(*self._board.leave())

    def _next_action(self) -> Action:
        if self._must_end:
            return Done()
        self._is_full = self._results.bytes_on_disk > MAX_SPOOL_BYTES
        self._board.hold_launching(is_held=self._is_full)
        return self._board.next_action(self._clock.now())

    def _note(self, report: Report | _Named) -> None:
        """Pass a report to the board, and the resulting events to the thread that delivers."""
        if isinstance(report, _Named):
            self._board.note_named(1)
            return
        if isinstance(report, StatusReceived):
            self._warn_of_status(report)
        else:
            self._workers.note_end()
        if isinstance(report, RequestFailed):
            self._warn_of_failure(report)
        events = self._board.note(report, self._clock.now())
        for event in events:
            self._events.put(*_collected(event), event)
        stored = report.stored if isinstance(report, StatusReceived) else None
        if stored and not any(isinstance(e, Outcome) and e.stored is stored for e in events):
            stored.discard()

    def _warn_of_status(self, report: StatusReceived) -> None:
        status = report.status
        if status is None:
            self._logger.warning("query task %s: %s", report.query_task_id, report.problem)
        elif status not in PHASES and status not in self._unknown_statuses:
            self._unknown_statuses.add(status)
            self._logger.warning(
                "query task %s: unknown status %r; such tasks are treated as unfinished. Upgrade "
                "the tap if the status is new in Looker",
                report.query_task_id,
                status,
            )

    def _warn_of_failure(self, report: RequestFailed) -> None:
        error = report.error
        match report.request:
            case _ if isinstance(error, ApiCallLimitError):
                self._logger.warning("%s; the rest is left to the next run", error)
            case Poll():
                self._logger.warning("%s; polling its tasks in smaller requests", error)
            case Launch() if isinstance(error, RetriableRequestError) and error.safe_to_retry:
                self._logger.warning("%s; launching fewer queries for a while", error)


def _collected(event: Event) -> Iterator[Collected]:
    """Yield the event of a collected outcome, ahead of its turn to be delivered."""
    if isinstance(event, Outcome) and event.finished_at is not None:
        stored = event.stored
        size, seconds = (stored.size_bytes, stored.transfer_seconds) if stored else (0, 0.0)
        yield Collected(event.task.query_task_id, event.status, size, seconds, event.finished_at)


# Requests of the board, performed and reported.


class RequestRunner:
    """Performs requests; safe for concurrent use by threads."""

    def __init__(self, launcher: Launcher, results: ResultStore) -> None:
        """Send requests with the launcher's client, and store results until delivery."""
        self._launcher = launcher
        self._client = launcher.client
        self._clock = launcher.clock
        self._results = results

    def abort(self) -> None:
        """End all requests in progress."""
        self._client.abort()

    def perform(self, request: Request) -> Iterator[Report]:
        """Perform a request; yield each report as soon as it arrives, the end last."""
        try:
            yield from self._perform(request)
        except Exception as error:  # noqa: BLE001 - the board decides whether the run continues
            yield RequestFailed(request, error)

    def _perform(self, request: Request) -> Iterator[Report]:
        match request:
            case Launch():
                yield TaskCreated(request, self._launcher.launch(request))
                return
            case Prepare(query_name):
                self._launcher.prepare(query_name)
            case Poll():
                yield from self._poll(request)
            case Fetch(query_task_id):
                started_at = self._clock.now()
                entry = self._client.query_task_results(
                    query_task_id, new_rows=self._results.new_rows
                )
                yield self._report(request, query_task_id, entry, started_at)
            case Cancel(task, max_seconds):
                end_at = self._clock.now() + max_seconds
                if not self._client.kill_query(task.query_task_id, max_seconds=max_seconds):
                    self._check_ended(task.query_task_id, end_at - self._clock.now())
            case _:
                assert_never(request)
        yield RequestFinished(request)

    def _check_ended(self, query_task_id: str, max_seconds: float) -> None:
        """Check that a task has ended that Looker does not find to cancel.

        Raises:
            StillRunningError: If it still runs.
        """
        for report in self._poll(Poll((query_task_id,), is_probe=True), max_seconds):
            if report.stored:
                report.stored.discard()
            if report.status and phase_of(report.status) is Phase.UNFINISHED:
                msg = (
                    "it still runs, because Looker does not allow this user to stop it (HTTP "
                    "404); check the permissions of the API user"
                )
                raise StillRunningError(msg)

    def _poll(self, request: Poll, max_seconds: float = inf) -> Iterator[StatusReceived]:
        started_at = self._clock.now()
        entries = self._client.query_task_multi_results(
            request.query_task_ids,
            new_rows=self._results.new_rows,
            max_tries=1 if request.is_probe else None,
            max_seconds=max_seconds,
        )
        for query_task_id, entry in entries:
            if isinstance(entry, MalformedResponseError):
                problem = f"Looker's response cannot be read: {entry}"
                yield StatusReceived(request, query_task_id, None, problem=problem)
            else:
                yield self._report(request, query_task_id, entry, started_at)
            # The next entry starts to arrive only now.
            started_at = self._clock.now()

    def _report(
        self, request: Poll | Fetch, query_task_id: str, entry: TaskEntry, started_at: float
    ) -> StatusReceived:
        has_result = entry.data is not None and phase_of(entry.status) is not Phase.UNFINISHED
        if not has_result and entry.rows is not None:
            entry.rows.clear()
        seconds = max(0.0, self._clock.now() - started_at)
        held = self._results.hold(entry, seconds) if has_result else None
        return StatusReceived(request, query_task_id, entry.status, held)
