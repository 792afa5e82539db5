"""The user's own data and model are served: in LookML, in YAML, and with errors that help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from looker_simulator.builtin import BUILTIN
from looker_simulator.content import as_explore
from looker_simulator.declarations import ModelError
from looker_simulator.engine import Database, QueryFailedError
from looker_simulator.user_project import read_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from looker_simulator.model import Project

FLIGHTS = Path(__file__).parent / "flights_lookml" / "flights_2013.model.lkml"
EXPLORES = ["flights", "airports", "weather", "numbers"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, connection: duckdb.DuckDBPyConnection) -> Path:
    """The tables of the built-in model, as files."""
    folder = tmp_path_factory.mktemp("data")
    for table in ("flights", "airlines", "airports", "planes", "weather", "numbers"):
        connection.execute(f"copy {table} to '{folder / table}.parquet' (format parquet)")
    return folder


@pytest.fixture(scope="session")
def own(folder: Path) -> Iterator[Database]:
    project, warnings = read_project(folder, FLIGHTS)
    assert [warning.partition(": queries")[0].rpartition(": ")[2] for warning in warnings] == [
        "flights.broken"
    ]
    database = Database(project.connect(), project)
    yield database
    database.close()


def everything(explore: str) -> dict[str, Any]:
    """A query of every field of an Explore that does not fail."""
    fields = BUILTIN.models["flights_2013"].explores[explore].fields
    requested = [name for name in fields if name != "flights.broken"]
    keys = [name for name in requested if not fields[name].is_measure]
    return {
        "model": "flights_2013",
        "view": explore,
        "fields": requested,
        "sorts": keys,
        "filters": {"flights.carrier": "AS,HA"} if explore == "flights" else {},
        "limit": "2000",
        "query_timezone": "America/New_York",
    }


@pytest.mark.parametrize("explore", EXPLORES)
def test_a_lookml_project_describes_the_same_fields(own: Database, explore: str) -> None:
    built_in = BUILTIN.models["flights_2013"]
    expected = as_explore(built_in, built_in.explores[explore])
    found = as_explore(
        own.project.models["flights_2013"], own.project.models["flights_2013"].explores[explore]
    )
    ignored = {"sql", "source_file", "description", "primary_key"}
    for group in ("dimensions", "measures", "filters", "parameters"):
        shown = [
            {
                field["name"]: {k: v for k, v in field.items() if k not in ignored}
                for field in described["fields"][group]
                if not field["hidden"]
            }
            for described in (found, expected)
        ]
        assert shown[0] == shown[1]


@pytest.mark.parametrize("explore", EXPLORES)
def test_a_lookml_project_serves_the_same_cells(
    database: Database, own: Database, explore: str
) -> None:
    query = everything(explore)
    expected = database.run(query).rows
    assert len(expected) in {4, 1056, 1458, 2000}
    assert own.run(query).rows == expected


@pytest.mark.parametrize("query_id", ["1", "2", "3", "4", "6", "7", "8", "9"])
def test_a_lookml_project_responses_the_stored_queries(
    database: Database, own: Database, query_id: str
) -> None:
    query = BUILTIN.content.queries[query_id]
    expected = database.run(query, server_table_calcs=True)
    found = own.run(query, server_table_calcs=True)
    assert found.columns == expected.columns
    # Not every one of them is sorted by all that tells rows apart, and totals are not sorted.
    for rows, others in ((found.rows, expected.rows), (found.totals, expected.totals)):
        assert sorted(rows or (), key=repr) == sorted(others or (), key=repr)
    assert found.row_totals == expected.row_totals


def test_a_field_that_fails_also_fails_there(own: Database) -> None:
    with pytest.raises(QueryFailedError) as raised:
        own.run(BUILTIN.content.queries["5"])
    assert raised.value.sql


ORDERS = """id,customer_id,state,amount,made,shipped,due,items
1,1,CA,10.50,2026-03-01 07:30:00,2026-03-02 12:00:00,2026-03-05,2
2,2,NY,20.25,2026-03-01 23:30:00,2026-03-03 12:00:00,2026-03-06,5
3,1,CA,,2026-03-09 12:00:00,2026-03-09 18:00:00,2026-03-10,1
"""
CUSTOMERS = """id,name
1,Ada
2,Grace
"""
STORE = """
model: store
views:
  orders:
    dimensions:
      id: {type: number, primary_key: true}
      state:
      amount: {type: number, label: Dollars}
      customer_id: {type: number, hidden: true}
      size: {type: tier, tiers: [2, 4], style: integer, sql: "${TABLE}.items"}
      is_big: {type: yesno, sql: "${amount} > 15"}
      due: {type: date, datatype: date, convert_tz: false}
    dimension_groups:
      made:
        type: time
        timeframes: [raw, time, date, day_of_week, month_name]
        sql: "${TABLE}.made"
      waiting:
        type: duration
        intervals: [hour, day]
        sql_start: "${made_raw}"
        sql_end: "${TABLE}.shipped"
    filters:
      from_state: {type: string, sql: "{% condition from_state %} ${state} {% endcondition %}"}
    parameters:
      factor: {type: number, default_value: 1}
    measures:
      count: {type: count}
      total: {type: sum, sql: "${amount}"}
      scaled: {type: number, sql: "{% parameter factor %} * ${total}"}
      in_california: {type: count, filters: {state: CA}}
      middle: {type: percentile, percentile: 50, sql: "${TABLE}.items"}
  customers:
    dimensions:
      id: {type: number, primary_key: true}
      name: {}
    measures:
      count: {type: count}
