"""Answers the options that show something instead of running the tap."""

from __future__ import annotations

import sys
from copy import deepcopy
from typing import TYPE_CHECKING

import click

from tap_looker_tasks.cli import (
    Table,
    describe_sources,
    print_content,
    print_fields,
    print_findings,
    read_task_ids,
    to_yaml,
)
from tap_looker_tasks.launching import (
    Explanation,
    Verdict,
    find_fields,
    run_checks,
    search_content,
)
from tap_looker_tasks.streams import QueryStream, QueryTaskResultsStream
from tap_looker_tasks.tasks import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_looker_tasks.cli import Question
    from tap_looker_tasks.streams import LookerTap


def answer(tap: LookerTap, question: Question) -> bool:
    """Print what is asked for; return whether all of it could be found."""
    if question.find is not None:
        _find(tap, question.find.split())
        return True
    if question.lists_sources:
        selected = [stream for stream in tap.streams.values() if stream.selected]
        tables = (
            Table(s.name, s.schema, s.primary_keys or (), s.replication_key) for s in selected
        )
        click.echo(to_yaml(describe_sources(tables)), nl=False)
        return True
    return _explain(tap, with_sql=question.with_sql)


def check(tap: LookerTap) -> bool:
    """Print what a run would meet (`--doctor`); return whether it would not fail."""
    settings = tap.settings
    external_ids = read_task_ids(settings)
    findings = [*run_checks(settings, external_ids, tap.client, tap.stored_queries, tap.logger)]
    print_findings(findings, sys.stdout)
    return all(finding.verdict is not Verdict.FAILS for finding in findings)


def _explain(tap: LookerTap, *, with_sql: bool) -> bool:
    selected = [stream for stream in tap.streams.values() if stream.selected]
    streams = [stream for stream in selected if isinstance(stream, QueryStream)]
    bookmark = tap.state.get("bookmarks", {}).get(QueryTaskResultsStream.name, {})
    explanation = Explanation(
        tap.settings,
        tap.client,
        tap.clock,
        ledger=Ledger(deepcopy(bookmark), read_task_ids(tap.settings)),
        keepers={stream.name: stream.keeper for stream in streams},
        stored_queries=tap.stored_queries,
    )
    keys = {stream.name: stream.primary_keys or () for stream in streams}
    described = explanation.describe(keys, with_sql=with_sql)
    click.echo(to_yaml(described), nl=False)
    return not any("problem" in query for query in described["queries"].values())


def _find(tap: LookerTap, words: Sequence[str]) -> None:
    # One word with a slash names an Explore.
    model, slash, explore = (words[0] if len(words) == 1 else "").partition("/")
    if slash:
        print_fields(model, explore, find_fields(model, explore, tap.client), sys.stdout)
    else:
        print_content(search_content(words, tap.client, tap.settings.base_url), sys.stdout)
