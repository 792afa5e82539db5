"""Discovery: the streams of the configured queries, with their columns and keys.

A query is run only if its Explore's fields cannot be read, for one row, and only if that is
allowed. Independent requests are sent concurrently, each once: the dashboards first, then each
query, and its Explore.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from tap_looker_tasks.config import (
    ConfiguredQuery,
    DashboardConfig,
    Settings,
    name_problems,
    reject_problems,
    share_queries,
)
from tap_looker_tasks.errors import RequestRejectedError
from tap_looker_tasks.launching.launcher import (
    PreparedQuery,
    StoredQueries,
    StoredQuery,
    prepare_query,
)
from tap_looker_tasks.looker import LookerClient
from tap_looker_tasks.queries import (
    field_problems,
    field_warnings,
    name_filters,
    name_from_title,
    tile_queries,
    visible_fields,
)
from tap_looker_tasks.records import (
    NUMBER,
    QUERY_TASK_ID,
    ROW_KEY,
    ROW_NUMBER,
    ColumnType,
    KnownFields,
    column_name,
    columns_of,
    decimal_type,
    dimensions_of,
    explore_fields,
    fields_in_result,
    find_column_name,
    query_fields,
    shorten,
    stream_schema,
)
from tap_looker_tasks.results import read_result
from tap_looker_tasks.threads import Lookups, map_concurrently
from tap_looker_tasks.wording import Findings

_Value = TypeVar("_Value")

# If a property's schema has none of these, the SDK ends the run.
_SAY_A_TYPE = frozenset({"type", "anyOf", "allOf"})
_HIDDEN = "is not a field of the Explore, or hidden from this user"
_REPLICATION_METHODS = ("FULL_TABLE", "INCREMENTAL")
# Looker does not distinguish: an Explore that a user cannot see is reported as missing.
_NOT_READABLE = frozenset({403, 404})


@dataclass(frozen=True, slots=True)
class QueryStreamPlan:
    """Description of a query's stream.

    Attributes:
        query: Configured query.
        schema: JSON Schema of its records.
        is_typed: Whether Looker has described its fields; otherwise only their names are known.
        problem: Reason why the query must not run, though its columns are known.
    """

    query: ConfiguredQuery
    schema: Mapping[str, Any]
    is_typed: bool = True
    problem: str | None = None

    @property
    def key_properties(self) -> tuple[str, ...]:
        """Columns that identify its records."""
        return key_columns(self.query, self.schema["properties"])

    @property
    def replication_key(self) -> str | None:
        """Column that an incremental query resumes from."""
        key = self.query.config.replication_key
        return None if key is None else _column_of(key, self.schema["properties"])


def key_columns(query: ConfiguredQuery, columns: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that identify the records of a query."""
    if query.config.has_auto_key:
        return (ROW_KEY,)
    columns = frozenset(columns)
    keys = tuple(_column_of(field, columns) for field in query.config.key_fields)
    return keys or (QUERY_TASK_ID, ROW_NUMBER)


def _column_of(field: str, columns: Iterable[str]) -> str:
    return find_column_name(field, columns) or column_name(field)


def _raise_unless_content(error: Exception) -> None:
    """Raise an error that ends the run, because no change of content in Looker can cause it."""
    if isinstance(error, RequestRejectedError) and not error.is_about_content:
        raise error


def _keep_name(query: ConfiguredQuery, kept: Mapping[str, Collection[str]]) -> ConfiguredQuery:
    """Keep the name of the stream of the same content, whose title may have changed."""
    names = kept.get(query.content_path or "", ())
    return query if query.name in names or not names else _with_name(query, min(names))


def _with_name(query: ConfiguredQuery, name: str) -> ConfiguredQuery:
    return replace(query, config=msgspec.structs.replace(query.config, name=name))


def _distinguish(queries: Sequence[ConfiguredQuery], longest: int) -> list[ConfiguredQuery]:
    """Shorten names; those of Looks end in their IDs if a title is also another stream's name."""
    count = Counter(query.name for query in queries)
    named = (
        f"{query.name}_{query.look_id}"
        if count[query.name] > 1 and query.content_path and query.dashboard_id is None
        else query.name
        for query in queries
    )
    return [_with_name(q, shorten(name, longest)) for q, name in zip(queries, named, strict=True)]