explores:
  orders:
    label: What was ordered
    joins:
      customers: {foreign_key: customer_id, relationship: many_to_one}
  big_orders:
    view_name: orders
    sql_always_where: "${is_big}"
  of_california:
    from: orders
    always_filter: {of_california.state: CA}
queries:
  1: {model: store, view: orders, fields: [orders.state, orders.count]}
looks:
  1: {title: States, query_id: "1"}
"""


def store(tmp_path: Path, model: str, name: str = "store.yml") -> tuple[Project, list[str]]:
    data = tmp_path / "data"
    data.mkdir(exist_ok=True)
    (data / "orders.csv").write_text(ORDERS)
    (data / "customers.csv").write_text(CUSTOMERS)
    (tmp_path / name).write_text(model)
    return read_project(data, tmp_path / name)


JOINS = """
view: orders {
  dimension: id { type: number }
  dimension: buyer { sql: ${customers.name} ;; }
  measure: count { type: count }
}
view: customers { dimension: id { type: number } dimension: name {} }
view: few { derived_table: { sql: select 1 as id ;; } dimension: id { type: number } }
explore: orders {
  join: customers { sql_on: customers.id = orders.customer_id ;; relationship: many_to_one }
  join: few { type: inner sql_on: few.id = ${customers.id} ;; relationship: many_to_one }
}
explore: few_orders {
  view_name: orders
  always_join: [few]
  join: customers { sql_on: customers.id = orders.customer_id ;; relationship: many_to_one }
  join: few { type: inner sql_on: few.id = ${customers.id} ;; relationship: many_to_one }
}
"""


@pytest.mark.parametrize(
    ("explore", "more", "joined", "count"),
    [
        ("orders", {}, [], 3),
        ("orders", {"fields": ["orders.buyer", "orders.count"]}, ["customers"], 2),
        ("orders", {"filters": {"customers.name": "Ada"}}, ["customers"], 2),
        ("orders", {"filters": {"few.id": "1"}}, ["customers", "few"], 2),
        ("few_orders", {}, ["customers", "few"], 2),
    ],
)
def test_only_views_that_a_query_needs_are_joined(
    tmp_path: Path, explore: str, more: dict[str, Any], joined: list[str], count: int
) -> None:
    project, warnings = store(tmp_path, JOINS, "store.model.lkml")
    assert not warnings
    with project.connect() as connection:
        query = {"model": "store", "view": explore, "fields": ["orders.count"], **more}
        result = Database(connection, project).run(query)
    assert [name for name in ("customers", "few") if f'as "{name}"' in result.sql] == joined
    assert result.rows[0][-1] == count


@pytest.mark.parametrize(
    ("fields", "more", "expected"),
    [
        (
            ["customers.name", "orders.count", "orders.total", "customers.count"],
            {"sorts": ["customers.name"]},
            [("Ada", 2, 10.5, 1), ("Grace", 1, 20.25, 1)],
        ),
        (
            ["orders.id", "orders.size", "orders.is_big", "orders.due", "orders.made_time"],
            {"query_timezone": "America/New_York", "filters": {"orders.id": "<3"}},
            [
                (2, "4 or Above", "Yes", "2026-03-06", "2026-03-01 18:30:00"),
                (1, "2 to 3", "No", "2026-03-05", "2026-03-01 02:30:00"),
            ],
        ),
        (
            ["orders.made_day_of_week", "orders.made_month_name", "orders.hours_waiting"],
            {"filters": {"orders.id": "2"}},
            [("Sunday", "March", 37)],
        ),
        (
            ["orders.scaled", "orders.in_california", "orders.middle"],
            {"filters": {"orders.factor": "2"}},
            [(61.5, 2, 2.0)],
        ),
        (["orders.count"], {"filters": {"orders.from_state": "NY,TX"}}, [(1,)]),
        (["orders.count"], {"view": "big_orders"}, [(1,)]),
        (["of_california.count"], {"view": "of_california"}, [(2,)]),
        (
            ["of_california.count"],
            {"view": "of_california", "filters": {"of_california.state": "NY"}},
            [(1,)],
        ),
    ],
)
def test_a_model_in_yaml_is_served(
    tmp_path: Path, fields: list[str], more: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    project, warnings = store(tmp_path, STORE)
    assert warnings == []
    with project.connect() as connection:
        query = {"model": "store", "view": "orders", "fields": fields, **more}
        assert Database(connection, project).run(query).rows == expected
    assert project.content.looks["1"]["query_id"] == "1"
    assert project.models["store"].explores["orders"].title == "What was ordered"
    assert project.models["store"].explores["orders"].fields["orders.amount"].label == (
        "Orders Dollars"
    )


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("explorers:", "explores:", "'explorers' is unknown; expected `model`, `views`"),
        ("sql: ${amuont}}", 'sql: "${amount}"}', "expected YAML: "),
        ('sql: "${amuont}"}', 'sql: "${amount}"}', "measure total: expected a field of the"),
        ("type: summe", "type: sum", "measure total: expected `type` as count"),
        ("type: sum}", 'type: sum, sql: "${amount}"}', "measure total: expected `sql`"),
        ("from: order", "from: orders", "explore of_california: expected a view of the name order"),
        (
            "{type: inner}",
            "{foreign_key: customer_id, relationship: many_to_one}",
            "join customers: expected",
        ),
        ("tiers: [2, x]", "tiers: [2, 4]", "dimension size: expected `tiers` as numbers"),
        ("percentile: half", "percentile: 50", "measure middle: expected `percentile` as numbers"),
        ("state: 5", "state:", "dimension state: expected properties"),
        ("{made_date: soon}", "{state: CA}", 'measure in_california: "soon" is not a filter'),
    ],
)
def test_an_error_names_file_line_and_what_is_expected(
    tmp_path: Path, wrong: str, right: str, message: str
) -> None:
    assert right in STORE
    model = STORE.replace(right, wrong, 1)
    line = model[: model.index(wrong)].count("\n") + (0 if wrong == "from: order" else 1)
    with pytest.raises(ModelError) as raised:
        store(tmp_path, model)
    assert str(raised.value).startswith(f"store.yml, line {line}: {message}")
    assert "\n" not in str(raised.value)


def test_no_mapping_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^store.yml, line 1: expected `model`, `views`"):
        store(tmp_path, "- 1")
    with pytest.raises(ModelError, match=r"^store.yml, line 1: `views` is missing"):
        store(tmp_path, "explores: {}")
    with pytest.raises(ModelError, match=r"^store.yml, line 3: expected `looks` as ids"):
        store(tmp_path, "views: {}\nexplores: {}\nlooks: [1]")
    with pytest.raises(ModelError, match=r"^store.yml, line 1: expected YAML: unacceptable"):
        store(tmp_path, "views: {}\nexplores: {}\nlooks: \0")


def test_a_field_without_its_column_is_reported_beforehand(tmp_path: Path) -> None:
    model = STORE.replace("state:\n", "state: {sql: '${TABLE}.province'}\n", 1)
    warnings = store(tmp_path, model)[1]
    assert warnings[0].startswith("store.yml, line 40: orders.state: queries of it will fail:")


LOOKML = """
include: "nothing.view"
datagroup: nightly { sql_trigger: select 1 ;; }
view: orders {
  extends: [base]
  dimension: id { type: number primary_key: yes }
  dimension: shape { type: distance }
  dimension: kind {
    case: { when: { sql: ${id} = 1 ;; label: "First" } else: "Later" }
  }
  dimension: greeting { sql: {% nonsense %} ;; }
  dimension_group: made { timeframes: [date, fiscal_year] sql: ${TABLE}.made ;; }
  measure: count { type: count required_access_grants: [all] }
}
explore: orders {
  sql_always_having: ${orders.count} > 0 ;;
  join: customers { relationship: one_to_many sql_on: ${orders.id} = ${customers.id} ;; }
}
explore: +orders { label: "Refined" }
view: customers { dimension: id {} }
"""


def test_what_is_not_understood_is_named(tmp_path: Path) -> None:
    project, warnings = store(tmp_path, LOOKML, "store.model.lkml")
    shown = "\n".join(warnings)
    for expected in (
        "store.model.lkml: include 'nothing.view' matches no file",
        "line 4: view orders: `extends` is not understood",
        "line 7: dimension shape: type distance is not understood; it is treated as a string",
        "line 11: dimension greeting: Liquid: unexpected tag 'nonsense'",
        "line 12: dimension_group made: timeframe fiscal_year is not understood",
        "line 15: explore orders: `sql_always_having` is not understood",
        "line 17: join customers: it multiplies rows",
        "line 19: explore +orders: is not understood",
    ):
        assert expected in shown
    assert "datagroup" not in shown
    with project.connect() as connection:
        query = {"model": "store", "view": "orders", "fields": ["orders.kind", "orders.count"]}
        assert Database(connection, project).run(query).rows == [("Later", 2), ("First", 1)]


def test_an_access_filter_needs_a_field_of_the_explore(tmp_path: Path) -> None:
    model = LOOKML.replace(
        "sql_always_having: ${orders.count} > 0 ;;",
        "access_filter: { field: x user_attribute: id }",
    )
    with pytest.raises(ModelError, match=r"line 16: access_filter : expected `field` as a field"):
        store(tmp_path, model, "store.model.lkml")


def test_broken_lookml_is_named_by_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^store.lkml, line 2: expected LookML"):
        store(tmp_path, "view: orders {\n  dimension: }\n", "store.lkml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("view: a { sql_table_name: b ;; sql_table_name: c ;; }", "store.lkml: expected each key"),
        ("view: a { dimension: x { sql: ", "store.lkml: expected LookML"),
        ("view: a {\n dimension: x { type: number ; } }", "store.lkml, line 2: expected LookML"),
    ],
)
def test_lookml_that_ends_or_repeats_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ModelError, match=f"^{message}"):
        store(tmp_path, text, "store.lkml")


def test_a_circle_is_named(tmp_path: Path) -> None:
    text = "view: orders { dimension: a { sql: ${b} ;; } dimension: b { sql: ${a} ;; } }"
    with pytest.raises(ModelError, match=r"orders\.\w refers to itself"):
        store(tmp_path, f"{text} explore: orders {{}}", "store.lkml")


def test_data_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected a folder with \.csv or \.parquet files"):
        read_project(tmp_path / "nowhere", FLIGHTS)
    (tmp_path / "orders.parquet").write_text("no parquet")
    with pytest.raises(ModelError, match=r"orders\.parquet: "):
        read_project(tmp_path, FLIGHTS)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    model = STORE.replace("  orders:\n", "  orders:\n    sql_table_name: ordres\n", 1)
    with pytest.raises(ModelError, match=r"store.yml, line \d+: explore orders: .*ordres"):
        store(tmp_path, model)


def test_files_in_a_folder_belong_to_a_schema(tmp_path: Path) -> None:
    (tmp_path / "data" / "sales").mkdir(parents=True)
    (tmp_path / "data" / "sales" / "orders.csv").write_text(ORDERS)
    text = "view: o { sql_table_name: `sales.orders` ;; measure: count { type: count } }"
    text = text.replace("`", "")
    project, _ = store(tmp_path, f"{text} explore: o {{}}", "store.lkml")
    with project.connect() as connection:
        query = {"model": "store", "view": "o", "fields": ["o.count"]}
        assert Database(connection, project).run(query).rows == [(3,)]
