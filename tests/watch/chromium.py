"""A real Chromium that looks at reports."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Start the system's Chromium, without a network."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium: install the package `chromium`")
    # Chromium has no sandbox for root, as whom containers run.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        browser: Browser = started.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@contextmanager
def alone(page: Page, address: str) -> Iterator[None]:
    """Check that whatever the page shows meanwhile complains of nothing and loads nothing else."""
    complaints: list[str] = []
    requests: list[str] = []
    listeners: dict[Any, Callable[[Any], None]] = {
        "pageerror": lambda error: complaints.append(str(error)),
        "console": lambda message: complaints.append(message.text),
        "request": lambda request: requests.append(request.url.partition("#")[0]),
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    yield
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    assert complaints == []
    assert set(requests) <= {address}
