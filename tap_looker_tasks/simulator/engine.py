"""Runs the body of a Looker query on DuckDB."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import duckdb

from tap_looker_tasks.simulator.data import connect
from tap_looker_tasks.simulator.filters import FilterError
from tap_looker_tasks.simulator.model import DATE_TYPES, EXPLORES, MODEL_NAME
from tap_looker_tasks.simulator.sql import InvalidQueryError, Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_looker_tasks.simulator.model import Explore, Field

_DEFAULT_LIMIT = 500
_UNLIMITED = -1


class QueryFailedError(Exception):
    """The query cannot be run.

    Attributes:
        message: why.
        sql: what the database was asked; None when it did not come to that.
    """

    def __init__(self, message: str, sql: str | None = None) -> None:
        """Keep the statement beside the message."""
        super().__init__(message)
        self.message = message
        self.sql = sql


@dataclass(frozen=True)
class Answer:
    """What a query resulted in.

    Attributes:
        query: the body that was run.
        explore: the Explore it was run on.
        fields: its fields, pivots among them, in the order asked for.
        columns: names of the fields in `rows`.
        rows: tuples of values; with pivots, one for each row and pivot value.
        truncated: whether there were more rows than the limit.
        sql: what the database was asked.
        timezone: what date-times are told in.
        totals: values of the measures over all rows, by name; None unless asked for.
        row_totals: values of the measures, by the dimensions of a row; for pivots only.
    """

    query: Mapping[str, Any]
    explore: Explore
    fields: tuple[Field, ...]
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool
    sql: str
    timezone: str
    totals: Mapping[str, Any] | None = None
    row_totals: Mapping[tuple[Any, ...], Mapping[str, Any]] = field(default_factory=dict)

    @property
    def pivots(self) -> tuple[str, ...]:
        """Names of the dimensions that the result is pivoted by."""
        return tuple(self.query.get("pivots") or ())


class Database:
    """The flights of 2013, ready for queries from any thread."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        """Take a connection to the loaded tables; `now` is what relative filters start from."""
        self._connection = connection
        self._now = now
        self._lock = threading.Lock()

    def run(self, query: Mapping[str, Any]) -> Answer:
        """Run a query: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Query>.

        Raises:
            QueryFailedError: it asks for what is not there, or the database refused it.
        """
        explore = self._explore_of(query)
        try:
            zone = ZoneInfo(query.get("query_timezone") or "UTC")
            now = self._now().astimezone(zone).replace(tzinfo=None)
            statement = Statement(explore, query, zone.key, now)
            limit = _limit_of(query)
        except (InvalidQueryError, FilterError, ValueError, LookupError) as error:
            raise QueryFailedError(str(error)) from None
        pivoted = bool(query.get("pivots"))
        sql = statement.text(limit=None if pivoted or limit is None else limit + 1)
        rows = self._rows(sql)
        answer = Answer(
            query=query,
            explore=explore,
            fields=statement.fields,
            columns=statement.columns,
            rows=rows,
            truncated=False,
            sql=sql,
            timezone=zone.key,
        )
        answer = _limited(answer, limit)
        return self._with_totals(answer, statement)

    def explore(self, model: str, explore: str) -> dict[str, Any] | None:
        """Describe an Explore: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/LookmlModelExplore>."""
        found = EXPLORES.get(explore) if model == MODEL_NAME else None
        if found is None:
            return None
        fields = [_described(field, found) for field in found.fields.values()]
        return {
            "id": f"{MODEL_NAME}::{found.name}",
            "name": found.name,
            "label": found.name.title(),
            "title": found.name.title(),
            "description": found.description,
            "model_name": MODEL_NAME,
            "view_name": found.name,
            "project_name": MODEL_NAME,
            "hidden": False,
            "fields": {
                "dimensions": [f for f in fields if f["category"] == "dimension"],
                "measures": [f for f in fields if f["category"] == "measure"],
                "filters": [],
                "parameters": [],
            },
        }

    def close(self) -> None:
        """Let go of the memory."""
        self._connection.close()

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self._lock:
            cursor = self._connection.cursor()
        try:
            return cursor.execute(sql).fetchall()
        except duckdb.Error as error:
            raise QueryFailedError(str(error).splitlines()[0], sql) from None
        finally:
            cursor.close()

    def _explore_of(self, query: Mapping[str, Any]) -> Explore:
        found = EXPLORES.get(query.get("view") or "")
        if found is None or query.get("model") != MODEL_NAME:
            msg = "View Not Found"
            raise QueryFailedError(msg)
        return found

    def _with_totals(self, answer: Answer, statement: Statement) -> Answer:
        if answer.query.get("total"):
            columns, sql = statement.totals()
            answer = replace(answer, totals=dict(zip(columns, self._rows(sql)[0], strict=True)))
        if answer.pivots and answer.query.get("row_total") == "right":
            columns, sql = statement.row_totals()
            width = len(columns) - len(statement.measures)
            answer = replace(
                answer,
                row_totals={
                    row[:width]: dict(zip(columns[width:], row[width:], strict=True))
                    for row in self._rows(sql)
                },
            )
        return answer


def load_database() -> Database:
    """Load the tables and make them ready for queries; takes about a second."""
    return Database(connect())


def _limit_of(query: Mapping[str, Any]) -> int | None:
    limit = int(query.get("limit") or _DEFAULT_LIMIT)
    return None if limit == _UNLIMITED else limit


def _limited(answer: Answer, limit: int | None) -> Answer:
    """Leave as many rows as asked for; what a pivot spreads over columns is one row."""
    if limit is None:
        return answer
    if not answer.pivots:
        return replace(answer, rows=answer.rows[:limit], truncated=len(answer.rows) > limit)
    kept: dict[tuple[Any, ...], None] = {}
    keys = [n for n, name in enumerate(answer.columns) if not _spreads(answer, name)]
    rows = []
    for row in answer.rows:
        key = tuple(row[n] for n in keys)
        if len(kept) < limit or key in kept:
            kept[key] = None
            rows.append(row)
    return replace(answer, rows=rows, truncated=len(rows) < len(answer.rows))


def _spreads(answer: Answer, name: str) -> bool:
    described = {field.name: field for field in answer.fields}
    return name in answer.pivots or described[name].is_measure


def _described(field: Field, explore: Explore) -> dict[str, Any]:
    view = field.name.partition(".")[0]
    return {
        "name": field.name,
        "label": field.label,
        "label_short": field.name.partition(".")[2].replace("_", " ").title(),
        "description": field.description,
        "type": field.type,
        "category": "measure" if field.is_measure else "dimension",
        "measure": field.is_measure,
        "is_numeric": field.is_numeric,
        "is_timeframe": field.type in DATE_TYPES,
        "view": view,
        "view_label": view.title(),
        "scope": view,
        "hidden": False,
        "sql": field.sql,
        "field_group_label": None,
        "source_file": f"{explore.name}.view.lkml",
    }
