"""What state remembers of query tasks: finished, in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_looker_tasks.query_task import Running
from tap_looker_tasks.timestamp import from_rfc3339, to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Ledger:
    """The bookmark of `query_task_results`, written in place as tasks come and go.

    Its keys: `finished` {task id: final status} of tasks made elsewhere, and `doubted_since`
    {task id: RFC 3339} of those whose last status Looker may still take back.
    """

    def __init__(self, bookmark: dict[str, object], given_ids: Iterable[str]) -> None:
        """Take up what earlier runs left, less what the input no longer lists."""
        self._given_ids = dict.fromkeys(given_ids)
        self._finished = _kept(bookmark, "finished", self._given_ids)
        self._doubted_since = _kept(bookmark, "doubted_since", self._given_ids)

    def tasks_to_follow(self) -> Iterator[Running]:
        """Tell the given tasks without a final status, in the order given."""
        for query_task_id in self._given_ids:
            if query_task_id not in self._finished:
                doubted_since = _moment(self._doubted_since.get(query_task_id))
                yield Running(query_task_id, doubted_since=doubted_since)

    def remember(self, query_task_id: str, status: str) -> None:
        """Note a final status, once the task's last record is out."""
        self._doubted_since.pop(query_task_id, None)
        if query_task_id in self._given_ids:
            self._finished[query_task_id] = status

    def leave(self, task: Running) -> None:
        """Note a given task that this run leaves unfinished."""
        self._doubted_since.pop(task.query_task_id, None)
        if task.doubted_since is not None:
            self._doubted_since[task.query_task_id] = to_rfc3339(task.doubted_since)


def _kept(bookmark: dict[str, object], key: str, given_ids: dict[str, None]) -> dict[str, object]:
    """Keep in the bookmark, and return, what it remembers of the given ids."""
    remembered = bookmark.get(key)
    found = remembered if isinstance(remembered, dict) else {}
    kept = {
        query_task_id: found[query_task_id] for query_task_id in found if query_task_id in given_ids
    }
    bookmark[key] = kept
    return kept


def _moment(remembered: object) -> float | None:
    try:
        return from_rfc3339(str(remembered))
    except ValueError:
        return None
