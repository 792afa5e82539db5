"""What the README and the tutorial say is done, each in a separate folder."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from docs.walkthrough import Step, read_steps
from looker_simulator.simulator import Simulator
from tests.watch.chromium import alone, running_chromium

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from looker_simulator.engine import Database

PROJECT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
# What `make` has done before any test runs.
DONE_BEFORE = (
    *("make setup", ". .venv/bin/activate"),
    "pip install -e ../tap-looker-tasks",
)
EXECUTABLES = {
    "tap-looker-tasks": BIN / "tap-looker-tasks",
    **{
        target: PROJECT / ".meltano/loaders" / target / "venv/bin" / target
        for target in ("target-jsonl", "target-postgres")
    },
}
# In the project that `--init` has written.
USE_INSTALLED = "sed -i '/pip_url/d; {}' meltano.yml plugins/extractors/*.lock".format(
    "; ".join(f"/executable/s#{name}#{path}#" for name, path in EXECUTABLES.items())
)
DEMO = "make demo"
SECONDS = 300
MARK = "@@@"


def as_done_here(page: str) -> str:
    """The page, with what is installed already, so that no package index is needed."""
    assert "$ meltano run" in page
    page = page.replace("$ meltano run", f"$ {USE_INSTALLED}\n$ meltano run", 1)
    return page.replace("../tap-looker-tasks/", f"{PROJECT}/")


@contextmanager
def project_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tutorial-") as folder:
        yield Path(folder, "checkout")
        # In case one was started, and it was not done to the end.
        server = (f"{PROJECT}/docs/postgres.py", "stop", f"{folder}/warehouse/db")
        if Path(folder, "warehouse").exists():
            subprocess.run([sys.executable, *server], check=True)


def do(steps: Sequence[Step], folder: Path) -> list[str]:
    """Do all in one shell, and return what each step printed; any that fails ends it."""
    script = "".join(f"{step.script}\necho {MARK} $?\n" for step in steps)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("TAP_", "TARGET_"))},
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "NO_COLOR": "1",
        "NO_PROXY": "127.0.0.1",
    }
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(
        ["/bin/bash", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            printed, _ = shell.communicate(timeout=SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    outputs = re.split(rf"{MARK} (\d+)\n", printed)
    failed = [
        (s.script, o) for s, o, c in zip(steps, outputs[::2], outputs[1::2], strict=False) if int(c)
    ]
    assert not failed
    return outputs[::2][:-1]


def without_trailing_blanks(text: str) -> str:
    """Text without the blanks at the ends of lines, which psql writes."""
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def is_shown(output: str, page: str) -> bool:
    parts = re.split(r"\.\.\.", without_trailing_blanks(page))
    pattern = ".*".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, without_trailing_blanks(output), re.DOTALL) is not None


def follow(page: str, omitted: Sequence[str] = ()) -> list[tuple[Step, str]]:
    """Do what a page says; return its steps and what they printed."""
    steps = [step for step in read_steps(page) if step.script not in (*DONE_BEFORE, *omitted)]
    with project_folder() as folder:
        return list(zip(steps, do(steps, folder), strict=True))


def check_shown(done: Sequence[tuple[Step, str]]) -> None:
    """Check that steps printed what the page shows."""
    for step, output in done:
        assert is_shown(output, step.output), f"{step.script}\n{output}"


@pytest.mark.slow
@pytest.mark.meltano
def test_the_tutorial_works_as_shown() -> None:
    page = (PROJECT / "docs/tutorial.md").read_text()
    assert [step.script for step in read_steps(page) if step.script in DONE_BEFORE] == [
        *DONE_BEFORE[:2]
    ]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    page = page.replace("$ looker-simulator", f"$ looker-simulator --port {port}")
    check_shown(follow(as_done_here(page.replace("19999", str(port)))))


@pytest.mark.slow
def test_the_readme_works_as_shown(database: Database) -> None:
    page = as_done_here((PROJECT / "README.md").read_text())
    with Simulator(database=database) as simulator:
        for shown, here in {
            "https://example.cloud.looker.com": simulator.base_url,
            "LOOKERSDK_CLIENT_ID=... LOOKERSDK_CLIENT_SECRET=...": "LOOKERSDK_CLIENT_ID=simulator "
            "LOOKERSDK_CLIENT_SECRET=simulator",
            "/looks/42": "/looks/1",
            "orders.jsonl": "airlines_by_flights.jsonl",
        }.items():
            assert shown in page
            page = page.replace(shown, here)
        check_shown(follow(page, omitted=[DEMO]))


@pytest.mark.slow
@pytest.mark.meltano
def test_the_demo_of_the_readme_ends_with_a_report_of_each_run() -> None:
    readme = (PROJECT / "README.md").read_text()
    (step,) = (step for step in read_steps(readme) if step.script == DEMO)
    # What `make` does before has been done.
    (printed,) = do([replace(step, script="python -m demo")], PROJECT)
    check_shown([(step, printed)])
    first, second = (PROJECT / path for path in re.findall(r"\S+/report-\d+\.html", printed))
    with running_chromium() as browser:
        page = browser.new_page()
        for path, heading, tasks in (
            (first, "1 of 13 tasks failed", 13),
            (second, "8 of 8 tasks delivered", 8),
        ):
            with alone(page, path.as_uri()):
                page.goto(path.as_uri())
                assert page.locator("h1").inner_text() == heading
                assert page.locator("#table tbody td.name").count() == tasks
                assert page.locator("#timeline canvas").is_visible()
