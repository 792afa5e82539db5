"""State and catalogs of any shape: read, treated as empty and said, or rejected in one line."""

from __future__ import annotations

from typing import Any

import pytest

from tap_looker_tasks.cli.inputs import WrongShapeError, read_catalog, read_state

TASK = {"query_task_id": "t", "attempt": 1}
RESULTS = "query_task_results"


def of(bookmark: object, stream: str = RESULTS) -> dict[str, Any]:
    return {"bookmarks": {stream: bookmark}}


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        (None, {}),
        ([], {}),
        ({}, {}),
        ({"currently_syncing": None}, {"currently_syncing": None}),
        ({"bookmarks": None}, {"bookmarks": {}}),
        ({"bookmarks": []}, {"bookmarks": {}}),
        (of(None), {"bookmarks": {}}),
        (of([]), {"bookmarks": {}}),
    ],
)
def test_a_state_without_content_is_treated_as_empty(raw: object, state: object) -> None:
    assert read_state(raw) == state


@pytest.mark.parametrize(
    "state",
    [
        of({}),
        of({"finished": None, "in_flight": None}),
        of({"finished": {"a": "complete"}, "in_flight": {"q": TASK}, "to_cancel": {"b": "q"}}),
        of({"replication_key": "id", "replication_key_value": 5}, "orders"),
        of({"partitions": [{"context": {"x": 1}, "since": [1]}]}, "users_of_another_tap"),
        {"bookmarks": {}, "currently_syncing": "users", "more": [1]},
    ],
)
def test_a_state_is_read_unchanged(state: dict[str, Any]) -> None:
    assert read_state(state) == state


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([1], "state: expected an object, got [1]"),
        (7, "state: expected an object, got 7"),
        ("complete", 'state: expected an object, got "complete"'),
        (False, "state: expected an object, got false"),
        ({"type": "STATE", "value": of({})}, "pass the object in its `value`"),
        ({"singer_state": of({})}, "pass the object in its `singer_state`"),
        ({"users": "2013-01-01"}, "expected `bookmarks`, got users"),
        ({"bookmarks": [1]}, "bookmarks: expected an object, got [1]"),
        ({"bookmarks": 0}, "bookmarks: expected an object, got 0"),
        (of(5), "bookmarks.query_task_results: expected `object`, got `int`"),
        (of("x", "orders"), "bookmarks.orders: expected `object`, got `str`"),
        (of({"finished": ["a"]}), "query_task_results.finished: expected `object | null`, got"),
        (of({"finished": {"a": 1}}), "query_task_results.finished[...]: expected `str`, got"),
        (of({"in_flight": [TASK]}), "query_task_results.in_flight: expected"),
        (of({"in_flight": {"q": None}}), "query_task_results.in_flight[...]: expected `object`"),
        (of({"in_flight": {"q": {}}}), "in_flight[...]: object missing required field"),
        (of({"to_cancel": "a"}), "query_task_results.to_cancel: expected"),
        (of({"partitions": None}, "orders"), "bookmarks.orders.partitions: expected `array`"),
        (of({"progress_markers": 1}, "orders"), "bookmarks.orders.progress_markers: expected"),
        (of({"query": [1]}, "orders"), "bookmarks.orders.query: expected"),
    ],
)
def test_what_would_deliver_everything_again_is_rejected(raw: object, message: str) -> None:
    with pytest.raises(WrongShapeError) as rejected:
        read_state(raw)
    assert message in str(rejected.value)
    assert "\n" not in str(rejected.value)


ENTRY: dict[str, Any] = {"tap_stream_id": "orders", "schema": {"properties": {"x": {}}}}


@pytest.mark.parametrize(
    "entry",
    [
        {"tap_stream_id": "orders"},
        ENTRY | {"key_properties": None, "metadata": []},
        ENTRY
        | {
            "metadata": [
                {"breadcrumb": [], "metadata": {"selected": True, "table-key-properties": ["x"]}},
                {"breadcrumb": ["properties", "x"], "metadata": {"inclusion": "available"}},
            ],
            "more": 5,
        },
    ],
)
def test_a_catalog_is_read_unchanged(entry: dict[str, Any]) -> None:
    assert read_catalog({"streams": [entry]}) == {"streams": [entry]}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (None, "not a catalog"),
        ([], "not a catalog"),
        ({}, "not a catalog"),
        ({"streams": None}, "not a catalog"),
        ({"streams": {"orders": ENTRY}}, "not a catalog"),
        ({"streams": [None]}, "streams[0]: expected `object`, got `null`"),
        ({"streams": [ENTRY, {}]}, "streams[1]: object missing required field `tap_stream_id`"),
        ({"streams": [ENTRY | {"schema": None}]}, "streams[0].schema: expected `object`"),
        ({"streams": [ENTRY | {"schema": {"properties": []}}]}, "streams[0].schema.properties:"),
        (
            {"streams": [ENTRY | {"schema": {"properties": {"x": True}}}]},
            "streams[0].schema.properties[...]: expected `object`, got `bool`",
        ),
        ({"streams": [ENTRY | {"metadata": None}]}, "streams[0].metadata: expected `array`"),
        ({"streams": [ENTRY | {"metadata": [{}]}]}, "streams[0].metadata[0]: object missing"),
        (
            {"streams": [ENTRY | {"metadata": [{"breadcrumb": "x", "metadata": {}}]}]},
            "streams[0].metadata[0].breadcrumb: expected `array`",
        ),
        (
            {
                "streams": [
                    ENTRY | {"metadata": [{"breadcrumb": [], "metadata": {"selected": "false"}}]}
                ]
            },
            "streams[0].metadata[0].metadata.selected: expected `bool | null`",
        ),
        ({"streams": [ENTRY | {"key_properties": "x"}]}, "streams[0].key_properties: expected"),
        ({"streams": [ENTRY | {"replication_method": "NEW"}]}, "streams[0].replication_method:"),
        ({"streams": [ENTRY | {"stream": "sales"}]}, 'streams[0].stream: "sales", but it is '),
        ({"streams": [ENTRY | {"stream": 5}]}, "streams[0].stream: 5, but it is "),
    ],
)
def test_what_is_no_catalog_is_rejected(raw: object, message: str) -> None:
    with pytest.raises(WrongShapeError) as rejected:
        read_catalog(raw)
    assert message in str(rejected.value)
