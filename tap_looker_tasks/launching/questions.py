"""Commands without a run: checks (`--doctor`), its requests (`--explain`), search (`--find`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from tap_looker_tasks.config import ConfiguredQuery, Settings
from tap_looker_tasks.errors import RequestRejectedError, TapError
from tap_looker_tasks.launching.discovery import Discovery, QueryStreamPlan
from tap_looker_tasks.launching.launcher import Launcher, PreparedQuery, prepare_query
from tap_looker_tasks.looker import Estimate, LookerClient, estimate_calls
from tap_looker_tasks.queries import determining_parts
from tap_looker_tasks.records import ExploreField, explore_fields, to_rfc3339
from tap_looker_tasks.results import as_id, as_object, as_objects, as_text
from tap_looker_tasks.tasks import LaunchedTask, Ledger
from tap_looker_tasks.threads import map_concurrently
from tap_looker_tasks.wording import Findings, suggest_names

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
    settings: Settings, external_ids: Sequence[str], client: LookerClient, discovery: Discovery
) -> Iterator[CheckResult]:
    """Yield the checks of a run with these settings, after those of `check_access`.

    Sends the requests of a discovery, which must not run queries.

    Args:
        settings: Settings of the run.
        external_ids: IDs of the external tasks that it would follow.
        client: Client of Looker's API.
        discovery: Discovery that never runs a query.
    """
    yield _examine_time_zone(settings.query_timezone, client)
    if settings.nothing_configured:
        yield CheckResult("queries", Verdict.FAILS, settings.nothing_configured)
    yield CheckResult("query_task_ids", Verdict.GOOD, f"external tasks: {len(external_ids)}")
    yield from _examine_leaving(settings)
    found = discovery.find_queries(settings)
    for problem in found.problems:
        config_path, _, details = problem.partition(": ")
        yield CheckResult(config_path, Verdict.FAILS, details)
    yield from (CheckResult(name, Verdict.FAILS, reason) for name, reason in found.failures)
    examined = map_concurrently(
        lambda query: [*_examine_query(query, discovery)], found.values, settings.max_connections
    )
    yield from (check for checks in examined for check in checks)
    yield from _examine_calls(settings, found.values, len(external_ids))


def _examine_query(query: ConfiguredQuery, discovery: Discovery) -> Iterator[CheckResult]:
    try:
        found = discovery.plans([query])
    except TapError as error:
        yield CheckResult(query.name, Verdict.FAILS, _in_one_line(error))
        return
    yield from (CheckResult(name, Verdict.FAILS, reason) for name, reason in found.failures)
    for plan in found.values:
        yield from _examine_plan(query, plan)


def _examine_plan(query: ConfiguredQuery, plan: QueryStreamPlan) -> Iterator[CheckResult]:
    if plan.problem:
        yield CheckResult(query.name, Verdict.FAILS, plan.problem)
        return
    columns = f"{len(plan.schema['properties'])} columns"
    yield CheckResult(query.name, Verdict.GOOD, columns)
    if not plan.is_typed:
        details = (
            "Looker shows no such Explore to this user: its name may be wrong, or the permission "
            "to see it missing. Fields are not checked; `--discover` and a run fetch one row of "
            "the query to find their types"
        )
        yield CheckResult(query.name, Verdict.NOTE, details)
    if plan.replication_key and not query.config.primary_keys:
        details = "incremental without primary_keys: the rows at each bookmark are loaded again"
        yield CheckResult(query.name, Verdict.NOTE, details)


def check_access(settings: Settings, client: LookerClient) -> Iterator[CheckResult]:
    """Yield the result of the login, and the user's permissions if Looker shows them."""
    try:
        version = _response_or_empty(client.versions).get("looker_release_version")
        user = _response_or_empty(client.me)
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
        details += f"; cannot check whether Looker knows it: {_in_one_line(error)}"
        return CheckResult("query_timezone", Verdict.NOTE, details)
    if name in known:
        return CheckResult("query_timezone", Verdict.GOOD, details)
    hint = suggest_names(name, sorted(str(zone) for zone in known))
    details += f", which is not among the {len(known)} time zones that Looker offers{hint}"
    return CheckResult("query_timezone", Verdict.NOTE, details)


