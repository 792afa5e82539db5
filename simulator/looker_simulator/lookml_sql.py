"""SQL of what LookML declares, as text: tiers, dates, aggregates."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from looker_simulator.fields import yesno

if TYPE_CHECKING:
    from collections.abc import Mapping

PARTS: Mapping[str, tuple[str, str]] = {
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
"""Timeframes that tell a part of a date: type of the field, and its SQL."""

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
AGGREGATED = frozenset({*_AGGREGATES, "percentile"})
"""Types of measures that are an aggregate of an expression."""
COMPUTED = frozenset({"number", "string", "yesno"})
"""Types of measures whose SQL is an aggregate already."""


def aggregate(type_: str, sql: str, percentile: str, condition: str) -> str:
    """Write an aggregate of an expression over the rows that a condition lets through, if any."""
    if type_ == "percentile":
        text = f"quantile_cont({sql}, {float(percentile) / 100})"
    else:
        text = _AGGREGATES[type_].format(sql)
    return f"{text} filter ({condition})" if condition else text


def count(key: str, condition: str) -> str:
    """Write a count of rows, or of what is not null and distinct of a key."""
    text = f"count(distinct {key})" if key else "count(*)"
    return f"{text} filter ({condition})" if condition else text


def tiers(sql: str, limits: list[str], style: str) -> str:
    """Write the tiers of a number: <https://docs.cloud.google.com/looker/docs/reference/param-dimension-filter-parameter-types#tier>."""
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


def show(type_: str, sql: str) -> str:
    """Write an expression as results show it."""
    return yesno(sql) if type_ == "yesno" else sql
