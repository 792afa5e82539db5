"""The built-in model `system__activity`: what Looker tells of its own use, with made-up rows.

Looker keeps 90 days of it: <https://docs.cloud.google.com/looker/docs/system-activity-pages>.
"""

from __future__ import annotations

from looker_simulator.fields import date_group, dimension, measure, yesno
from looker_simulator.model import Field, Model, explore_of

MODEL_NAME = "system__activity"
TABLES = """
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
    *date_group("dashboard.created", "dashboard.created", "When it was made", timeframes=_UNITS),
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
_JOINS = """activity_history as history
    left join activity_user as "user" on "user".id = history.user_id
    left join activity_query as query on query.id = history.query_id
    left join activity_look as look on look.id = history.look_id
    left join activity_dashboard as dashboard on dashboard.id = history.dashboard_id"""

SYSTEM_ACTIVITY = Model.of(
    MODEL_NAME,
    explore_of(
        "history",
        _JOINS,
        "Every run of a query in the last 90 days",
        *(*_HISTORY, *_USER, *_QUERY, *_LOOK, *_DASHBOARD),
        condition=_LAST_90_DAYS,
    ),
    explore_of("user", 'activity_user as "user"', "Who may log in", *_USER),
    explore_of(
        "look",
        "activity_look as look "
        'left join activity_user as "user" on "user".id = look.user_id '
        "left join activity_query as query on query.id = look.query_id",
        "Saved Looks",
        *(*_LOOK, *_USER, *_QUERY),
    ),
    explore_of(
        "dashboard",
        "activity_dashboard as dashboard "
        'left join activity_user as "user" on "user".id = dashboard.user_id',
        "Dashboards",
        *(*_DASHBOARD, *_USER),
    ),
    explore_of("query", "activity_query as query", "Queries that were ever run", *_QUERY),
)
"""Made-up history, users, queries, Looks and dashboards."""
