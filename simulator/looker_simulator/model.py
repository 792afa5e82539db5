"""Projects to serve: models, their Explores, and the fields that can be queried."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Self

    import duckdb

    from looker_simulator.content import Content


Category = Literal["dimension", "measure", "filter", "parameter"]
DATE_TYPES: Mapping[str, str] = {
    "date_time": "%Y-%m-%d %H:%M:%S",
    "date_second": "%Y-%m-%d %H:%M:%S",
    "date_minute": "%Y-%m-%d %H:%M",
    "date_hour": "%Y-%m-%d %H",
    "date_date": "%Y-%m-%d",
    "date_week": "%Y-%m-%d",
    "date_month": "%Y-%m",
    "date_quarter": "%Y-%m",
    "date_year": "%Y",
    "date_raw": "%Y-%m-%d %H:%M:%S",
}
"""Looker's types of a date dimension, and how their values are written."""

_NUMERIC_TYPES = frozenset(
    {
        *("number", "int", "count", "count_distinct", "sum", "average", "min", "max", "median"),
        *("percentile", "date_day_of_month", "date_day_of_week_index", "date_day_of_year"),
        *("date_hour_of_day", "date_month_num", "date_week_of_year"),
        *(f"duration_{unit}" for unit in ("second", "minute", "hour", "day", "week")),
        *(f"duration_{unit}" for unit in ("month", "quarter", "year")),
    }
)


