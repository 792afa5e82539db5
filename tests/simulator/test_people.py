"""Users see and query what their permissions, models, folders and attributes allow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from looker_simulator.engine import Database, QueryFailedError
from looker_simulator.looker import User
from looker_simulator.simulator import Simulator, SimulatorOptions
from looker_simulator.user_project import read_project
from tests.singer import stored_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ANALYST = User(
    id="2",
    client_id="analyst",
    client_secret="secret",
    name="Ada Analyst",
    permissions=frozenset({"access_data", "see_looks", "see_user_dashboards", "explore"}),
    models=frozenset({"shop"}),
    folders=frozenset({"1", "4"}),
)


class Session:
    """A session of a user."""

    def __init__(self, simulator: Simulator, user: User) -> None:
        self.api = f"{simulator.base_url}/api/4.0"
        credentials = {"client_id": user.client_id, "client_secret": user.client_secret}
        login = requests.post(f"{self.api}/login", data=credentials, timeout=20).json()
        self.headers = {"Authorization": f"token {login['access_token']}"}

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        return self.send("GET", path).json()

    def send(self, verb: str, path: str, body: object = None) -> requests.Response:
        url = self.api + path
        return requests.request(verb, url, json=body, headers=self.headers, timeout=20)


@pytest.fixture
def office(database: Database) -> Iterator[Simulator]:
    options = SimulatorOptions(users=(User(), ANALYST))
    with Simulator(options, database=database) as simulator:
        yield simulator


def test_a_user_sees_the_content_of_its_models_and_folders(office: Simulator) -> None:
    analyst, admin = Session(office, ANALYST), Session(office, User())
    assert [look["id"] for look in analyst.get("/looks")] == ["3", "5"]
    assert [look["id"] for look in analyst.get("/looks/search")] == ["3", "5"]
    assert len(admin.get("/looks")) == 5
    assert analyst.get("/looks/5")["title"] == "Orders by state"
    assert analyst.send("GET", "/looks/1").status_code == 404
    assert analyst.send("GET", "/looks/1/run/json").status_code == 404
    assert [each["id"] for each in analyst.get("/dashboards")] == ["1", "2", "3"]
    assert analyst.send("GET", "/dashboards/shop::overview").status_code == 404
    assert [model["name"] for model in analyst.get("/lookml_models")] == ["shop"]
    assert analyst.send("GET", "/lookml_models/flights_2013").status_code == 404
    explore = "/lookml_models/flights_2013/explores/flights"
    assert analyst.send("GET", explore).status_code == 404
    assert admin.send("GET", explore).status_code == 200


@pytest.mark.parametrize("is_shown", [True, False])
def test_only_users_with_see_sql_see_sql_and_its_errors(
    database: Database, *, is_shown: bool
) -> None:
    user = User() if is_shown else replace(ANALYST, models=None)
    query = {"model": "flights_2013", "view": "airports", "fields": ["airports.count"]}
    failing = {**query, "view": "flights", "fields": ["flights.broken"]}
    with Simulator(SimulatorOptions(users=(user,)), database=database) as simulator:
        session = Session(simulator, user)
        detail = session.send("POST", "/queries/run/json_detail", query).json()
        bi = session.send("POST", "/queries/run/json_bi", query).json()["metadata"]
        assert (bool(detail["sql"]), bool(bi["sql"])) == (is_shown, is_shown)
        for result_format, status in (("json_detail", 200), ("json_bi", 400)):
            failed = session.send("POST", f"/queries/run/{result_format}", failing)
            assert failed.status_code == status
            assert ("no_such_column" in failed.text) is is_shown, failed.text
        status = 200 if is_shown else 404
        assert session.send("POST", "/queries/run/sql", query).status_code == status
        task = {"query_id": stored_id(4), "result_format": "sql"}
        assert session.send("POST", "/query_tasks", task).status_code == status


def test_a_user_queries_its_models_only(office: Simulator) -> None:
    analyst = Session(office, ANALYST)
    for number, status in ((11, 200), (1, 404)):
        body = {"query_id": stored_id(number), "result_format": "json"}
        assert analyst.send("POST", "/query_tasks", body).status_code == status
        assert analyst.send("GET", f"/queries/{stored_id(number)}/run/json").status_code == status


def test_results_are_cut_without_the_permission_for_all_rows(office: Simulator) -> None:
    fields = ["flights.tail_number", "flights.origin", "flights.destination"]
    query = {"model": "flights_2013", "view": "flights", "fields": fields, "limit": "-1"}
    allowed = User("3", "c", "c", permissions=frozenset({"access_data", "explore"}))
    options = SimulatorOptions(users=(allowed,))
    with Simulator(options, database=office._database) as simulator:  # noqa: SLF001 - shared
        shown = Session(simulator, allowed).send("POST", "/queries/run/json_detail", query).json()
    assert (len(shown["data"]), shown["truncated"]) == (5000, True)


def test_the_results_of_others_are_missing(office: Simulator) -> None:
    analyst, admin = Session(office, ANALYST), Session(office, User())
    id_ = office.create_task("11", "json")
    path = f"/query_tasks/multi_results?query_task_ids={id_}"
    assert analyst.get(path) == {id_: {"status": "missing"}}
    assert admin.get(path)[id_]["status"] != "missing"
    assert analyst.send("DELETE", f"/running_queries/{id_}").status_code == 404


def test_only_an_administrator_sees_the_others(office: Simulator) -> None:
    analyst, admin = Session(office, ANALYST), Session(office, User())
    assert [user["id"] for user in admin.get("/users?sorts=id")] == ["1", "2"]
    assert [user["id"] for user in analyst.get("/users")] == ["2"]
    assert analyst.get("/user")["display_name"] == "Ada Analyst"
    roles = admin.get("/users/2/roles")
    assert [role["model_set"]["models"] for role in roles] == [["shop"]], roles
    assert analyst.send("GET", "/users/1").status_code == 404
    for path in ("/roles", "/roles/1", "/permission_sets", "/model_sets", "/connections"):
        assert analyst.send("GET", path).status_code == 404
        assert admin.send("GET", path).status_code == 200


LOOKML = """
connection: "c"
access_grant: can_see_names { user_attribute: team allowed_values: ["sales", "ops"] }
explore: orders {
  conditionally_filter: { filters: [state: "CA"] unless: [id] }
  sql_always_where:
    {% if _user_attributes['team'] == 'sales' %} ${id} < 3 {% else %} true {% endif %} ;;
}
explore: guarded {
  view_name: orders
  always_filter: { filters: [orders.id: ">1", orders.state: "-NY"] }
  access_filter: { field: orders.state user_attribute: states }
  access_filter: { field: orders.name user_attribute: names }
}
view: orders {
  parameter: unit { type: unquoted default_value: "state" allowed_value: { value: "id" } }
  dimension: id { type: number }
  dimension: state {}
  dimension: name { required_access_grants: [can_see_names] }
  dimension: chosen {
    sql: {% assign column = 'state' %}{% if unit._parameter_value == 'id' %}${id}::varchar
      {% else %}${TABLE}.{{ column }}{% endif %} ;;
  }
  dimension: is_asked { sql: {% if orders.id._in_query %}'yes'{% else %}'no'{% endif %} ;; }
  dimension: filter { sql: '{{ _filters['orders.state'] }}' ;; }
  measure: count { type: count }
}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("store")
    rows = "id,state,name\n1,CA,Ada\n2,NY,Grace\n3,CA,Emmy\n"
    (folder / "orders.csv").write_text(rows)
    model = Path(folder / "store.model.lkml")
    model.write_text(LOOKML)
    project, warnings = read_project(folder, model)
    # The check knows no attributes of the user.
    assert all("team" in warning for warning in warnings), warnings
    with project.connect() as connection:
        yield Database(connection, project)


