"""The example that keeps System Activity, run against the simulated one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.warehouses.environments import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.singer import Run


def read_config() -> dict[str, Any]:
    project = yaml.safe_load((PROJECT / "examples" / "system_activity" / "meltano.yml").read_text())
    (extractor,) = project["plugins"]["extractors"]
    config: dict[str, Any] = extractor["config"]
    return config


@pytest.mark.slow
def test_history_continues_from_its_bookmark_and_all_it_mentions_is_there(
    tap: Callable[..., Run],
) -> None:
    first = tap(**read_config())

    assert first.exit_code == 0, first.log
    history = first.records("activity_history")
    ids = {record["history__id"] for record in history}
    assert len(ids) == len(history) > 1000
    for stream, field in (
        ("activity_users", "user__id"),
        ("activity_queries", "query__id"),
        ("activity_looks", "look__id"),
        ("activity_dashboards", "dashboard__id"),
    ):
        known = {record[field] for record in first.records(stream)}
        named = {record[field] for record in history} - {None}
        assert named <= known, stream

    second = tap(state=first.state, **read_config())

    assert second.exit_code == 0, second.log
    latest = max(record["history__created_time"] for record in history)
    again = second.records("activity_history")
    # What was run in the meantime, and the rows of the bookmark, once more.
    assert 1 <= len(again) <= 3
    assert min(record["history__created_time"] for record in again) >= latest
