"""Every message of the tap is in one list, and a test expects it."""

from __future__ import annotations

import pytest

from docs.messages import UNTESTED, Message, collect_messages, find_test
from tap_looker_tasks.cli.yaml import read_yaml
from tap_looker_tasks.config import Settings, parse_ids_file
from tap_looker_tasks.errors import SettingsError

GIVEN = {"base_url": "https://looker.test", "client_id": "me", "client_secret": "hush"}
LOOK = {"name": "a", "look_id": 1}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"shard_index": 3, "shard_count": 3},
            "shard_index: 3 is not one of 0 to 2; shard_count is 3",
        ),
        (
            {"queries": [{**LOOK, "lookback": "3 days"}]},
            "queries[0].lookback: requires a replication_key",
        ),
        (
            {"queries": [{**LOOK, "lookback": "soon", "replication_key": "orders.id"}]},
            (
                "queries[0].lookback: 'soon' is not a duration like '3 days' "
                "(seconds, minutes, hours, days, weeks)"
            ),
        ),
    ],
)
def test_a_wrong_setting_is_named(config: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_config({**GIVEN, **config})
    assert raised.value.message == message


def test_a_file_of_ids_that_is_not_text_is_named() -> None:
    with pytest.raises(SettingsError, match="query_task_ids_file: not a text file in UTF-8"):
        parse_ids_file(b"\xff\xfe\x00")


def test_a_project_that_is_not_yaml_is_named() -> None:
    with pytest.raises(SettingsError, match=r"meltano\.yml: while parsing"):
        read_yaml("plugins: [")


def test_a_test_expects_each_message() -> None:
    messages = collect_messages()
    assert len(messages) > 100
    found = {message.text for message in messages if find_test(message) is None}
    assert found == UNTESTED


def test_a_message_that_no_test_expects_is_found() -> None:
    assert find_test(Message("zygotes " * 3, "warning", "run")) is None