def run(store: Database, *fields: str, team: str = "ops", **more: Any) -> list[tuple[Any, ...]]:
    query = {"model": "store", "view": "orders", "fields": [f"orders.{name}" for name in fields]}
    return store.run({**query, **more}, user_attributes={"team": team}).rows


def test_liquid_is_rendered(store: Database) -> None:
    assert run(store, "chosen", sorts=["orders.chosen"]) == [("CA",)]
    by_id = {"orders.unit": "id", "orders.id": ">0"}
    assert run(store, "chosen", filters=by_id, sorts=["orders.chosen"]) == [("1",), ("2",), ("3",)]
    assert run(store, "is_asked") == [("no",)]
    assert run(store, "is_asked", filters={"orders.id": ">0"}) == [("yes",)]
    assert run(store, "filter", filters={"orders.state": "NY"}) == [("NY",)]
    assert run(store, "count", team="sales") == [(1,)]


def test_a_conditional_filter_holds_unless_another_is_set(store: Database) -> None:
    assert run(store, "count") == [(2,)]
    assert run(store, "count", filters={"orders.id": ">0"}) == [(3,)]
    assert run(store, "count", filters={"orders.state": "NY"}) == [(1,)]
    assert run(store, "count", filters={"orders.state": "", "orders.name": "Grace"}) == [(0,)]
    assert run(store, "count", filters={"orders.state": "", "orders.id": "2"}) == [(1,)]


def test_access_filters_hold_beside_the_filters_that_a_query_can_change(store: Database) -> None:
    def names(own: Mapping[str, str], **attributes: str) -> list[str]:
        query = {"model": "store", "view": "guarded", "fields": ["orders.name"], "filters": own}
        rows = store.run({**query, "sorts": ["orders.name"]}, user_attributes=attributes).rows
        return [name for (name,) in rows]

    everyone = {"names": "-nobody"}
    assert names({}, states="CA,NY", **everyone) == ["Emmy"]
    assert names({"orders.id": "", "orders.state": ""}, states="CA", **everyone) == ["Ada", "Emmy"]
    assert names({"orders.state": "CA,NY"}, states="NY", **everyone) == ["Grace"]
    assert names({"orders.state": "CA,NY"}, states="NY", names="Ada") == []
    with pytest.raises(QueryFailedError, match="no value of the user attribute names"):
        names({}, states="CA")


def test_an_access_grant_hides_a_field(store: Database) -> None:
    sales = User(attributes={"team": "sales"})
    other = User("2", "other", "other", attributes={"team": "none"})
    options = SimulatorOptions(users=(sales, other))
    query = {
        "model": "store",
        "view": "orders",
        "fields": ["orders.id", "orders.name"],
        "filters": {"orders.id": "1"},
    }
    with Simulator(options, database=store) as simulator:
        for user, expected in ((sales, {"orders.id", "orders.name"}), (other, {"orders.id"})):
            session = Session(simulator, user)
            (row,) = session.send("POST", "/queries/run/json", query).json()
            assert {*row} == expected
            explore = session.get("/lookml_models/store/explores/orders")
            names = {field["name"] for field in explore["fields"]["dimensions"]}
            assert ("orders.name" in names) == ("orders.name" in expected)
