"""The command `looker-facts`: checks what is assumed about Looker against a running one."""

from __future__ import annotations

import csv
import json
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import click
import requests

from looker_simulator.facts.checks import CHECKS, find_difference
from looker_simulator.facts.probe import Form, NotTriedError, Options, Probe, Reply, give_up
from looker_simulator.facts.recording import Recorder, Replay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from looker_simulator.facts.probe import Request, Send

_MAX_REQUEST_SECONDS = 45.0
_OK = 200
HOLDS, DIFFERS, NOT_TRIED = "holds", "does not hold", "not tried"


class Fact(NamedTuple):
    """A fact that is assumed about Looker.

    Attributes:
        id: Letter of the subject, and a number.
        statement: The fact.
        evidence: Codes of the sources, which the documentation explains.
        certainty: certain, likely or open.
        relied_on_by: Module of `tap_looker_tasks` that relies on it; empty if none does.
        not_tried: Reason why there is no check; empty if there is one.
        validated: Release and date of the last check against a real Looker; empty for never.
    """

    id: str
    statement: str
    evidence: str
    certainty: str
    relied_on_by: str
    not_tried: str
    validated: str


class Verdict(NamedTuple):
    """Result of a fact: `holds`, `does not hold` or `not tried`, and the detail."""

    fact: Fact
    verdict: str
    detail: str = ""


def _read_facts() -> tuple[Fact, ...]:
    with files("looker_simulator.facts").joinpath("facts.csv").open(encoding="utf-8") as lines:
        return tuple(Fact(**row) for row in csv.DictReader(lines))


FACTS = _read_facts()
"""All facts, by subject."""


def check_facts(probe: Probe, facts: Sequence[Fact] = FACTS) -> list[Verdict]:
    """Check facts; the verdicts are in their order."""
    if probe.options.run and facts is FACTS:
        probe.start()
    places = {id_: place for place, id_ in enumerate(CHECKS)}
    order = sorted(facts, key=lambda fact: places.get(fact.id, 0))
    verdicts = {fact.id: _check(fact, probe) for fact in order}
    return [verdicts[fact.id] for fact in facts]


def _check(fact: Fact, probe: Probe) -> Verdict:
    check = CHECKS.get(fact.id)
    if check is None:
        return Verdict(fact, NOT_TRIED, fact.not_tried)
    if check.needs_run and not probe.options.run:
        return Verdict(fact, NOT_TRIED, "creates a query or runs one row: add --run")
    try:
        difference = find_difference(check.expected, check.look(probe))
    except NotTriedError as error:
        return Verdict(fact, NOT_TRIED, str(error))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        difference = f"the response has another shape ({type(error).__name__}: {error})"
    return Verdict(fact, DIFFERS, difference) if difference else Verdict(fact, HOLDS)


def sender(url: str, session: requests.Session) -> Send:
    """Return a function that sends requests to a Looker."""
    base = url.rstrip("/").partition("/api/")[0]

    def send(request: Request, seconds: float) -> Reply:
        timeout = min(seconds, _MAX_REQUEST_SECONDS)
        try:
            response = session.request(
                request.verb,
                f"{base}{request.path}",
                **{"data" if isinstance(request.body, Form) else "json": request.body},
                headers=dict(request.headers),
                timeout=timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            give_up(f"no response from {base} ({type(error).__name__})")
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, response.content.decode("utf-8", "replace"))

    return send


def _lines(verdicts: list[Verdict], calls: int) -> Iterator[str]:
    for fact, verdict, detail in verdicts:
        colon = ": " if detail else ""
        came = "came instead, " if verdict == DIFFERS else ""
        yield f"{fact.id:<4} {verdict:<14} {fact.statement}{colon}{came}{detail}"
    counts = (f"{sum(v.verdict == kind for v in verdicts)} {kind}" for kind in _KINDS)
    yield f"{', '.join(counts)}; {calls} calls"


_KINDS = (HOLDS, DIFFERS, NOT_TRIED)


def _as_json(verdicts: list[Verdict], calls: int) -> Mapping[str, Any]:
    described = [{**fact._asdict(), "verdict": v, "detail": detail} for fact, v, detail in verdicts]
    return {"calls": calls, "facts": described}


class CannotCheckError(click.ClickException):
    """Nothing could be checked."""

    exit_code = 2


