"""Fields of an Explore, with their SQL, from the views that it joins."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from looker_simulator.filters import Filter, FilterError
from looker_simulator.model import (
    DATE_TYPES,
    TIMEFRAMES,
    Category,
    Field,
    date_group,
    day_group,
    has_liquid,
    yesno,
)
from looker_simulator.sql import filter_condition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from looker_simulator.declarations import Block


_PARTS: Mapping[str, tuple[str, str]] = {
    "day_of_month": ("date_day_of_month", "day({0})"),
    "day_of_week": ("date_day_of_week", "dayname({0})"),
    "day_of_week_index": ("date_day_of_week_index", "(isodow({0}) - 1)"),
    "day_of_year": ("date_day_of_year", "dayofyear({0})"),
    "hour_of_day": ("date_hour_of_day", "hour({0})"),
    "month_name": ("date_month_name", "monthname({0})"),
    "month_num": ("date_month_num", "month({0})"),
    "quarter_of_year": ("date_quarter_of_year", "'Q' || quarter({0})"),
    "week_of_year": ("date_week_of_year", "weekofyear({0})"),
}
"""Timeframes that are a part of a date: type of the field, and its SQL."""

_AGGREGATES: Mapping[str, str] = {
    "average": "avg({0})",
    "count_distinct": "count(distinct {0})",
    "date": "max({0})",
    "list": "list(distinct {0} order by {0})",
    "max": "max({0})",
    "median": "median({0})",
    "min": "min({0})",
    "sum": "sum({0})",
}
_AGGREGATED = frozenset({*_AGGREGATES, "percentile"})
"""Types of measures that are an aggregate of an expression."""
_COMPUTED = frozenset({"number", "string", "yesno"})
"""Types of measures whose SQL is an aggregate already."""


def _write_aggregate(type_: str, sql: str, percentile: str, condition: str) -> str:
    """Return an aggregate of an expression over the rows that meet a condition, if any."""
    if type_ == "percentile":
        text = f"quantile_cont({sql}, {float(percentile) / 100})"
    else:
        text = _AGGREGATES[type_].format(sql)
    return f"{text} filter ({condition})" if condition else text


def _write_count(key: str, condition: str) -> str:
    """Return a count of rows, or of the distinct values of a key that are not null."""
    text = f"count(distinct {key})" if key else "count(*)"
    return f"{text} filter ({condition})" if condition else text


def _write_tiers(sql: str, limits: list[str], style: str) -> str:
    """Return the tiers of a number: <https://docs.cloud.google.com/looker/docs/reference/param-dimension-filter-parameter-types#tier>."""
    below, between, above, undefined = _STYLES.get(style, _STYLES["classic"])
    step = 1 if style == "integer" else 0
    cases = [f"when {sql} < {limits[0]} then '{below.format(limits[0])}'"]
    for low, high in pairwise(limits):
        last = str(int(float(high)) - 1) if step else high
        cases.append(f"when {sql} < {high} then '{between.format(low, last)}'")
    cases.append(f"when {sql} >= {limits[-1]} then '{above.format(limits[-1])}'")
    return f"case {' '.join(cases)} else '{undefined}' end"


_STYLES: Mapping[str, tuple[str, str, str, str]] = {
    "integer": ("Below {0}", "{0} to {1}", "{0} or Above", "Undefined"),
    "interval": ("(-inf,{0})", "[{0},{1})", "[{0},inf)", "Undefined"),
    "relational": ("< {0}", ">= {0} and < {1}", ">= {0}", "Undefined"),
    "classic": ("T00 (-inf,{0})", "[{0},{1})", "[{0},inf)", "TXX Undefined"),
}


def _show(type_: str, sql: str) -> str:
    """Return an expression in the form of results."""
    return yesno(sql) if type_ == "yesno" else sql