@dataclass(frozen=True)
class Field:
    """A dimension, a measure, or a filter-only field.

    Attributes:
        name: View and field, such as `flights.carrier`.
        type: Looker's type of the field.
        sql: Expression over the tables of its Explore, an aggregate for a measure. `{timezone}` is
            replaced by the query's, `{now}` by the present in UTC, and Liquid's `parameter` and
            `condition` by the query's filters. For a filter-only field, the condition it adds, if
            any.
        category: Looker's word for the kind of field.
        description: Description in one sentence.
        filter_sql: Expression that filters compare; `sql` if empty.
        label: Label of view and field; derived from the name if empty.
        convert_tz: Whether values of a date are in the query's time zone; None for other types.
        datatype: `datetime` or `date`, the type in the database; None for other types.
        default_value: Value of a parameter that the query does not set.
        primary_key: Whether it is the key of its view.
        hidden: Whether Looker hides it from users.
        grants: Names of the access grants that a user needs to see it.
    """

    name: str
    type: str
    sql: str
    category: Category = "dimension"
    description: str = ""
    filter_sql: str = ""
    label: str = ""
    convert_tz: bool | None = None
    datatype: str | None = None
    default_value: str = ""
    primary_key: bool = False
    hidden: bool = False
    grants: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Build a label from the name."""
        if not self.label:
            label = self.name.replace(".", " ").replace("_", " ").title()
            object.__setattr__(self, "label", label)

    @property
    def is_measure(self) -> bool:
        """Return whether `sql` is an aggregate."""
        return self.category == "measure"

    @property
    def is_numeric(self) -> bool:
        """Return whether Looker treats the values as numbers."""
        return self.type in _NUMERIC_TYPES

    @property
    def view(self) -> str:
        """Return the name of its view."""
        return self.name.partition(".")[0]

    @property
    def label_short(self) -> str:
        """Return its label within its view."""
        return self.name.rpartition(".")[2].replace("_", " ").title()

    @property
    def notation(self) -> str | None:
        """Return the format of its values for `strftime`; None if it is not a date."""
        if self.type == "date_raw" and self.datatype == "date":
            return DATE_TYPES["date_date"]
        return DATE_TYPES.get(self.type)


@dataclass(frozen=True)
class Explore:
    """Fields that can be queried together.

    Attributes:
        name: Value of `Query.view`.
        table: FROM clause without joins.
        joins: Join clauses by the name of the joined view, each after those that it refers to.
        always_join: Views that are joined though a query names none of their fields.
        fields: Fields by name.
        description: Description in one sentence.
        is_readable: Whether its fields can be looked up; its queries run in any case.
        condition: SQL that filters every query of it.
        label: Label that users see.
        always_filter: Filters that apply unless the query sets them.
        conditional_filter: Filters whose values the query can change, but not remove.
        unless: Fields; a filter on one of them lifts `conditional_filter`.
        access_filters: Fields, each with the user attribute whose value filters it.
    """

    name: str
    table: str
    fields: Mapping[str, Field]
    description: str
    is_readable: bool = True
    condition: str = ""
    label: str = ""
    always_filter: Mapping[str, str] = field(default_factory=dict)
    conditional_filter: Mapping[str, str] = field(default_factory=dict)
    unless: frozenset[str] = frozenset()
    access_filters: tuple[tuple[str, str], ...] = ()
    joins: Mapping[str, str] = field(default_factory=dict)
    always_join: frozenset[str] = frozenset()

    def effective_filters(self, filters: Mapping[str, str]) -> Mapping[str, str]:
        """Return the filters of a query, with those that the Explore adds."""
        applied = {name: value for name, value in filters.items() if value.strip()}
        conditional = {} if applied.keys() & self.unless else self.conditional_filter
        return {**self.always_filter, **filters, **conditional, **applied}

    @property
    def title(self) -> str:
        """Return the label that users see."""
        return self.label or self.name.replace("_", " ").title()


@dataclass(frozen=True)
class Model:
    """A LookML model.

    Attributes:
        name: Value of `Query.model`.
        explores: Explores by name.
        access_grants: User attribute and granted values, by name.
    """

    name: str
    explores: Mapping[str, Explore]
    access_grants: Mapping[str, tuple[str, frozenset[str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, *explores: Explore) -> Self:
        """Build a model of its Explores."""
        return cls(name, {explore.name: explore for explore in explores})


def explore_of(
    name: str,
    table: str,
    description: str,
    *fields: Field,
    is_readable: bool = True,
    condition: str = "",
    joins: Mapping[str, str] = MappingProxyType({}),
) -> Explore:
    """Build an Explore of its fields."""
    return Explore(name, table, _by_name(fields), description, is_readable, condition, joins=joins)


def _by_name(fields: Iterable[Field]) -> dict[str, Field]:
    return {field.name: field for field in fields}


TIMEFRAMES = ("time", "hour", "date", "week", "month", "year")
"""The dimensions of a dimension group, unless it names others."""


def dimension(name: str, type_: str, sql: str, description: str = "") -> Field:
    """Build a dimension."""
    return Field(name, type_, sql, description=description)


def measure(name: str, type_: str, sql: str, description: str = "") -> Field:
    """Build a measure from its aggregate."""
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

    Values are in the query's time zone with `convert_tz`, except for `raw`; filters are always read
    in that zone, as in Looker.
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
    """Return the SQL of a timestamp in UTC in the query's time zone."""
    return f"timezone('{{timezone}}', timezone('UTC', {utc}))"


def tier(sql: str, *limits: int) -> str:
    """Return the SQL of Looker's classic tiers: `Below 500`, `500 to 999`, ..., `2000 or Above`."""
    cases = [f"when {sql} < {limits[0]} then 'Below {limits[0]}'"]
    for low, high in pairwise(limits):
        cases.append(f"when {sql} < {high} then '{low} to {high - 1}'")
    last = f"when {sql} >= {limits[-1]} then '{limits[-1]} or Above'"
    return f"case {' '.join(cases)} {last} else 'Undefined' end"


def yesno(condition: str) -> str:
    """Return the SQL of a condition as Looker's `Yes` and `No`."""
    return f"case when {condition} then 'Yes' else 'No' end"


@dataclass(frozen=True)
class Project:
    """Models and content that a simulated Looker serves.

    Attributes:
        models: Models by name.
        content: Stored queries, Looks and dashboards.
        connect: Function that opens a database with all tables; a second for the built-in ones.
        description: Description in one sentence.
    """

    models: Mapping[str, Model]
    content: Content
    connect: Callable[[], duckdb.DuckDBPyConnection]
    description: str


def has_liquid(sql: str) -> bool:
    """Return whether SQL has Liquid to expand."""
    return "{%" in sql or "{{" in sql
