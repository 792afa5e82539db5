"""Checks of a configuration against Looker without running a query: `--doctor`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tap_looker_tasks.errors import RequestRejectedError, TapError
from tap_looker_tasks.launching.discovery import Discovery, find_queries
from tap_looker_tasks.looker import estimate_calls
from tap_looker_tasks.results import as_id, as_object, as_objects, as_text
from tap_looker_tasks.wording import suggest_names

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Sequence

    from tap_looker_tasks.config import ConfiguredQuery, Settings
    from tap_looker_tasks.launching.discovery import QueryStreamPlan
    from tap_looker_tasks.launching.launcher import StoredQueries
    from tap_looker_tasks.looker import Estimate, LookerClient

_PERMISSIONS = MappingProxyType(
    {
        "access_data": "to run queries",
        "explore": "to run queries of `explore`, and those that the configuration changes",
        "see_looks": "for Looks",
        "see_user_dashboards": "for dashboards",
        "see_lookml_dashboards": "for LookML dashboards",
    }
)


class Verdict(Enum):
    """Result of a check."""

    GOOD = "ok"
    NOTE = "note"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check's subject and result.

    Attributes:
        subject: Setting, stream or other subject.
        verdict: Whether a run would fail over it.
        details: What was found, or what to change, in one line.
    """

    subject: str
    verdict: Verdict
    details: str


def run_checks(
    settings: Settings,
    external_ids: Sequence[str],
    client: LookerClient,
    stored_queries: StoredQueries,
    logger: logging.Logger,
) -> Iterator[CheckResult]:
    """Yield the checks of a run with these settings, the login first.

    Sends the requests of a discovery, except that it never runs a query.
    """
    access = [*check_access(settings, client)]
    yield from access
    if access[0].verdict is Verdict.FAILS:
        return
    yield _examine_time_zone(settings.query_timezone, client)
    if settings.nothing_configured:
        yield CheckResult("queries", Verdict.FAILS, settings.nothing_configured)
    yield CheckResult("query_task_ids", Verdict.GOOD, f"{len(external_ids)} external tasks")
    yield from _examine_leaving(settings)
    found = find_queries(settings, client, stored_queries, logger)
    for problem in found.problems:
        config_path, _, details = problem.partition(": ")
        yield CheckResult(config_path, Verdict.FAILS, details)
    yield from (CheckResult(name, Verdict.FAILS, reason) for name, reason in found.failures)
    discovery = Discovery(settings, client, stored_queries, logger, may_run=False)
    for query in found.values:
        yield from _examine_query(query, discovery, settings.max_name_length)
    yield from _examine_calls(settings, found.values, len(external_ids))


def _examine_query(
    query: ConfiguredQuery, discovery: Discovery, longest_name: int
) -> Iterator[CheckResult]:
    try:
        found = discovery.plans([query])
    except TapError as error:
        yield CheckResult(query.name, Verdict.FAILS, _in_one_line(error))
        return
    yield from (CheckResult(name, Verdict.FAILS, reason) for name, reason in found.failures)
    for plan in found.values:
        yield from _examine_plan(query, plan, longest_name)


def _examine_plan(
    query: ConfiguredQuery, plan: QueryStreamPlan, longest_name: int
) -> Iterator[CheckResult]:
    if plan.problem:
        yield CheckResult(query.name, Verdict.FAILS, plan.problem)
    columns = f"{len(plan.schema['properties'])} columns"
    yield CheckResult(query.name, Verdict.GOOD, columns)
    if not plan.is_typed:
        details = (
            "Looker shows no such Explore to this user: its name may be wrong, or the permission "
            "to see it missing. Fields are not checked; `--discover` and a run ask for one row "
            "of the query to find their types"
        )
        yield CheckResult(query.name, Verdict.NOTE, details)
    if plan.replication_key and not query.config.primary_keys:
        details = "incremental without primary_keys: the rows at each bookmark are loaded again"
        yield CheckResult(query.name, Verdict.NOTE, details)
    yield from _examine_names(plan, longest_name)


