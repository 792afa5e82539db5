"""Finds out, without running anything, what streams the configured queries become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_looker_tasks.errors import ApiCallLimitError, RefusedRequestError
from tap_looker_tasks.looker.multi_results import TaskAnswer
from tap_looker_tasks.looker.payload import as_data, read_result
from tap_looker_tasks.queries.checks import field_problems
from tap_looker_tasks.queries.config import name_problems
from tap_looker_tasks.queries.tiles import tile_queries
from tap_looker_tasks.records.columns import (
    QUERY_TASK_ID,
    ROW_NUMBER,
    column_name,
    columns_of,
    query_fields,
    stream_schema,
)
from tap_looker_tasks.records.fields import KnownFields, explore_fields, fields_in_result
from tap_looker_tasks.settings import refuse
from tap_looker_tasks.tasks.launcher import prepared
from tap_looker_tasks.tasks.stored_queries import ConfiguredQuery, query_of_tile

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Mapping

    from tap_looker_tasks.looker.client import LookerClient
    from tap_looker_tasks.settings import Settings
    from tap_looker_tasks.tasks.launcher import PreparedQuery
    from tap_looker_tasks.tasks.stored_queries import StoredQueries

_FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class QueryStreamPlan:
    """What a query's stream is like.

    Attributes:
        query: the query.
        schema: JSON Schema of its records.
    """

    query: ConfiguredQuery
    schema: Mapping[str, Any]

    @property
    def key_properties(self) -> tuple[str, ...]:
        """Columns that tell its records apart."""
        return key_properties(self.query)


def key_properties(query: ConfiguredQuery) -> tuple[str, ...]:
    """Columns that tell the records of a query apart."""
    keys = tuple(map(column_name, query.config.primary_keys))
    return keys or (QUERY_TASK_ID, ROW_NUMBER)


def replication_key(query: ConfiguredQuery) -> str | None:
    """Column that an incremental query goes on from."""
    key = query.config.replication_key
    return None if key is None else column_name(key)


def configured_queries(
    settings: Settings, client: LookerClient, logger: logging.Logger
) -> list[ConfiguredQuery]:
    """All queries: those of `queries`, and the tiles of `dashboards`, which Looker is asked for.

    Raises:
        SettingsError: a dashboard is not there, a filter has no effect, or names clash.
        RequestError: Looker could not be asked.
    """
    queries = [
        ConfiguredQuery(config, f"queries[{n}]") for n, config in enumerate(settings.queries)
    ]
    problems: list[str] = []
    for n, dashboard in enumerate(settings.dashboards):
        config_path, dashboard_id = f"dashboards[{n}]", str(dashboard.dashboard_id)
        try:
            elements = client.dashboard_dashboard_elements(dashboard_id)
        except RefusedRequestError as error:
            problems.append(f"{config_path}.dashboard_id: {error.message}")
            continue
        found = tile_queries(dashboard, elements, config_path)
        for warning in found.warnings:
            logger.warning("%s", warning)
        problems += found.problems
        queries += [query_of_tile(tile, dashboard_id, config_path) for tile in found.tiles]
    places = ((f"{query.config_path}.name", query.name) for query in queries)
    refuse([*problems, *name_problems(places)])
    return queries


class Discovery:
    """Asks Looker what it knows of queries, and of each Explore once."""

    def __init__(
        self,
        settings: Settings,
        client: LookerClient,
        stored_queries: StoredQueries,
        logger: logging.Logger,
    ) -> None:
        """Begin with nothing asked."""
        self._settings = settings
        self._client = client
        self._stored_queries = stored_queries
        self._logger = logger
        self._explores: dict[tuple[str, str], KnownFields | str | None] = {}

    def plans(self, queries: list[ConfiguredQuery]) -> list[QueryStreamPlan]:
        """Describe the stream of each query.

        Raises:
            SettingsError: some cannot be run as configured; the message lists them all.
            RequestError: Looker could not be asked.
        """
        plans: list[QueryStreamPlan] = []
        problems: list[str] = []
        for query in queries:
            found = [*self._examined(query)]
            plans += [plan for plan in found if isinstance(plan, QueryStreamPlan)]
            problems += [problem for problem in found if isinstance(problem, str)]
        refuse(problems)
        return plans

    def _examined(self, query: ConfiguredQuery) -> Iterator[QueryStreamPlan | str]:
        """The plan of a query, or its problems."""
        try:
            stored = self._stored_queries.find(query, self._client)
            wanted = prepared(query, stored, None, self._settings.query_timezone)
            known = self._known_fields(query, wanted)
        except ApiCallLimitError:
            raise
        except (RefusedRequestError, ValueError) as error:
            yield f"{_place_of_source(query)}: {error}"
            return
        problems = field_problems(query.config_path, query.config, wanted.body, known)
        yield from problems
        if not problems:
            columns = columns_of(known.fields, wanted.body)
            schema = stream_schema(columns, key_properties(query))
            title = query.title or stored.title
            described = {"title": title, "description": stored.description}
            yield QueryStreamPlan(query, schema | {k: v for k, v in described.items() if v})

    def _known_fields(self, query: ConfiguredQuery, wanted: PreparedQuery) -> KnownFields:
        model, explore = str(wanted.body.get("model")), str(wanted.body.get("view"))
        if (model, explore) not in self._explores:
            self._explores[model, explore] = self._metadata(model, explore)
        found = self._explores[model, explore]
        match found:
            case str(problem):
                raise ValueError(problem)
            case None:
                return self._probed(query, wanted)
            case fields:
                return fields

    def _metadata(self, model: str, explore: str) -> KnownFields | str | None:
        """Fields of an Explore; what is wrong with it; None when nobody may read it."""
        try:
            return KnownFields(explore_fields(self._client.lookml_model_explore(model, explore)))
        except RefusedRequestError as error:
            if error.http_status == _FORBIDDEN:
                return None
            return f"there is no Explore {model}/{explore}: {error}"

    def _probed(self, query: ConfiguredQuery, wanted: PreparedQuery) -> KnownFields:
        """Fields of a query, from one row of it."""
        self._logger.warning(
            "%s: the fields of Explore %s/%s may not be read; running the query for one row",
            query.config_path,
            wanted.body.get("model"),
            wanted.body.get("view"),
        )
        query_id = wanted.query_id or self._client.create_query(wanted.body)
        body = self._client.run_query(
            query_id, limit=1, server_table_calcs=wanted.server_table_calcs
        )
        result = read_result(TaskAnswer("complete", data=as_data(body)))
        if result.error_message:
            raise ValueError(result.error_message)
        return fields_in_result(query_fields(wanted.body), result.fields or ())


def _place_of_source(query: ConfiguredQuery) -> str:
    config = query.config
    for source in ("query_id", "query_slug", "look_id", "explore"):
        if query.dashboard_id is None and getattr(config, source) is not None:
            return f"{query.config_path}.{source}"
    return query.config_path
