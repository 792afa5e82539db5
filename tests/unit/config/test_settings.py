"""What is accepted as configuration, and how a wrong value is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st

from tap_looker_tasks.config.entries import parse_ids_file
from tap_looker_tasks.config.schema import find_wrong_variables
from tap_looker_tasks.config.settings import Settings
from tap_looker_tasks.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

REQUIRED = {"base_url": "https://looker.test", "client_id": "id", "client_secret": "hush"}


def message(**config: object) -> str:
    with pytest.raises(SettingsError) as raised:
        Settings.from_config(REQUIRED | config)
    return raised.value.message


@pytest.mark.parametrize(
    ("given_url", "base_url"),
    [
        ("https://looker.test", "https://looker.test"),
        ("https://looker.test/", "https://looker.test"),
        ("https://looker.test:19999", "https://looker.test:19999"),
        ("https://looker.test:19999/api/4.0/", "https://looker.test:19999"),
        ("https://looker.test/api/4.0", "https://looker.test"),
        ("https://Looker.Test/api", "https://looker.test"),
        (" https://looker.test ", "https://looker.test"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_instance_may_be_named_in_several_ways(given_url: str, base_url: str) -> None:
    assert Settings.from_config(REQUIRED | {"base_url": given_url}).base_url == base_url


@pytest.mark.parametrize(
    ("base_url", "hint"),
    [
        ("looker.test", "expected the instance's address"),
        ("ftp://looker.test", "expected the instance's address"),
        ("https://", "expected the instance's address"),
        ("https://looker.test:port", "expected the instance's address"),
        ("https://me:pw@looker.test", "expected the instance's address"),
        ("https://looker.test/looks/1", "without the path '/looks/1'"),
        (
            "http://looker.test",
            "http would send the credentials in the clear to looker.test; use https",
        ),
        ("http://127.0.0.1.looker.test", "use https"),
    ],
)
def test_a_wrong_address_is_rejected(base_url: str, hint: str) -> None:
    rejection = message(base_url=base_url)
    assert rejection.startswith("base_url: ")
    assert hint in rejection


@pytest.mark.parametrize("name", list(REQUIRED))
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_setting_is_named(name: str, value: str | None) -> None:
    assert message(**{name: value}).startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 251),
        ("batch_size", 1.5),
        ("batch_size", "many"),
        ("max_connections", 0),
        ("max_connections", 33),
        ("max_response_bytes", 0),
        ("max_name_length", 19),
        ("max_name_length", 301),
        ("report_path", ""),
        ("summary_path", ""),
        ("max_concurrent_tasks", 10**40),
        ("task_timeout_seconds", 1e40),
        ("max_response_bytes", 10**40),
        ("api_call_limit", 10**40),
        ("poll_interval_seconds", 0),
        ("poll_interval_seconds", float("nan")),
        ("task_timeout_seconds", -1),
        ("expired_grace_seconds", -1),
        ("http_max_tries", 0),
        ("verify_ssl", "perhaps"),
        ("wait_for_completion", 2),
        ("query_task_ids", "abc"),
        ("query_task_ids", [1]),
        ("query_task_ids_file", ["a"]),
    ],
)
def test_a_wrong_value_is_named_in_one_line(name: str, value: object) -> None:
    rejection = message(**{name: value})
    assert rejection.startswith(name)
    assert "\n" not in rejection


EXPLORE = {"model": "m", "explore": "e", "fields": ["a.b"]}


@pytest.mark.parametrize(
    "number", [10**40, 10**5000, -(10**5000)], ids=["long", "too long for text", "negative"]
)
@pytest.mark.parametrize(
    ("place", "build"),
    [
        ("queries[0].query_id", lambda n: {"queries": [{"name": "a", "query_id": n}]}),
        ("queries[0].look_id", lambda n: {"queries": [{"name": "a", "look_id": n}]}),
        ("queries[0].limit", lambda n: {"queries": [{"name": "a", "query_id": 1, "limit": n}]}),
        (
            "queries[0].column_limit",
            lambda n: {"queries": [{"name": "a", "query_id": 1, "column_limit": n}]},
        ),
        (
            "queries[0].explore.column_limit",
            lambda n: {"queries": [{"name": "a", "explore": EXPLORE | {"column_limit": n}}]},
        ),
        (
            "dashboards[0].dashboard_id",
            lambda n: {"dashboards": [{"name": "a", "dashboard_id": n}]},
        ),
        (
            "dashboards[0].limit",
            lambda n: {"dashboards": [{"name": "a", "dashboard_id": 1, "limit": n}]},
        ),
        (
            "dashboards[0].tiles[0].id",
            lambda n: {"dashboards": [{"name": "a", "dashboard_id": 1, "tiles": [{"id": n}]}]},
        ),
        ("shard_index", lambda n: {"shard_index": n}),
        ("batch_size", lambda n: {"batch_size": n}),
        ("decimals.precision", lambda n: {"decimals": {"precision": n}}),
    ],
)
def test_no_number_is_without_bounds(
    place: str, build: Callable[[int], dict[str, object]], number: int
) -> None:
    refusal = message(**build(number))
    assert refusal.startswith(f"{place}: ")
    assert len(refusal) < 200


@pytest.mark.parametrize("depth", [900, 5000, 200_000])
@pytest.mark.parametrize("name", ["queries", "query_task_ids", "decimals", "stream_maps"])
def test_a_variable_of_any_depth_is_rejected_in_one_line(name: str, depth: int) -> None:
    variable = f"TAP_LOOKER_TASKS_{name.upper()}"
    declared = {name: {"type": ["object" if name in {"decimals", "stream_maps"} else "array"]}}
    text = '{"a":' * depth + "1" + "}" * depth
    found = [*find_wrong_variables({variable: text}, "TAP_LOOKER_TASKS_", declared)]
    if name == "stream_maps" and depth < 1000:
        # It is an object, and the SDK reads it.
        assert found == []
        return
    (line,) = found
    assert line.startswith(f"{variable}")
    assert len(line) < 200


@pytest.mark.parametrize("name", ["client_id", "client_secret"])
def test_a_wrong_secret_is_not_shown(name: str) -> None:
    assert "hush" not in message(**{name: ["hush"]})


def test_numbers_and_flags_may_come_as_text_as_from_the_environment() -> None:
    settings = Settings.from_config(
        REQUIRED | {"batch_size": "7", "verify_ssl": "false", "poll_interval_seconds": "0.5"}
    )
    assert (settings.batch_size, settings.verify_ssl) == (7, False)
    assert settings.poll_interval_seconds == 0.5


def test_the_longest_pause_is_at_least_the_first() -> None:
    settings = Settings.from_config(REQUIRED | {"poll_interval_seconds": 60})
    assert settings.poll_max_interval_seconds == 60


def test_settings_of_the_sdk_are_skipped() -> None:
    Settings.from_config(REQUIRED | {"stream_maps": {}, "flattening_enabled": True})


def test_an_id_given_twice_is_one_task() -> None:
    settings = Settings.from_config(REQUIRED | {"query_task_ids": ["b", "a", "b"]})
    assert settings.query_task_ids == ("b", "a")


@pytest.mark.parametrize("id_", ["", " ", "a b", "a,b", "a/b", "a?b", "ä", "a\n", "x" * 4097])
def test_what_cannot_be_an_id_is_rejected_with_its_place(id_: str) -> None:
    rejection = message(query_task_ids=["good", id_])
    assert rejection.startswith("query_task_ids[1]: ")
    assert len(rejection) < 200


def test_a_file_may_list_ids_and_json_lines() -> None:
    content = b'\xef\xbb\xbf one \r\n\n{"query_task_id": "two", "more": 1}\none\nthree'
    assert parse_ids_file(content) == ("one", "two", "three")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"good\nnot good", "line 2"),
        (b'{"query_task_id": "good"}\n{"id": "x"}', "line 2"),
        (b'{"query_task_id": 5}', "line 1"),
        (b'{"query_task_id": null}', "line 1"),
        (b'good\n\n{"query_task_id": ', "line 3"),
        (b'good\n{"query_task_id": ' + b"[" * 100_000, "line 2"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_wrong_line_in_the_file_is_named(content: bytes, place: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_ids_file(content)
    assert raised.value.message.startswith("query_task_ids_file: ")
    assert place in raised.value.message


# The same inputs in every run, however slow the machine is at that moment.
same_inputs = hypothesis_settings(
    derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)


@same_inputs
@given(st.binary())
def test_no_file_is_a_surprise(content: bytes) -> None:
    try:
        ids = parse_ids_file(content)
    except SettingsError as error:
        assert "\n" not in error.message  # noqa: PT017 - either is an outcome
    else:
        assert all(ids)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@same_inputs
@given(st.dictionaries(st.sampled_from(Settings.__struct_fields__), JSON))
def test_no_config_is_a_surprise(config: dict[str, object]) -> None:
    try:
        settings = Settings.from_config(REQUIRED | config)
    except SettingsError as error:
        assert "\n" not in error.message  # noqa: PT017 - either is an outcome
    else:
        assert json.dumps(settings.query_task_ids)


def test_all_missing_settings_are_named_together() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_config({"base_url": "", "client_secret": None})
    assert raised.value.message == "base_url, client_id, client_secret: required, but not set"
