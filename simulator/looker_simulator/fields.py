"""Builds the fields of the built-in models."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from looker_simulator.model import Field

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEFRAMES = ("time", "hour", "date", "week", "month", "year")
"""The dimensions of a dimension group, unless it names others."""


def dimension(name: str, type_: str, sql: str, description: str = "") -> Field:
    """Build a dimension."""
    return Field(name, type_, sql, description=description)


def measure(name: str, type_: str, sql: str, description: str = "") -> Field:
    """Build a measure, of an aggregate."""
    return Field(name, type_, sql, "measure", description)


def date_group(
    name: str,
    utc: str,
    description: str,
    *,
    timeframes: tuple[str, ...] = TIMEFRAMES,
    convert_tz: bool = True,
) -> Iterator[Field]:
    """Yield the dimensions of a dimension group, from a timestamp in UTC.

    Values are told in the query's time zone with `convert_tz`, but for `raw`; filters are read in
    it in any case, as Looker does.
    """
    local = in_query_timezone(utc)
    for unit in timeframes:
        is_converted = convert_tz and unit != "raw"
        yield Field(
            f"{name}_{unit}",
            f"date_{unit}",
            local if is_converted else utc,
            description=f"{description}, by {unit}",
            filter_sql=local,
            convert_tz=convert_tz,
            datatype="datetime",
        )


def day_group(
    name: str, sql: str, description: str, timeframes: tuple[str, ...] = ("raw", "date", "month")
) -> Iterator[Field]:
    """Yield the dimensions of a dimension group whose column is a date without a time."""
    for unit in timeframes:
        yield Field(
            f"{name}_{unit}",
            f"date_{unit}",
            sql,
            description=f"{description}, by {unit}",
            convert_tz=False,
            datatype="date",
        )


def in_query_timezone(utc: str) -> str:
    """Write a timestamp in UTC as one in the query's time zone."""
    return f"timezone('{{timezone}}', timezone('UTC', {utc}))"


def tier(sql: str, *limits: int) -> str:
    """Write Looker's classic tiers: `Below 500`, `500 to 999`, ..., `2000 or Above`."""
    cases = [f"when {sql} < {limits[0]} then 'Below {limits[0]}'"]
    for low, high in pairwise(limits):
        cases.append(f"when {sql} < {high} then '{low} to {high - 1}'")
    last = f"when {sql} >= {limits[-1]} then '{limits[-1]} or Above'"
    return f"case {' '.join(cases)} {last} else 'Undefined' end"


def yesno(condition: str) -> str:
    """Write a condition as Looker's `Yes` and `No`."""
    return f"case when {condition} then 'Yes' else 'No' end"