_REFERENCE = re.compile(r"\$\{\s*([\w.]+)\s*\}")
_LIQUID_NAME = re.compile(r"(\{%-?\s*(?:parameter|condition)\s+)(\w+)(?=\s)")
_PLAIN = frozenset({"string", "number", "int", "yesno", "zipcode"})
_DATES = {"date": "date_date", "date_time": "date_time"}
_INTERVALS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
_COORDINATES = ("latitude", "longitude")
_MEASURE_TYPES = ", ".join(sorted(_AGGREGATED | _COMPUTED))
_DIMENSIONS = ("dimension", "dimension_group")
_UNDERSTOOD = frozenset(
    {
        *("type", "sql", "label", "description", "hidden", "primary_key", "convert_tz", "datatype"),
        *("timeframes", "intervals", "sql_start", "sql_end", "sql_latitude", "sql_longitude"),
        *("tiers", "style", "filters", "list_field", "percentile", "default_value"),
        *("allowed_value", "required_access_grants"),
    }
)
_SHOWN_ONLY = frozenset(
    {
        *("action", "alias", "can_filter", "drill_fields", "group_item_label", "group_label"),
        *(
            "html",
            "link",
            "map_layer_name",
            "order_by_field",
            "required_fields",
            "suggest_dimension",
        ),
        *("suggest_explore", "suggestable", "suggestions", "tags", "value_format", "view_label"),
        *("value_format_name", "allow_fill", "bypass_suggest_restrictions", "full_suggestions"),
    }
)
"""Properties without influence on the rows of results."""


