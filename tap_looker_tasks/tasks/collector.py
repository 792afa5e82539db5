"""The only loop: asks the board what to do next and does it with client, clock and sleep."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from typing_extensions import assert_never

from tap_looker_tasks.errors import (
    ApiCallLimitError,
    RefusedRequestError,
    RequestError,
    RetriableRequestError,
)
from tap_looker_tasks.looker.answer_store import AnswerStore
from tap_looker_tasks.looker.json_text import MalformedAnswer
from tap_looker_tasks.settings import MAX_BATCH_SIZE
from tap_looker_tasks.tasks.board import (
    PHASES,
    Cancel,
    Done,
    Launch,
    Poll,
    QueuedQuery,
    Running,
    Wait,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator

    from tap_looker_tasks.looker.client import LookerClient
    from tap_looker_tasks.looker.multi_results import TaskAnswer
    from tap_looker_tasks.tasks.board import Action, TaskBoard
    from tap_looker_tasks.tasks.launcher import Launcher

BATCH_REJECTED_STATUSES = frozenset({400, 404, 414, 422})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of a task when it is delivered.

    Attributes:
        task: the task as it was last seen.
        status: its final status, or the last one seen when the run ends before the task.
        finished_at: epoch seconds; None when it is unfinished.
        answer: what Looker said, when that is more than a status.
        problem: what is wrong with what Looker said, when that could not be understood.
    """

    task: Running
    status: str
    finished_at: float | None
    answer: TaskAnswer | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Launched:
    """A task that was created just now.

    Attributes:
        task: it.
    """

    task: Running


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A task launched by the tap that does not run any more.

    Attributes:
        task: it.
    """

    task: Running


@dataclass(frozen=True, slots=True)
class NotCancelled:
    """A task launched by the tap that nobody waits for, and that may still run.

    Attributes:
        task: it.
        reason: one line.
    """

    task: Running
    reason: str


@dataclass(frozen=True, slots=True)
class NotLaunched:
    """A query whose task could not be created.

    Attributes:
        query_name: the query's stream.
        reason: one line.
    """

    query_name: str
    reason: str


Event = Launched | NotLaunched | Cancelled | NotCancelled | Outcome


class Runner:
    """Follows the tasks of a board until it says that the run is done."""

    def __init__(  # noqa: PLR0913 - the place where all parts meet
        self,
        board: TaskBoard,
        client: LookerClient,
        launcher: Launcher,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        logger: logging.Logger,
        longest_patience: int,
        longest_pause: float,
    ) -> None:
        """Put the parts together; nothing happens before `outcomes`.

        Args:
            board: decides.
            client: asks Looker.
            launcher: creates tasks.
            clock: tells epoch seconds.
            sleep: lets seconds pass.
            logger: for what users should know.
            longest_patience: launches that may be refused in a row, for load; and requests for
                results, when none is answered.
            longest_pause: seconds between such requests.
        """
        self._board = board
        self._client = client
        self._launcher = launcher
        self._clock = clock
        self._sleep = sleep
        self._logger = logger
        self._longest_patience = self._patience = longest_patience
        self._longest_pause = longest_pause
        self._store = AnswerStore()
        self._unknown_statuses: set[str] = set()
        self._problems: dict[str, str] = {}
        self._refusals_in_a_row = 0

    def events(self) -> Iterator[Event]:
        """Yield each task when it is launched, and when its outcome is believed.

        Those left unfinished come last.

        Raises:
            RequestError: Looker could not be asked any more.
        """
        action: Action
        while not isinstance(action := self._board.next_action(self._clock()), Done):
            try:
                yield from self._do(action)
            except ApiCallLimitError as error:  # noqa: PERF203 - requests cost far more
                self._logger.warning("%s; the rest is left to the next run", error.message)
                self._board.stop()
        for task in self._board.unfinished():
            yield Outcome(task, task.status or "added", finished_at=None)

    def _do(self, action: Launch | Poll | Cancel | Wait) -> Iterator[Event]:
        match action:
            case Launch(query):
                yield from self._launch(query)
            case Poll(query_task_ids):
                yield from self._poll(query_task_ids)
            case Cancel(task):
                yield from self._cancel(task)
            case Wait(seconds):
                self._sleep(seconds)
            case _:
                assert_never(action)

    def _cancel(self, task: Running) -> Iterator[Cancelled | NotCancelled]:
        try:
            self._client.kill_query(task.query_task_id)
        except ApiCallLimitError:
            raise
        except RequestError as error:
            yield NotCancelled(task, error.message)
        else:
            yield Cancelled(task)

    def _launch(self, query: QueuedQuery) -> Iterator[Launched | NotLaunched]:
        try:
            query_task_id, query_id = self._launcher.launch(query.query_name)
        except ApiCallLimitError:
            raise
        except RetriableRequestError as error:
            if error.safe_to_retry:
                self._postpone(error)
                return
            # Nobody knows whether Looker started it: launching it again might run it twice.
            self._board.launch_failed()
            yield NotLaunched(query.query_name, error.message)
        except RefusedRequestError as error:
            self._board.launch_failed()
            yield NotLaunched(query.query_name, error.message)
        except RequestError:
            raise
        except ValueError as error:
            self._board.launch_failed()
            yield NotLaunched(query.query_name, str(error))
        else:
            self._patience = self._longest_patience
            yield Launched(self._board.launched(query_task_id, query_id, self._clock()))

    def _postpone(self, error: RetriableRequestError) -> None:
        self._patience -= 1
        if self._patience <= 0 and not self._board.unfinished():
            raise error
        self._logger.warning("%s; launching less at once for a while", error.message)
        self._board.launch_postponed(self._clock(), error.retry_after)

    def _poll(self, query_task_ids: tuple[str, ...]) -> Iterator[Outcome]:
        answers = self._client.query_task_multi_results(
            query_task_ids, new_rows=self._store.new_rows
        )
        try:
            for query_task_id, answer in answers:
                yield from self._take_in(query_task_id, answer)
        except RefusedRequestError as error:
            if error.http_status not in BATCH_REJECTED_STATUSES:
                raise
            self._pause_or_raise(error)
            over = self._board.poll_refused(query_task_ids, self._clock())
        else:
            self._refusals_in_a_row = 0
            over = self._board.poll_ended(self._clock())
        for finished in over:
            problem = self._problems.pop(finished.task.query_task_id, None)
            yield Outcome(finished.task, finished.status, finished.finished_at, problem=problem)

    def _pause_or_raise(self, error: RefusedRequestError) -> None:
        """Tell one id that Looker refuses from an instance that refuses every request.

        Halving finds one bad id while requests without it are answered. When nothing is
        answered any more, it is the requests that fail, and no id is condemned for it.
        """
        self._refusals_in_a_row += 1
        beyond_halving = self._refusals_in_a_row - MAX_BATCH_SIZE.bit_length()
        if beyond_halving >= self._longest_patience:
            raise error
        self._logger.warning("%s; asking for its tasks in smaller batches", error.message)
        if beyond_halving > 0:
            self._sleep(min(2.0**beyond_halving, self._longest_pause))

    def _take_in(
        self, query_task_id: str, answer: TaskAnswer | MalformedAnswer
    ) -> Iterator[Outcome]:
        if isinstance(answer, MalformedAnswer):
            # It may come whole the next time; until then, it counts as no answer.
            self._logger.warning("query task %s: %s", query_task_id, answer)
            self._problems[query_task_id] = f"Looker's answer cannot be read: {answer}"
            return
        self._problems.pop(query_task_id, None)
        self._warn_of_unknown(answer.status)
        finished = self._board.answered(query_task_id, answer.status, self._clock())
        if finished is None:
            return
        if answer.status != finished.status:
            # It was given up, whatever Looker said last.
            yield Outcome(finished.task, finished.status, finished.finished_at)
            return
        outcome = Outcome(finished.task, finished.status, finished.finished_at, answer)
        if answer.status == "complete" and answer.data is None:
            outcome = self._with_result(outcome, answer)
        yield outcome

    def _with_result(self, outcome: Outcome, answer: TaskAnswer) -> Outcome:
        """Ask for a result that `multi_results` does not carry, as for some text formats."""
        try:
            result = self._client.query_task_results(
                outcome.task.query_task_id, new_rows=self._store.new_rows
            )
        except RefusedRequestError as error:
            problem = f"complete, but Looker does not give its result: {error.message}"
            return replace(outcome, status="error", answer=None, problem=problem)
        return replace(outcome, answer=replace(answer, data=result.data, rows=result.rows))

    def _warn_of_unknown(self, status: str) -> None:
        if status not in PHASES and status not in self._unknown_statuses:
            self._unknown_statuses.add(status)
            self._logger.warning(
                "Looker reports a status this tap does not know: %r; taken for unfinished", status
            )