def catalog_problems(
    plan: QueryStreamPlan,
    *,
    key_properties: Iterable[str],
    replication_key: str | None,
    replication_method: str,
) -> list[str]:
    """Return, one line each, parts of a catalog's entry that a run cannot follow.

    Args:
        plan: Query, and the schema in the catalog.
        key_properties: Keys in the catalog.
        replication_key: Replication key in the catalog.
        replication_method: Replication method in the catalog.
    """
    properties, path = plan.schema["properties"], plan.query.config_path
    missing = [name for name in key_properties if name not in properties]
    found = [
        *(f"its schema has no property {name}, which is a key property" for name in missing),
        *(
            f"its schema has no type for {name}"
            for name, declared in properties.items()
            if _SAY_A_TYPE.isdisjoint(declared)
        ),
    ]
    if replication_method not in _REPLICATION_METHODS:
        found.append(f"{replication_method} is not a replication method of this tap")
    elif replication_method == "INCREMENTAL":
        found += _replication_key_problems(plan, replication_key)
    return [
        f"catalog: {plan.query.name}: {problem}; discover again, or change {path}"
        for problem in found
    ]


def _replication_key_problems(plan: QueryStreamPlan, replication_key: str | None) -> list[str]:
    if replication_key is None or replication_key != plan.replication_key:
        path, requested = plan.query.config_path, plan.replication_key or "none"
        return [
            f"its replication key is {replication_key or 'none'}, that of {path} is {requested}"
        ]
    if replication_key not in plan.schema["properties"]:
        return [f"its schema has no property {replication_key}, the replication key"]
    return []


