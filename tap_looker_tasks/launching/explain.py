"""Explanation of what a run would send to Looker, without running a query: `--explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_looker_tasks.errors import TapError
from tap_looker_tasks.launching.doctor import describe_estimate, estimate_run
from tap_looker_tasks.launching.launcher import Launcher, prepare_query
from tap_looker_tasks.queries import determining_parts
from tap_looker_tasks.records import to_rfc3339
from tap_looker_tasks.threads import map_concurrently

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_looker_tasks.config import Settings
    from tap_looker_tasks.launching.launcher import PreparedQuery, StoredQueries
    from tap_looker_tasks.looker import Clock, LookerClient
    from tap_looker_tasks.queries import QueryKeeper
    from tap_looker_tasks.tasks import LaunchedTask, Ledger


class Explanation:
    """Requests and filters of a run with these settings and this state."""

    def __init__(
        self,
        settings: Settings,
        client: LookerClient,
        clock: Clock,
        *,
        ledger: Ledger,
        keepers: Mapping[str, QueryKeeper],
        stored_queries: StoredQueries,
    ) -> None:
        """Keep the arguments of `Run`; the ledger's bookmark, which changes, must be a copy."""
        self._settings = settings
        self._client = client
        self._ledger = ledger
        self._keepers = keepers
        self._stored_queries = stored_queries
        self._launcher = Launcher(keepers, settings, client, stored_queries, clock)

    def describe(self, keys: Mapping[str, Sequence[str]], *, with_sql: bool) -> dict[str, Any]:
        """Describe the run and each of its queries, for users and for programs.

        Args:
            keys: Key columns of each query's stream, by name.
            with_sql: Whether to fetch the SQL that Looker would run; Looker then stores queries
                that are changed by the configuration, as in a run.

        Raises:
            RequestError: If no request to Looker can succeed.
        """
        followed = [*self._ledger.tasks_to_follow()]
        estimate = estimate_run(self._settings, len(self._keepers), len(followed))
        fingerprints = dict(self._fingerprints())
        resumed = {task.query_name: task for task in self._ledger.resume(fingerprints)}
        abandoned = {task.query_name: task for task in self._ledger.tasks_to_cancel()}
        described = map_concurrently(
            lambda name: self._describe_query(
                self._keepers[name], resumed.get(name), with_sql=with_sql
            ),
            self._keepers,
            self._settings.max_connections,
        )
        return {
            "run": {
                "looker": self._settings.base_url,
                "api_calls": describe_estimate(estimate),
                "api_calls_a_month": estimate.describe_month(),
                "external_tasks_to_follow": len(followed),
                "tasks_to_cancel": [task.query_task_id for task in abandoned.values()],
            },
            "queries": {
                name: query | {"primary_keys": [*keys[name]]}
                for name, query in zip(self._keepers, described, strict=True)
            },
        }

    def _fingerprints(self) -> Iterator[tuple[str, str]]:
        for name in self._ledger.names_in_flight():
            if name in self._keepers:
                try:
                    yield name, self._launcher.fingerprint(name)
                except (TapError, ValueError):
                    # It is described as a problem of the query.
                    continue

    def _describe_query(
        self, keeper: QueryKeeper, in_flight: LaunchedTask | None, *, with_sql: bool
    ) -> dict[str, Any]:
        query = keeper.query
        described: dict[str, Any] = {"from": query.source_path}
        try:
            stored = self._stored_queries.find(query, self._client)
            prepared = prepare_query(query, stored, self._settings.query_timezone, keeper)
            described |= _describe_body(prepared)
            if with_sql:
                query_id = prepared.query_id or self._client.create_query(prepared.body)
                described["sql"] = self._client.query_sql(query_id).strip() + "\n"
        except (TapError, ValueError) as error:
            described["problem"] = " ".join(str(error).split())
        if keeper.column:
            described["bookmark"] = {keeper.column.field: keeper.value}
        if expected := keeper.last_run.expected:
            described["expected_seconds"] = round(expected.seconds, 3)
        run_id = self._settings.run_id
        if run_id and keeper.was_delivered_in(
            run_id, self._launcher.configuration(keeper.query.name)
        ):
            described["already_delivered_in_run"] = run_id
        if in_flight:
            described["in_flight"] = {
                "query_task_id": in_flight.query_task_id,
                "launched_at": to_rfc3339(in_flight.launched_at),
                "attempt": in_flight.attempt,
            }
        return described


def _describe_body(prepared: PreparedQuery) -> dict[str, Any]:
    body = determining_parts(prepared.body)
    return {
        "query_id": prepared.query_id or "a changed copy, which Looker stores before the launch",
        "query_timezone": body.get("query_timezone"),
        "row_limit": prepared.limits.row_limit or "none",
        "filters": body.get("filters") or {},
        "body": body,
    }
