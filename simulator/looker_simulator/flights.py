"""The built-in model `flights_2013`: all flights that left New York in 2013."""

from __future__ import annotations

from typing import TYPE_CHECKING

from looker_simulator.fields import date_group, dimension, measure, tier, yesno
from looker_simulator.model import Model, explore_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from looker_simulator.model import Field

MODEL_NAME = "flights_2013"
_AIRPORT_FIELDS = (
    ("faa", "zipcode", "{0}.faa", "Code of the airport"),
    ("name", "string", "{0}.name", "Name of the airport"),
    ("altitude", "number", "{0}.alt", "Feet above the sea"),
    ("location", "location", "concat({0}.lat, ',', {0}.lon)", "Latitude and longitude"),
    ("timezone", "string", "{0}.tzone", "Name of the time zone"),
)


def _airport(view: str) -> Iterator[Field]:
    for name, type_, sql, description in _AIRPORT_FIELDS:
        yield dimension(f"{view}.{name}", type_, sql.format(view), description)


_FLIGHTS = explore_of(
    "flights",
    "flights left join airlines using (carrier) "
    "left join airports origin on origin.faa = flights.origin "
    "left join airports destination on destination.faa = flights.dest "
    "left join planes on planes.tailnum = flights.tailnum "
    "left join weather on weather.origin = flights.origin "
    "and weather.time_hour = flights.time_hour",
    "Every flight that left New York in 2013",
    dimension("flights.carrier", "string", "flights.carrier", "Code of the airline"),
    dimension("flights.number", "number", "flights.flight", "Flight number"),
    dimension("flights.tail_number", "string", "flights.tailnum", "Registration of the plane"),
    dimension("flights.origin", "string", "flights.origin", "Airport of departure"),
    dimension("flights.destination", "string", "flights.dest", "Airport of arrival"),
    dimension("flights.distance", "number", "flights.distance", "Miles"),
    dimension(
        "flights.distance_tier",
        "tier",
        tier("flights.distance", 500, 1000, 2000),
        "Miles, in tiers",
    ),
    dimension("flights.air_time", "number", "flights.air_time", "Minutes in the air"),
    dimension("flights.departure_delay", "number", "flights.dep_delay", "Minutes"),
    dimension("flights.arrival_delay", "number", "flights.arr_delay", "Minutes"),
    dimension("flights.is_cancelled", "yesno", yesno("flights.dep_time is null"), "Never departed"),
    *date_group("flights.departure", "flights.departure", "Scheduled departure"),
    dimension("airlines.name", "string", "airlines.name", "Name of the airline"),
    *_airport("origin"),
    *_airport("destination"),
    dimension("planes.manufacturer", "string", "planes.manufacturer", "Who built the plane"),
    dimension("planes.year", "number", "planes.year", "Year in which it was built"),
    dimension("planes.seats", "number", "planes.seats", "Seats"),
    dimension("weather.temperature", "number", "weather.temp", "Degrees Fahrenheit"),
    measure("flights.count", "count", "count(*)", "Number of flights"),
    measure(
        "flights.destinations", "count_distinct", "count(distinct flights.dest)", "Airports served"
    ),
    measure("flights.total_distance", "sum", "sum(flights.distance)", "Miles flown"),
    measure(
        "flights.average_arrival_delay", "average", "avg(flights.arr_delay)", "Minutes, on average"
    ),
    measure("flights.shortest_distance", "min", "min(flights.distance)", "Miles"),
    measure("flights.longest_delay", "max", "max(flights.arr_delay)", "Minutes"),
    measure(
        "flights.carriers",
        "list",
        "list(distinct flights.carrier order by flights.carrier)",
        "Airlines that flew",
    ),
    measure(
        "flights.cancelled_share",
        "number",
        "count(*) filter (flights.dep_time is null) / count(*)",
        "Share of flights that never departed",
    ),
    measure("flights.broken", "sum", "sum(flights.no_such_column)", "Fails in the database"),
)
_AIRPORTS = explore_of(
    "airports",
    "airports",
    "The airports of the United States",
    *_airport("airports"),
    measure("airports.count", "count", "count(*)", "Number of airports"),
    measure("airports.highest", "max", "max(airports.alt)", "Feet above the sea"),
)
_WEATHER = explore_of(
    "weather",
    "weather",
    "The weather at New York's airports, hour by hour",
    dimension("weather.origin", "string", "weather.origin", "Airport"),
    *date_group("weather.observed", "weather.time_hour", "Hour of the observation"),
    dimension("weather.temperature", "number", "weather.temp", "Degrees Fahrenheit"),
    dimension("weather.wind_speed", "number", "weather.wind_speed", "Miles an hour"),
    dimension("weather.is_freezing", "yesno", yesno("weather.temp < 32"), "Below 32 °F"),
    measure("weather.count", "count", "count(*)", "Number of observations"),
    measure("weather.average_temperature", "average", "avg(weather.temp)", "Degrees Fahrenheit"),
)
_NUMBERS = explore_of(
    "numbers",
    "numbers",
    "Values that lose something on their way when handled without care",
    dimension("numbers.id", "number", "numbers.id", "Place in the table"),
    dimension("numbers.integer", "number", "numbers.integer", "More than 53 bits"),
    dimension("numbers.decimal", "number", "numbers.decimal", "30 digits"),
    dimension("numbers.text", "string", "numbers.text", "Not only ASCII"),
    measure("numbers.count", "count", "count(*)", "Number of rows"),
    measure("numbers.sum", "sum", "sum(numbers.integer)", "More than 53 bits"),
)

FLIGHTS_2013 = Model.of(MODEL_NAME, _FLIGHTS, _AIRPORTS, _WEATHER, _NUMBERS)
"""Real flights, airports and weather, and numbers that are easily damaged."""
