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
from tap_looker_tasks.looker.json_text import MalformedAnswer
from tap_looker_tasks.looker.payload import as_data
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
class NotLaunched:
    """A query whose task could not be created.

    Attributes:
        query_name: the query's stream.
        reason: one line.
    """

    query_name: str
    reason: str


class Runner:
    """Follows the tasks of a board until it says that the run is done."""

    def __init__(  # noqa: PLR0913 - the place where all parts meet
        self,
        board: TaskBoard,
        client: LookerClient,
        launcher: Launcher,
        *,
        on_launch: Callable[[Running], None],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        logger: logging.Logger,
        longest_patience: int,
    ) -> None:
        """Put the parts together; nothing happens before `outcomes`.

        Args:
            board: decides.
            client: asks Looker.
            launcher: creates tasks.
            on_launch: is told each task as soon as it is created.
            clock: tells epoch seconds.
            sleep: lets seconds pass.
            logger: for what users should know.
            longest_patience: launches that may be refused in a row, for load.
        """
        self._board = board
        self._client = client
        self._launcher = launcher
        self._on_launch = on_launch
        self._clock = clock
        self._sleep = sleep
        self._logger = logger
        self._longest_patience = self._patience = longest_patience
        self._unknown_statuses: set[str] = set()
        self._problems: dict[str, str] = {}

    def outcomes(self) -> Iterator[Outcome | NotLaunched]:
        """Yield each task as soon as its outcome is believed, then those left unfinished.

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

    def _do(self, action: Launch | Poll | Cancel | Wait) -> Iterator[Outcome | NotLaunched]:
        match action:
            case Launch(query):
                yield from self._launch(query)
            case Poll(query_task_ids, following):
                yield from self._poll(query_task_ids, following)
            case Cancel(task):
                self._client.kill_query(task.query_task_id)
            case Wait(seconds):
                self._sleep(seconds)
            case _:
                assert_never(action)

    def _launch(self, query: QueuedQuery) -> Iterator[NotLaunched]:
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
            self._on_launch(self._board.launched(query_task_id, query_id, self._clock()))

    def _postpone(self, error: RetriableRequestError) -> None:
        self._patience -= 1
        if self._patience <= 0 and not self._board.unfinished():
            raise error
        self._logger.warning("%s; launching less at once for a while", error.message)
        self._board.launch_postponed(self._clock(), error.retry_after)

    def _poll(
        self, query_task_ids: tuple[str, ...], following: tuple[str, ...]
    ) -> Iterator[Outcome]:
        answers = self._client.query_task_multi_results(query_task_ids, following)
        try:
            for query_task_id, answer in answers:
                yield from self._take_in(query_task_id, answer)
        except RefusedRequestError as error:
            if error.http_status not in BATCH_REJECTED_STATUSES:
                raise
            self._logger.warning("%s; asking for its tasks in smaller batches", error.message)
            over = self._board.poll_refused(query_task_ids, self._clock())
        else:
            over = self._board.poll_ended(self._clock())
        for finished in over:
            problem = self._problems.pop(finished.task.query_task_id, None)
            yield Outcome(finished.task, finished.status, finished.finished_at, problem=problem)

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
        if answer.status == "complete" and answer.data is None:
            answer = self._with_data(query_task_id, answer)
        yield Outcome(finished.task, finished.status, finished.finished_at, answer)

    def _with_data(self, query_task_id: str, answer: TaskAnswer) -> TaskAnswer:
        """Ask for a result that `multi_results` does not carry, as for some text formats."""
        try:
            body = self._client.query_task_results(query_task_id)
        except RefusedRequestError as error:
            self._logger.warning("query task %s: %s", query_task_id, error.message)
            return answer
        return replace(answer, data=as_data(body))

    def _warn_of_unknown(self, status: str) -> None:
        if status not in PHASES and status not in self._unknown_statuses:
            self._unknown_statuses.add(status)
            self._logger.warning(
                "Looker reports a status this tap does not know: %r; taken for unfinished", status
            )
