"""What is told of a command when it has ended: its summary, and the report of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tap_looker_tasks.watch.summary import describe_calls, summary_lines

if TYPE_CHECKING:
    import logging
    from collections import Counter
    from collections.abc import Mapping

    from tap_looker_tasks.settings import Settings
    from tap_looker_tasks.watch.facts import RunFacts


def tell_calls(calls: Counter[str], logger: logging.Logger) -> None:
    """Log the calls of a command that was no run."""
    if calls:
        logger.info("%s", describe_calls(calls, None))


def tell_run(
    facts: RunFacts,
    settings: Settings,
    config: Mapping[str, Any],
    calls: Counter[str],
    logger: logging.Logger,
) -> None:
    """Log what a run did, and write its report when one is wanted.

    Args:
        facts: of the run, which has ended.
        settings: of the run.
        config: the configuration without secrets.
        calls: made to Looker, by operation.
        logger: for the summary, and for what keeps the report from being written.
    """
    for line in _lines_to_log(facts, calls, settings.api_call_limit):
        logger.info("%s", line)
    if settings.report_path is None:
        return
    # A run without a report need not wait for what makes one.
    from tap_looker_tasks.watch import report  # noqa: PLC0415

    given = report.Circumstances(
        configuration=config,
        base_url=settings.base_url,
        calls=calls,
        call_limit=settings.api_call_limit,
        slots=settings.max_concurrent_tasks,
    )
    now = facts.started_at if facts.ended_at is None else facts.ended_at
    try:
        path = report.write_report(settings.report_path, facts, given, now)
    except report.ReportError as error:
        logger.warning("%s", error.message)
    else:
        logger.info("report of this run: %s", path)


def _lines_to_log(facts: RunFacts, calls: Counter[str], call_limit: int | None) -> list[str]:
    """Return the summary without what the log says next: why the run failed."""
    if facts.error is None:
        return summary_lines(facts, calls, call_limit)
    if not facts.total:
        return [describe_calls(calls, call_limit)]
    return summary_lines(facts, calls, call_limit)[:-1]


def exit_status_of(error: BaseException | None) -> int:
    """Return the exit status of a command that an exception ends."""
    match error:
        case None:
            return 0
        case SystemExit(code=int(code)):
            return code
        case _:
            return 1


def describe_end(error: BaseException | None) -> str | None:
    """Return what people are told of the exception that ends a command."""
    if error is None or isinstance(error, SystemExit):
        return None
    return error.message if isinstance(error, click.ClickException) else repr(error)


def without_secrets(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration without the settings that are declared as secret."""
    declared = schema["properties"]
    return {
        name: value
        for name, value in config.items()
        if name in declared and not declared[name].get("secret")
    }
