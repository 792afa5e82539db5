"""One sync: puts ledger, board, launcher and runner together, and ends in good order."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from tap_looker_tasks.errors import RefusedRequestError, RequestError
from tap_looker_tasks.queries.sharding import shard_of
from tap_looker_tasks.tasks.board import QueuedQuery, TaskBoard
from tap_looker_tasks.tasks.collector import Runner
from tap_looker_tasks.tasks.launcher import Launcher
from tap_looker_tasks.tasks.ledger import Ledger

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tap_looker_tasks.looker.client import LookerClient
    from tap_looker_tasks.settings import Settings
    from tap_looker_tasks.tasks.board import Running
    from tap_looker_tasks.tasks.collector import Event
    from tap_looker_tasks.tasks.launcher import Bookmark
    from tap_looker_tasks.tasks.stored_queries import ConfiguredQuery, StoredQueries

_LONGEST_CANCELLING_SECONDS = 4
_LONGEST_CANCELLATION_SECONDS = 2


class Sync:
    """Follows the given tasks and launches the queries of one run.

    Attributes:
        ledger: what state remembers.
        queries: those to launch, by name.
    """

    def __init__(  # noqa: PLR0913 - the place where all parts meet
        self,
        settings: Settings,
        *,
        given_ids: Iterable[str],
        queries: Mapping[str, ConfiguredQuery],
        bookmarks: Mapping[str, Bookmark],
        bookmark: dict[str, Any],
        client: LookerClient,
        stored_queries: StoredQueries,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        logger: logging.Logger,
    ) -> None:
        """Take up what belongs to this shard.

        Args:
            settings: of the tap.
            given_ids: tasks made elsewhere.
            queries: to launch, by name.
            bookmarks: of incremental queries, by name.
            bookmark: that of `query_task_results`, written in place.
            client: asks Looker.
            stored_queries: what is known of them already.
            clock: tells epoch seconds.
            sleep: lets seconds pass.
            logger: for what users should know.
        """
        self._settings = settings
        self._client = client
        self._clock = clock
        self._sleep = sleep
        self._logger = logger
        self.queries = {name: query for name, query in queries.items() if self._is_mine(name)}
        self.ledger = Ledger(bookmark, filter(self._is_mine, given_ids))
        self._launcher = Launcher(
            self.queries,
            bookmarks,
            client=client,
            stored_queries=stored_queries,
            settings=settings,
        )
        self._board: TaskBoard | None = None

    def events(self) -> Iterator[Event]:
        """Yield each task when it is launched, and when its outcome is believed.

        Those left unfinished come last.

        Raises:
            RequestError: Looker could not be asked any more.
        """
        timeout = self._settings.sync_timeout_seconds
        stop_at = inf if timeout is None else self._clock() + timeout
        resumed, abandoned = self.ledger.resume(self._fingerprints())
        names = {task.query_name for task in resumed}
        self._board = TaskBoard(
            self._settings,
            running=[*self.ledger.tasks_to_follow(), *resumed],
            waiting=[QueuedQuery(name) for name in self.queries if name not in names],
            abandoned=abandoned,
            stop_at=stop_at,
        )
        runner = Runner(
            self._board,
            self._client,
            self._launcher,
            clock=self._clock,
            sleep=self._sleep,
            logger=self._logger,
            longest_patience=self._settings.http_max_tries,
            longest_pause=self._settings.poll_max_interval_seconds,
        )
        return runner.events()

    def is_cut_off(self, query_name: str, row_count: int) -> bool:
        """Tell whether a result is as long as its query's limit."""
        try:
            limit = self._launcher.prepare(query_name).limit
        except (RefusedRequestError, ValueError):
            return False
        return limit is not None and row_count >= limit

    def cancel_unfinished(self) -> None:
        """Cancel the tasks launched by the tap; takes a few seconds at most.

        Those that could not be cancelled stay in state: the next run resumes them.
        """
        give_up_at = self._clock() + _LONGEST_CANCELLING_SECONDS
        for task in self._launched_and_unfinished():
            left = give_up_at - self._clock()
            if left <= 0:
                self._logger.warning("no time left to cancel query task %s", task.query_task_id)
                continue
            try:
                self._client.kill_query(
                    task.query_task_id, longest_seconds=min(left, _LONGEST_CANCELLATION_SECONDS)
                )
            except RequestError as error:
                self._logger.warning(
                    "query task %s is not cancelled: %s", task.query_task_id, error.message
                )
            else:
                self.ledger.cancelled(task)

    def _launched_and_unfinished(self) -> list[Running]:
        unfinished = self._board.unfinished() if self._board else ()
        return [task for task in unfinished if task.query_name is not None]

    def note_launch(self, task: Running) -> None:
        """Note a task that was launched, with the fingerprint of its query."""
        fingerprint = self._launcher.prepare(task.query_name or "").fingerprint
        self.ledger.launched(task, fingerprint)

    def _fingerprints(self) -> dict[str, str]:
        """Fingerprints of the queries in flight, as they would be launched now."""
        fingerprints: dict[str, str] = {}
        for name in self.ledger.names_in_flight():
            if name not in self.queries:
                continue
            try:
                fingerprints[name] = self._launcher.prepare(name).fingerprint
            except (RefusedRequestError, ValueError) as error:
                self._logger.warning("%s: %s", name, error)
        return fingerprints

    def _is_mine(self, text: str) -> bool:
        return shard_of(text, self._settings.shard_count) == self._settings.shard_index
