"""SQL of Looker queries, from their bodies."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from looker_simulator.expressions import Sql, translate
from looker_simulator.filters import Filter
from looker_simulator.model import DATE_TYPES, Field, has_liquid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from looker_simulator.model import Explore

_UNITS = {"time": "second", "date": "day"}
_SORT = re.compile(r"(.+?)(?:\s+(asc|desc))?(?:\s+\d+)?\s*")
_AGGREGATES = {
    "sum": "sum({0})",
    "average": "avg({0})",
    "min": "min({0})",
    "max": "max({0})",
    "count_distinct": "count(distinct {0})",
    "list": "list(distinct {0})",
    "median": "median({0})",
}


class InvalidQueryError(ValueError):
    """The query names something that the Explore does not have."""


class Statement:
    """One query as SQL.

    Attributes:
        fields: Fields of the query, table calculations last.
        columns: Names of the fields that have values.
        measures: Names of the measures among the fields.
    """

    def __init__(
        self,
        explore: Explore,
        query: Mapping[str, Any],
        zone_and_now: tuple[str, datetime],
        *,
        server_table_calcs: bool,
        user_attributes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Look up everything that the query names.

        Args:
            explore: Explore of the query.
            query: Body of the query.
            zone_and_now: Time zone of the query, and the present in it, without an offset.
            server_table_calcs: Whether table calculations are computed.
            user_attributes: Values of the user's attributes, by name.

        Raises:
            InvalidQueryError: If the query names something unknown.
            FilterError: If a filter expression is wrong.
        """
        self._explore = explore
        self._query = query
        self._timezone, self._now = zone_and_now
        self._user_attributes = user_attributes
        self._known = dict(explore.fields)
        self._views = {*explore.always_join}
        stored = {name: _as_text(value) for name, value in (query.get("filters") or {}).items()}
        self._filters = explore.effective_filters(stored)
        self._calculations: dict[str, Field] = {}
        self._aliases: dict[str, str] = {}
        self._selected = self._select_fields()
        self.fields = (*self._selected, *self._calculations.values())
        self._computed = self.fields if server_table_calcs else tuple(self._selected)
        self.columns = tuple(field.name for field in self._computed)
        self.measures = tuple(field.name for field in self.fields if field.is_measure)
        self._where, self._having = self._conditions()
        self._order = self._order_terms()

    def text(self, limit: int | None) -> str:
        """Return a SELECT with every column, in the requested order, of at most `limit` rows."""
        inner = self._group(self._selected)
        outer = [self._outer(field) for field in self._computed]
        end = f" limit {limit}" if limit is not None else ""
        order = f" order by {', '.join(self._order)}" if self._order else ""
        return f"{_select(outer)} from ({inner}){order}{end}"

    def aggregates(self, dimensions: Collection[str]) -> tuple[tuple[str, ...], str]:
        """Return columns and SELECT of the measures over the rows of each value of dimensions."""
        fields = [f for f in self._selected if f.is_measure or f.name in dimensions]
        ordered = sorted(fields, key=lambda field: field.is_measure)
        columns = [self._format(replace(f, sql=self._aliases[f.name])) for f in ordered]
        names = tuple(field.name for field in ordered)
        return names, f"{_select(columns)} from ({self._group(ordered)})"

    def _select_fields(self) -> list[Field]:
        """Return the fields of the query except table calculations, and name their columns."""
        self._add_custom_fields()
        requested = [*(self._query.get("fields") or ()), *(self._query.get("pivots") or ())]
        if not requested:
            msg = "The query has no fields"
            raise InvalidQueryError(msg)
        names = dict.fromkeys(name for name in requested if name not in self._calculations)
        for place, name in enumerate((*names, *self._calculations)):
            # DuckDB ignores case in names.
            self._aliases[name] = f"c{place}"
        for name, field in self._calculations.items():
            sql = translate(field.sql, self._calculated, self._match, over_rows=True).value
            self._calculations[name] = replace(field, sql=sql)
        return [self._field(name) for name in names]

    def _calculated(self, name: str) -> Sql:
        """Return a column of the result, in a table calculation; null if it is not selected."""
        if name not in self._aliases:
            self._field(name)
            return Sql("null", "value")
        is_yesno = name in self._known and self._known[name].type == "yesno"
        return Sql(self._alias(name), "yesno" if is_yesno else "value")

    def _column(self, name: str) -> Sql:
        """Return a field, in the expression of a custom field or a filter."""
        field = self._field(name)
        return Sql(self._sql(field), "yesno" if field.type == "yesno" else "value")

    def _match(self, name: str, expression: str) -> str:
        field = self._field(name)
        sql = self._aliases.get(name) if name in self._calculations else self._sql(field)
        return filter_condition(field, Filter(sql or "", expression, self._now))

    def _alias(self, name: str) -> str:
        try:
            return self._aliases[name]
        except KeyError:
            msg = f'Unknown field "{name}" in a table calculation'
            raise InvalidQueryError(msg) from None

    def _outer(self, field: Field) -> str:
        """Return a column in terms of the grouped SELECT."""
        alias = self._aliases[field.name]
        sql = alias
        if field.name in self._calculations:
            order = f"order by {', '.join(self._order)} " if self._order else ""
            sql = field.sql.replace("{order}", order)
        return f"{self._format(replace(field, sql=sql))} as {alias}"

    def _group(self, fields: Iterable[Field]) -> str:
        columns, keys = [], []
        for field in fields:
            columns.append(f"{self._sql(field)} as {self._aliases[field.name]}")
            if not field.is_measure:
                keys.append(str(len(columns)))
        end = ""
        if self._where:
            end += f" where {' and '.join(self._where)}"
        if keys:
            end += f" group by {', '.join(keys)}"
        if self._having:
            end += f" having {' and '.join(self._having)}"
        start = _select(columns)
        return f"{start} from {' '.join(self._tables(start + end))}{end}"

    def _tables(self, text: str) -> list[str]:
        """Return the Explore's table, and the joins of views that the query or `text` names.

        Looker does the same:
        <https://docs.cloud.google.com/looker/docs/reference/param-explore-always-join>.
        """
        tables: list[str] = []
        for view, join in reversed([*self._explore.joins.items()]):
            if view in self._views or re.search(rf'(?<!\w)"?{re.escape(view)}"?\.', text):
                tables.insert(0, self._expand(join))
                text += tables[0]
        return [self._expand(self._explore.table), *tables]

    def _sql(self, field: Field) -> str:
        """Return the field's expression; date-times are truncated to their unit, as timestamps."""
        sql = self._expand(field.sql)
        if field.type not in DATE_TYPES or field.type == "date_raw":
            return sql
        unit = field.type.removeprefix("date_")
        return f"date_trunc('{_UNITS.get(unit, unit)}', {sql})"

    def _format(self, field: Field) -> str:
        """Return the column in the form of Looker's values."""
        notation = field.notation
        return f"strftime({field.sql}, '{notation}')" if notation else field.sql

    def _expand(self, sql: str) -> str:
        here = f"timezone('{self._timezone}', timestamp '{self._now}')"
        sql = sql.replace("{now}", f"timezone('UTC', {here})")
        sql = sql.replace("{timezone}", self._timezone)
        return self._expand_liquid(sql) if has_liquid(sql) else sql

    def _expand_liquid(self, sql: str) -> str:
        # Importing liquid takes a third of a second.
        from looker_simulator.liquid import LiquidValues, expand_liquid  # noqa: PLC0415 - see above

        requested = {*(self._query.get("fields") or ()), *(self._query.get("pivots") or ())}
        fields: dict[str, dict[str, dict[str, Any]]] = {}
        for name, field in self._known.items():
            view, _, short = name.partition(".")
            is_filtered = bool(self._filters.get(name))
            described: dict[str, Any] = {
                "_is_filtered": is_filtered,
                "_is_selected": name in requested,
                "_in_query": is_filtered or name in requested,
            }
            if field.category == "parameter":
                described["_parameter_value"] = self._parameter(name)
            fields.setdefault(view, {})[short] = described
        values = LiquidValues(
            parameter=self._parameter,
            condition=self._write_condition,
            fields=fields,
            filters={**dict.fromkeys(self._known, ""), **self._filters},
            user_attributes=self._user_attributes,
        )
        return expand_liquid(sql, values)

    def _parameter(self, name: str) -> str:
        """Return the value of a parameter, as SQL."""
        field = self._field(name)
        value = str(self._filters.get(name) or field.default_value)
        if field.type == "unquoted":
            if value in {"_", "%"}:
                msg = f'The filter "{field.label}" is not allowed'
                raise InvalidQueryError(msg)
            return re.sub(r"\W", "", value)
        if field.is_numeric and re.fullmatch(r"-?\d+(\.\d+)?", value):
            return value
        return "'{}'".format(value.replace("'", "''"))

    def _write_condition(self, name: str, sql: str) -> str:
        """Return the condition of a templated filter: true unless the query filters by it."""
        field, expression = self._field(name), self._filters.get(name)
        if not expression:
            return "true"
        if field.type == "date" or field.type in DATE_TYPES:
            sql = f"timezone('{self._timezone}', timezone('UTC', {sql}))"
        return filter_condition(field, Filter(sql, expression, self._now))

    def _field(self, name: str) -> Field:
        self._views.add(name.partition(".")[0])
        try:
            return self._known[name]
        except KeyError:
            msg = f'Unknown field "{name}"'
            raise InvalidQueryError(msg) from None

    def _add_custom_fields(self) -> None:
        described = self._query.get("dynamic_fields")
        for found in (json.loads(described) if described else None) or ():
            match found:
                case {"is_disabled": True}:
                    pass
                case {"table_calculation": name, "expression": expression}:
                    type_ = found.get("_type_hint") or "number"
                    self._calculations[name] = Field(name, type_, expression, "measure")
                case {"dimension": name, "expression": expression}:
                    shown = translate(expression, self._column, self._match)
                    type_ = found.get("_type_hint") or "string"
                    type_ = "yesno" if shown.kind == "condition" else type_
                    self._known[name] = Field(name, type_, shown.value)
                case {"measure": name, "based_on": based_on, "type": type_}:
                    self._known[name] = Field(
                        name, type_, self._custom_measure(found, based_on, type_), "measure"
                    )
                case _:
                    msg = f"Unknown kind of dynamic field: {sorted(found)}"
                    raise InvalidQueryError(msg)

    def _custom_measure(self, found: Mapping[str, Any], based_on: str, type_: str) -> str:
        """Return the aggregate of a custom measure, over the rows that match its filters."""
        if type_ not in _AGGREGATES:
            msg = f"Custom measures of the type {type_} are not simulated"
            raise InvalidQueryError(msg)
        text = _AGGREGATES[type_].format(self._sql(self._field(based_on)))
        conditions = [
            self._match(name, _as_text(value))
            for name, value in (found.get("filters") or {}).items()
        ]
        if expression := found.get("filter_expression"):
            conditions.append(translate(expression, self._column, self._match).condition)
        if not conditions:
            return text
        return f"{text} filter ({' and '.join(f'({condition})' for condition in conditions)})"

    def _conditions(self) -> tuple[list[str], list[str]]:
        where = [self._expand(self._explore.condition)] if self._explore.condition else []
        having: list[str] = []
        for name, expression in (*self._filters.items(), *self._access_filters()):
            field = self._field(name)
            condition = self._condition_on(field, expression)
            if condition:
                (having if field.is_measure else where).append(condition)
        if complete := self._query.get("filter_expression"):
            named: list[Field] = []

            def find(name: str) -> Sql:
                named.append(self._field(name))
                return self._column(name)

            condition = translate(complete, find, self._match).condition
            has_measures = any(field.is_measure for field in named)
            (having if has_measures else where).append(condition)
        return where, having

    def _access_filters(self) -> Iterator[tuple[str, str]]:
        for name, attribute in self._explore.access_filters:
            if not self._user_attributes.get(attribute):
                msg = f"access_filter: the user has no value of the user attribute {attribute}"
                raise InvalidQueryError(msg)
            yield name, self._user_attributes[attribute]

    def _condition_on(self, field: Field, expression: str) -> str:
        """Return the condition of a query's filter; empty for a field that only SQL refers to."""
        if field.category == "parameter":
            # Its value is checked even if no SQL has it.
            self._parameter(field.name)
            return ""
        if field.category == "filter":
            return self._expand(field.sql)
        sql = self._expand(field.filter_sql or field.sql)
        return filter_condition(field, Filter(sql, expression, self._now))

    def _order_terms(self) -> list[str]:
        sorts = [sort for sort in self._query.get("sorts") or () if sort.split()]
        if sorts == ["__UNSORTED__"]:
            return []
        if sorts:
            return [order for sort in sorts if (order := self._sort(sort))]
        dates = [f.name for f in self._selected if f.type in DATE_TYPES]
        measures = [f.name for f in self._computed if f.is_measure and f.is_numeric]
        first = [*dates, *measures][:1]
        rest = [f.name for f in self._selected if not f.is_measure and f.name not in first]
        return [
            *(f"{self._aliases[name]} desc" for name in first),
            *(self._aliases[name] for name in rest),
        ]

    def _sort(self, sort: str) -> str | None:
        """Return an ORDER BY term; None for a table calculation that is not computed."""
        name, descending = _read_sort(sort)
        if name not in self._aliases:
            msg = f'Cannot sort by "{name}": not a field of the query'
            raise InvalidQueryError(msg)
        if name not in self.columns:
            return None
        return f"{self._aliases[name]} {'desc nulls last' if descending else 'asc nulls first'}"


def _as_text(value: object) -> str:
    """Return a stored filter as text, because API clients also store other types."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_sort(sort: str) -> tuple[str, bool]:
    """Return a field, and whether it descends; a number after it names a pivot's column."""
    match = _SORT.fullmatch(sort.strip())
    return (match[1], match[2] == "desc") if match else (sort, False)


def _select(columns: Iterable[str]) -> str:
    return f"select {', '.join(columns)}"


def filter_condition(field: Field, filter_: Filter) -> str:
    """Return the condition of a filter expression on a field, by the field's type."""
    if field.type == "date" or field.type in DATE_TYPES:
        return filter_.on_date()
    if field.type == "yesno":
        return filter_.on_yesno()
    return filter_.on_number() if field.is_numeric else filter_.on_text()
