"""The body of a Looker query -> SQL."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tap_looker_tasks.simulator.filters import Filter
from tap_looker_tasks.simulator.model import DATE_TYPES, Field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from tap_looker_tasks.simulator.model import Explore

_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_EXPRESSION = re.compile(r"""(?:\$\{[\w.]+\}|[\s\d.+\-*/(),]|"[^"]*"|concat|coalesce|round)*""")
_AGGREGATES = {
    "sum": "sum({0})",
    "average": "avg({0})",
    "min": "min({0})",
    "max": "max({0})",
    "count_distinct": "count(distinct {0})",
}


class InvalidQueryError(ValueError):
    """The query asks for something that the Explore does not have."""


class Statement:
    """One query as SQL.

    Attributes:
        fields: what is asked for, table calculations last.
        columns: their names.
        measures: names of the measures among them.
    """

    def __init__(
        self, explore: Explore, query: Mapping[str, Any], timezone: str, now: datetime
    ) -> None:
        """Look up everything the query names.

        Raises:
            InvalidQueryError: something is not there.
            FilterError: a filter expression is wrong.
        """
        self._tables = explore.tables
        self._query = query
        self._timezone = timezone
        self._known = dict(explore.fields)
        self._calculations: dict[str, Field] = {}
        self._add_dynamic_fields()
        asked = [*(query.get("fields") or ()), *(query.get("pivots") or ())]
        if not asked:
            msg = "The query has no fields"
            raise InvalidQueryError(msg)
        names = dict.fromkeys(name for name in asked if name not in self._calculations)
        self._selected = [self._field(name) for name in names]
        self.fields = (*self._selected, *self._calculations.values())
        self.columns = tuple(field.name for field in self.fields)
        self.measures = tuple(field.name for field in self.fields if field.is_measure)
        self._where, self._having = self._conditions(now)
        self._order = self._ordered()

    def text(self, limit: int | None) -> str:
        """SELECT with every column, in the order asked for, and no more rows than `limit`."""
        inner = self._grouped(self._selected)
        calculated = [f"{self._formatted(f)} as {_quoted(f.name)}" for f in self._selected_outer()]
        end = f" limit {limit}" if limit is not None else ""
        order = f" order by {', '.join(self._order)}" if self._order else ""
        return f"{_select(calculated)} from ({inner}){order}{end}"

    def totals(self) -> tuple[tuple[str, ...], str]:
        """Columns and SELECT of the measures over all rows."""
        measures = [field for field in self._selected if field.is_measure]
        return tuple(field.name for field in measures), self._grouped(measures)

    def row_totals(self) -> tuple[tuple[str, ...], str]:
        """Columns and SELECT of the measures over all pivot values."""
        pivots = self._query.get("pivots") or ()
        fields = [field for field in self._selected if field.name not in pivots]
        ordered = sorted(fields, key=lambda field: field.is_measure)
        columns = [self._formatted(replace(f, sql=_quoted(f.name))) for f in ordered]
        names = tuple(field.name for field in ordered)
        return names, f"{_select(columns)} from ({self._grouped(ordered)})"

    def _selected_outer(self) -> list[Field]:
        """The columns, in terms of the grouped select."""
        selected = [replace(field, sql=_quoted(field.name)) for field in self._selected]
        return [*selected, *self._calculations.values()]

    def _grouped(self, fields: Iterable[Field]) -> str:
        columns, keys = [], []
        for field in fields:
            columns.append(f"{self._sql(field)} as {_quoted(field.name)}")
            if not field.is_measure:
                keys.append(str(len(columns)))
        text = f"{_select(columns)} from {self._tables}"
        if self._where:
            text += f" where {' and '.join(self._where)}"
        if keys:
            text += f" group by {', '.join(keys)}"
        if self._having:
            text += f" having {' and '.join(self._having)}"
        return text

    def _sql(self, field: Field) -> str:
        """The field's expression; date-times are cut to their unit, as timestamps."""
        sql = field.sql.replace("{timezone}", self._timezone)
        if field.type not in DATE_TYPES:
            return sql
        unit = field.type.removeprefix("date_").replace("date", "day").replace("time", "second")
        return f"date_trunc('{unit}', {sql})"

    def _formatted(self, field: Field) -> str:
        """The column as Looker tells its values."""
        notation = DATE_TYPES.get(field.type)
        return f"strftime({field.sql}, '{notation}')" if notation else field.sql

    def _field(self, name: str) -> Field:
        try:
            return self._known[name]
        except KeyError:
            msg = f'Unknown field "{name}"'
            raise InvalidQueryError(msg) from None

    def _add_dynamic_fields(self) -> None:
        described = self._query.get("dynamic_fields")
        for found in json.loads(described) if described else ():
            match found:
                case {"table_calculation": name, "expression": expression}:
                    type_ = found.get("_type_hint") or "number"
                    sql = _translated(expression, _quoted)
                    self._calculations[name] = Field(name, type_, sql, is_measure=True)
                case {"dimension": name, "expression": expression}:
                    sql = _translated(expression, lambda n: self._sql(self._field(n)))
                    self._known[name] = Field(name, found.get("_type_hint") or "string", sql)
                case {"measure": name, "based_on": based_on, "type": type_}:
                    aggregate = _AGGREGATES.get(type_, "sum({0})")
                    sql = aggregate.format(self._sql(self._field(based_on)))
                    self._known[name] = Field(name, type_, sql, is_measure=True)
                case _:
                    msg = f"Unknown kind of dynamic field: {sorted(found)}"
                    raise InvalidQueryError(msg)

    def _conditions(self, now: datetime) -> tuple[list[str], list[str]]:
        where: list[str] = []
        having: list[str] = []
        for name, expression in (self._query.get("filters") or {}).items():
            field = self._field(name)
            condition = _condition(field, Filter(self._unformatted(field), expression, now))
            (having if field.is_measure else where).append(condition)
        return where, having

    def _unformatted(self, field: Field) -> str:
        return field.sql.replace("{timezone}", self._timezone)

    def _ordered(self) -> list[str]:
        sorts = [sort for sort in self._query.get("sorts") or () if sort.split()]
        if sorts:
            return [self._sort(sort) for sort in sorts]
        dates = [f.name for f in self._selected if f.type in DATE_TYPES]
        measures = [f.name for f in self.fields if f.is_measure and f.is_numeric]
        first = [*dates, *measures][:1]
        rest = [f.name for f in self._selected if not f.is_measure and f.name not in first]
        return [*(f"{_quoted(name)} desc" for name in first), *map(_quoted, rest)]

    def _sort(self, sort: str) -> str:
        name, *direction = sort.split()
        if name not in self.columns:
            msg = f'Cannot sort by "{name}": not a field of the query'
            raise InvalidQueryError(msg)
        descending = direction[:1] == ["desc"]
        return f"{_quoted(name)} {'desc nulls last' if descending else 'asc nulls first'}"


def _select(columns: Iterable[str]) -> str:
    return f"select {', '.join(columns)}"


def _condition(field: Field, filter_: Filter) -> str:
    if field.type in DATE_TYPES:
        return filter_.on_date()
    if field.type == "yesno":
        return filter_.on_yesno()
    return filter_.on_number() if field.is_numeric else filter_.on_text()


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', ""))


def _translated(expression: str, column: Callable[[str], str]) -> str:
    """A Looker expression of references, numbers, texts and `+ - * /`, as SQL."""
    if not _EXPRESSION.fullmatch(expression):
        msg = f"Cannot read the expression {expression!r}"
        raise InvalidQueryError(msg)
    text = re.sub(r'"([^"]*)"', r"'\1'", expression)
    return _REFERENCE.sub(lambda match: column(match[1]), text)