class FieldBuilder:
    """Builds the fields of one Explore.

    Attributes:
        warnings: Lines on declarations that were not understood.
    """

    def __init__(self, views: Mapping[str, Block], base: str) -> None:
        """Keep the views by the name they are joined as, and the name of the first."""
        self.warnings: list[str] = []
        self._views = views
        self._base = base
        self._underway: list[str] = []
        self._declared = {
            f"{alias}.{name}": (alias, block)
            for alias, view in views.items()
            for block in view.of_kind(*_DIMENSIONS, "measure", "filter", "parameter")
            for name in _field_names(block)
        }

    def fields(self) -> Iterator[Field]:
        """Yield all fields; those that cannot be understood are left out, with a warning.

        Raises:
            ModelError: If something is missing, or refers to something that is missing.
        """
        for alias, view in self._views.items():
            for block in view.of_kind(*_DIMENSIONS, "measure", "filter", "parameter"):
                self._warn_of_unknown(block)
                yield from self._build(alias, block)

    def expand(self, alias: str, sql: str, block: Block) -> str:
        """Return SQL of a block with its `${...}` expanded; Liquid's names get their view.

        Raises:
            ModelError: If it refers to something that is missing, or to itself.
        """
        sql = sql.strip().removesuffix(";;").replace("${TABLE}", f'"{alias}"')
        sql = _LIQUID_NAME.sub(lambda match: f"{match[1]}{alias}.{match[2]}", sql)
        if has_liquid(sql):
            # Importing liquid takes a third of a second.
            from looker_simulator.liquid import find_liquid_mistake  # noqa: PLC0415 - see above

            if mistake := find_liquid_mistake(sql):
                self.warnings.append(block.warning(mistake))
        return _REFERENCE.sub(lambda match: self._refer(alias, match[1], block), sql)

    def _refer(self, alias: str, name: str, block: Block) -> str:
        full = name if "." in name else f"{alias}.{name}"
        if full not in self._declared:
            block.reject(f"expected a field of the Explore in ${{{name}}}: {full} is none")
        if full in self._underway:
            block.reject(f"{full} refers to itself")
        self._underway.append(full)
        owner, found = self._declared[full]
        sql = self._resolve(owner, found, full.partition(".")[2])
        self._underway.pop()
        return f"({sql})"

    def _resolve(self, alias: str, block: Block, name: str) -> str:
        """Return the SQL of a reference to a field; a yesno is a condition there."""
        if block.kind == "dimension" and block.text("type") == "yesno":
            return self.expand(alias, block.require("sql"), block)
        field = next(f for f in self._build(alias, block) if f.name == f"{alias}.{name}")
        if field.type in DATE_TYPES and field.type != "date_raw":
            unit = field.type.removeprefix("date_")
            return (
                f"date_trunc('{ {'time': 'second', 'date': 'day'}.get(unit, unit) }', {field.sql})"
            )
        return field.sql

    def _build(self, alias: str, block: Block) -> Iterator[Field]:
        match block.kind, block.text("type", "string"):
            case "dimension_group", "duration":
                yield from self._durations(alias, block)
            case "dimension_group", _:
                yield from self._date_group(alias, block)
            case "dimension", _:
                yield self._dimension(alias, block)
            case "measure", _:
                yield self._field(alias, block, block.text("type"), self._measure(alias, block))
            case _:
                yield self._filter_only(alias, block)

    def _field(self, alias: str, block: Block, type_: str, sql: str) -> Field:
        category: Category = "measure" if block.kind == "measure" else "dimension"
        field = Field(f"{alias}.{block.name}", type_, sql, category)
        return _describe(field, alias, block)

    def _dimension(self, alias: str, block: Block) -> Field:
        type_ = block.text("type", "string")
        if type_ in _DATES:
            return self._date(alias, block, _DATES[type_])
        if type_ == "location":
            sql = "concat({}, ',', {})".format(
                *(self.expand(alias, block.require(f"sql_{n}"), block) for n in _COORDINATES)
            )
        elif type_ == "tier":
            limits = block.numbers("tiers")
            style = block.text("style", "classic")
            sql = _write_tiers(self._sql(alias, block), limits, style)
        elif case := next(block.of_kind("case"), None):
            sql = self._case(alias, case)
        else:
            if type_ not in _PLAIN:
                self._warn(block, f"type {type_} is not understood; it is treated as a string")
                type_ = "string"
            sql = _show(type_, self._sql(alias, block))
        return self._field(alias, block, type_, sql)

    def _sql(self, alias: str, block: Block) -> str:
        """Return the SQL of a field; without any, the column of its name."""
        return self.expand(alias, block.text("sql") or f"${{TABLE}}.{block.name}", block)

    def _case(self, alias: str, case: Block) -> str:
        whens = " ".join(
            f"when {self.expand(alias, when.require('sql'), when)} then '{when.require('label')}'"
            for when in case.of_kind("when")
        )
        otherwise = f" else '{case.text('else')}'" if "else" in case.properties else ""
        return f"case {whens}{otherwise} end"

    def _date(self, alias: str, block: Block, type_: str) -> Field:
        (field,) = self._timeframes(alias, block, (type_.removeprefix("date_"),))
        described = self._field(alias, block, type_, field.sql)
        return replace(
            described,
            filter_sql=field.filter_sql,
            convert_tz=field.convert_tz,
            datatype=field.datatype,
        )

    def _date_group(self, alias: str, block: Block) -> Iterator[Field]:
        requested = block.texts("timeframes") or TIMEFRAMES
        units = tuple(unit for unit in requested if f"date_{unit}" in DATE_TYPES)
        for field in self._timeframes(alias, block, units):
            yield _describe(field, alias, block)
        for unit in requested:
            if unit in _PARTS:
                yield self._part(alias, block, unit)
            elif unit not in units:
                self._warn(block, f"timeframe {unit} is not understood")

    def _timeframes(self, alias: str, block: Block, units: tuple[str, ...]) -> Iterator[Field]:
        sql, name = self._sql(alias, block), f"{alias}.{block.name}"
        datatype = block.text("datatype", "datetime")
        if datatype not in {"date", "datetime", "timestamp"}:
            self._warn(block, f"datatype {datatype} is not understood; it is treated as datetime")
        if datatype == "date":
            return day_group(name, sql, block.text("description"), units)
        converts = block.is_set("convert_tz", default=True)
        return date_group(
            name, sql, block.text("description"), timeframes=units, convert_tz=converts
        )

    def _part(self, alias: str, block: Block, unit: str) -> Field:
        type_, template = _PARTS[unit]
        (local,) = self._timeframes(alias, block, ("second",))
        sql = template.format(local.sql)
        field = Field(f"{alias}.{block.name}_{unit}", type_, sql)
        return _describe(field, alias, block)

    def _durations(self, alias: str, block: Block) -> Iterator[Field]:
        start, end = (
            self.expand(alias, block.require(key), block) for key in ("sql_start", "sql_end")
        )
        for unit in block.texts("intervals") or _INTERVALS:
            if unit not in _INTERVALS:
                self._warn(block, f"interval {unit} is not understood")
                continue
            sql = f"date_diff('{unit}', {start}, {end})"
            field = Field(f"{alias}.{unit}s_{block.name}", f"duration_{unit}", sql)
            yield _describe(field, alias, block)

    def _measure(self, alias: str, block: Block) -> str:
        type_ = block.require("type")
        condition = self._measure_condition(alias, block)
        if type_ == "count":
            return _write_count(self._counted_key(alias), condition)
        if type_ in _COMPUTED:
            return _show(type_, self.expand(alias, block.require("sql"), block))
        if type_ not in _AGGREGATED:
            block.reject(f"expected `type` as count, {_MEASURE_TYPES}; {type_} is not known")
        if type_ == "list":
            sql = self._refer(alias, block.require("list_field"), block)
        else:
            sql = self.expand(alias, block.require("sql"), block)
        return _write_aggregate(
            type_, sql, block.numbers("percentile")[0] if type_ == "percentile" else "", condition
        )

    def _counted_key(self, alias: str) -> str:
        """Return the counted SQL of a joined view, its keys; for the first view, its rows."""
        view = self._views[alias]
        keys = [d for d in view.of_kind("dimension") if d.is_set("primary_key")]
        return self._sql(alias, keys[0]) if keys and alias != self._base else ""

    def _measure_condition(self, alias: str, block: Block) -> str:
        pairs = block.pairs("filters") if "filters" in block.properties else []
        pairs += [(f.require("field"), f.text("value")) for f in block.of_kind("filters")]
        now = datetime.now(UTC).replace(tzinfo=None)
        conditions = []
        for name, expression in pairs:
            full = name if "." in name else f"{alias}.{name}"
            owner, found = self._declared.get(full, (alias, None))
            if found is None:
                block.reject(f"expected a field of the Explore in `filters`: {full} is none")
            field = next(f for f in self._build(owner, found) if f.name == full)
            try:
                filter_ = Filter(field.filter_sql or field.sql, expression, now)
                conditions.append(filter_condition(field, filter_))
            except FilterError as error:
                block.reject(str(error))
        return " and ".join(f"({condition})" for condition in conditions)

    def _filter_only(self, alias: str, block: Block) -> Field:
        allowed = [value.text("value") for value in block.of_kind("allowed_value")]
        default = block.text("default_value") or (allowed[0] if allowed else "")
        sql = self.expand(alias, block.text("sql"), block)
        field = Field(f"{alias}.{block.name}", block.text("type", "string"), sql, "filter")
        if block.kind == "parameter":
            field = replace(field, sql="", category="parameter", default_value=default)
        return _describe(field, alias, block)

    def _warn_of_unknown(self, block: Block) -> None:
        known = _UNDERSTOOD | _SHOWN_ONLY
        for key in dict.fromkeys([*block.properties, *(inner.kind for inner in block.blocks)]):
            if key not in known | {"case"}:
                self._warn(block, f"`{key}` is not understood")

    def _warn(self, block: Block, message: str) -> None:
        self.warnings.append(block.warning(message))


def _field_names(block: Block) -> list[str]:
    """Return the names that a block declares, within its view."""
    if block.kind != "dimension_group":
        return [block.name]
    if block.text("type") == "duration":
        return [f"{unit}s_{block.name}" for unit in block.texts("intervals") or _INTERVALS]
    return [f"{block.name}_{unit}" for unit in block.texts("timeframes") or TIMEFRAMES]


def _describe(field: Field, alias: str, block: Block) -> Field:
    """Return a field with the properties of its block."""
    label, suffix = block.text("label"), field.name.rpartition("_")[2].title()
    if label and block.kind == "dimension_group":
        label = f"{label} {suffix}"
    return replace(
        field,
        label=f"{alias.replace('_', ' ').title()} {label}" if label else field.label,
        description=block.text("description"),
        primary_key=block.is_set("primary_key"),
        grants=frozenset(block.texts("required_access_grants")),
        hidden=block.is_set("hidden"),
    )
