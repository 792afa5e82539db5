"""Makes the requests that the board wants, and reports what comes of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from tap_looker_tasks.looker.json_text import MalformedAnswer
from tap_looker_tasks.tasks.actions import (
    Answered,
    Cancel,
    Created,
    Ended,
    Failed,
    Fetch,
    Launch,
    Poll,
    Prepare,
)
from tap_looker_tasks.tasks.statuses import Phase, phase_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_looker_tasks.looker.answer_store import AnswerStore
    from tap_looker_tasks.looker.client import LookerClient
    from tap_looker_tasks.looker.multi_results import TaskAnswer
    from tap_looker_tasks.tasks.actions import Report, Request
    from tap_looker_tasks.tasks.launcher import Launcher


class TaskRequests:
    """Makes requests, in any thread, many at the same time."""

    def __init__(self, client: LookerClient, launcher: Launcher, answers: AnswerStore) -> None:
        """Ask through `client`, and keep in `answers` what is to be delivered."""
        self._client = client
        self._launcher = launcher
        self._answers = answers

    def perform(self, request: Request) -> Iterator[Report]:
        """Make a request; yield each thing it brings as soon as it is there, the end last."""
        try:
            yield from self._perform(request)
        except Exception as error:  # noqa: BLE001 - whether the run can go on, the board says
            yield Failed(request, error)

    def _perform(self, request: Request) -> Iterator[Report]:
        match request:
            case Launch(query):
                yield Created(request, self._launcher.launch(query))
                return
            case Prepare(query_name):
                self._launcher.prepare(query_name)
            case Poll():
                yield from self._poll(request)
            case Fetch(query_task_id):
                answer = self._client.query_task_results(
                    query_task_id, new_rows=self._answers.new_rows
                )
                yield self._report(request, query_task_id, answer)
            case Cancel(task, longest_seconds):
                self._client.kill_query(task.query_task_id, longest_seconds=longest_seconds)
            case _:
                assert_never(request)
        yield Ended(request)

    def _poll(self, request: Poll) -> Iterator[Answered]:
        answers = self._client.query_task_multi_results(
            request.query_task_ids,
            new_rows=self._answers.new_rows,
            max_tries=1 if request.is_probe else None,
        )
        for query_task_id, answer in answers:
            if isinstance(answer, MalformedAnswer):
                problem = f"Looker's answer cannot be read: {answer}"
                yield Answered(request, query_task_id, None, problem=problem)
            else:
                yield self._report(request, query_task_id, answer)

    def _report(self, request: Poll | Fetch, query_task_id: str, answer: TaskAnswer) -> Answered:
        has_result = answer.data is not None and phase_of(answer.status) is not Phase.UNFINISHED
        held = self._answers.hold(answer) if has_result else None
        return Answered(request, query_task_id, answer.status, held)