@dataclass(frozen=True, eq=False)
class Discovery:
    """Describes the streams of queries by Looker's metadata; fetches each Explore once.

    Attributes:
        settings: Settings; entries of `queries` and `dashboards` do not count.
        client: Client of Looker's API.
        stored_queries: Stored queries looked up so far.
        logger: Logger for warnings to users.
        may_run: Whether it may run a query for one row if its Explore's fields cannot be read;
            otherwise their types stay unknown.
    """

    settings: Settings
    client: LookerClient
    stored_queries: StoredQueries
    logger: logging.Logger
    may_run: bool = field(kw_only=True)
    # None for an Explore that cannot be read.
    _explores: Lookups[tuple[str, str], KnownFields | None] = field(
        default_factory=Lookups, init=False
    )

    def find_queries(
        self, settings: Settings, kept: Mapping[str, Collection[str]] = MappingProxyType({})
    ) -> Findings[ConfiguredQuery]:
        """Return the queries of this shard: of `queries`, and the tiles of `dashboards`.

        Fetches only dashboards, and Looks whose title names a stream. `kept` has the names that
        catalog or state have for the streams of content, by its `content_path`.

        Raises:
            RequestError: If a request to Looker fails.
        """
        most, numbered = settings.max_connections, enumerate(settings.queries)
        dashboards = enumerate(settings.dashboards)
        tiles = self._join(map_concurrently(self._find_tiles, dashboards, most))
        entries = (ConfiguredQuery(config, f"queries[{n}]") for n, config in numbered)
        looks = self._join(map_concurrently(partial(self._name_by_title, kept), entries, most))
        queries = [*looks.values, *(_keep_name(query, kept) for query in tiles.values)]
        queries = _distinguish(queries, settings.max_name_length)
        names = name_problems((f"{query.config_path}.name", query.name) for query in queries)
        shards = share_queries((query.name for query in queries), settings.shard_count)
        return Findings(
            tuple(query for query in queries if shards[query.name] == settings.shard_index),
            (*tiles.problems, *names),
            failures=(*looks.failures, *tiles.failures),
        )

    def _join(self, found: Sequence[Findings[_Value]]) -> Findings[_Value]:
        """Log the notes and warnings of several findings, and return the rest as one."""
        for each in found:
            for note in each.notes:
                self.logger.info("%s", note)
            for warning in each.warnings:
                self.logger.warning("%s", warning)
        return Findings(
            tuple(value for each in found for value in each.values),
            tuple(problem for each in found for problem in each.problems),
            failures=tuple(failure for each in found for failure in each.failures),
        )

    def _find_tiles(self, numbered: tuple[int, DashboardConfig]) -> Findings[ConfiguredQuery]:
        n, config = numbered
        config_path, dashboard_id = f"dashboards[{n}]", str(config.dashboard_id)
        try:
            dashboard, merged = self.stored_queries.dashboard(dashboard_id)
        except RequestRejectedError as error:
            _raise_unless_content(error)
            source = "dashboard_id" if config.url is None else "url"
            name = config.name or f"dashboard_{n}"
            return Findings(failures=((name, f"{config_path}.{source}: {error.message}"),))
        found = tile_queries(name_filters(config, dashboard), dashboard, config_path, merged)
        if not dashboard.get("deleted"):
            return found
        problem = f"dashboard {dashboard_id} is deleted; restore it in Looker, or remove it here"
        return replace(found, values=tuple(replace(q, problem=problem) for q in found.values))

    def _name_by_title(
        self, kept: Mapping[str, Collection[str]], query: ConfiguredQuery
    ) -> Findings[ConfiguredQuery]:
        """Name the stream of a Look without a configured name, or return why that is impossible."""
        if query.name:
            return Findings((query,))
        query = replace(query, content_path=f"/looks/{query.look_id}")
        if query.content_path in kept:
            return Findings((_keep_name(query, kept),))
        try:
            title = self.stored_queries.find(query).title
        except (RequestRejectedError, ValueError) as error:
            _raise_unless_content(error)
            reason = f"{query.source_path}: {error}"
            return Findings(failures=((f"look_{query.look_id}", reason),))
        name = name_from_title(title or "", "look", str(query.look_id))
        return Findings((_with_name(query, name),))

    def all_plans(
        self, settings: Settings, kept: Mapping[str, Collection[str]]
    ) -> Findings[QueryStreamPlan]:
        """Return the plans of all configured queries of this shard.

        Streams that cannot run because of a change in Looker are `failures`.

        Args:
            settings: Settings with these queries and dashboards, otherwise as given before.
            kept: Names of the streams of content, by its `content_path`.

        Raises:
            SettingsError: If some cannot be run as configured; the message lists them all.
            RequestError: If a request to Looker fails.
        """
        found = self.find_queries(settings, kept)
        plans = self.plans(found.values, found.problems)
        return replace(plans, failures=(*found.failures, *plans.failures))

    def plans_in_catalog(
        self,
        settings: Settings,
        known: Mapping[str, Mapping[str, Any]],
        in_state: Mapping[str, Collection[str]],
    ) -> Findings[QueryStreamPlan]:
        """Return the plans of the configured queries of this shard that are in a catalog.

        Args:
            settings: As for `all_plans`.
            known: JSON Schema of each stream in the catalog, by its name.
            in_state: Names that state has for the streams of content, by its `content_path`.

        Raises:
            SettingsError: If names are wrong, or a tile cannot be read as configured.
            RequestError: If a request to Looker fails.
        """
        kept = {str(schema.get("$id")): (name,) for name, schema in known.items()}
        found = self.find_queries(settings, kept)
        reject_problems(found.problems)
        for query in found.values:
            earlier = in_state.get(query.content_path or "", ())
            if earlier and query.name not in earlier:
                self.logger.warning(
                    "%s: this stream was %s before; targets load it into a new table, unless "
                    "`name` of %s keeps the name",
                    query.name,
                    min(earlier),
                    query.config_path,
                )
            if query.name not in known:
                self.logger.warning(
                    "%s: not in the catalog, so it does not run; discover again to load it",
                    query.name,
                )
        plans = (QueryStreamPlan(q, known[q.name]) for q in found.values if q.name in known)
        return Findings((*plans,), failures=found.failures)

    def plans(
        self, queries: Sequence[ConfiguredQuery], problems: Sequence[str] = ()
    ) -> Findings[QueryStreamPlan]:
        """Return the plan of each query's stream.

        Args:
            queries: Queries to describe.
            problems: Problems found before, reported along.

        Raises:
            SettingsError: If some cannot be run as configured; the message lists them all.
            RequestError: If a request to Looker fails.
        """
        most = self.settings.max_connections
        found = self._join(map_concurrently(self._examine, queries, most))
        reject_problems([*problems, *found.problems])
        return found

    def _examine(self, query: ConfiguredQuery) -> Findings[QueryStreamPlan]:
        try:
            stored = self.stored_queries.find(query)
            requested = prepare_query(query, stored, self.settings.query_timezone)
            known = self._find_fields(query, requested)
        except (RequestRejectedError, ValueError) as error:
            _raise_unless_content(error)
            reason = f"{query.source_path}: {error}"
            if query.config.explore:
                return Findings(problems=(reason,))
            return Findings(failures=((query.name, reason),))
        body, hidden = visible_fields(query.config, requested.body, known)
        if needed := hidden & {*query.config.key_fields, query.config.replication_key}:
            reason = f"{query.source_path}: {' and '.join(sorted(map(str, needed)))} {_HIDDEN}"
            return Findings(failures=((query.name, reason),))
        longest = self.settings.max_name_length
        problems = field_problems(query.config_path, query.config, body, known, longest)
        if problems:
            return Findings(problems=tuple(problems))
        return self._plan(query, stored, body, known, hidden)

    def _plan(
        self,
        query: ConfiguredQuery,
        stored: StoredQuery,
        body: Mapping[str, Any],
        known: KnownFields,
        hidden: Collection[str],
    ) -> Findings[QueryStreamPlan]:
        longest = self.settings.max_name_length
        columns = columns_of(known.fields, body, longest, self._number_type(query))
        keys = key_columns(query, (column.name for column in columns))
        described = {
            "$id": query.content_path,
            "title": query.title or stored.title,
            "description": query.description or stored.description,
        }
        dimensions = dimensions_of(known.fields, body) if ROW_KEY in keys else None
        schema = stream_schema(columns, keys, dimensions) | {
            k: v for k, v in described.items() if v
        }
        problem = query.problem or stored.problem
        return Findings(
            (QueryStreamPlan(query, schema, known.are_typed, problem),),
            warnings=(
                *field_warnings(query.config_path, query.config, columns, longest),
                *(f"{query.config_path}: {name} {_HIDDEN}: left out" for name in sorted(hidden)),
                *([f"{query.config_path}: {problem}"] if problem else ()),
            ),
        )

    def _number_type(self, query: ConfiguredQuery) -> ColumnType:
        decimals = query.config.decimals or self.settings.decimals
        return decimal_type(decimals.precision, decimals.scale) if decimals else NUMBER

    def _find_fields(self, query: ConfiguredQuery, requested: PreparedQuery) -> KnownFields:
        model, explore = str(requested.body["model"]), str(requested.body["view"])
        known = self._explores.find((model, explore), partial(self._read_explore, model, explore))
        if known or self.may_run:
            return known or self._probe(query, requested)
        return replace(fields_in_result(query_fields(requested.body), ()), are_typed=False)

    def _read_explore(self, model: str, explore: str) -> KnownFields | None:
        try:
            return KnownFields(explore_fields(self.client.lookml_model_explore(model, explore)))
        except RequestRejectedError as error:
            if error.http_status in _NOT_READABLE:
                return None
            raise

    def _probe(self, query: ConfiguredQuery, requested: PreparedQuery) -> KnownFields:
        """Return the fields of a query from one row of its result.

        Raises:
            ValueError: If the query fails.
        """
        explore = f"{requested.body['model']}/{requested.body['view']}"
        self.logger.warning(
            "%s: the fields of Explore %s cannot be read by this user; running the query for one "
            "row to find its types",
            query.config_path,
            explore,
        )
        try:
            query_id = requested.query_id or self.client.create_query(requested.body)[0]
            entry = self.client.run_query(
                query_id, limit=1, server_table_calcs=requested.server_table_calcs
            )
            result = read_result(entry)
            failure = result.error_message
        except (RequestRejectedError, ValueError) as error:
            failure, result = str(error), None
        if failure or not result:
            msg = f"the Explore {explore} cannot be read, and the query fails: {failure}"
            raise ValueError(msg)
        return fields_in_result(query_fields(requested.body), result.fields or ())
