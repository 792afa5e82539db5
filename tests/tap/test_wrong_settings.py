"""A wrong setting is one line that names it, wherever it was given; nothing is asked of Looker."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

PREFIX = "TAP_LOOKER_TASKS_"


def rejected(run: Run) -> str:
    assert run.exit_code == 78
    assert "Traceback" not in run.log
    assert run.messages == []
    return run.error


@pytest.mark.parametrize(
    ("end", "text", "line"),
    [
        ("SHARD_COUNT", "abc", ": expected an integer, got text"),
        ("SHARD_COUNT", "0", ": expected an integer >= 1"),
        ("POLL_INTERVAL_SECONDS", "soon", ": expected a number, got text"),
        ("QUERIES", "not json", ': expected a JSON array, like ["..."]'),
        ("QUERIES", '[{"name": "a", "limt": 3}]', "[0].limt: no such key; did you mean limit?"),
        ("DASHBOARDS", '[{"dashboard_id": 7, "lookback": "1 day"}]', "[0].lookback: no such key"),
        (
            "DASHBOARDS",
            '[{"dashboard_id": 7, "replication_key": "a.b"}]',
            "[0].replication_key: no such key",
        ),
        (
            "DASHBOARDS",
            '[{"dashboard_id": 7, "limt": 3}]',
            "[0].limt: no such key; did you mean limit?",
        ),
        ("QUERIES", '[{"name": "a", "query_id": 1, "tiles": []}]', "[0].tiles: no such key"),
        ("QUERY_TASK_IDS", "a,b", ': expected a JSON array, like ["..."]'),
        ("QUERY_TASK_IDS", "[1]", "[0]: expected text, got an integer"),
        ("DECIMALS", '{"precision": "x"}', ".precision: expected an integer, got text"),
        ("STREAM_MAPS", "not json", ': expected a JSON object, like {"...": "..."}'),
        ("STREAM_MAPS", "[" * 5000, ': expected a JSON object, like {"...": "..."}'),
        ("FLATTENING_MAX_DEPTH", "deep", ": expected an integer, got text"),
        ("VERIFY_SSL", "maybe", ": expected true or false"),
        ("FLATTENING_ENABLED", "maybe", ": expected true or false"),
        ("RESULT_FORMAT", "xml", ": expected json_detail or json_bi"),
    ],
)
def test_a_wrong_variable_is_named_with_what_is_expected(
    simulator: Simulator,
    tap: Tap,
    monkeypatch: pytest.MonkeyPatch,
    end: str,
    text: str,
    line: str,
) -> None:
    monkeypatch.setenv(PREFIX + end, text)
    assert rejected(tap("--config", "ENV")) == PREFIX + end + line
    assert simulator.calls == []


def test_a_variable_overrides_the_file_that_init_writes(
    tap: Tap, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = f"{PREFIX}CLIENT_SECRET"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, "restored by the end of the test")
    monkeypatch.delenv(name)
    run = partial(tap, "--config=ENV", queries=[{"name": "airlines", "query_id": 1}])
    Path(".env").write_text(f"{name}={simulator.client_secret}\n")
    assert run(client_secret="wrong").exit_code == 0
    monkeypatch.setenv(name, "wrong")
    assert "check client_id and client_secret" in rejected(run())
    Path(".env").write_bytes(b"\xff")
    assert rejected(run()).startswith(".env: cannot be read: 'utf-8' codec")


def test_a_misspelt_variable_is_rejected_and_others_are_ignored(
    tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}_SELECT", "[]")
    monkeypatch.setenv(f"{PREFIX}LOGLEVEL", "INFO")
    monkeypatch.setenv(f"{PREFIX}SERVICE_HOST", "10.0.0.1")
    assert tap("--config", "ENV").exit_code == 0
    monkeypatch.setenv(f"{PREFIX}BATCHSIZE", "7")
    expected = f"{PREFIX}BATCHSIZE: no such setting; did you mean {PREFIX}BATCH_SIZE?"
    assert rejected(tap("--config", "ENV")) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run_id", "a\ud800"),
        ("client_secret", "a\udc80"),
        ("base_url", "https://a\ud800.com"),
        ("stream_maps", {"a": {"b\ud800": "1"}}),
        ("queries", [{"name": "a", "query_id": 1, "filters": {"a.b": "\ud800"}}]),
    ],
)
def test_half_a_character_is_rejected(
    simulator: Simulator, tap: Tap, name: str, value: object
) -> None:
    assert rejected(tap(**{name: value})) == f"{name}: contains text that is not Unicode"
    assert simulator.calls == []


def test_a_byte_of_a_variable_that_is_not_unicode_is_rejected(
    simulator: Simulator, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}RUN_ID", "a\udcff")
    assert rejected(tap("--config=ENV")) == "run_id: contains text that is not Unicode"
    assert simulator.calls == []


@pytest.mark.parametrize("arguments", [(), ("--discover",), ("--test",)])
def test_a_misspelt_setting_is_rejected_with_the_one_that_was_meant(
    simulator: Simulator, tap: Tap, arguments: tuple[str, ...]
) -> None:
    line = rejected(tap(*arguments, batchsize=7))
    assert line == "batchsize: no such setting; did you mean batch_size?"
    line = rejected(tap(*arguments, querys=[]))
    assert line == "querys: no such setting; did you mean queries?"
    assert rejected(tap(*arguments, hue="red")) == "hue: no such setting"
    assert simulator.calls == []


def test_settings_of_the_sdk_and_extras_of_meltano_are_accepted(tap: Tap) -> None:
    assert tap(stream_maps={}, flattening_enabled=False, _select=["*.*"]).exit_code == 0


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ({"flattening_enabled": "maybe"}, "flattening_enabled: 'maybe' is not of type 'boolean'"),
        ({"stream_maps": {"x": 5}}, "stream_maps.x: 5 is not valid"),
        ({"batch_config": {"encoding": {"format": "xml"}}}, "batch_config.encoding.format: 'xml'"),
    ],
)
def test_a_wrong_setting_of_the_sdk_is_named_in_front(
    tap: Tap, setting: dict[str, Any], line: str
) -> None:
    assert rejected(tap(**setting)).startswith(line)


def test_a_stream_map_of_a_deselected_stream_does_no_harm(simulator: Simulator, tap: Tap) -> None:
    id_ = simulator.create_task("1", "json")
    run = tap(query_task_ids=[id_], stream_maps={"query_task_rows": {"row_number": "row_number"}})
    assert run.exit_code == 0
    assert run.statuses() == {id_: "complete"}


@pytest.mark.parametrize(
    ("map_", "reason"),
    [
        ({"data": "record["}, "Failed to parse expression record["),
        ({"query_task_id": None}, "Removing key property 'query_task_id' is not permitted"),
        ({"__key_properties__": ["nowhere"]}, "Property 'nowhere' was not detected"),
    ],
)
def test_a_wrong_stream_map_is_rejected_before_any_request(
    simulator: Simulator, tap: Tap, map_: dict[str, Any], reason: str
) -> None:
    id_ = simulator.create_task("1", "json")
    simulator.calls.clear()
    line = rejected(tap(query_task_ids=[id_], stream_maps={"query_task_results": map_}))
    assert line.startswith("stream_maps: ")
    assert reason in line
    assert simulator.calls == []


@pytest.mark.parametrize("expression", ["int(status)", "nowhere", "status.nowhere", "data['x']"])
def test_an_expression_that_fails_on_a_record_ends_the_run_in_one_line(
    simulator: Simulator, tap: Tap, expression: str
) -> None:
    id_ = simulator.create_task("1", "json")
    maps = {"query_task_results": {"status": expression}}
    run = tap(query_task_ids=[id_], stream_maps=maps)
    assert run.exit_code == 78
    assert "Traceback" not in run.log
    assert run.error.startswith("stream_maps: ")
    assert run.records() == []
