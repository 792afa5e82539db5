"""The dialog that turns an address and a key into a configuration that runs: `--init`."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import msgspec

from tap_looker_tasks.cli.output import print_choices, print_findings
from tap_looker_tasks.cli.plugin import NAME, TARGETS, Project
from tap_looker_tasks.config import (
    AUTO,
    ConfiguredQuery,
    QueryConfig,
    Settings,
    read_address,
    reject_problems,
)
from tap_looker_tasks.errors import RunError, SettingsError, TapError
from tap_looker_tasks.launching import (
    CheckResult,
    Discovery,
    QueryStreamPlan,
    StoredQueries,
    Verdict,
    check_access,
    new_client,
    run_checks,
    search_content,
)
from tap_looker_tasks.looker import LookerClient, SteadyClock
from tap_looker_tasks.queries import name_from_title
from tap_looker_tasks.records import find_column_name, query_fields
from tap_looker_tasks.results import as_text
from tap_looker_tasks.singer import Interrupts
from tap_looker_tasks.tasks import END_TIMES
from tap_looker_tasks.threads import map_concurrently

_ENVIRONMENT = "LOOKERSDK_", "TAP_LOOKER_TASKS_"
_CHANGED_AT = re.compile(r"updat|modif|chang|creat", re.IGNORECASE)
_MOMENTS = frozenset({"date", "date-time"})
_PASTE = "Address of a Look, dashboard or Explore, or words of its title (empty: no more)"


def build_init(declared: Mapping[str, Mapping[str, Any]], logger: logging.Logger) -> click.Command:
    """Build the command; without a terminal, each question becomes a required option."""

    def option(name: str, help_: str, **more: Any) -> click.Option:
        return click.Option([name], help=help_, **more)

    return click.Command(
        NAME,
        help="Connect to Looker, choose what to extract, and write a project that runs.\n\n"
        "LOOKERSDK_BASE_URL, LOOKERSDK_CLIENT_ID and LOOKERSDK_CLIENT_SECRET, or the same names "
        "with TAP_LOOKER_TASKS_, are read if they are set. The secret has no option, because "
        "other users of the machine could read it.",
        params=[
            option("--base-url", "Address of the Looker instance.", envvar=_names("BASE_URL")),
            option("--client-id", "Client ID of the API key.", envvar=_names("CLIENT_ID")),
            option("--extract", _PASTE.partition(" (")[0] + "; may be repeated.", multiple=True),
            option("--incremental/--full", "Whether to load only what is new.", default=None),
            option("--target", "Where to load it.", type=click.Choice([*TARGETS])),
            option("--destination", "URL, dataset or folder of the target."),
            option("--folder", "Where to write the project.", default="."),
            option("--yes", "Write without confirmation.", is_flag=True),
        ],
        callback=lambda **given: _Init(_Dialog(accepts=given.pop("yes")), declared, logger).run(
            **given
        ),
    )


def _names(end: str) -> list[str]:
    return [f"{prefix}{end}" for prefix in _ENVIRONMENT]


@dataclass(frozen=True)
class _Dialog:
    """Prompts the user at the terminal, if there is one.

    Attributes:
        accepts: Whether every proposal is accepted.
    """

    accepts: bool

    @property
    def has_terminal(self) -> bool:
        return sys.stdin.isatty() and not self.accepts

    def prompt_for(self, question: str, option: str, given: str | None = None, **more: Any) -> str:
        """Return the option's value, or else what the user enters.

        Raises:
            UsageError: If there is neither the option nor a terminal.
        """
        if given:
            return given
        if self.has_terminal:
            return str(click.prompt(question, **more))
        if more.get("default") is not None:
            return str(more["default"])
        msg = f"{option} is required without a terminal"
        raise click.UsageError(msg)

    def confirm(self, question: str, *, default: bool) -> bool:
        """Return the user's choice; without a terminal, the default."""
        return click.confirm(question, default=default) if self.has_terminal else default


