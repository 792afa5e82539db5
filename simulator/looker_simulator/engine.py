"""The query engine: runs the body of a Looker query on DuckDB."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import duckdb

from looker_simulator.builtin import BUILTIN
from looker_simulator.sql import InvalidQueryError, Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from looker_simulator.model import Explore, Field, Project


@dataclass(frozen=True)
class QueryResult:
    """Result of a query.

    Attributes:
        query: Body of the query.
        explore: Explore it was run on.
        fields: Its fields, pivots included, in the requested order.
        columns: Names of the fields in `rows`; table calculations only if requested.
        rows: Tuples of values; with pivots, one for each row and pivot value.
        truncated: Whether there were more rows than the limit.
        columns_truncated: Whether there were more pivot values than the column limit.
        sql: Statement that the database ran.
        timezone: Time zone of its date-times.
        totals: Values of the measures over all rows, for each pivot value; None unless requested.
        row_totals: Values of the measures over all pivot values, by the dimensions of a row.
        subtotals: Values of the measures by the first dimensions and pivot value, by their number.
    """

    query: Mapping[str, Any]
    explore: Explore
    fields: tuple[Field, ...]
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool
    columns_truncated: bool
    sql: str
    timezone: str
    totals: list[dict[str, Any]] | None = None
    row_totals: Mapping[tuple[Any, ...], Mapping[str, Any]] = field(default_factory=dict)
    subtotals: Mapping[int, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def dimensions(self) -> list[str]:
        """Return the names of the dimensions that stay in rows, in the requested order."""
        dimensions = (f.name for f in self.fields if not f.is_measure)
        return [name for name in dimensions if name not in self.pivots]

    @property
    def measures(self) -> list[str]:
        """Return the names of fields computed for each row, or each row and pivot value."""
        return [f.name for f in self.fields if f.is_measure and f.name in self.columns]

    def key_of(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the values of the dimensions in a row; fewer in a subtotal."""
        return tuple(row[name] for name in self.dimensions if name in row)

    @property
    def found(self) -> Iterator[dict[str, Any]]:
        """Yield the rows with the names of their columns."""
        return (dict(zip(self.columns, values, strict=True)) for values in self.rows)

    @property
    def pivots(self) -> tuple[str, ...]:
        """Return the names of the dimensions that the result is pivoted by."""
        return tuple(self.query.get("pivots") or ())


def limit_rows(result: QueryResult, limit: int | None) -> QueryResult:
    """Limit the rows of a result; the pivot values of a row count as one."""
    if limit is None:
        return result
    if not result.pivots:
        return replace(result, rows=result.rows[:limit], truncated=len(result.rows) > limit)
    kept: dict[tuple[Any, ...], None] = {}
    keys = [n for n, name in enumerate(result.columns) if not _spreads(result, name)]
    rows = []
    for row in result.rows:
        key = tuple(row[n] for n in keys)
        if len(kept) < limit or key in kept:
            kept[key] = None
            rows.append(row)
    return replace(result, rows=rows, truncated=len(rows) < len(result.rows))


def fill_dates(result: QueryResult) -> QueryResult:
    """Add a row for each missing day between the first and the last, on top of the limit.

    The other columns of such a row are null.
    """
    filled = next((n for n in result.query.get("fill_fields") or () if n in result.columns), None)
    if filled is None or result.pivots:
        return result
    place = result.columns.index(filled)
    by_day = {row[place]: row for row in result.rows if row[place] is not None}
    first, last = (date.fromisoformat(pick(by_day, default="2000-01-01")) for pick in (min, max))
    days = (str(first + timedelta(n)) for n in range((last - first).days + 1))
    nulls = (None,) * len(result.columns)
    rows = [by_day.get(day, (*nulls[:place], day, *nulls[place + 1 :])) for day in days]
    return replace(result, rows=rows) if by_day else result


def limit_columns(result: QueryResult, limit: int | None) -> QueryResult:
    """Limit the pivot values of a result to the first ones, in their order."""
    if limit is None or not result.pivots:
        return result
    places = [result.columns.index(name) for name in result.pivots]
    values = {tuple(row[n] for n in places) for row in result.rows}
    kept = {*sorted(values, key=str)[:limit]}
    rows = [row for row in result.rows if tuple(row[n] for n in places) in kept]
    return replace(result, rows=rows, columns_truncated=len(kept) < len(values))


def _spreads(result: QueryResult, name: str) -> bool:
    described = {found.name: found for found in result.fields}
    return name in result.pivots or described[name].is_measure


_DEFAULT_LIMIT = 500
_DEFAULT_COLUMN_LIMIT = 50
_UNLIMITED = -1
_MAX_EXACT = 2**53


class QueryFailedError(Exception):
    """The query cannot be run.

    Attributes:
        message: Reason.
        sql: Statement that the database ran; None if it ran none.
    """

    def __init__(self, message: str, sql: str | None = None) -> None:
        """Keep the statement beside the message."""
        super().__init__(message)
        self.message = message
        self.sql = sql


