"""The built-in model `shop`: orders of a made-up shop, with all that makes Looker unkind."""

from __future__ import annotations

from looker_simulator.fields import date_group, day_group, dimension, measure
from looker_simulator.model import Field, Model, explore_of

MODEL_NAME = "shop"
TABLES = """
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
    *date_group("orders.created", "orders.created", "When it was made", timeframes=_RAW_TOO),
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
        "Number of orders that the filter-only field `recently` lets through",
    ),
    Field("orders.unit", "unquoted", "", "parameter", "Unit of `period`", default_value="month"),
    Field("orders.recently", "date_time", "", "filter", "What `recent` counts"),
    Field(
        "orders.bought_by",
        "string",
        "{% condition orders.bought_by %} orders.customer {% endcondition %}",
        "filter",
        "Customers, without a column of its own",
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
    MODEL_NAME,
    explore_of(
        "orders", _FROM, "Orders, with a parameter, filter-only fields and time zones", *_ORDERS
    ),
    explore_of(
        "secrets",
        _FROM,
        "Orders, but the fields may not be looked up (404); queries run",
        *_ORDERS,
        is_readable=False,
    ),
    explore_of("odd_names", _FROM, "Orders, with names that break things", *_AWKWARD),
)
"""Made-up orders."""
