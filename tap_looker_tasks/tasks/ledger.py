"""What state remembers of query tasks: finished, in doubt, in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_looker_tasks.records.timestamps import from_rfc3339, to_rfc3339
from tap_looker_tasks.tasks.board import Running

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Ledger:
    """The bookmark of `query_task_results`, written in place as tasks come and go.

    Its keys: `finished` {task id: final status} of tasks made elsewhere; `doubted_since`
    {task id: RFC 3339} of those whose last status Looker may still take back; `in_flight`
    {query name: task} of those launched by the tap and not delivered yet; `to_cancel`
    {task id: query name}, if there are any, of those launched by the tap that nobody waits for
    any more, until they are cancelled.
    """

    def __init__(self, bookmark: dict[str, Any], given_ids: Iterable[str]) -> None:
        """Take up what earlier runs left, less what the input no longer lists."""
        self._given_ids = dict.fromkeys(given_ids)
        self._finished = _kept(bookmark, "finished", self._given_ids)
        self._doubted_since = _kept(bookmark, "doubted_since", self._given_ids)
        self._in_flight = _kept(bookmark, "in_flight")
        self._bookmark = bookmark
        self._to_cancel = _kept(bookmark, "to_cancel")
        self._drop_empty_to_cancel()

    def tasks_to_follow(self) -> Iterator[Running]:
        """Tell the given tasks without a final status, in the order given."""
        for query_task_id in self._given_ids:
            if query_task_id not in self._finished:
                doubted_since = _moment(self._doubted_since.get(query_task_id))
                yield Running(query_task_id, doubted_since=doubted_since)

    def names_in_flight(self) -> list[str]:
        """Tell the queries that have a task in flight."""
        return [*self._in_flight]

    def resume(self, fingerprints: Mapping[str, str]) -> tuple[list[Running], list[Running]]:
        """Tell the tasks in flight to go on with, and those that nobody waits for any more.

        The latter are of queries that changed, as their fingerprints tell, or are no longer
        there; they are to be cancelled, as are those that an earlier run could not cancel.
        """
        resumed = []
        for query_name, noted in [*self._in_flight.items()]:
            task = _task_in_flight(query_name, noted)
            if task and noted.get("fingerprint") == fingerprints.get(query_name):
                resumed.append(task)
                continue
            del self._in_flight[query_name]
            if task:
                self.note_to_cancel(task)
        return resumed, [Running(id_, str(n), launched_at=0) for id_, n in self._to_cancel.items()]

    def note_to_cancel(self, task: Running) -> None:
        """Note a launched task that nobody waits for any more."""
        self._to_cancel[task.query_task_id] = task.query_name
        self._bookmark["to_cancel"] = self._to_cancel

    def cancelled(self, task: Running) -> None:
        """Strike out a launched task that was cancelled."""
        self._to_cancel.pop(task.query_task_id, None)
        self._drop_empty_to_cancel()
        self.forget(task)

    def _drop_empty_to_cancel(self) -> None:
        if not self._to_cancel:
            self._bookmark.pop("to_cancel", None)

    def launched(self, task: Running, fingerprint: str) -> None:
        """Note a task that was launched."""
        self._in_flight[task.query_name or ""] = {
            "query_task_id": task.query_task_id,
            "query_id": task.query_id,
            "launched_at": to_rfc3339(task.launched_at or 0),
            "attempt": task.attempt,
            "fingerprint": fingerprint,
        }

    def remember(self, task: Running, status: str) -> None:
        """Note a final status, once the task's last record is out."""
        if task.query_name is not None:
            self.forget(task)
            return
        self._doubted_since.pop(task.query_task_id, None)
        if task.query_task_id in self._given_ids:
            self._finished[task.query_task_id] = status

    def forget(self, task: Running) -> None:
        """Strike out a task that was launched; not one launched for its query later."""
        noted = self._in_flight.get(task.query_name or "")
        if noted and noted.get("query_task_id") == task.query_task_id:
            del self._in_flight[task.query_name or ""]

    def leave(self, task: Running) -> None:
        """Note a given task that this run leaves unfinished."""
        self._doubted_since.pop(task.query_task_id, None)
        if task.doubted_since is not None and task.query_name is None:
            self._doubted_since[task.query_task_id] = to_rfc3339(task.doubted_since)


def _kept(
    bookmark: dict[str, Any], key: str, wanted: Mapping[str, None] | None = None
) -> dict[str, Any]:
    """Keep in the bookmark, and return, what it remembers of what is wanted."""
    remembered = bookmark.get(key)
    found = remembered if isinstance(remembered, dict) else {}
    kept = {name: found[name] for name in found if wanted is None or name in wanted}
    bookmark[key] = kept
    return kept


def _task_in_flight(query_name: str, noted: object) -> Running | None:
    match noted:
        case {"query_task_id": str(query_task_id), "attempt": int(attempt), **more}:
            query_id = more.get("query_id")
            return Running(
                query_task_id,
                query_name,
                attempt,
                launched_at=_moment(more.get("launched_at")) or 0.0,
                query_id=query_id if isinstance(query_id, str) else None,
            )
    return None


def _moment(remembered: object) -> float | None:
    try:
        return from_rfc3339(str(remembered))
    except ValueError:
        return None
