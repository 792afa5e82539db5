"""The model of the simulated Looker: Explores over all flights from New York in 2013."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MODEL_NAME = "flights_2013"
DATE_TYPES: Mapping[str, str] = {
    "date_time": "%Y-%m-%d %H:%M:%S",
    "date_hour": "%Y-%m-%d %H",
    "date_date": "%Y-%m-%d",
    "date_week": "%Y-%m-%d",
    "date_month": "%Y-%m",
    "date_year": "%Y",
}
"""Looker's types of a date dimension, and how their values are written."""


@dataclass(frozen=True)
class Field:
    """A dimension or measure.

    Attributes:
        name: view and field, such as `flights.carrier`.
        type: Looker's type of the field.
        sql: its expression over the tables of its Explore; `{timezone}` stands for the query's.
        is_measure: whether `sql` is an aggregate.
        description: one sentence.
    """

    name: str
    type: str
    sql: str
    is_measure: bool = False
    description: str = ""

    @property
    def label(self) -> str:
        """View and field, as people see them."""
        return self.name.replace(".", " ").replace("_", " ").title()

    @property
    def is_numeric(self) -> bool:
        """Whether Looker treats the values as numbers."""
        numeric = {"number", "int", "count", "count_distinct", "sum", "average", "min", "max"}
        return self.type in numeric


@dataclass(frozen=True)
class Explore:
    """Fields that can be queried together.

    Attributes:
        name: what `Query.view` holds.
        tables: the FROM clause.
        fields: by name.
        description: one sentence.
    """

    name: str
    tables: str
    fields: Mapping[str, Field]
    description: str


def _dimension(name: str, type_: str, sql: str, description: str = "") -> Field:
    return Field(name, type_, sql, description=description)


def _measure(name: str, type_: str, sql: str, description: str = "") -> Field:
    return Field(name, type_, sql, is_measure=True, description=description)


def _date_group(name: str, utc: str, description: str) -> Iterator[Field]:
    """The dimensions of a dimension group, from a timestamp in UTC."""
    local = f"timezone('{{timezone}}', timezone('UTC', {utc}))"
    for type_ in DATE_TYPES:
        unit = type_.removeprefix("date_")
        yield _dimension(f"{name}_{unit}", type_, local, f"{description}, by {unit}")


def _tier(sql: str, *limits: int) -> str:
    """Looker's classic tiers: `Below 500`, `500 to 999`, ..., `2000 or Above`, `Undefined`."""
    cases = [f"when {sql} < {limits[0]} then 'Below {limits[0]}'"]
    for low, high in pairwise(limits):
        cases.append(f"when {sql} < {high} then '{low} to {high - 1}'")
    last = f"when {sql} >= {limits[-1]} then '{limits[-1]} or Above'"
    return f"case {' '.join(cases)} {last} else 'Undefined' end"


def _yesno(condition: str) -> str:
    return f"case when {condition} then 'Yes' else 'No' end"


def _explore(name: str, tables: str, description: str, *fields: Field) -> Explore:
    return Explore(name, tables, {field.name: field for field in fields}, description)


_AIRPORT_FIELDS = (
    ("faa", "zipcode", "{0}.faa", "Code of the airport"),
    ("name", "string", "{0}.name", "Name of the airport"),
    ("altitude", "number", "{0}.alt", "Feet above the sea"),
    ("location", "location", "concat({0}.lat, ',', {0}.lon)", "Latitude and longitude"),
    ("timezone", "string", "{0}.tzone", "Name of the time zone"),
)


def _airport(view: str) -> Iterator[Field]:
    for name, type_, sql, description in _AIRPORT_FIELDS:
        yield _dimension(f"{view}.{name}", type_, sql.format(view), description)


