"""Query tasks in Singer state: finished, unconfirmed, in flight, and to cancel."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tap_looker_tasks.queries import Limits, StreamState
from tap_looker_tasks.records import from_rfc3339, to_rfc3339
from tap_looker_tasks.tasks.query_task import ExternalTask, FollowedTask, LaunchedTask, Outcome

# By default, for pages and for the API, and behind a proxy.
_PORTS = frozenset({None, 443, 9999, 19999})


class TaskInFlight(Limits, frozen=True, kw_only=True):
    """A launched and undelivered task in state, with the limits of its result.

    Attributes:
        query_task_id: Looker's ID of the task.
        attempt: Number of the launch in its run, from 1.
        query_id: Looker's ID of the query.
        launched_at: Date-time of the launch.
        fingerprint: Hash of the query; another one means another query.
    """

    query_task_id: str
    attempt: int = 1
    query_id: str | None = None
    launched_at: str | None = None
    fingerprint: str | None = None


class LedgerState(StreamState):
    """The keys of the bookmark of `query_task_results` that the ledger reads."""

    finished: dict[str, str] | None = None
    doubted_since: dict[str, str] | None = None
    in_flight: dict[str, TaskInFlight] | None = None
    to_cancel: dict[str, str] | None = None


class Ledger:
    """The bookmark of `query_task_results`, updated as tasks are launched and delivered.

    Its keys: `instance`, a hash of Looker's address, which `claim_instance` checks; `finished`
    {task id: final status} of external tasks; `doubted_since` {task id: RFC 3339} of external tasks
    whose last status is unconfirmed; `in_flight` {query name: task} of tasks launched by the tap
    and not yet delivered; `to_cancel` {task id: query name}, if any, of launched tasks no
    longer needed, until they are cancelled.
    """

    def __init__(self, bookmark: dict[str, Any], external_ids: Iterable[str]) -> None:
        """Load the bookmark, without tasks that the input no longer lists.

        Raises:
            ValueError: If the bookmark has another shape.
        """
        msgspec.convert(bookmark, LedgerState)
        self._external_ids = dict.fromkeys(external_ids)
        self._finished = _keep(bookmark, "finished", self._external_ids)
        self._doubted_since = _keep(bookmark, "doubted_since", self._external_ids)
        self._in_flight = _keep(bookmark, "in_flight")
        self._bookmark = bookmark
        self._to_cancel = _keep(bookmark, "to_cancel")
        self._drop_empty_to_cancel()

    def tasks_to_follow(self) -> Iterator[FollowedTask]:
        """Yield the external tasks without a final status, in their given order."""
        for query_task_id in self._external_ids:
            if query_task_id not in self._finished:
                doubted_since = _read_moment(self._doubted_since.get(query_task_id))
                yield FollowedTask(ExternalTask(query_task_id), doubted_since=doubted_since)

    def names_in_flight(self) -> list[str]:
        """Return the names of queries with a task in flight."""
        return [*self._in_flight]

    def resume(self, fingerprints: Mapping[str, str]) -> list[LaunchedTask]:
        """Return the tasks in flight to resume; mark the others to be cancelled.

        The others belong to queries whose fingerprint has changed, or that were removed.
        """
        resumed = []
        for query_name, noted in [*self._in_flight.items()]:
            task = _read_task(query_name, noted)
            if task.fingerprint and task.fingerprint == fingerprints.get(query_name):
                resumed.append(task)
                continue
            del self._in_flight[query_name]
            self.note_to_cancel(task)
        return resumed

    def tasks_to_cancel(self) -> list[LaunchedTask]:
        """Return the launched tasks that are no longer needed."""
        return [LaunchedTask(id_, str(name)) for id_, name in self._to_cancel.items()]

    def note_to_cancel(self, task: LaunchedTask) -> None:
        """Add a launched task that is no longer needed."""
        self._to_cancel[task.query_task_id] = task.query_name
        self._bookmark["to_cancel"] = self._to_cancel

    def note_cancelled(self, task: LaunchedTask) -> None:
        """Remove a cancelled task."""
        self._to_cancel.pop(task.query_task_id, None)
        self._drop_empty_to_cancel()
        self.forget(task)

    def _drop_empty_to_cancel(self) -> None:
        if not self._to_cancel:
            self._bookmark.pop("to_cancel", None)

    def note_launched(self, task: LaunchedTask) -> None:
        """Add a launched task."""
        self._in_flight[task.query_name] = {
            "query_task_id": task.query_task_id,
            "query_id": task.query_id,
            "launched_at": to_rfc3339(task.launched_at),
            "attempt": task.attempt,
            "fingerprint": task.fingerprint,
            **msgspec.to_builtins(task.limits),
        }

    def save(self, outcome: Outcome) -> None:
        """Save an outcome, once the task's last record is written.

        An unfinished task, and one whose result could not be read, is polled again by the next run.
        """
        task = outcome.task
        if isinstance(task, LaunchedTask):
            if outcome.finished_at is not None:
                self.forget(task)
            return
        self._doubted_since.pop(task.query_task_id, None)
        if outcome.finished_at is None:
            doubted_since = outcome.followed.doubted_since
            if doubted_since is not None:
                self._doubted_since[task.query_task_id] = to_rfc3339(doubted_since)
        elif outcome.problem is None and task.query_task_id in self._external_ids:
            self._finished[task.query_task_id] = outcome.status

    def forget(self, task: LaunchedTask) -> None:
        """Remove a launched task, unless its query has been launched again since."""
        noted = self._in_flight.get(task.query_name)
        if noted and noted.get("query_task_id") == task.query_task_id:
            del self._in_flight[task.query_name]


def claim_instance(bookmark: dict[str, Any], base_url: str) -> bool:
    """Save the Looker instance in state; return False if the state belongs to another instance.

    The ports of one instance do not count; another port is that of another instance.
    """
    url = urlsplit(base_url)
    host = url.hostname or base_url
    place = host if url.port in _PORTS else f"{host}:{url.port}"
    instance = hashlib.sha256(place.encode()).hexdigest()[:16]
    return bool(bookmark.setdefault("instance", instance) == instance)


def _keep(
    bookmark: dict[str, Any], key: str, requested: Mapping[str, None] | None = None
) -> dict[str, Any]:
    """Remove all other keys from a part of the bookmark, and return the rest."""
    found = bookmark.get(key) or {}
    kept = {name: found[name] for name in found if requested is None or name in requested}
    bookmark[key] = kept
    return kept


def _read_task(query_name: str, noted: object) -> LaunchedTask:
    task = msgspec.convert(noted, TaskInFlight)
    return LaunchedTask(
        task.query_task_id,
        query_name,
        task.query_id,
        task.attempt,
        launched_at=_read_moment(task.launched_at) or 0.0,
        fingerprint=task.fingerprint,
        limits=Limits(task.row_limit, task.column_limit),
    )


def _read_moment(saved: object) -> float | None:
    try:
        return from_rfc3339(str(saved))
    except ValueError:
        return None
