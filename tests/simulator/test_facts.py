"""`looker-facts`: the simulator passes the facts, and a fault in it is found by the fact for it."""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click.testing import CliRunner, Result

from looker_simulator import (
    application,
    content_operations,
    engine,
    exchange,
    formats,
    looker,
    tasks,
)
from looker_simulator.facts import probe as fact_probe
from looker_simulator.facts.checks import CHECKS, find_difference
from looker_simulator.facts.command import (
    DIFFERS,
    FACTS,
    HOLDS,
    NOT_TRIED,
    check_facts,
    main,
    sender,
)
from looker_simulator.facts.probe import Options, Probe
from looker_simulator.facts.recording import Disguise, Replay
from looker_simulator.looker import User
from looker_simulator.simulator import Simulator, SimulatorOptions
from looker_simulator.sql import Statement
from looker_simulator.user_project import read_project
from tests.singer import stored_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from looker_simulator.engine import Database
    from looker_simulator.facts.command import Verdict

_RECORDINGS = Path(__file__).parent / "recordings"
"""Of `looker-facts --record`, named after the Looker; add one of yours."""
_FACTS = {fact.id: fact for fact in FACTS}
_SHOP = ("--explore", "shop/orders", "--failing-query", stored_id(5))
_OWN = ("F1", "N5", "V4", "V5", "V6", "Z4", "Z5", "Z6")
"""Facts that a model of many types shows, most of them not the shop's."""
_IN_PASSING = {
    "S3": [("expired_flap", "query_task_multi_results")],
    "S7": [("dev_mode_note", "query_task_multi_results")],
    "E4": [("server_error", "all_timezones")],
    "E9": [("severed", "query_task_multi_results")],
    "E12": [("bad_gateway", "all_timezones"), ("gateway_timeout", "session")],
}
"""Faults that show a fact which nothing from outside causes."""
_OF_OTHERS = {"S2", "E3", "E11", "A1"}
_GUARDED = """
access_grant: sales { user_attribute: team allowed_values: ["sales"] }
explore: orders {}
view: orders {
  dimension: city {}
  dimension: buyer { required_access_grants: [sales] }
  dimension_group: made { type: time timeframes: [date] sql: ${TABLE}.made ;; }
  measure: count { type: count }
}
"""
_MODEL = """
model: store
views:
  orders:
    dimensions:
      city: {}
      buyer: {}
      number: {type: number}
      is_big: {type: yesno, sql: "${number} > 15"}
      place: {type: location, sql_latitude: number, sql_longitude: number}
    dimension_groups:
      made: {timeframes: [time, date, minute, hour, week, month, quarter, raw]}
      wait: {type: duration, intervals: [day], sql_start: made, sql_end: made + interval 9 day}
    measures:
      count: {type: count}
explores:
  orders:
    always_filter: {orders.city: Rome}
"""


def command(simulator: Simulator, *arguments: str, secret: str = Simulator.client_secret) -> Result:
    environment = {
        "LOOKERSDK_BASE_URL": simulator.base_url,
        "LOOKERSDK_CLIENT_ID": simulator.client_id,
        "LOOKERSDK_CLIENT_SECRET": secret,
    }
    return CliRunner().invoke(main, [*arguments], env=environment)


def described(result: Result) -> dict[str, dict[str, Any]]:
    return {fact["id"]: fact for fact in json.loads(result.stdout)["facts"]}


def check(simulator: Simulator, *ids: str, **chosen: Any) -> list[Verdict]:
    options = Options("simulator", "simulator", run=True, explore="shop/orders")
    options = options._replace(failing_query=stored_id(5))._replace(**chosen)
    with requests.Session() as session:
        probe = Probe(sender(simulator.base_url, session), options, sleep=lambda _: None)
        verdicts = check_facts(probe, [_FACTS[id_] for id_ in ids])
        probe.close()
        return verdicts


def test_every_fact_has_a_check_or_a_reason_for_none() -> None:
    assert len(FACTS) == len(_FACTS) == 138
    assert {fact.id for fact in FACTS if not fact.not_tried} == {*CHECKS}
    assert {fact.certainty for fact in FACTS} == {"certain", "likely", "open"}


def test_what_relies_on_a_fact_is_a_module_of_the_tap() -> None:
    modules = {fact.relied_on_by for fact in FACTS if fact.relied_on_by}
    missing = {name for name in modules if not find_spec(f"tap_looker_tasks.{name}")}
    assert not missing, "renamed: change `relied_on_by` in looker_simulator/facts/facts.csv"