@dataclass(frozen=True)
class _Init:
    """One pass from the login to the first check of the written configuration."""

    dialog: _Dialog
    declared: Mapping[str, Mapping[str, Any]]
    logger: logging.Logger

    def run(  # noqa: PLR0913 - an argument for each question
        self,
        *,
        base_url: str | None,
        client_id: str | None,
        extract: Sequence[str],
        incremental: bool | None,
        target: str | None,
        destination: str | None,
        folder: str,
    ) -> int:
        """Prompt for what is not given, write the project, check it; return the exit code."""
        interrupts = Interrupts()
        with ExitStack() as ends:
            ends.callback(interrupts.restore)
            interrupts.handle()
            config = self._prompt_for_access(base_url, client_id)
            settings = Settings.from_config(config)
            client = new_client(settings, SteadyClock(), self.logger, Counter())
            ends.callback(client.close, END_TIMES.logout)
            ends.callback(interrupts.end)
            access = self._show_access(settings, client)
            stored = StoredQueries(client, settings)
            discovery = Discovery(settings, client, stored, self.logger, may_run=False)
            chosen = _Choice(self.dialog, config, discovery, incremental).choose(extract)
            project = self._ask_for_target(chosen, target, destination, Path(folder))
            if not self._write(project):
                return 1
            settings = Settings.from_config(chosen)
            checks = [*access, *run_checks(settings, (), client, discovery)]
        print_findings(checks, sys.stdout)
        click.echo(f"Next: {project.next_command}")
        return int(any(check.verdict is Verdict.FAILS for check in checks))

    def _ask_for_target(
        self, config: Mapping[str, Any], name: str | None, destination: str | None, folder: Path
    ) -> Project:
        prompt_for, choices = self.dialog.prompt_for, click.Choice([*TARGETS])
        name = prompt_for("Where to load it", "--target", name, type=choices, default="jsonl")
        target = TARGETS[name]
        if target.question:
            destination = prompt_for(
                target.question, "--destination", destination, default=target.default
            )
        return Project(folder, config, target, destination)

    def _prompt_for_access(self, base_url: str | None, client_id: str | None) -> dict[str, Any]:
        prompt_for = self.dialog.prompt_for
        secret = next(filter(None, map(os.environ.get, _names("CLIENT_SECRET"))), None)
        address = prompt_for("Address of your Looker", "--base-url", base_url)
        return {
            "base_url": address if "://" in address else f"https://{address}",
            "client_id": prompt_for("Client ID of your API key", "--client-id", client_id),
            "client_secret": prompt_for(
                "Client secret", "LOOKERSDK_CLIENT_SECRET", secret, hide_input=True
            ),
        }

    def _show_access(self, settings: Settings, client: LookerClient) -> list[CheckResult]:
        access = [*check_access(settings, client)]
        if access[0].verdict is Verdict.FAILS:
            raise SettingsError(access[0].details)
        for found in access:
            click.echo(f"{found.subject}: {found.details}")
        return access

    def _write(self, project: Project) -> bool:
        """Show the change and write it, if it is accepted; return whether it was written."""
        click.echo(project.describe_change())
        if not self.dialog.confirm("Write this", default=True):
            return False
        project.write(self.declared)
        return True