def check_access(settings: Settings, client: LookerClient) -> Iterator[CheckResult]:
    """Yield the result of the login, and the user's permissions if Looker shows them."""
    try:
        version = _ask_for(client.versions).get("looker_release_version")
        user = _ask_for(client.me)
    except TapError as error:
        yield CheckResult("login", Verdict.FAILS, _in_one_line(error))
        return
    name = as_text(user.get("display_name"))
    details = f"{settings.base_url}: Looker {version or 'of unknown version'}"
    yield CheckResult("login", Verdict.GOOD, f"{details}, as {name}" if name else details)
    try:
        roles = client.user_roles(as_id(user.get("id")) or "")
    except TapError:
        # Most users cannot see roles, not even their own.
        return
    sets = (as_object(role.get("permission_set")) for role in as_objects(roles))
    allowed = {permission for one in sets for permission in one.get("permissions") or ()}
    missing = [f"{name} ({use})" for name, use in _PERMISSIONS.items() if name not in allowed]
    if missing:
        yield CheckResult("permissions", Verdict.NOTE, f"missing: {', '.join(missing)}")
    else:
        yield CheckResult("permissions", Verdict.GOOD, ", ".join(_PERMISSIONS))


def _examine_leaving(settings: Settings) -> Iterator[CheckResult]:
    """Yield a note if the settings leave tasks to a later run, which may come too late."""
    if not settings.wait_for_completion or settings.sync_timeout_seconds is not None:
        name = "sync_timeout_seconds" if settings.wait_for_completion else "wait_for_completion"
        details = (
            "what a run leaves to the next one may be gone by then: Looker keeps results for "
            "300 s and tasks for 6 hours; such queries are launched again"
        )
        yield CheckResult(name, Verdict.NOTE, details)


def _examine_time_zone(name: str, client: LookerClient) -> CheckResult:
    details = f"queries run in {name}"
    try:
        known = {as_text(zone.get("value")) for zone in client.all_timezones()} - {None}
    except TapError as error:
        details += f"; whether Looker knows it is not known: {_in_one_line(error)}"
        return CheckResult("query_timezone", Verdict.NOTE, details)
    if name in known:
        return CheckResult("query_timezone", Verdict.GOOD, details)
    hint = suggest_names(name, sorted(str(zone) for zone in known))
    details += f", which is none of the {len(known)} time zones that Looker offers{hint}"
    return CheckResult("query_timezone", Verdict.NOTE, details)


def _ask_for(operation: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return Looker's response; an empty one if the user cannot see it."""
    try:
        return operation()
    except RequestRejectedError:
        return {}


def _examine_names(plan: QueryStreamPlan, longest: int) -> Iterator[CheckResult]:
    """Yield the columns that targets cut off or treat as the same."""
    names = [*plan.schema["properties"]]
    for name in names:
        if len(name.encode()) > longest:
            details = f"column {name} has more than {longest} bytes: PostgreSQL cuts it off"
            yield CheckResult(plan.query.name, Verdict.NOTE, details)
    folded = Counter(name.lower() for name in names)
    for same in (name for name, count in folded.items() if count > 1):
        details = f"columns that differ by case only: {same}; BigQuery takes them for one"
        yield CheckResult(plan.query.name, Verdict.NOTE, details)


def _examine_calls(
    settings: Settings, queries: Sequence[ConfiguredQuery], external_tasks: int
) -> Iterator[CheckResult]:
    estimate = estimate_run(settings, len(queries), external_tasks)
    details, limit = describe_estimate(estimate), settings.api_call_limit
    if limit is not None and limit < sum(estimate.later):
        yield CheckResult("api_call_limit", Verdict.FAILS, f"{details}; {limit} are allowed")
    else:
        yield CheckResult("API calls", Verdict.GOOD, details)
    verdict = Verdict.GOOD if estimate.later.times(1).edition() else Verdict.NOTE
    yield CheckResult("API calls a month", verdict, estimate.describe_month())


def estimate_run(settings: Settings, queries: int, external_tasks: int = 0) -> Estimate:
    """Return the estimated calls of a run with these settings."""
    return estimate_calls(
        queries,
        external_tasks,
        slots=settings.max_concurrent_tasks,
        batch_size=settings.batch_size,
        is_sparing=settings.polling == "sparing",
    )


def describe_estimate(estimate: Estimate) -> str:
    """Describe the calls of a first run and of later ones."""
    return f"about {estimate.first} in a first run; {estimate.later} in later ones"


def _in_one_line(error: TapError) -> str:
    return " ".join(error.message.split())
