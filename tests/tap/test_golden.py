"""The whole output of a small run, message by message."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

GOLDEN = Path(__file__).with_name("golden.jsonl")
INSTANCE = re.compile(r'(?<="instance":)"[0-9a-f]{16}"')
MOMENT = re.compile(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"')

DETAIL = {
    "from_cache": False,
    "id": "detail",
    "truncated": True,
    "runtime": "0.325",
    "fields": {
        "measures": [{"name": "flights.count", "label": "Flights Count", "type": "count"}],
        "dimensions": [{"name": "flights.carrier", "label": "Flights Carrier", "type": "string"}],
    },
    "data": [
        {
            "flights.carrier": {"value": "UA", "rendered": "UA", "links": []},
            "flights.count": {"value": 58665, "rendered": "58,665"},
        },
        {"flights.carrier": {"value": None}, "flights.count": {"value": 18014398509481985}},
    ],
}
BI = {
    "metadata": {"fields": {"dimensions": [{"name": "airports.name", "type": "string"}]}},
    "rows": [{"airports.name": {"value": "Zürich “Kloten” 🛫"}}],
}


def test_the_output_is_what_it_was(simulator: Simulator, tap: Callable[..., Run]) -> None:
    scripts: list[Mapping[str, Any]] = [
        {"status": "complete", "result_source": "query", "data": DETAIL},
        {"status": "complete", "result_source": "cache", "data": BI},
        {"status": "complete", "result_source": "query", "data": [{"a.b": 1.50}, {"a.b": None}]},
        {"status": "complete", "result_source": "query", "data": "a,b\n1,2\n"},
        {"status": "error", "result_source": None, "data": {"error": "View Not Found"}},
        {"status": "killed"},
    ]
    ids = [simulator.add_scripted_task([script]) for script in scripts]
    run = tap(query_task_ids=ids, batch_size=1, max_connections=1)
    text = run.output.decode()
    for n, id_ in enumerate(ids):
        text = text.replace(id_, f"task-{n}")
    text = INSTANCE.sub('"<instance>"', text)
    text = MOMENT.sub('"<moment>"', text)
    assert [json.loads(line) for line in text.splitlines()] == [
        json.loads(line) for line in GOLDEN.read_text().splitlines()
    ]
    assert text == GOLDEN.read_text()
