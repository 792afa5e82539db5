"""Pages say what the program says: tables, configurations, commands, links."""

from __future__ import annotations

import json
import re
import shlex
from importlib.resources import files
from itertools import takewhile
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import click
import jsonschema
import pytest
import yaml

from docs.generate import PROJECT, find_pages, write_parts
from docs.walkthrough import read_blocks, read_steps
from tap_looker_tasks.cli.init import build_init
from tap_looker_tasks.config.entries import DashboardConfig, ExploreConfig, QueryConfig
from tap_looker_tasks.config.settings import Settings
from tap_looker_tasks.tap import TapLookerTasks
from tests.interface.declared import about

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PAGES = {str(page.relative_to(PROJECT)): page.read_text() for page in find_pages()}
ONE_PAGE = 6_000
GIVEN = {"base_url": "https://example.cloud.looker.com", "client_id": "me", "client_secret": "hush"}
COMMANDS = {
    "meltano": "meltano.cli:cli",
    "tap-looker-tasks": "tap_looker_tasks.tap:TapLookerTasks.cli",
    "looker-simulator": "looker_simulator.command:serve",
}
LINK = re.compile(r"\[[^\]\n]*\]\((?P<file>[^)#:\s]*)(?:#(?P<heading>[^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for name, page in PAGES.items():
        yield from ((name, b.text) for b in read_blocks(page) if b.language == language)


def configurations() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What pages show of the tap's configuration, alone or in a `meltano.yml`."""
    for name, text in blocks("yaml"):
        content = yaml.safe_load(text)
        if below := re.match(r"# meltano\.yml, below (\w+)\n", text):
            yield name, {below[1]: content}
        elif text.startswith("# meltano.yml"):
            (tap,) = content.get("plugins", {}).get("extractors", [{}])
            yield name, tap.get("config", {})
        else:
            yield name, content


@pytest.mark.parametrize("name", PAGES)
def test_what_comes_from_the_code_is_as_the_code_has_it(name: str) -> None:
    assert write_parts(PAGES[name]) == PAGES[name], "run `python -m docs.generate`"


def test_each_configuration_shown_is_accepted() -> None:
    shown = [*configurations()]
    assert shown
    for name, config in shown:
        assert set(config) <= set(about()), name
        Settings.from_config({**GIVEN, **config})


def test_no_project_shown_defines_the_plugin_itself() -> None:
    """The definition is generated: what is shown adds to it, or has it in a lock file."""
    definition = yaml.safe_load((PROJECT / "plugin.yml").read_text())
    examples = [path.read_text() for path in (PROJECT / "examples").rglob("meltano.yml")]
    shown = [text for _, text in blocks("yaml") if text.startswith("# meltano.yml\n")]
    taps = [
        tap
        for text in (*shown, *examples)
        for tap in yaml.safe_load(text).get("plugins", {}).get("extractors", [])
        if tap["name"] == definition["name"]
    ]
    assert len(taps) > 1
    for tap in taps:
        assert not tap.keys() & {"namespace", "executable", "capabilities", "settings"}


def test_nothing_is_installed_by_name_before_it_is_published() -> None:
    if re.search(r"^## \[\d", PAGES["CHANGELOG.md"], re.MULTILINE):
        return
    places = [PROJECT / "plugin.yml", *(PROJECT / "examples").rglob("*.*")]
    texts = [*PAGES.values(), *(path.read_text() for path in places if path.is_file())]
    ours = r"(?:pip install|pip_url:)(?: -\S+)* ['\"]?(?:tap-looker-tasks|looker-simulator)\b"
    assert not [found for text in texts for found in re.findall(ours, text)]


def test_each_meltano_yml_shown_is_valid() -> None:
    schema = json.loads((files("meltano") / "schemas/meltano.schema.json").read_text())
    shown = [text for _, text in blocks("yaml") if text.startswith("# meltano.yml\n")]
    for text in shown:
        jsonschema.validate(yaml.safe_load(text), schema)
    assert shown


def test_json_shown_is_json() -> None:
    assert [json.loads(text) for _, text in blocks("json")]


@pytest.mark.parametrize("struct", [QueryConfig, ExploreConfig, DashboardConfig])
def test_every_key_of_a_configured_query_is_described(struct: type[Any]) -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGES["docs/reference/settings.md"], re.MULTILINE)
    described = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(struct.__struct_fields__) <= described


def options_of(command: click.Command, words: Sequence[str]) -> set[str]:
    """The options of the command that the words name."""
    named = [word for word in words if not word.startswith("-")]
    while isinstance(command, click.Group) and named:
        command = command.get_command(click.Context(command), named.pop(0)) or command
    return {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}


@pytest.mark.parametrize("program", COMMANDS)
def test_options_shown_exist(program: str) -> None:
    command = resolve_name(COMMANDS[program])
    lines = (step.script for page in PAGES.values() for step in read_steps(page))
    shown = [line for line in lines if line.startswith(f"{program} ")]
    for line in shown:
        words = [*takewhile(lambda word: word not in {"|", ">"}, shlex.split(line))]
        options = {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)}
        known = options_of(command, words[1:])
        if "--init" in words:
            known |= options_of(build_init({}, TapLookerTasks.logger), [])
        if "invoke" in words:
            known |= options_of(TapLookerTasks.cli, [])
        assert options <= known, line
    assert shown


def test_a_code_host_shows_what_the_site_includes() -> None:
    """It renders no directive: lists of links take the place of a table of contents."""
    for name, page in PAGES.items():
        for included in re.findall(r"^```\{literalinclude\} (\S+)", page, re.MULTILINE):
            assert f"]({included})" in page, name
        for contents in re.findall(r"^```\{toctree\}\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
            assert contents.startswith(":hidden:"), name


def test_make_targets_shown_exist() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    shown = {t for page in PAGES.values() for t in re.findall(r"(?:`|\$ )make ([a-z-]+)", page)}
    assert shown <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def anchors(page: str) -> set[str]:
    """The headings of a page, as links name them."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(page))
    return {word.replace(" ", "-") for word in words}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for link in LINK.finditer(PAGES[name]):
        path = (PROJECT / name).parent / link["file"] if link["file"] else PROJECT / name
        assert path.exists(), link[0]
        assert not link["heading"] or link["heading"] in anchors(path.read_text()), link[0]


def test_pictures_load_nothing() -> None:
    for picture in (PROJECT / "docs" / "images").glob("*.svg"):
        text = picture.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"://|@import|@font-face|href=|<script|url\((?!#)", text), picture.name


def test_files_named_exist() -> None:
    named = r"`((?:tests|examples|tap_looker_tasks|docs)/[\w./-]+\.\w+)`"
    paths = {path for page in PAGES.values() for path in re.findall(named, page)}
    assert paths
    assert {path for path in paths if not (PROJECT / path).exists()} == set()


def test_every_folder_of_tests_is_described() -> None:
    folders = {path.name for path in (PROJECT / "tests").iterdir() if path.is_dir()}
    described = set(re.findall(r"^\| `tests/(\w+)` ", PAGES["CONTRIBUTING.md"], re.MULTILINE))
    assert folders - {"__pycache__"} == described


def test_the_readme_is_one_page() -> None:
    assert len((PROJECT / "README.md").read_bytes()) < ONE_PAGE