def test_the_simulator_holds_the_facts_in_80_calls_and_changes_nothing(
    simulator: Simulator,
) -> None:
    before = content(simulator)
    result = command(simulator, "--run", "--json", *_SHOP)
    assert result.exit_code == 0, result.output
    facts = described(result)
    # The log of the simulator leaves out what is not under `/api/4.0`: here, two calls.
    assert len(simulator.calls) + 2 == json.loads(result.stdout)["calls"] <= fact_probe.MAX_CALLS
    # S4 depends on whether the query has finished before it can be stopped.
    held = {id_ for id_, fact in facts.items() if fact["verdict"] == HOLDS} | {"S4"}
    assert held == {*CHECKS} - {*_IN_PASSING, *_OF_OTHERS} - {
        *("C8", "F1", "N5", "V4", "V5", "V6", "Z5"),
    }
    assert content(simulator) == before
    assert simulator.calls[-1].operation == "logout"
    # Its own task, launched to be stopped.
    assert len(simulator.cancelled) <= 1


def content(simulator: Simulator) -> tuple[object, ...]:
    known = simulator._looker  # noqa: SLF001 - what no operation shows at once
    return ({**known.looks}, {**known.dashboards}, {**known.folders}, {**known.merge_queries})


def test_the_explore_of_the_look_is_found(simulator: Simulator) -> None:
    (verdict,) = check(simulator, "C8", explore=None)
    assert verdict.verdict == HOLDS, verdict


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A table whose pivots have 60 values, and a model of it."""
    folder = tmp_path_factory.mktemp("store")
    rows = (f"Rome,Buyer {number},{number},2026-03-01 07:30:00" for number in range(60))
    (folder / "orders.csv").write_text("\n".join(["city,buyer,number,made", *rows]))
    (folder / "store.yml").write_text(_MODEL)
    project, _ = read_project(folder, folder / "store.yml")
    database = engine.load_database(project)
    yield database
    database.close()


def test_a_model_of_many_types_shows_other_facts(store: Database) -> None:
    with Simulator(database=store) as simulator:
        verdicts = check(simulator, *_OWN, explore="store/orders")
    assert {v.fact.id: (v.verdict, v.detail) for v in verdicts} == dict.fromkeys(_OWN, (HOLDS, ""))


@pytest.mark.parametrize("id_", _IN_PASSING)
def test_what_happens_in_passing_is_noticed(simulator: Simulator, id_: str) -> None:
    for name, operation in _IN_PASSING[id_]:
        simulator.fault(name, operation=operation, times=1 if id_ in {"S3", "E4", "E12"} else None)
    # The first checks cause the requests with the faults.
    verdicts = check(simulator, "G15", "L8", "S7", id_)
    assert (verdicts[-1].verdict, verdicts[-1].detail) == (HOLDS, "")


def test_a_query_that_is_stopped_is_killed(database: Database) -> None:
    with Simulator(SimulatorOptions(latency_seconds=60.0), database=database) as simulator:
        (verdict,) = check(simulator, "S4")
        assert (verdict.verdict, verdict.detail) == (HOLDS, "")
        assert len(simulator.cancelled) == 1


def with_other(database: Database, id_: str, **rights: Any) -> Verdict:
    """Check a fact with the credentials of another user also."""
    other = User("2", "other", "other", **rights)
    options = SimulatorOptions(users=(User(attributes={"team": "sales"}), other))
    explore = "store/orders" if id_ == "A1" else "shop/orders"
    with Simulator(options, database=database) as simulator:
        chosen = {"other_client_id": "other", "other_client_secret": "other", "explore": explore}
        (verdict,) = check(simulator, id_, **chosen)
        assert [call.operation for call in simulator.calls[-2:]] == ["logout", "logout"]
    return verdict


@pytest.mark.parametrize("id_", ["S2", "E3", "E11"])
def test_another_user_shows_what_permissions_do(database: Database, id_: str) -> None:
    may = frozenset({"access_data", "explore", "see_looks"})
    assert with_other(database, id_, permissions=may, folders=frozenset())[1:] == (HOLDS, "")
    verdict = with_other(database, id_)
    # Who may do all sees the task of another user.
    assert verdict.verdict == (DIFFERS if id_ == "S2" else NOT_TRIED), verdict


def test_another_user_shows_what_an_access_grant_hides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "orders.csv").write_text("city,buyer,made\nRome,Ada,2026-03-01\n")
    (tmp_path / "store.model.lkml").write_text(_GUARDED)
    project, _ = read_project(tmp_path, tmp_path / "store.model.lkml")
    database = engine.load_database(project)
    try:
        assert with_other(database, "A1")[1:] == (HOLDS, "")
        assert with_other(database, "A1", attributes={"team": "sales"}).verdict == NOT_TRIED
        monkeypatch.setattr(looker.Looker, "visible", lambda _, body, __: body)
        assert with_other(database, "A1").verdict == DIFFERS
    finally:
        database.close()


def test_without_run_it_only_reads(simulator: Simulator) -> None:
    result = command(simulator, "--json")
    assert result.exit_code == 0, result.output
    facts = described(result)
    assert "--run" in facts["M1"]["detail"]
    assert facts["G7"]["verdict"] == HOLDS
    posts = {"create_query", "create_query_task", "run_inline_query", "kill_query"}
    assert not posts & {call.operation for call in simulator.calls}


def test_it_prints_a_line_for_each_fact(simulator: Simulator) -> None:
    simulator.fault("redirected", operation="versions")
    result = command(simulator)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert len(lines) == 139
    (redirected,) = (line for line in lines if line.startswith("L10 "))
    assert redirected.endswith("came instead, [302]")
    counts = Counter(line[5:19].strip() for line in lines[:-1])
    assert lines[-1].startswith(
        f"{counts[HOLDS]} holds, 1 does not hold, {counts[NOT_TRIED]} not tried; "
    )


def _new_id(self: looker.Looker, body: dict[str, Any]) -> str:
    key = f"made-up-query-{len(self.queries):08}"
    self.queries[key] = body
    return key


def _reject(*_: object) -> None:
    raise looker.HttpError(401, "Requires authentication.")


class _Numbered:
    hex = "task-1"


def _without_error(*_: object, **__: object) -> object:
    return {"metadata": {}, "rows": []}


_run: Callable[..., object] = engine.Database.run


def _calculate(*args: object, **options: object) -> object:
    return _run(*args, **{**options, "server_table_calcs": True})


_FAULTS: dict[str, tuple[object, str, object]] = {
    "L2": (looker.Looker, "login", _reject),
    "L7": (looker.Looker, "logout", lambda *_: None),
    "L8": (content_operations, "_as_session", lambda *_: {"workspace_id": "dev"}),
    "G7": (exchange, "select_fields", lambda value, _: value),
    "C1": (looker.Looker, "create_query", _new_id),
    "T2": (uuid, "uuid4", _Numbered),
    "T5": (engine.Database, "run", _calculate),
    "M3": (application, "_MAX_QUERY_STRING_BYTES", 100_000),
    "E6": (formats, "build_failure", _without_error),
    "N1": (engine, "_DEFAULT_LIMIT", 5000),
    "P3": (formats, "GROUPING", "grouping"),
    "V2": (engine, "_without_zero_fractions", lambda rows, _: rows),
    "E10": (Statement, "_parameter", lambda *_: ""),
    "X3": (exchange, "_paging_headers", lambda *_: {}),
    "K1": (tasks.QueryTasks, "kill", lambda *_: True),
}
_VARIANTS = {
    "G2": "numeric_ids",
    "S1": "capitalized",
    "F6": "listen_object",
    "R2": "runtime_number",
    "P5": "flat_pivots",
}


@pytest.mark.parametrize("id_", _FAULTS)
def test_a_planted_fault_is_found_by_the_fact_for_it(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, id_: str
) -> None:
    (before,) = check(simulator, id_)
    assert before.verdict == HOLDS
    place, name, fault = _FAULTS[id_]
    monkeypatch.setattr(place, name, fault)
    if id_ == "L2":
        monkeypatch.setattr(fact_probe.Probe, "token", "not needed")
    (after,) = check(simulator, id_)
    assert after.verdict == DIFFERS, after


@pytest.mark.parametrize("id_", _VARIANTS)
def test_another_release_is_found_by_the_fact_for_it(database: Database, id_: str) -> None:
    options = SimulatorOptions(variants=frozenset({_VARIANTS[id_]}))
    with Simulator(options, database=database) as simulator:
        failing = "5" if id_ == "G2" else stored_id(5)
        (verdict,) = check(simulator, id_, failing_query=failing)
    assert verdict.verdict == DIFFERS, verdict


def test_a_recording_replays_with_the_same_verdicts_and_nothing_of_the_original(
    simulator: Simulator, tmp_path: Path
) -> None:
    path = tmp_path / "facts.json"
    original = command(simulator, "--run", "--json", *_SHOP, "--record", str(path))
    replayed = CliRunner().invoke(main, ["--replay", str(path), "--json"])
    assert replayed.exit_code == 0, replayed.output
    verdicts = [
        {id_: fact["verdict"] for id_, fact in described(each).items()}
        for each in (original, replayed)
    ]
    assert verdicts[0] == verdicts[1]
    recorded = path.read_text()
    # Long enough not to be made up by chance.
    originals = ("Airlines", "customer", "simulator", "departure")
    assert [word for word in originals if word in recorded] == []


@pytest.mark.parametrize(
    ("value", "pattern"),
    [
        ("Ada Lovelace", r"[A-Z][a-z]{2} [A-Z][a-z]{7}"),
        ("2013-07-01", r"20\d\d-\d\d-\d\d"),
        ("2013-07-01 10:20:30", r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"),
        ("2013-99-99", r"\d{4}-\d\d-\d\d"),
        ("0f" * 16, "[0-9a-f]{32}"),
        ("Yes", "Yes"),
        ("FY2017", r"FY\d{4}"),
        ("2017-Q3", r"\d{4}-Q\d"),
        ("flights.count", r"[a-z]{7}\.[a-z]{5}"),
        (12.5, r"\d\d\.\d"),
        (1.25e30, r"\d\.\d\de\+30"),
        (-1234, r"-\d{4}"),
        (10**30, r"\d{31}"),
        (True, "True"),
        (None, "None"),
    ],
)
def test_a_value_is_replaced_by_one_of_its_kind(value: object, pattern: str) -> None:
    disguise = Disguise(b"key")
    found = disguise.json({"value": value})["value"]
    assert type(found) is type(value)
    assert re.fullmatch(pattern, str(found))
    assert found != value or str(value) == pattern
    assert disguise.json({"value": value})["value"] == found


@pytest.mark.parametrize("path", sorted(_RECORDINGS.glob("*.json")), ids=lambda path: path.stem)
def test_a_recording_of_a_looker_holds_the_facts(path: Path) -> None:
    result = CliRunner().invoke(main, ["--replay", str(path), "--json"])
    assert result.exit_code == 0, result.output
    assert sum(fact["verdict"] == HOLDS for fact in described(result).values()) > 90


def test_the_page_counts_the_facts() -> None:
    page = (Path(__file__).parents[2] / "docs" / "looker-facts.md").read_text()
    assert f"assume {len(FACTS)} facts" in page
    assert any(fact.validated for fact in FACTS) or "**No fact has been validated" in page


def test_different_words_stay_different() -> None:
    disguise = Disguise(b"key")
    words = [chr(letter) for letter in range(ord("a"), ord("z") + 1)]
    assert len({disguise.text(f"{word}.x") for word in words}) == len(words)


@pytest.mark.parametrize(
    ("expected", "found", "difference"),
    [
        ({"a": int}, {"a": True}, "a: true"),
        ({"a": [{"b": (str, None)}]}, {"a": [{"b": "x"}, {"b": 1}]}, "a[].b: 1"),
        ({"a": str}, {}, "a: nothing"),
        ([], [1], "[1]"),
        ({"a": str}, [], "[]"),
        (1, 1.0, "1.0"),
        ((1, 2), 2, None),
        (lambda value: value > 1, 2, None),
    ],
)
def test_a_difference_is_named(expected: object, found: object, difference: str | None) -> None:
    assert find_difference(expected, found) == difference


def test_calls_are_limited(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fact_probe, "MAX_CALLS", 5)
    result = command(simulator, "--json")
    assert len(simulator.calls) == 5
    assert described(result)["X2"]["detail"] == "5 calls or 60 s are used up"


def test_what_cannot_be_checked_at_all(simulator: Simulator, tmp_path: Path) -> None:
    run = partial(CliRunner().invoke, main)
    recording = tmp_path / "recording.json"
    recording.write_text("[]")
    simulator.fault("not_json", operation="login")
    not_json = command(simulator)
    results = {
        "set LOOKERSDK_CLIENT_ID and LOOKERSDK_CLIENT_SECRET": command(simulator, secret=""),
        "login: HTTP 404; check the URL, the client ID and the client secret": command(
            simulator, secret="wrong"
        ),
        "no response from http://127.0.0.1:9 (ConnectionError); check the URL": command(
            simulator, "http://127.0.0.1:9"
        ),
        "login: HTTP 200; check the URL, the client ID and the client secret": not_json,
        "URL must start with https:// or http://, not 'looker'": command(simulator, "looker"),
        f"{recording} is not a recording of looker-facts": run(["--replay", str(recording)]),
    }
    for message, result in results.items():
        assert (result.exit_code, result.stderr.strip()) == (2, f"Error: {message}")
    with pytest.raises(ValueError, match="not a recording"):
        Replay(recording)
