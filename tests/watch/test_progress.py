"""What a run shows while it continues, on each kind of standard error."""

from __future__ import annotations

import errno
import io
import logging
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from typing_extensions import override

from tap_looker_tasks.watch.facts import RunFacts
from tap_looker_tasks.watch.progress import Progress, shows_live
from tests.watch.shown import CALLS, START, log_half_a_run, started
from tests.watch.terminal import run_on_terminal, terminal_environment

_PROJECT = Path(__file__).parent.parent.parent
_COMMAND = [sys.executable, "-m", "tests.watch.show_run"]
_COLOR = re.compile(r"\x1b\[[\d;]*m")
_CONTROL = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
_LOG_LINE = "orders: a line of the log while it is shown"
_TASKS = "delivered 0 of 4 query tasks, queued 1, launched 2, running in Looker 2, collected 1"


def show_on_terminal(*arguments: str, columns: int = 100, **variables: str) -> str:
    """Run on a terminal of that many columns; returns all that was written to it."""
    with tempfile.TemporaryFile() as output:
        written = run_on_terminal([*_COMMAND, *arguments], output, columns=columns, **variables)
        output.seek(0)
        assert output.read() == (b"" if "fail" in arguments else b"end reached\n")
    return written


def plain(written: str) -> str:
    return _CONTROL.sub("", written)


@pytest.mark.slow
def test_a_terminal_shows_the_run_live_and_log_lines_above_it() -> None:
    written = show_on_terminal()
    text = plain(written)
    assert _TASKS in text
    assert "100,250 rows, 902 kB, 10,000 rows/s, 44 API calls of 1,000, about 51 s left" in text
    assert re.search(r"orders +running +20 s, 1 min in the last run", text)
    assert re.search(r"query task task-external +delivering +100,250 rows", text)
    assert f"WARNING {_LOG_LINE}\r\n" in text
    assert _COLOR.search(written)
    # The display is gone at the end, and the cursor is back.
    assert written.rindex("\x1b[?25h") > written.rindex("delivered")
    assert written.rindex("\x1b[2K") > written.rindex("delivered")


@pytest.mark.slow
def test_the_terminal_is_released_when_the_run_breaks_off() -> None:
    written = show_on_terminal("fail")
    assert "\x1b[?25h" in written
    assert plain(written).rstrip().endswith("broken off")


@pytest.mark.slow
def test_no_color_where_it_is_off() -> None:
    written = show_on_terminal(NO_COLOR="1")
    assert _TASKS in plain(written)
    assert not re.search(r"\x1b\[[\d;]*3\d[\d;]*m", written)


@pytest.mark.slow
def test_twenty_columns_are_enough() -> None:
    text = plain(show_on_terminal(columns=20))
    assert "delivered 0 of 4" in text
    assert "44 API calls" in text
    assert max(len(line.strip("\r")) for line in text.split("\n") if _LOG_LINE not in line) <= 45


@pytest.mark.slow
@pytest.mark.parametrize("terminal", ["dumb", "unknown", ""])
def test_a_terminal_without_cursor_gets_lines(terminal: str) -> None:
    written = show_on_terminal(TERM=terminal)
    assert "\x1b" not in written
    assert f"INFO {_TASKS}, 100,250 rows" in written


@pytest.mark.slow
def test_no_terminal_gets_lines() -> None:
    done = subprocess.run(
        _COMMAND,
        capture_output=True,
        text=True,
        env=terminal_environment(),
        cwd=_PROJECT,
        check=True,
    )
    first, line = done.stderr.splitlines()
    assert first == f"WARNING {_LOG_LINE}"
    assert line.startswith(f"INFO {_TASKS}, 100,250 rows, 902 kB, ")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["close", "2>&-", "2>/dev/full"])
def test_a_standard_error_that_fails_ends_no_run(how: str) -> None:
    if how == "close":
        command = [*_COMMAND, "close"]
    else:
        command = ["/bin/sh", "-c", f'exec "$@" {how}', "sh", *_COMMAND]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=terminal_environment(),
        cwd=_PROJECT,
        check=False,
    )
    assert done.stdout == "end reached\n"
    # Python itself ends with 120 when it cannot write the last of it.
    assert done.returncode in ({0, 120} if "full" in how else {0})


@pytest.mark.slow
def test_a_terminal_that_hangs_up_ends_no_run() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        _COMMAND,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=terminal_environment(),
        cwd=_PROJECT,
        text=True,
    ) as process:
        os.close(theirs)
        os.close(ours)
        out, _ = process.communicate(timeout=60)
    assert out == "end reached\n"


class Terminal(io.StringIO):
    """A terminal that can go away."""

    error: OSError | None = None

    @override
    def isatty(self) -> bool:
        return True

    @override
    def write(self, text: str) -> int:
        if self.error:
            raise self.error
        return super().write(text)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


@pytest.mark.parametrize("error", [OSError(errno.EIO, "gone"), BrokenPipeError()])
def test_a_terminal_that_goes_away_ends_no_run(terminal: Terminal, error: OSError) -> None:
    facts = log_half_a_run()
    with started(show(facts, stream=terminal)) as progress:
        progress.tick(START + 10)
        assert "delivered 0 of 4" in terminal.getvalue()
        terminal.error = error
        progress.tick(START + 11)
        # Lines take its place.
        progress.tick(START + 12)


def test_the_display_names_a_few_of_many_tasks(terminal: Terminal) -> None:
    facts = log_half_a_run()
    for number in range(20):
        facts.followed(f"more-{number}", START, name=f"resumed_{number}")
    with started(show(facts, stream=terminal)) as progress:
        progress.tick(START + 10)
    text = plain(terminal.getvalue())
    assert "resumed_1 " in text
    assert "resumed_2 " not in text
    assert "and 18 more in Looker" in text


def test_messages_on_a_terminal_leave_no_place_for_a_display() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, open(os.devnull, "w") as nothing:  # noqa: PTH123
        assert shows_live(terminal, nothing, {"TERM": "xterm"})
        assert not shows_live(terminal, terminal, {"TERM": "xterm"})
        assert not shows_live(terminal, nothing, {})
        assert not shows_live(nothing, nothing, {"TERM": "xterm"})
        assert not shows_live(None, nothing, {"TERM": "xterm"})
    assert not shows_live(terminal, None, {"TERM": "xterm"})
    os.close(ours)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def show(facts: RunFacts, stream: Terminal | None = None) -> Progress:
    logger = logging.getLogger("tap-looker-tasks")
    return Progress(facts, logger, stream)


def test_a_line_comes_every_interval_while_something_happens(
    lines: pytest.LogCaptureFixture,
) -> None:
    facts = log_half_a_run()
    with started(show(facts)) as progress:
        for second in range(100):
            facts.rows("task-external", 10, 100, START + second)
            progress.tick(START + second)
    assert len(lines.messages) == 9
    assert "250 rows" not in lines.messages[-1]


def test_few_lines_come_while_looker_works(lines: pytest.LogCaptureFixture) -> None:
    with started(show(log_half_a_run())) as progress:
        for second in range(200):
            progress.tick(START + second)
    assert len(lines.messages) == 3


def test_nothing_is_reported_of_what_no_one_knows() -> None:
    assert show(RunFacts(START, CALLS)).describe(START) == (
        "delivered 0 of 0 query tasks, running in Looker 0, 0 rows, 44 API calls"
    )