@click.command("looker-facts")
@click.argument("url", required=False, envvar="LOOKERSDK_BASE_URL")
@click.option("--client-id", envvar="LOOKERSDK_CLIENT_ID", show_envvar=True, default="")
@click.option("--run", is_flag=True, help="Also create queries and run one row of them.")
@click.option("--look", metavar="ID", help="Look to start with; by default, the first one found.")
@click.option("--explore", metavar="MODEL/EXPLORE", help="Explore to query; otherwise the Look's.")
@click.option("--dashboard", metavar="ID", help="Dashboard to read; otherwise the first two found.")
@click.option("--failing-query", metavar="ID", help="A query that fails in its database.")
@click.option(
    "--other-client-id",
    metavar="ID",
    help="A user with fewer permissions; its secret is LOOKERSDK_OTHER_CLIENT_SECRET.",
)
@click.option(
    "--fact", "ids", metavar="ID", multiple=True, help="Check this fact; by default, all of them."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--record",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the responses, with invented values, to a file that you can attach to a report.",
)
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Check a recording instead of a URL.",
)
@click.pass_context
def main(
    context: click.Context,
    /,
    *,
    url: str | None,
    ids: tuple[str, ...],
    as_json: bool,
    record: Path | None,
    replay: Path | None,
    **chosen: Any,
) -> None:
    """Check what tap-looker-tasks assumes about Looker against the one at URL.

    It reads only, unless you add --run, and never changes content. The client secret comes from
    LOOKERSDK_CLIENT_SECRET. It sends at most 80 calls. The exit code is 0 if all facts that were
    tried hold, 1 if one does not, and 2 if nothing could be checked.
    """
    unknown = {*ids} - {fact.id for fact in FACTS}
    if unknown:
        msg = f"there is no fact {min(unknown)}"
        raise click.BadParameter(msg, param_hint="--fact")
    facts = [fact for fact in FACTS if fact.id in ids] if ids else FACTS
    with requests.Session() as session:
        try:
            options, send = _source(url, replay, chosen, session)
        except ValueError as error:
            raise CannotCheckError(str(error)) from None
        recorder = Recorder(send, options)
        probe = Probe(recorder, options)
        try:
            _require_login(probe)
            verdicts = check_facts(probe, facts)
        finally:
            probe.close()
    if record:
        recorder.write(record)
    calls = len(probe.replies)
    click.echo(
        json.dumps(_as_json(verdicts, calls), indent=2, ensure_ascii=False)
        if as_json
        else "\n".join(_lines(verdicts, calls))
    )
    context.exit(int(any(verdict.verdict == DIFFERS for verdict in verdicts)))


def _source(
    url: str | None, replay: Path | None, chosen: Mapping[str, Any], session: requests.Session
) -> tuple[Options, Send]:
    """Return the user's choices, and the source of the responses.

    Raises:
        ValueError: If neither is a URL or a recording.
    """
    if replay:
        found = Replay(replay)
        return found.options, found
    if urlsplit(url or "").scheme not in {"http", "https"}:
        msg = f"URL must start with https:// or http://, not {url!r}"
        raise ValueError(msg)
    secret = os.environ.get("LOOKERSDK_CLIENT_SECRET", "")
    if not (chosen["client_id"] and secret):
        msg = "set LOOKERSDK_CLIENT_ID and LOOKERSDK_CLIENT_SECRET"
        raise ValueError(msg)
    other = os.environ.get("LOOKERSDK_OTHER_CLIENT_SECRET", "")
    if chosen["other_client_id"] and not other:
        msg = "set LOOKERSDK_OTHER_CLIENT_SECRET"
        raise ValueError(msg)
    options = Options(client_secret=secret, other_client_secret=other, **chosen)
    return options, sender(str(url), session)


def _require_login(probe: Probe) -> None:
    """Log in.

    Raises:
        CannotCheckError: If Looker rejects the login, or does not respond.
    """
    try:
        reply = probe.login()
    except NotTriedError as error:
        msg = f"{error}; check the URL"
        raise CannotCheckError(msg) from None
    if reply.status != _OK or not probe.token:
        msg = f"login: HTTP {reply.status}; check the URL, the client ID and the client secret"
        raise CannotCheckError(msg)
