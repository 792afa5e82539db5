"""Options that print something instead of running the tap, such as `--doctor`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import click

from tap_looker_tasks.cli import (
    describe_sources,
    print_content,
    print_fields,
    print_findings,
    to_yaml,
)
from tap_looker_tasks.launching import (
    Discovery,
    Verdict,
    check_access,
    explain_run,
    find_fields,
    run_checks,
    search_content,
)
from tap_looker_tasks.streams import LookerTap, QueryStream, QueryTaskResultsStream
from tap_looker_tasks.tasks import Ledger


def build_questions() -> list[click.Option]:
    """Return the options that print something instead of running the tap."""

    def flag(name: str, help_: str, **more: Any) -> click.Option:
        return click.Option([name], help=help_, is_flag=True, **more)

    return [
        flag("--doctor", "Check the configuration against Looker, without running a query."),
        flag(
            "--init",
            "Connect to Looker and write a configuration; --init --help lists its options.",
            expose_value=False,
        ),
        click.Option(
            ["--find"],
            metavar="[WORDS | MODEL/EXPLORE]",
            help="List Looks, dashboards and Explores, or the fields of an Explore.",
        ),
        flag("--explain", "Show what a run would send to Looker, without running a query."),
        flag("--sql", "With --explain, show the SQL of each query."),
        flag("--dbt-sources", "Write a dbt sources.yml for the configured streams."),
    ]


class Question(NamedTuple):
    """Request to print something instead of running the tap.

    Attributes:
        checks: Whether to check the configuration.
        find: Words to search for; None for no search.
        explains: Whether to show what a run would send.
        with_sql: Whether to show SQL also.
        lists_sources: Whether to write sources for dbt.
    """

    checks: bool
    find: str | None
    explains: bool
    with_sql: bool
    lists_sources: bool

    @classmethod
    def parse(cls, options: dict[str, Any]) -> Question | None:
        """Take the question out of a command's options; None if the tap is to run.

        Raises:
            UsageError: If there is more than one, or `--sql` without `--explain`.
        """
        names = ("doctor", "find", "explain", "sql", "dbt_sources")
        question = cls(*(options.pop(name) for name in names))
        searches = question.find is not None
        count = sum((question.checks, searches, question.explains, question.lists_sources))
        if count > 1 or (question.with_sql and not question.explains):
            msg = (
                "give only one of --doctor, --find, --explain and --dbt-sources; --sql requires "
                "--explain"
            )
            raise click.UsageError(msg)
        return question if count else None

    @property
    def needs_streams(self) -> bool:
        """Return whether it is about the streams of a run."""
        return self.explains or self.lists_sources


def print_requested(tap: LookerTap, question: Question) -> bool:
    """Print the requested information; return whether all of it was found."""
    if question.checks:
        return _check(tap)
    if question.find is not None:
        _find(tap, question.find.split())
        return True
    if question.lists_sources:
        selected = (stream for stream in tap.streams.values() if stream.selected)
        click.echo(to_yaml(describe_sources(selected)), nl=False)
        return True
    return _explain(tap, with_sql=question.with_sql)


def _check(tap: LookerTap) -> bool:
    """Print what a run would meet; return whether it would not fail."""
    settings = tap.settings
    external_ids = tap.external_ids
    findings = [*check_access(settings, tap.client)]
    if findings[0].verdict is not Verdict.FAILS:
        discovery = Discovery(settings, tap.client, tap.stored_queries, tap.logger, may_run=False)
        findings += run_checks(settings, external_ids, tap.client, discovery)
    print_findings(findings, sys.stdout)
    return all(finding.verdict is not Verdict.FAILS for finding in findings)


def _explain(tap: LookerTap, *, with_sql: bool) -> bool:
    selected = (stream for stream in tap.streams.values() if stream.selected)
    streams = [stream for stream in selected if isinstance(stream, QueryStream)]
    bookmark = tap.state.get("bookmarks", {}).get(QueryTaskResultsStream.name, {})
    launcher = tap.new_launcher({stream.name: stream.keeper for stream in streams})
    ledger = Ledger(deepcopy(bookmark), tap.external_ids)
    keys = {stream.name: stream.primary_keys or () for stream in streams}
    described = explain_run(launcher, ledger, keys, with_sql=with_sql)
    click.echo(to_yaml(described), nl=False)
    return not any("problem" in query for query in described["queries"].values())


def _find(tap: LookerTap, words: Sequence[str]) -> None:
    # One word with a slash names an Explore.
    model, slash, explore = (words[0] if len(words) == 1 else "").partition("/")
    if slash:
        print_fields(model, explore, find_fields(model, explore, tap.client), sys.stdout)
    else:
        print_content(search_content(words, tap.client, tap.settings.base_url), sys.stdout)
