"""The dialog that turns an address and a key into a configuration that runs: `--init`."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tap_looker_tasks.cli.output import print_content, print_findings
from tap_looker_tasks.cli.plugin import NAME, TARGETS, Project
from tap_looker_tasks.config import AUTO, QueryConfig, Settings, read_address, refuse
from tap_looker_tasks.errors import RunError, SettingsError, TapError
from tap_looker_tasks.launching import (
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

    def ask(self, question: str, option: str, given: str | None = None, **more: Any) -> str:
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

    def confirm(self, question: str, *, given: bool | None, default: bool, proposal: bool) -> bool:
        """Return the given value, or else the user's choice; without a terminal, `proposal`."""
        if given is not None:
            return given
        return click.confirm(question, default=default) if self.has_terminal else proposal


class _Init:
    """One pass from the login to the first check of the written configuration."""

    def __init__(
        self,
        dialog: _Dialog,
        declared: Mapping[str, Mapping[str, Any]],
        logger: logging.Logger,
    ) -> None:
        self._dialog = dialog
        self._declared = declared
        self._log = logger
        self._stored_queries = StoredQueries("UTC")

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
        """Prompt, write, check; return the exit code."""
        config = self._ask_for_access(base_url, client_id)
        settings = Settings.from_config(config)
        client = new_client(settings, SteadyClock(), self._log, Counter())
        try:
            self._show_access(settings, client)
            for section, entry in self._choose(extract, settings, client):
                found = self._complete(section, entry, config, client, incremental=incremental)
                config.setdefault(section, []).append(found)
            if not config.get("queries") and not config.get("dashboards"):
                msg = (
                    "nothing was chosen, so nothing was written; choose a Look, dashboard or "
                    "Explore"
                )
                raise RunError(msg)
            project = self._ask_for_target(config, target, destination, Path(folder))
            if not self._write(project):
                return 1
            chosen = Settings.from_config(config)
            checks = [*run_checks(chosen, (), client, self._stored_queries, self._log)]
        finally:
            client.close()
        print_findings(checks, sys.stdout)
        click.echo(f"Next: {project.next_command}")
        return int(any(check.verdict is Verdict.FAILS for check in checks))

    def _ask_for_target(
        self, config: Mapping[str, Any], name: str | None, destination: str | None, folder: Path
    ) -> Project:
        ask, choices = self._dialog.ask, click.Choice([*TARGETS])
        name = ask("Where to load it", "--target", name, type=choices, default="jsonl")
        target = TARGETS[name]
        if target.question:
            destination = ask(target.question, "--destination", destination, default=target.default)
        return Project(folder, config, target, destination)

    def _ask_for_access(self, base_url: str | None, client_id: str | None) -> dict[str, Any]:
        ask = self._dialog.ask
        secret = next(filter(None, map(os.environ.get, _names("CLIENT_SECRET"))), None)
        address = ask("Address of your Looker", "--base-url", base_url)
        return {
            "base_url": address if "://" in address else f"https://{address}",
            "client_id": ask("Client ID of your API key", "--client-id", client_id),
            "client_secret": ask(
                "Client secret", "LOOKERSDK_CLIENT_SECRET", secret, hide_input=True
            ),
        }

    def _show_access(self, settings: Settings, client: LookerClient) -> None:
        access = [*check_access(settings, client)]
        if access[0].verdict is Verdict.FAILS:
            raise SettingsError(access[0].details)
        for found in access:
            click.echo(f"{found.subject}: {found.details}")

    def _choose(
        self, given: Sequence[str], settings: Settings, client: LookerClient
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the section and the entry of each address, given or pasted."""
        for text in given:
            yield self._read(text, settings, client)
        while self._dialog.has_terminal and not given:
            text = click.prompt(_PASTE, default="", show_default=False).strip()
            if not text:
                return
            try:
                yield self._read(text, settings, client)
            except TapError as error:
                click.echo(error.message)

    def _read(
        self, text: str, settings: Settings, client: LookerClient
    ) -> tuple[str, dict[str, Any]]:
        if "/" not in text:
            text = self._find(text, settings, client)
        try:
            shown = read_address(text, settings.base_url)
        except ValueError as error:
            msg = f"{text}: {error}"
            raise SettingsError(msg) from None
        section = "queries" if isinstance(shown, QueryConfig) else "dashboards"
        if isinstance(shown, QueryConfig) and shown.look_id is None:
            name = shown.explore.explore if shown.explore else f"query_{shown.query_slug}"
            return section, {"name": name_from_title(name, "query", ""), "url": text}
        return section, {"url": text}

    def _find(self, words: str, settings: Settings, client: LookerClient) -> str:
        """Return the address of the content that the words find.

        Raises:
            SettingsError: If it is not one Look or dashboard, and there is no terminal.
        """
        found = search_content(words.split(), client, settings.base_url)
        pages = [content for content in found.values if content.kind != "Explore"]
        if len(pages) == 1:
            return pages[0].source
        if not pages or not self._dialog.has_terminal:
            titles = "; ".join(f"{page.title} ({page.source})" for page in pages)
            msg = f"{words!r} finds {f'several: {titles}' if pages else 'no Look or dashboard'}"
            raise SettingsError(msg)
        print_content(found, sys.stdout)
        numbers = {str(n): page for n, page in enumerate(pages, start=1)}
        number = click.prompt("Number of its line in the table", type=click.Choice([*numbers]))
        return numbers[str(number)].source

    def _complete(
        self,
        section: str,
        entry: dict[str, Any],
        config: Mapping[str, Any],
        client: LookerClient,
        *,
        incremental: bool | None,
    ) -> dict[str, Any]:
        """Add keys and a replication key to an entry, if its query has them."""
        plans, keyed = self._discover(section, {**entry, "primary_keys": AUTO}, config, client)
        if section == "queries":
            proposed = plans[0].query.name
            keyed = {"name": self._dialog.ask("Name of its table", "", default=proposed)} | keyed
        names = [keyed["name"]] if section == "queries" else [plan.query.name for plan in plans]
        click.echo(f"{', '.join(names)}: {_keys_of(keyed)}")
        key = self._changed_at(plans[0], client) if section == "queries" else None
        if key and self._dialog.confirm(
            f"Load only what is new since the last run, by {key}",
            given=incremental,
            default=False,
            proposal=False,
        ):
            keyed["replication_key"] = key
        return keyed

    def _discover(
        self,
        section: str,
        entry: dict[str, Any],
        config: Mapping[str, Any],
        client: LookerClient,
    ) -> tuple[Sequence[QueryStreamPlan], dict[str, Any]]:
        """Discover the streams of an entry; remove a key that its rows cannot have."""
        one = {**config, "queries": [], "dashboards": [], section: [entry]}
        settings = Settings.from_config(one)
        discovery = Discovery(settings, client, self._stored_queries, self._log, may_run=False)
        try:
            return _usable_plans(discovery), entry
        except SettingsError as error:
            if "primary_keys" not in entry:
                raise
            click.echo(f"No key: {error.message}")
            del entry["primary_keys"]
            return self._discover(section, entry, config, client)

    def _changed_at(self, plan: QueryStreamPlan, client: LookerClient) -> str | None:
        """Return the field of a query that shows changes, an updated time first."""
        body = self._stored_queries.find(plan.query, client).body
        columns = plan.schema["properties"]
        moments = [
            field
            for field in query_fields(body)
            if columns.get(find_column_name(field, columns), {}).get("format") in _MOMENTS
        ]
        found = [field for field in moments if _CHANGED_AT.search(field)]
        return next((f for f in found if "creat" not in f.lower()), next(iter(found), None))

    def _write(self, project: Project) -> bool:
        """Show the change and write it, if it is accepted; return whether it was written."""
        click.echo(project.describe_change())
        if not self._dialog.confirm("Write this", given=None, default=True, proposal=True):
            return False
        project.write(self._declared)
        return True


def _keys_of(entry: Mapping[str, Any]) -> str:
    if "primary_keys" in entry:
        return "each row has a key computed from its dimensions (_row_key)"
    return "rows have no key, so each run adds all its rows"


def _usable_plans(discovery: Discovery) -> Sequence[QueryStreamPlan]:
    found = discovery.all_plans()
    refuse([reason for _, reason in found.failures])
    return found.values