def _response_or_empty(operation: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return Looker's response; an empty one if the user cannot see it."""
    try:
        return operation()
    except RequestRejectedError:
        return {}


def _examine_calls(
    settings: Settings, queries: Sequence[ConfiguredQuery], external_tasks: int
) -> Iterator[CheckResult]:
    estimate = estimate_run(settings, queries, external_tasks)
    details, limit = describe_estimate(estimate), settings.api_call_limit
    if limit is not None and limit < sum(estimate.later):
        yield CheckResult("api_call_limit", Verdict.FAILS, f"{details}; {limit} are allowed")
    else:
        yield CheckResult("API calls", Verdict.GOOD, details)
    verdict = Verdict.GOOD if estimate.later.times(1).edition() else Verdict.NOTE
    yield CheckResult("API calls a month", verdict, estimate.describe_month())


def estimate_run(
    settings: Settings, queries: Collection[ConfiguredQuery], external_tasks: int
) -> Estimate:
    """Return the estimated calls of a run with these settings."""
    # Several queries of one tile are the sources of its merged results.
    tiles = Counter((q.dashboard_id, q.tile_id) for q in queries if q.dashboard_id is not None)
    looks, dashboards = {q.look_id for q in queries} - {None}, {id_ for id_, _ in tiles}
    merged = sum(count > 1 for count in tiles.values())
    return estimate_calls(
        len(queries),
        external_tasks,
        lookups=len(looks) + len(dashboards) + merged,
        stored=sum(query.config.replication_key is not None for query in queries),
        slots=settings.max_concurrent_tasks,
        batch_size=settings.batch_size,
        is_sparing=settings.polling == "sparing",
    )


def describe_estimate(estimate: Estimate) -> str:
    """Describe the calls of a first run and of later ones."""
    return f"{estimate.fewest} to {estimate.first} in a first run; {estimate.later} in later ones"


def _in_one_line(error: TapError) -> str:
    return " ".join(error.message.split())


def explain_run(
    launcher: Launcher, ledger: Ledger, keys: Mapping[str, Sequence[str]], *, with_sql: bool
) -> dict[str, Any]:
    """Describe the run and each of its queries, for users and for programs.

    Args:
        launcher: Launcher of the run's queries.
        ledger: Ledger of the run; its bookmark, which changes, must be a copy.
        keys: Key columns of each query's stream, by name.
        with_sql: Whether to fetch the SQL that Looker would run; Looker then stores queries
            that are changed by the configuration, as in a run.

    Raises:
        RequestError: If no request to Looker can succeed.
    """
    settings, keepers = launcher.settings, launcher.keepers
    followed = [*ledger.tasks_to_follow()]
    queries = [keeper.query for keeper in keepers.values()]
    estimate = estimate_run(settings, queries, len(followed))
    fingerprints = dict(_fingerprints(launcher, ledger))
    resumed = {task.query_name: task for task in ledger.resume(fingerprints)}
    abandoned = {task.query_name: task for task in ledger.tasks_to_cancel()}
    described = map_concurrently(
        lambda name: _describe_query(launcher, name, resumed.get(name), with_sql=with_sql),
        keepers,
        settings.max_connections,
    )
    return {
        "run": {
            "looker": settings.base_url,
            "api_calls": describe_estimate(estimate),
            "api_calls_a_month": estimate.describe_month(),
            "external_tasks_to_follow": len(followed),
            "tasks_to_cancel": [task.query_task_id for task in abandoned.values()],
        },
        "queries": {
            name: query | {"primary_keys": [*keys[name]]}
            for name, query in zip(keepers, described, strict=True)
        },
    }


def _fingerprints(launcher: Launcher, ledger: Ledger) -> Iterator[tuple[str, str]]:
    for name in ledger.names_in_flight():
        if name in launcher.keepers:
            try:
                yield name, launcher.fingerprint(name)
            except (TapError, ValueError):
                # It is described as a problem of the query.
                continue


def _describe_query(
    launcher: Launcher, name: str, in_flight: LaunchedTask | None, *, with_sql: bool
) -> dict[str, Any]:
    keeper, settings = launcher.keepers[name], launcher.settings
    client, query = launcher.client, keeper.query
    described: dict[str, Any] = {"from": query.source_path}
    try:
        stored = launcher.stored_queries.find(query)
        prepared = prepare_query(query, stored, settings.query_timezone, keeper)
        described |= _describe_body(prepared)
        if with_sql:
            query_id = prepared.query_id or client.create_query(prepared.body)[0]
            described["sql"] = client.query_sql(query_id).strip() + "\n"
    except (TapError, ValueError) as error:
        described["problem"] = " ".join(str(error).split())
    if keeper.column:
        described["bookmark"] = {keeper.column.field: keeper.value}
    if expected := keeper.last_run.expected:
        described["expected_seconds"] = round(expected.seconds, 3)
    run_id = settings.run_id
    if run_id and keeper.was_delivered_in(run_id, launcher.configuration(name)):
        described["already_delivered_in_run"] = run_id
    if in_flight:
        described["in_flight"] = {
            "query_task_id": in_flight.query_task_id,
            "launched_at": to_rfc3339(in_flight.launched_at),
            "attempt": in_flight.attempt,
        }
    return described


def _describe_body(prepared: PreparedQuery) -> dict[str, Any]:
    body = determining_parts(prepared.body)
    return {
        "query_id": prepared.query_id or "a changed copy, which Looker stores before the launch",
        "query_timezone": body.get("query_timezone"),
        "row_limit": prepared.limits.row_limit or "none",
        "filters": body.get("filters") or {},
        "body": body,
    }


# Search of Looks, dashboards, Explores and fields by words: `--find`.

MAX_SHOWN = 25
# Looker matches one word; the others are matched here.
_MAX_MATCHED = 500
_LOOKML_FOLDER = "lookml"
_NOT_FOUND = 404
_KINDS = ("dimension", "measure", "filter", "parameter")


@dataclass(frozen=True, slots=True)
class Content:
    """Something that can be extracted.

    Attributes:
        kind: `Look`, `dashboard` or `Explore`.
        title: Title that users see.
        place: Its folder; for an Explore, its description.
        source: Text to paste: an address, or `model/explore`.
    """

    kind: str
    title: str
    place: str
    source: str


def search_content(words: Sequence[str], client: LookerClient, base_url: str) -> Findings[Content]:
    """Return visible content that matches all words; without words, the most viewed content.

    Sends four concurrent requests, for any amount of content.

    Raises:
        RequestError: If a request to Looker fails.
    """
    requested = [word.lower() for word in words]
    longest = max(requested, key=len, default="")
    pattern = f"%{longest}%" if longest else ""
    limit = MAX_SHOWN + 1 if len(requested) < 2 else _MAX_MATCHED  # noqa: PLR2004 - one word
    kinds: tuple[Callable[[], Iterator[Content]], ...] = (
        lambda: _pages("Look", client.search_looks(pattern, limit=limit), base_url),
        lambda: _pages("dashboard", client.search_dashboards(pattern, limit=limit), base_url),
        lambda: _pages("dashboard", client.folder_dashboards(_LOOKML_FOLDER), base_url),
        lambda: _explores(client.all_lookml_models(), shows_hidden=bool(requested)),
    )
    found = map_concurrently(partial(_search_one, requested), kinds, len(kinds))
    looks, dashboards, of_lookml, explores = (content for content, _ in found)
    notes = dict.fromkeys(note for _, note in found if note)
    shown: list[Content] = []
    for content in (looks, [*dashboards, *of_lookml], explores):
        shown += content[:MAX_SHOWN]
        if len(content) > MAX_SHOWN:
            notes[f"there are more {content[0].kind}s; add words to find others"] = None
    return Findings(tuple(shown), notes=tuple(notes))


def _search_one(
    words: Iterable[str], look_up: Callable[[], Iterator[Content]]
) -> tuple[list[Content], str | None]:
    try:
        content = [*look_up()]
    except RequestRejectedError as error:
        # A user without the permission for one kind may see the others.
        return [], error.message
    texts = ((f"{one.title} {one.place} {one.source}".lower(), one) for one in content)
    return [one for text, one in texts if all(word in text for word in words)], None


def _pages(kind: str, found: Iterable[object], base_url: str) -> Iterator[Content]:
    for entry in as_objects(found):
        id_, title = as_id(entry.get("id")), as_text(entry.get("title"))
        if id_:
            address = f"{base_url}/{kind.lower()}s/{quote(id_, safe=':')}"
            folder = as_text(as_object(entry.get("folder")).get("name"))
            yield Content(kind, title or id_, folder or "", address)


def _explores(models: Iterable[object], *, shows_hidden: bool) -> Iterator[Content]:
    for model in as_objects(models):
        for explore in as_objects(model.get("explores")):
            if shows_hidden or explore.get("hidden") is not True:
                name, label = as_text(explore.get("name")), as_text(explore.get("label"))
                about = as_text(explore.get("description")) or ""
                source = f"{model.get('name')}/{name}"
                yield Content("Explore", label or source, about, source)


def find_fields(model: str, explore: str, client: LookerClient) -> list[ExploreField]:
    """Return the fields of an Explore, in its author's order.

    Raises:
        RequestRejectedError: If Looker shows no such Explore; the message names those it shows.
        RequestError: If a request to Looker fails.
    """
    try:
        described = client.lookml_model_explore(model, explore)
    except RequestRejectedError as error:
        if error.http_status != _NOT_FOUND:
            raise
    else:
        fields = explore_fields(described).values()
        return sorted(fields, key=lambda field: _KINDS.index(str(field.category)))
    name = f"{model}/{explore}"
    known = [content.source for content in _explores(client.all_lookml_models(), shows_hidden=True)]
    msg = f"Looker shows this user no Explore {name}{suggest_names(name, known)}"
    raise RequestRejectedError(msg, http_status=_NOT_FOUND)
