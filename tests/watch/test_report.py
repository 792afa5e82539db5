"""The report of a run, as Chromium shows it."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tap_looker_tasks.errors import SettingsError
from tap_looker_tasks.tasks import LaunchedTask
from tap_looker_tasks.watch.facts import RunFacts
from tap_looker_tasks.watch.report import write_report
from tests.watch.big_run import BASE_URL, CONFIGURATION, log_big_run
from tests.watch.chromium import alone, running_chromium
from tests.watch.shown import CALLS, START, log_a_run, log_half_a_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Literal

    from playwright.sync_api import CDPSession, Page

    Color = Literal["light", "dark"]

HOSTILE = (
    "</script><script>window.broken = 1</script>",
    '<img src=x onerror="window.broken = 2">',
    "\"'`${window.broken = 3}{{script}}<!--",
    "a\u202eb\x00c\x1b[31md\ud800e\u2028f",
)
CLICK_AND_LAY_OUT = """(name) => {
  const buttons = [...document.querySelectorAll("#table th button")];
  buttons.find((button) => button.textContent === name).click();
  document.body.offsetHeight;
}"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with running_chromium() as browser:
        # All of these tests look at pages that are there at once.
        page = browser.new_page()
        page.set_default_timeout(10_000)
        yield page


@pytest.fixture
def show(page: Page, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Write a report and open it; whatever the page complains of or requests fails the test."""
    path = tmp_path / "run.html"

    def show(
        facts: RunFacts,
        base_url: str = BASE_URL,
        configuration: Mapping[str, object] = CONFIGURATION,
        width: int = 1280,
        color: Color = "light",
    ) -> Page:
        write_report(str(path), facts, base_url, configuration, START + 99)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=color)
        page.goto(path.as_uri())
        return page

    with alone(page, path.as_uri()):
        yield show


def first_cells(page: Page) -> list[str]:
    return page.locator("#table tbody td.name > :first-child").all_inner_texts()


def test_it_shows_what_happened(show: Callable[..., Page]) -> None:
    facts = log_a_run()
    facts.call_limit = 20_000
    page = show(facts)
    assert page.locator("h1").inner_text() == "2 of 4 tasks failed"
    assert "2 of 4 tasks failed" in page.title()
    assert page.locator("#badge").inner_text() == "ended with exit code 1"
    assert page.locator("#run-error").inner_text() == "2 query tasks did not complete"
    totals = page.locator("#totals").inner_text()
    assert "Left for the next run\n1" in totals
    assert "API calls\n44\nof 20,000 allowed" in totals
    assert "Most slots at once\n2\nof 10" in totals
    assert "query_task_multi_results\t40" in page.locator("#calls").inner_text()
    assert "max_concurrent_tasks\t10" in page.locator("#configuration").inner_text()
    assert page.locator("#hold-up").inner_text().endswith("events took longest, 58 s.")
    # Three charts are drawn, with something on them.
    for name in ("timeline", "load", "slots"):
        drawn = page.evaluate(
            "(name) => { const c = document.querySelector(`#${name} canvas`);"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "return new Set(new Uint32Array(d.buffer)).size }",
            name,
        )
        assert drawn > 5, name


def test_the_table_shows_each_task_and_its_error_in_full(show: Callable[..., Page]) -> None:
    page = show(log_a_run())
    row = page.locator("#table tbody tr", has_text="task-orders-2")
    assert row.locator(".status").inner_text() == "failed error"
    assert row.locator("[data-name=Attempt]").inner_text().endswith("2")
    assert row.locator(".track").get_attribute("aria-label") == (
        "running in Looker 30 s, waiting for the target 1.0 s"
    )
    details = page.locator("#table details")
    details.locator("summary").click()
    assert 'SQL Error: column "a" does\nnot exist </script>' in details.locator("pre").inner_text()


def test_it_sorts_searches_and_filters(show: Callable[..., Page]) -> None:
    page = show(log_a_run())
    page.get_by_role("button", name="Rows").click()
    assert page.locator("th[aria-sort=descending]").inner_text() == "Rows"
    assert first_cells(page)[0] == "query task task-external"
    page.get_by_role("button", name="Rows").click()
    assert first_cells(page)[-1] == "query task task-external"
    page.get_by_role("button", name="Task", exact=True).click()
    assert first_cells(page) == [
        "events",
        "orders",
        "orders",
        "query task task-external",
        "users",
    ]
    page.get_by_role("button", name="failed 2").click()
    assert first_cells(page) == ["orders", "users"]
    page.get_by_role("searchbox").fill("REFUSED IT")
    assert first_cells(page) == ["users"]
    page.get_by_role("searchbox").fill("nothing like it")
    assert page.locator("#table tbody").inner_text() == "No task matches."


def test_the_timeline_names_tasks_finds_them_and_zooms(show: Callable[..., Page]) -> None:
    page = show(log_a_run())
    plot = page.locator("#timeline .u-over")
    box = plot.bounding_box()
    assert box
    # The last of five rows, in the middle of the run.
    place = {"x": box["width"] / 2, "y": box["height"] * 0.9}
    plot.hover(position=place)  # type: ignore[arg-type]
    assert page.locator(".tip").inner_text() == (
        "orders\nrunning in Looker 30 s, waiting for the target 1.0 s\nfailed · error"
    )
    plot.click(position=place)  # type: ignore[arg-type]
    assert page.get_by_role("searchbox").input_value() == "task-orders-2"
    assert first_cells(page) == ["orders"]
    everything = page.get_by_role("button", name="Show all")
    assert not everything.is_visible()
    page.mouse.move(box["x"] + 100, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 30, steps=3)
    page.mouse.up()
    everything.click()
    assert not everything.is_visible()


def test_it_is_used_by_keyboard(show: Callable[..., Page]) -> None:
    page = show(log_a_run())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("orders")
    assert first_cells(page) == ["orders", "orders"]
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "failed 2"
    assert first_cells(page) == ["orders"]


def test_nothing_hostile_gets_through(show: Callable[..., Page]) -> None:
    facts = RunFacts(START, Counter(HOSTILE))
    for text in HOSTILE:
        facts.queued(text, START)
        facts.launched(LaunchedTask(text, text, text, share_url=f"javascript:{text}"), START)
        facts.delivered(text, text, None, f"{text}\n{text}", None, START + 1)
    everything = "\n".join(HOSTILE)
    facts.ended(1, everything, START + 2)
    page = show(facts, everything, dict.fromkeys(HOSTILE, everything))
    assert page.evaluate("window.broken") is None
    assert page.locator("img").count() == page.locator("#table a").count() == 0
    readable = re.sub("[\ud800\u202e]", "\ufffd", everything)
    readable = readable.replace("\x00", "\u2400").replace("\x1b", "\u241b")
    for place in ("#table .name bdi", "#configuration th", "#calls th"):
        assert page.locator(place).all_text_contents() == readable.split("\n"), place
    assert page.locator("#run-error").text_content() == readable


def test_the_page_may_run_and_load_nothing_of_others(show: Callable[..., Page]) -> None:
    page = show(log_a_run())
    policy = page.locator("meta[http-equiv]").get_attribute("content") or ""
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'; style-src")


def test_queries_are_linked_to_looker(show: Callable[..., Page]) -> None:
    facts = RunFacts(START, CALLS)
    facts.launched(LaunchedTask("1", "a_look", "7", share_url="/looks/12"), START)
    facts.launched(LaunchedTask("2", "a_share", "8", share_url="https://other.test/x/a"), START)
    for number, link in enumerate(["javascript:alert(1)", "https://[", ""], 3):
        facts.launched(LaunchedTask(str(number), "no_page", "9", share_url=link), START)
    page = show(facts)
    look = page.get_by_role("link", name="a_look")
    assert look.get_attribute("href") == "https://example.cloud.looker.com/looks/12"
    assert look.get_attribute("rel") == "noopener noreferrer"
    share = page.get_by_role("link", name="a_share")
    assert share.get_attribute("href") == "https://other.test/x/a"
    assert page.locator("#table td.name a").count() == 2


def test_a_small_screen_needs_no_scrolling_sideways(show: Callable[..., Page]) -> None:
    facts = log_big_run(30)
    for width in (320, 390, 820):
        page = show(facts, width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("#table tbody .bar").first.is_visible()


def test_dark_mode_is_dark(show: Callable[..., Page]) -> None:
    page = show(log_a_run(), color="dark")
    shades = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", shades))) < 60


def test_printed_it_holds_every_task(show: Callable[..., Page]) -> None:
    page = show(log_big_run(60), color="dark")
    assert page.locator("#table tbody td.name").count() == 50
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#table tbody td.name").count() == 66
    assert page.locator("#table details:not([open])").count() == 0
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(31, 35, 40)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#table tbody td.name").count() == 50


def test_a_run_without_tasks_has_a_report(show: Callable[..., Page]) -> None:
    facts = RunFacts(START, CALLS)
    facts.ended(1, "login: Looker refused client_id and client_secret", START + 0.5)
    page = show(facts)
    assert page.locator("h1").inner_text() == "The run broke off, 0 of 0 tasks delivered"
    assert "refused client_id" in page.locator("#run-error").inner_text()


def seconds_worked(session: CDPSession) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))


@pytest.mark.slow
def test_five_thousand_tasks_are_no_trouble(show: Callable[..., Page], tmp_path: Path) -> None:
    facts = log_big_run(4_600)
    assert len(facts.tasks) > 5_000
    page = show(facts)
    assert (tmp_path / "run.html").stat().st_size < 6_000_000
    # What Chromium's main thread works, whatever else runs on the machine.
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def measure(act: Callable[[], object]) -> float:
        before = seconds_worked(session)
        act()
        return seconds_worked(session) - before

    assert measure(page.reload) < 2
    for name in ("Rows", "Task", "Timeline"):
        assert measure(partial(page.evaluate, CLICK_AND_LAY_OUT, name)) < 0.2, name
    page.get_by_role("button", name="Next").click()
    assert page.locator("#shown").inner_text() == "51 to 100 of 5,060 tasks"


# ---------------------------------------------------------------- where it goes


def write(pattern: Path | str, now: float = START) -> Path:
    return write_report(str(pattern), log_half_a_run(), BASE_URL, CONFIGURATION, now)


def test_a_path_may_bear_the_date(tmp_path: Path) -> None:
    path = write(tmp_path / "%Y" / "%m" / "run-%d-%H%M%S.html")
    assert path == tmp_path / "2014" / "05" / "run-13-165320.html"
    assert path.read_text().startswith("<!doctype html>")
    assert [*path.parent.iterdir()] == [path]


def test_a_second_run_replaces_the_report_in_full(tmp_path: Path) -> None:
    before = write(tmp_path / "run.html").read_text()
    write_report(str(tmp_path / "run.html"), log_a_run(), BASE_URL, CONFIGURATION, START)
    assert (tmp_path / "run.html").read_text() != before
    assert [path.name for path in tmp_path.iterdir()] == ["run.html"]


def test_what_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path / "file" / "run.html", "File exists"),
        (tmp_path / "folder", "not a regular file"),
        (tmp_path / "link", "not a regular file"),
        (tmp_path / "pipe", "not a regular file"),
    ):
        with pytest.raises(SettingsError) as raised:
            write(path)
        assert raised.value.message == f"report_path: cannot write {path}: {reason}"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder", "link", "pipe"}
    assert (tmp_path / "file").read_text() == ""


def test_all_folders_are_created(tmp_path: Path) -> None:
    path = write(tmp_path / "reports" / "a" / "run.html")
    assert path.exists()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    import resource  # noqa: PLC0415

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(SettingsError, match=r"cannot write .*: File too large"):
            write(tmp_path / "run.html")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [*tmp_path.iterdir()]


def test_half_a_character_and_a_huge_number_are_shown(tmp_path: Path) -> None:
    facts = log_half_a_run()
    facts.queued("half \ud800", START)
    facts.rows("task-external", 1 << 70, 0, START)
    path = write_report(str(tmp_path / "run.html"), facts, BASE_URL, CONFIGURATION, START)
    assert "half \\ud800" in path.read_text()
    assert f"{250 + (1 << 70)}" in path.read_text()


def test_the_data_of_the_page_is_plain_json(tmp_path: Path) -> None:
    text = write(tmp_path / "run.html").read_text()
    (data,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL
    )
    assert "<" not in data
    assert len(json.loads(data)["tasks"]) == 4