class Database:
    """The tables of a project, ready for queries from any thread.

    Attributes:
        project: Models and stored content.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        project: Project = BUILTIN,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Use a connection to the loaded tables; relative filters start from `now`."""
        # Otherwise DuckDB's allocator keeps the memory of large results for good.
        connection.execute("set allocator_background_threads = true")
        self.project = project
        self._connection = connection
        self._now = now
        self._lock = threading.Lock()

    def run(
        self,
        query: Mapping[str, Any],
        *,
        server_table_calcs: bool = False,
        only_sql: bool = False,
        user_attributes: Mapping[str, str] = MappingProxyType({}),
    ) -> QueryResult:
        """Run a query: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Query>.

        With `only_sql`, the database runs nothing, and there are no rows. Table calculations are
        computed only with `server_table_calcs`; without, they have names and no values.

        Raises:
            QueryFailedError: If the query names something unknown, or the database rejects it.
        """
        explore = self._explore_of(query)
        try:
            zone = ZoneInfo(query.get("query_timezone") or "UTC")
            now = self._now().astimezone(zone).replace(tzinfo=None)
            statement = Statement(
                explore,
                query,
                (zone.key, now),
                server_table_calcs=server_table_calcs,
                user_attributes=user_attributes,
            )
            limit, column_limit = _limit_of(query), _column_limit_of(query)
            _check_keys(query, statement)
        except (ValueError, LookupError, TypeError, OSError) as error:
            raise QueryFailedError(str(error)) from None
        pivoted = bool(query.get("pivots"))
        sql = statement.text(limit=None if pivoted or limit is None else limit + 1)
        result = QueryResult(
            query=query,
            explore=explore,
            fields=statement.fields,
            columns=statement.columns,
            rows=[] if only_sql else self._rows(sql),
            truncated=False,
            columns_truncated=False,
            sql=sql,
            timezone=zone.key,
        )
        if only_sql:
            return result
        result = fill_dates(limit_columns(limit_rows(result, limit), column_limit))
        return self._with_totals(result, statement)

    def find_explore(self, model: str, explore: str) -> Explore | None:
        """Return an Explore; None if there is none of that name."""
        found = self.project.models.get(model)
        return found.explores.get(explore) if found else None

    def close(self) -> None:
        """Close the database and release its memory."""
        self._connection.close()

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self._lock:
            cursor = self._connection.cursor()
        try:
            rows = cursor.execute(sql).fetchall()
            return _without_zero_fractions(rows, cursor.description or ())
        except duckdb.Error as error:
            raise QueryFailedError(str(error).splitlines()[0], sql) from None
        finally:
            cursor.close()

    def _explore_of(self, query: Mapping[str, Any]) -> Explore:
        found = self.find_explore(str(query.get("model")), str(query.get("view")))
        if found is None:
            msg = "View Not Found"
            raise QueryFailedError(msg)
        return found

    def _with_totals(self, result: QueryResult, statement: Statement) -> QueryResult:
        """Add the totals, row totals and subtotals that the query requests."""

        def aggregate(*dimensions: str) -> list[dict[str, Any]]:
            columns, sql = statement.aggregates(dimensions)
            return [dict(zip(columns, row, strict=True)) for row in self._rows(sql)]

        query = result.query
        if query.get("total"):
            result = replace(result, totals=aggregate(*result.pivots))
        dimensions = result.dimensions
        subtotals = [name for name in query.get("subtotals") or () if name in dimensions]
        has_row_totals = bool(result.pivots and query.get("row_total") in {"left", "right"})
        row_totals = []
        for depth in sorted({dimensions.index(name) + 1 for name in subtotals}):
            shown = dimensions[:depth]
            found = aggregate(*shown, *result.pivots)
            result = replace(result, subtotals={**result.subtotals, depth: found})
            row_totals += aggregate(*shown) if has_row_totals else []
        if has_row_totals:
            row_totals += [*aggregate(*dimensions), *aggregate()]
        return replace(result, row_totals={result.key_of(row): row for row in row_totals})


def _is_whole(value: float) -> bool:
    return value.is_integer() and abs(value) <= _MAX_EXACT


def _without_zero_fractions(
    rows: list[tuple[Any, ...]], columns: Sequence[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """Return rows whose integral floats are integers, as in Looker's JSON."""
    places = {n for n, column in enumerate(columns) if str(column[1]) in {"DOUBLE", "FLOAT"}}
    if not places:
        return rows
    return [
        tuple(
            int(value) if n in places and value is not None and _is_whole(value) else value
            for n, value in enumerate(row)
        )
        for row in rows
    ]


def load_database(project: Project = BUILTIN) -> Database:
    """Load a project's tables, which takes a second for the built-in ones."""
    return Database(project.connect(), project)


def _check_keys(query: Mapping[str, Any], statement: Statement) -> None:
    """Reject keys that the simulator would have to ignore silently.

    Raises:
        InvalidQueryError: If the query has such a key.
    """
    names = [field.name for field in statement.fields]
    for key in ("pivots", "subtotals", "fill_fields"):
        unknown = [name for name in query.get(key) or () if name not in names]
        if unknown:
            msg = f"{key}: {unknown[0]} is not a field of the query"
            raise InvalidQueryError(msg)
    fill = query.get("fill_fields") or ()
    if fill and (query.get("pivots") or len(fill) > 1):
        msg = "fill_fields: the simulator fills one date of a query without pivots"
        raise InvalidQueryError(msg)
    filled = [found for found in statement.fields if found.name in fill]
    if any(found.type != "date_date" for found in filled):
        msg = f"fill_fields: the simulator fills dates, which {filled[0].name} is not"
        raise InvalidQueryError(msg)
    if query.get("row_total") not in {None, "", "left", "right", "none"}:
        msg = f"row_total: {query['row_total']!r} is none of left, right, none"
        raise InvalidQueryError(msg)


def _limit_of(query: Mapping[str, Any]) -> int | None:
    limit = int(query.get("limit") or _DEFAULT_LIMIT)
    return None if limit == _UNLIMITED else limit


def _column_limit_of(query: Mapping[str, Any]) -> int:
    return int(query.get("column_limit") or _DEFAULT_COLUMN_LIMIT)