@dataclass
class _Choice:
    """Choice of what to extract: pages by address or words, as entries of the configuration.

    Attributes:
        dialog: Dialog with the user.
        config: Configuration so far; at first, the access to Looker.
        discovery: Descriptions of all pages, so that the last check need not fetch them again.
        incremental: Whether to load only what is new; None if the user chooses.
    """

    dialog: _Dialog
    config: dict[str, Any]
    discovery: Discovery
    incremental: bool | None

    def choose(self, given: Sequence[str]) -> Mapping[str, Any]:
        """Return the configuration with an entry for each page, given or pasted.

        Raises:
            RunError: If nothing was chosen.
        """
        for text in given:
            self._add(text)
        while self.dialog.has_terminal and not given:
            text = click.prompt(_PASTE, default="", show_default=False).strip()
            if not text:
                break
            try:
                self._add(text)
            except TapError as error:
                click.echo(error.message)
        if not self.config.keys() & {"queries", "dashboards"}:
            msg = "nothing was chosen, so nothing was written; choose a Look, dashboard or Explore"
            raise RunError(msg)
        return self.config

    def _add(self, text: str) -> None:
        address = text if "/" in text else self._find(text)
        try:
            shown = read_address(address, self.discovery.settings.base_url)
        except ValueError as error:
            msg = f"{address}: {error}"
            raise SettingsError(msg) from None
        if isinstance(shown, QueryConfig):
            section, entry = "queries", self._query_entry(address, shown)
        else:
            section, entry = "dashboards", self._dashboard_entry(address, str(shown.dashboard_id))
        config = self.config | {section: [*self.config.get(section, ()), entry]}
        Settings.from_config(config)
        self.config = config

    def _name(self, what: str, proposed: str) -> str:
        """Return the name of tables: the proposed one, with a number if it is in use already."""
        used = {e["name"] for key in ("queries", "dashboards") for e in self.config.get(key, ())}
        names = (proposed, *(f"{proposed}_{n}" for n in range(2, len(used) + 2)))
        free = next(name for name in names if name not in used)
        return self.dialog.prompt_for(what, "", default=free)

    def _find(self, words: str) -> str:
        """Return the address of the content that the words find.

        Raises:
            SettingsError: If it is not one Look or dashboard, and there is no terminal.
        """
        found = search_content(
            words.split(), self.discovery.client, self.discovery.settings.base_url
        )
        pages = [content for content in found.values if content.kind != "Explore"]
        if len(pages) == 1:
            return pages[0].source
        if not pages or not self.dialog.has_terminal:
            titles = "; ".join(f"{page.title} ({page.source})" for page in pages)
            msg = f"{words!r} finds {f'several: {titles}' if pages else 'no Look or dashboard'}"
            raise SettingsError(msg)
        print_choices(pages, sys.stdout)
        numbers = {str(n): page for n, page in enumerate(pages, start=1)}
        number = click.prompt("Number of the page", type=click.Choice([*numbers]))
        return numbers[str(number)].source

    def _dashboard_entry(self, address: str, dashboard_id: str) -> dict[str, Any]:
        dashboard, _ = self.discovery.stored_queries.dashboard(dashboard_id)
        title = as_text(dashboard.get("title")) or ""
        proposed = name_from_title(title, "dashboard", dashboard_id)
        name = self._name("First part of the names of its tables", proposed)
        entry = {"name": name, "url": address, "primary_keys": AUTO}
        tiles: dict[str | None, dict[str, Any]] = {}
        for tile in self._discover("dashboards", entry):
            click.echo(f"{tile.query.name}: {tile.describe()}")
            if tile.problem:
                key = "primary_keys" if tile.plan else "skip"
                value: object = [] if tile.plan else True
                tiles[tile.query.tile_id] = {"id": tile.query.tile_id, key: value}
        return entry | ({"tiles": [*tiles.values()]} if tiles else {})

    def _query_entry(self, address: str, shown: QueryConfig) -> dict[str, Any]:
        entry: dict[str, Any] = {"url": address, "primary_keys": AUTO}
        if shown.look_id is None:
            name = shown.explore.explore if shown.explore else f"query_{shown.query_slug}"
            entry["name"] = name_from_title(name, "query", "")
        (found,) = self._discover("queries", entry)
        if not found.plan:
            raise SettingsError(str(found.problem))
        name = self._name("Name of its table", found.query.name)
        click.echo(f"{name}: {found.describe()}")
        entry = {"name": name, "url": address} | ({} if found.problem else {"primary_keys": AUTO})
        key = self._changed_at(found.plan)
        if key and self._is_incremental(key):
            entry["replication_key"] = key
        return entry

    def _is_incremental(self, key: str) -> bool:
        if self.incremental is not None:
            return self.incremental
        question = f"Load only what is new since the last run, by {key}"
        return self.dialog.confirm(question, default=False)

    def _discover(self, section: str, entry: Mapping[str, Any]) -> list[_Stream]:
        """Describe the streams of an entry with `primary_keys: auto`.

        Raises:
            SettingsError: If the entry itself is wrong, or its content is not there.
        """
        one = {**self.config, "queries": [], "dashboards": [], section: [entry]}
        found = self.discovery.find_queries(Settings.from_config(one))
        reject_problems([*found.problems, *(reason for _, reason in found.failures)])
        return map_concurrently(
            self._describe, found.values, self.discovery.settings.max_connections
        )

    def _describe(self, query: ConfiguredQuery) -> _Stream:
        try:
            return _Stream(query, self._plan(query))
        except SettingsError as error:
            problem = error.message
        without_key = msgspec.structs.replace(query.config, primary_keys=())
        try:
            return _Stream(query, self._plan(replace(query, config=without_key)), problem)
        except SettingsError as error:
            return _Stream(query, None, error.message)

    def _plan(self, query: ConfiguredQuery) -> QueryStreamPlan:
        found = self.discovery.plans([query])
        reject_problems([reason for _, reason in found.failures])
        return found.values[0]

    def _changed_at(self, plan: QueryStreamPlan) -> str | None:
        """Return the field of a query that shows changes, an updated time first."""
        body = self.discovery.stored_queries.find(plan.query).body
        columns = plan.schema["properties"]
        moments = [
            field
            for field in query_fields(body)
            if columns.get(find_column_name(field, columns), {}).get("format") in _MOMENTS
        ]
        found = [field for field in moments if _CHANGED_AT.search(field)]
        return next((f for f in found if "creat" not in f.lower()), next(iter(found), None))


@dataclass(frozen=True, slots=True)
class _Stream:
    """A stream of a chosen page.

    Attributes:
        query: Its query.
        plan: Its columns; None if it cannot run.
        problem: Reason why its rows have no key, or why it cannot run.
    """

    query: ConfiguredQuery
    plan: QueryStreamPlan | None
    problem: str | None = None

    def describe(self) -> str:
        """Describe its key, or why it cannot run."""
        if self.plan is None:
            return f"left out, because it cannot run: {self.problem}"
        if self.problem:
            return f"rows have no key, so each run adds all its rows: {self.problem}"
        return "each row has a key computed from its dimensions (_row_key)"
