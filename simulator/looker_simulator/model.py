"""What a LookML model consists of: Explores, and the fields that can be queried in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

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
    """A dimension, a measure, or what only filters.

    Attributes:
        name: view and field, such as `flights.carrier`.
        type: Looker's type of the field.
        sql: its expression over the tables of its Explore, an aggregate for a measure;
            `{timezone}` stands for the query's, `{now}` for the present in UTC, and Liquid's
            `parameter` and `condition` for what the query filters by. Of a filter-only field, the
            condition it adds, if any.
        category: Looker's word for the kind of field.
        description: one sentence.
        filter_sql: the expression that filters compare; `sql` when empty.
        label: view and field, as people see them; made from the name when empty.
        convert_tz: whether values of a date are told in the query's time zone; None if no date.
        datatype: `datetime` or `date`: what the database holds; None if no date.
        default_value: of a parameter: what stands in when the query does not set it.
        primary_key: whether it is the key of its view.
        hidden: whether it is not shown to people.
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
        """Return the view it belongs to."""
        return self.name.partition(".")[0]

    @property
    def label_short(self) -> str:
        """Return what people see of it within its view."""
        return self.name.rpartition(".")[2].replace("_", " ").title()

    @property
    def notation(self) -> str | None:
        """Return how its values are written, for `strftime`; None if no date."""
        if self.type == "date_raw" and self.datatype == "date":
            return DATE_TYPES["date_date"]
        return DATE_TYPES.get(self.type)


@dataclass(frozen=True)
class Explore:
    """Fields that can be queried together.

    Attributes:
        name: what `Query.view` holds.
        tables: the FROM clause.
        fields: by name.
        description: one sentence.
        is_readable: whether its fields may be looked up; its queries run in any case.
        condition: SQL that every query of it is filtered by.
        label: what people see.
        always_filter: filters that apply unless the query sets them.
    """

    name: str
    tables: str
    fields: Mapping[str, Field]
    description: str
    is_readable: bool = True
    condition: str = ""
    label: str = ""
    always_filter: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Return what people see."""
        return self.label or self.name.replace("_", " ").title()


@dataclass(frozen=True)
class Model:
    """A LookML model.

    Attributes:
        name: what `Query.model` holds.
        explores: by name.
    """

    name: str
    explores: Mapping[str, Explore]

    @classmethod
    def of(cls, name: str, *explores: Explore) -> Self:
        """Build a model of its Explores."""
        return cls(name, {explore.name: explore for explore in explores})


def explore_of(
    name: str,
    tables: str,
    description: str,
    *fields: Field,
    is_readable: bool = True,
    condition: str = "",
) -> Explore:
    """Build an Explore of its fields."""
    return Explore(name, tables, _by_name(fields), description, is_readable, condition)


def _by_name(fields: Iterable[Field]) -> dict[str, Field]:
    return {field.name: field for field in fields}
