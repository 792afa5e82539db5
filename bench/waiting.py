"""Follows tasks with default settings while they finish by a clock that the waiting moves on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_looker_tasks.config.settings import Settings
from tap_looker_tasks.results.entries import TaskEntry
from tap_looker_tasks.results.json_text import NULL
from tap_looker_tasks.store import ResultStore
from tap_looker_tasks.tasks.board import TaskBoard
from tap_looker_tasks.tasks.query_task import (
    Done,
    ExternalTask,
    FollowedTask,
    Poll,
    RequestFinished,
    StatusReceived,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_CREDENTIALS = {"base_url": "https://looker.test", "client_id": "i", "client_secret": "s"}


def count_polls(done_at: Mapping[str, float]) -> int:
    """Return how many requests it takes to follow tasks that finish at given seconds."""
    settings = Settings.from_config(_CREDENTIALS)
    board = TaskBoard(settings, tasks=[FollowedTask(ExternalTask(id_)) for id_ in done_at])
    held = ResultStore().hold(TaskEntry("complete", data=NULL))
    now, polls = 0.0, 0
    while not isinstance(action := board.next_action(now), Done):
        if isinstance(action, Wait):
            now += action.seconds
        elif isinstance(action, Poll):
            polls += 1
            for id_ in action.query_task_ids:
                status = "complete" if now >= done_at[id_] else "running"
                board.note(StatusReceived(action, id_, status, held), now)
            board.note(RequestFinished(action), now)
    return polls
