"""The Singer SDK's own tests of a tap, on real results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.testing import get_tap_test_class

from looker_simulator.simulator import Simulator, SimulatorOptions
from tap_looker_tasks.tap import TapLookerTasks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from looker_simulator.engine import Database

# Columns that only tasks launched by the tap have are null here.
pytestmark = pytest.mark.filterwarnings("ignore:No records were available to test")

# Completed once the simulator runs: the SDK makes its tests while this module is imported.
CONFIG: dict[str, Any] = {
    "base_url": "http://127.0.0.1",
    "client_id": "simulator",
    "client_secret": "simulator",
}
CATALOG = TapLookerTasks(config=CONFIG, parse_env_config=False).catalog_dict
for stream in CATALOG["streams"]:
    for entry in stream["metadata"]:
        entry["metadata"]["selected"] = True


@pytest.fixture(scope="class", autouse=True)
def looker(database: Database) -> Iterator[None]:
    with Simulator(SimulatorOptions(), database=database) as simulator:
        formats = ("json_detail", "json_bi", "json", "csv")
        CONFIG["base_url"] = simulator.base_url
        CONFIG["query_task_ids"] = [simulator.create_task("1", f) for f in formats]
        yield


TestSdkSuite = get_tap_test_class(
    TapLookerTasks, config=CONFIG, catalog=CATALOG, parse_env_config=False
)
