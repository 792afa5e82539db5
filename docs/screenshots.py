"""Makes the pictures of the documentation: runs the tap against the simulator, and looks at it.

It needs Chromium: `python -m docs.screenshots` writes `report.png` and `progress.svg` in
`docs/images`.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from looker_simulator.simulator import Simulator, SimulatorOptions
from tests.watch.chromium import running_chromium
from tests.watch.terminal import run_on_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable

_IMAGES = Path(__file__).with_name("images")
_REPORTED = (
    *(("airlines", 1), ("days", 3), ("airports", 4), ("orders", 11), ("orders_by_state", 12)),
    *(("months", 2), ("units", 13)),
)
_WATCHED = (
    *(("flights", 10), ("airlines", 1), ("july", 2), ("christmas", 3), ("airports", 4)),
    *(("months", 7), ("miles", 8), ("orders_by_state", 11), ("orders_by_week", 12), ("orders", 13)),
    *(("orders_by_city", 17), ("system_activity_history", 18), ("system_activity_users", 19)),
)
_QUICK = SimulatorOptions(latency_seconds=(0.3, 1.6), round_trip_seconds=0.1)
_SLOW = SimulatorOptions(latency_seconds=(2, 8), round_trip_seconds=0.1)
_COLUMNS = 90
# What rich writes before it draws the display again, and what else moves the cursor.
_ERASURE = re.compile(r"(?:\r?\x1b\[(?:2K|1A))+")
_CURSOR = re.compile(r"\x1b\[[\d;?]*[A-Za-ln-z]")
_STYLE = re.compile(r"\x1b\[[\d;]*m")
# As rich's own, but for the font that it would load.
_SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix, .{unique_id}-title {{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}}
.{unique_id}-matrix {{ font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def make_report(folder: Path) -> Path:
    """Run the tap, one of whose queries fails; return where its report is."""
    page = folder / "report.html"
    with Simulator(_QUICK) as simulator:
        killed = simulator.add_scripted_task([{"status": "killed"}])
        more = {"query_task_ids": [killed], "report_path": str(page), "max_concurrent_tasks": 3}
        command = _tap(folder, simulator, _REPORTED, **more)
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - the tap
    return page


def make_progress(folder: Path) -> str:
    """Run the tap twice, because the first run measures the queries; return the live display.

    It is that of a moment in the middle of the second run, with codes of a terminal.
    """
    with Simulator(_SLOW) as simulator:
        command = _tap(folder, simulator, _WATCHED, max_concurrent_tasks=4)
        first = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - the tap
        states = [line for line in first.stdout.splitlines() if b'"type":"STATE"' in line]
        state = folder / "state.json"
        state.write_text(json.dumps(json.loads(states[-1])["value"]))
        with (folder / "out.jsonl").open("wb") as output:
            written = run_on_terminal([*command, "--state", str(state)], output, columns=_COLUMNS)
    frames = [_CURSOR.sub("", frame) for frame in _ERASURE.split(written)]
    busy = [frame for frame in frames if _is_busy(_STYLE.sub("", frame))]
    return busy[len(busy) // 2].replace("\r", "").rstrip()


def draw_terminal(text: str, title: str) -> str:
    """Draw what is on a terminal as SVG, which loads nothing."""
    console = Console(file=io.StringIO(), record=True, width=_COLUMNS, highlight=False)
    console.print(Text.from_ansi(text))
    return console.export_svg(title=title, code_format=_SVG, unique_id="progress")


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as folder, running_chromium() as browser:
        picture = draw_terminal(
            make_progress(Path(folder)), "tap-looker-tasks --config config.json > out.jsonl"
        )
        (_IMAGES / "progress.svg").write_text(picture)
        page = browser.new_page(viewport={"width": 1200, "height": 900}, device_scale_factor=1)
        page.goto(make_report(Path(folder)).as_uri())
        page.screenshot(path=_IMAGES / "report.png", full_page=False)


def _tap(
    folder: Path, simulator: Simulator, queries: Iterable[tuple[str, int]], **more: Any
) -> list[str]:
    """Return the command that runs these queries of the simulator."""
    config = {
        "base_url": simulator.base_url,
        "client_id": simulator.client_id,
        "client_secret": simulator.client_secret,
        "queries": [{"name": name, "query_id": id_} for name, id_ in queries],
        **more,
    }
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return [sys.executable, "-m", "tap_looker_tasks", "--config", str(path)]


def _is_busy(frame: str) -> bool:
    """Return whether this is the display alone, well into the largest result."""
    shown = ("queued", "running in Looker", "API calls", "left")
    is_delivered = re.search(r"^flights +delivering +\d{2,},", frame, re.MULTILINE)
    return frame.startswith("━") and bool(is_delivered) and all(map(frame.count, shown))


if __name__ == "__main__":
    main()
