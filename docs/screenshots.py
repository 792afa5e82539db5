"""Makes the pictures of the documentation: runs the tap against the simulator, and looks at it.

It needs Chromium: `python -m docs.screenshots` writes `docs/images/report.png`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tap_looker_tasks.simulator.simulator import Simulator, SimulatorOptions
from tests.watch.chromium import running_chromium

_IMAGES = Path(__file__).with_name("images")
_QUERIES = (
    *(("airlines", 1), ("days", 3), ("airports", 4), ("orders", 11), ("orders_by_state", 12)),
    *(("months", 2), ("units", 13)),
)
_LATENCIES = {"1": 0.6, "2": 2.5, "3": 1.2, "4": 0.9, "11": 3.1, "12": 1.8, "13": 1.4}


def make_report(folder: Path) -> Path:
    """Run the tap, one of whose queries is refused; return where its report is."""
    page = folder / "report.html"
    options = SimulatorOptions(query_latency=_LATENCIES, round_trip_seconds=0.1)
    with Simulator(options) as simulator:
        queries = [{"name": name, "query_id": id_} for name, id_ in _QUERIES]
        config = {
            "base_url": simulator.base_url,
            "client_id": simulator.client_id,
            "client_secret": simulator.client_secret,
            "queries": queries,
            "query_task_ids": [simulator.add_scripted_task([{"status": "killed"}])],
            "max_concurrent_tasks": 3,
            "report_path": str(page),
        }
        (folder / "config.json").write_text(json.dumps(config))
        command = [
            sys.executable,
            "-m",
            "tap_looker_tasks",
            "--config",
            str(folder / "config.json"),
        ]
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - the tap
    return page


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as folder, running_chromium() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 900}, device_scale_factor=1)
        page.goto(make_report(Path(folder)).as_uri())
        page.screenshot(path=_IMAGES / "report.png", full_page=False)


if __name__ == "__main__":
    main()