_FLIGHTS = _explore(
    "flights",
    "flights left join airlines using (carrier) "
    "left join airports origin on origin.faa = flights.origin "
    "left join airports destination on destination.faa = flights.dest "
    "left join planes on planes.tailnum = flights.tailnum "
    "left join weather on weather.origin = flights.origin "
    "and weather.time_hour = flights.time_hour",
    "Every flight that left New York in 2013",
    _dimension("flights.carrier", "string", "flights.carrier", "Code of the airline"),
    _dimension("flights.number", "number", "flights.flight", "Flight number"),
    _dimension("flights.tail_number", "string", "flights.tailnum", "Registration of the plane"),
    _dimension("flights.origin", "string", "flights.origin", "Airport of departure"),
    _dimension("flights.destination", "string", "flights.dest", "Airport of arrival"),
    _dimension("flights.distance", "number", "flights.distance", "Miles"),
    _dimension(
        "flights.distance_tier",
        "tier",
        _tier("flights.distance", 500, 1000, 2000),
        "Miles, in tiers",
    ),
    _dimension("flights.air_time", "number", "flights.air_time", "Minutes in the air"),
    _dimension("flights.departure_delay", "number", "flights.dep_delay", "Minutes"),
    _dimension("flights.arrival_delay", "number", "flights.arr_delay", "Minutes"),
    _dimension(
        "flights.is_cancelled", "yesno", _yesno("flights.dep_time is null"), "Never departed"
    ),
    *_date_group("flights.departure", "flights.departure", "Scheduled departure"),
    _dimension("airlines.name", "string", "airlines.name", "Name of the airline"),
    *_airport("origin"),
    *_airport("destination"),
    _dimension("planes.manufacturer", "string", "planes.manufacturer", "Who built the plane"),
    _dimension("planes.year", "number", "planes.year", "Year in which it was built"),
    _dimension("planes.seats", "number", "planes.seats", "Seats"),
    _dimension("weather.temperature", "number", "weather.temp", "Degrees Fahrenheit"),
    _measure("flights.count", "count", "count(*)", "Number of flights"),
    _measure(
        "flights.destinations", "count_distinct", "count(distinct flights.dest)", "Airports served"
    ),
    _measure("flights.total_distance", "sum", "sum(flights.distance)", "Miles flown"),
    _measure(
        "flights.average_arrival_delay", "average", "avg(flights.arr_delay)", "Minutes, on average"
    ),
    _measure("flights.shortest_distance", "min", "min(flights.distance)", "Miles"),
    _measure("flights.longest_delay", "max", "max(flights.arr_delay)", "Minutes"),
    _measure(
        "flights.carriers",
        "list",
        "list(distinct flights.carrier order by flights.carrier)",
        "Airlines that flew",
    ),
    _measure(
        "flights.cancelled_share",
        "number",
        "count(*) filter (flights.dep_time is null) / count(*)",
        "Share of flights that never departed",
    ),
    _measure("flights.broken", "sum", "sum(flights.no_such_column)", "Fails in the database"),
)
_AIRPORTS = _explore(
    "airports",
    "airports",
    "The airports of the United States",
    *_airport("airports"),
    _measure("airports.count", "count", "count(*)", "Number of airports"),
    _measure("airports.highest", "max", "max(airports.alt)", "Feet above the sea"),
)
_WEATHER = _explore(
    "weather",
    "weather",
    "The weather at New York's airports, hour by hour",
    _dimension("weather.origin", "string", "weather.origin", "Airport"),
    *_date_group("weather.observed", "weather.time_hour", "Hour of the observation"),
    _dimension("weather.temperature", "number", "weather.temp", "Degrees Fahrenheit"),
    _dimension("weather.wind_speed", "number", "weather.wind_speed", "Miles an hour"),
    _dimension("weather.is_freezing", "yesno", _yesno("weather.temp < 32"), "Below 32 °F"),
    _measure("weather.count", "count", "count(*)", "Number of observations"),
    _measure("weather.average_temperature", "average", "avg(weather.temp)", "Degrees Fahrenheit"),
)
_NUMBERS = _explore(
    "numbers",
    "numbers",
    "Values that lose something on their way when handled without care",
    _dimension("numbers.id", "number", "numbers.id", "Place in the table"),
    _dimension("numbers.integer", "number", "numbers.integer", "More than 53 bits"),
    _dimension("numbers.decimal", "number", "numbers.decimal", "30 digits"),
    _dimension("numbers.text", "string", "numbers.text", "Not only ASCII"),
    _measure("numbers.count", "count", "count(*)", "Number of rows"),
    _measure("numbers.sum", "sum", "sum(numbers.integer)", "More than 53 bits"),
)

EXPLORES: Mapping[str, Explore] = {
    explore.name: explore for explore in (_FLIGHTS, _AIRPORTS, _WEATHER, _NUMBERS)
}
"""The Explores of the model, by name."""
