"""Requests of `looker-facts` to a running Looker: each once, when the first check needs it."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, ParamSpec, TypeVar, cast
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator

API = "/api/4.0"
MAX_CALLS = 80
MAX_SECONDS = 60.0
MADE_UP_TASK = "0123456789abcdef0123456789abcdef"
MADE_UP_QUERY = "lookerfactsmadeupquery"
MADE_UP_FIELD = "looker_facts.made_up"
_TWICE, _LOST = "looker_facts_twice", "looker_facts_lost"
_AVERAGE, _GREAT = "looker_facts_average", "looker_facts_great"
_OK = 200
_FINAL = frozenset({"complete", "error", "expired", "killed", "missing"})
_EXPIRED = "expired"
_FIELD = "name,type,category,time_interval,primary_key,convert_tz,datatype,dimension_group,hidden"
_GROUPS = ("dimensions", "measures", "filters", "parameters")
_OUTSIDE = "//"
"""Prefix of paths that are not below `/api/4.0`."""
_LOGOUT_SECONDS = 5.0
_RUNNING_AT_ONCE = 8
_INLINE_RUNS = (
    *(("pivot", each) for each in ("json_detail", "json_bi", "json", "csv")),
    *(("calculated", "json_detail"), ("not calculated", "json_detail"), ("UTC", "json_detail")),
    *(("Asia/Kolkata", "json_detail"), ("types", "json_detail"), ("narrow", "json_detail")),
    ("numbers", "json_detail"),
)


class NotTriedError(Exception):
    """A check that cannot be performed, with the reason."""


def give_up(reason: str) -> NoReturn:
    """End a check.

    Raises:
        NotTriedError: If called.
    """
    raise NotTriedError(reason)


class Form(dict[str, str]):
    """A body that is sent as a form, not as JSON."""


@dataclass(frozen=True)
class Request:
    """A request to Looker.

    Attributes:
        verb: HTTP method.
        path: Path with its query string.
        body: JSON or `Form`; None for no body.
        headers: Headers.
        label: Subject of the body, which distinguishes requests to one path.
    """

    verb: str
    path: str
    body: Any = None
    label: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """Looker's response: HTTP status, headers in lower case, and text."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the decoded body; None if it is not JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None

    @property
    def kind(self) -> str:
        """Return the media type."""
        return self.headers.get("content-type", "").partition(";")[0]


Send = Callable[[Request, float], Reply]
"""Sends a request, which may take a number of seconds.

Raises:
    NotTriedError: If there is no response.
"""


class Options(NamedTuple):
    """A user's choices; the command finds the others on its own."""

    client_id: str = ""
    client_secret: str = ""
    run: bool = False
    look: str | None = None
    explore: str | None = None
    dashboard: str | None = None
    failing_query: str | None = None
    other_client_id: str | None = None
    other_client_secret: str = ""


class Chosen(NamedTuple):
    """An Explore, and its fields for the queries."""

    model: str
    explore: str
    date: str
    measure: str
    texts: tuple[str, ...]
    fields: Mapping[str, Mapping[str, Any]]

    def of_type(self, pattern: str) -> list[str]:
        """Return the names of the dimensions whose type matches."""
        found = (name for name, f in self.fields.items() if f["category"] == "dimension")
        return [n for n in found if re.fullmatch(pattern, str(self.fields[n].get("type")))]


_P = ParamSpec("_P")
_R = TypeVar("_R")


def once(ask: Callable[_P, _R]) -> Callable[_P, _R]:
    """Cache the result or exception of a probe's method, for each of its arguments."""

    @wraps(ask)
    def kept(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        probe: Any = args[0]
        key = (ask.__name__, *args[1:], *kwargs.items())
        if key not in probe.seen:
            try:
                probe.seen[key] = (ask(*args, **kwargs), None)
            except NotTriedError as error:
                probe.seen[key] = (None, error)
        found, failure = probe.seen[key]
        if failure is not None:
            raise failure
        return cast("_R", found)

    return kept


class Probe:
    """Requests to one Looker, at most `MAX_CALLS` in `MAX_SECONDS`.

    Attributes:
        replies: All responses so far.
        polls: Responses of `multi_results`, decoded, each with its requested IDs.
    """

    def __init__(
        self,
        send: Send,
        options: Options,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep the function that sends requests, and the user's choices."""
        self.options = options
        self.replies: list[Reply] = []
        self.polls: list[tuple[list[str], Reply]] = []
        self.seen: dict[tuple[Any, ...], tuple[Any, NotTriedError | None]] = {}
        self._send = send
        self._clock = clock
        self._sleep = sleep
        self._ends_at = clock() + MAX_SECONDS
        self._calls = itertools.count(1)
        self._threads = ThreadPoolExecutor(_RUNNING_AT_ONCE)
        self._inline_runs: dict[tuple[str, str], Future[Reply]] = {}

    # ------------------------------------------------------------ requests

    def call(
        self,
        verb: str,
        path: str,
        *,
        body: object = None,
        token: str | None = None,
        label: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request.

        Raises:
            NotTriedError: If no call or no time is left, or there is no response.
        """
        left = self._ends_at - self._clock()
        # A call is left for the logout of each user.
        logouts = 2 if self.options.other_client_id else 1
        if next(self._calls) > MAX_CALLS - logouts or left <= 0:
            give_up(f"{MAX_CALLS} calls or {MAX_SECONDS:.0f} s are used up")
        if token is None and not isinstance(body, Form):
            token = f"token {self.token}"
        headers = {"Authorization": token} if token else {}
        path = path.removeprefix("/") if path.startswith(_OUTSIDE) else f"{API}{path}"
        target = f"{path}{'?' if query else ''}{urlencode(query or {})}"
        reply = self._send(Request(verb, target, body, label, headers), left)
        self.replies.append(reply)
        return reply

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of a successful GET.

        Raises:
            NotTriedError: If Looker rejects it.
        """
        return _decode(f"GET {path}", self.call("GET", path, query=query))

    # ------------------------------------------------------------ login

    @once
    def login(self, number: int = 1) -> Reply:
        """Log in; each number is a separate login."""
        assert number  # noqa: S101 - the number only distinguishes logins
        return self._login(self.options.client_secret)

    def _login(self, secret: str) -> Reply:
        form = Form(client_id=self.options.client_id, client_secret=secret)
        return self.call("POST", "/login", body=form)

    @property
    def token(self) -> str:
        """Return the access token of the first login; empty if it failed."""
        return _token(self.login())

    def close(self) -> None:
        """Drop queries that wait to be run, and log out."""
        self._threads.shutdown(cancel_futures=True)
        for token in self._tokens():
            with suppress(NotTriedError):
                headers = {"Authorization": f"token {token}"}
                request = Request("DELETE", f"{API}/logout", headers=headers)
                self.replies.append(self._send(request, _LOGOUT_SECONDS))

    def _tokens(self) -> list[str]:
        """Return the access tokens that are logged out at the end."""
        logins = (self.seen.get(key, (None, None))[0] for key in (("login",), ("_other_login",)))
        return [_token(reply) for reply in logins if reply is not None]

    # ------------------------------------------------------------ another user

    @once
    def _other_login(self) -> Reply:
        user = self.options.other_client_id or give_up(
            "name a user with fewer permissions: --other-client-id"
        )
        form = Form(client_id=user, client_secret=self.options.other_client_secret)
        return self.call("POST", "/login", body=form, label="other")

    @once
    def as_other(self, path: str) -> Reply:
        """Return the response to a GET of another user, who has fewer permissions."""
        token = _token(self._other_login()) or give_up("the other user cannot log in")
        return self.call("GET", path, token=f"token {token}", label="other")

    def rejected_to_other(self) -> list[int]:
        """Return the statuses of content that only the first user sees."""
        paths = [self.explore_path(), f"/looks/{self.look()['id']}"]
        statuses = [self.as_other(path).status for path in paths]
        found = [status for status in statuses if status != _OK]
        return found or give_up("the other user sees all content that was tried")

    def granted_fields(self) -> tuple[str, set[str]]:
        """Return a field hidden from another user, and the fields of its query for that user."""
        mine, others = (
            {f["name"] for group in _GROUPS[:2] for f in found["fields"][group]}
            for found in (self.explore(), _decode("explore", self.as_other(self.explore_path())))
        )
        hidden = min(mine - others, default="") or give_up("no field is hidden from the other user")
        body = self.body(self.chosen().texts[0], hidden)
        reply = self.call("POST", "/queries", body=body, label="hidden")
        id_ = _decode("POST /queries", reply)["id"]
        result = _decode("run_query", self.as_other(f"/queries/{id_}/run/json_detail?limit=1"))
        return hidden, {f["name"] for group in result["fields"].values() for f in group}

    def failures(self) -> tuple[str, str]:
        """Return the detail of a failure, and all that a user without `see_sql` is sent of it."""
        (failure, *_) = self.data("failing detail")["errors"]
        path = f"/queries/{self.options.failing_query}/run"
        if self.as_other(f"{path}/sql").status == _OK:
            give_up("the other user is allowed to see SQL")
        return (
            failure.get("message_details") or failure["message"],
            self.as_other(f"{path}/json_detail?limit=1").text,
        )

    def entry_of_other(self) -> Any:  # noqa: ANN401 - JSON
        """Return the entry of a task in another user's poll."""
        id_ = self.task_id("detail")
        poll = self.as_other(f"/query_tasks/multi_results?query_task_ids={id_}")
        return _decode("multi_results", poll).get(id_, "left out")

    # ------------------------------------------------------------ login: wrong, again, outside

    @once
    def wrong_login(self) -> Reply:
        """Log in with a secret that is wrong."""
        return self._login("looker-facts-wrong-secret")

    @once
    def me(self, scheme: str = "token", token: str = "") -> Reply:
        """Return the logged-in user."""
        return self.call("GET", "/user", token=f"{scheme} {token or self.token}")

    @once
    def logout(self) -> tuple[int, int, int]:
        """Log in again and out, and return the statuses: `logout`, the first token, the second."""
        second = _token(self.login(2))
        with suppress(NotTriedError):
            # It needs the second token.
            self.development()
        left = self.call("DELETE", "/logout", token=f"token {second}").status
        first = self.at("/session").status
        return left, first, self.call("GET", "/user", token=f"token {second}").status

    @once
    def development(self) -> str:
        """Launch a task in development mode of a separate session, and return its ID."""
        if not self.options.run:
            give_up("creates a query or runs one row: add --run")
        token = f"token {_token(self.login(2))}"
        body = {"workspace_id": "dev"}
        if self.call("PATCH", "/session", body=body, token=token).status != _OK:
            give_up("the user is not allowed to develop")
        return str(_decode("POST /query_tasks", self.launch("development", token=token))["id"])

    @once
    def outside(self) -> Reply:
        """Log in at a path without `/api/4.0`."""
        form = Form(client_id="looker-facts", client_secret="looker-facts")  # noqa: S106 - invented
        return self.call("POST", f"{_OUTSIDE}login", body=form)

    @once
    def at(self, path: str) -> Reply:
        """Return the response to a GET."""
        return self.call("GET", path)

    @once
    def roles(self) -> Any:  # noqa: ANN401 - JSON
        """Return the roles of the user."""
        return self.get(f"/users/{quote(str(self.me().json['id']))}/roles")

    # ------------------------------------------------------------ content

    @once
    def search(self, what: str, **query: str) -> Reply:
        """Search Looks or dashboards."""
        return self.call("GET", f"/{what}/search", query=query)

    def found(self, what: str, **query: str) -> list[Any]:
        """Return the results of a search.

        Raises:
            NotTriedError: If there are none.
        """
        found = _decode(f"GET /{what}/search", self.search(what, **query))
        if not found:
            give_up(f"no {what} are found")
        return list(found)

    @once
    def look(self) -> Any:  # noqa: ANN401 - JSON
        """Return a Look that has a query."""
        if self.options.look:
            return self.get(f"/looks/{quote(self.options.look, safe='')}")
        for found in self.found("looks", title="%", fields="id,title,query_id", limit="2"):
            if found.get("query_id"):
                return self.get(f"/looks/{found['id']}")
        give_up("no Look with a query is found; name one with --look")

    @once
    def trashed_look(self) -> Any:  # noqa: ANN401 - JSON
        """Return a Look from the trash."""
        found = self.found("looks", deleted="true", fields="id,deleted", limit="1")
        return self.get(f"/looks/{found[0]['id']}")

    @once
    def query(self) -> Any:  # noqa: ANN401 - JSON
        """Return the query of the Look."""
        return self.get(f"/queries/{self.look()['query_id']}")

    @once
    def dashboards(self) -> list[Any]:
        """Return some dashboards, cut to the parts that the tap requests."""
        ids = [self.options.dashboard] if self.options.dashboard else []
        if not ids:
            found = self.found("dashboards", title="%", fields="id,title", limit="2")
            ids = [each["id"] for each in found]
        return [self.dashboard(str(id_)) for id_ in ids]

    @once
    def dashboard(self, dashboard_id: str) -> Any:  # noqa: ANN401 - JSON
        """Return a dashboard."""
        parts = "title,url,deleted,dashboard_filters,dashboard_elements"
        return self.get(f"/dashboards/{quote(dashboard_id, safe='')}", fields=parts)

    @once
    def lookml_dashboard(self) -> Any:  # noqa: ANN401 - JSON
        """Return a LookML dashboard."""
        ids = [str(found.get("id")) for found in self.get("/dashboards", fields="id")]
        for id_ in ids:
            if "::" in id_:
                return self.dashboard(id_)
        give_up("there is no LookML dashboard")

    def tiles(self) -> list[Any]:
        """Return the elements of all dashboards that were read."""
        return [tile for each in self.dashboards() for tile in each["dashboard_elements"]]

    def listening(self) -> list[Any]:
        """Return the filters that tiles listen to."""
        found = [
            filterable.get("listen")
            for tile in self.tiles()
            for filterable in (tile.get("result_maker") or {}).get("filterables") or ()
            if filterable.get("listen")
        ]
        return found or give_up("no tile listens to a dashboard filter; name one: --dashboard")

    def dashboard_filters(self) -> list[Any]:
        """Return the filters of all dashboards that were read."""
        found = [each for found in self.dashboards() for each in found["dashboard_filters"]]
        return found or give_up("no dashboard with filters is found; name one: --dashboard")

    @once
    def merge_query(self) -> Any:  # noqa: ANN401 - JSON
        """Return the source queries of a tile with merged results."""
        ids = [tile["merge_result_id"] for tile in self.tiles() if tile.get("merge_result_id")]
        if not ids:
            give_up("no tile with merged results is found; name one: --dashboard")
        return self.get(f"/merge_queries/{ids[0]}")

    def dynamic_fields(self) -> str:
        """Return the custom fields and table calculations of a stored query."""
        queries = [self.query(), *(tile.get("query") or {} for tile in self.tiles())]
        found = [query["dynamic_fields"] for query in queries if query.get("dynamic_fields")]
        return str(found[0]) if found else give_up("no query with custom fields is found")

    @once
    def explore(self) -> Any:  # noqa: ANN401 - JSON
        """Return the fields of the Explore of the Look, or of the one that was named."""
        groups = ",".join(f"{group}({_FIELD})" for group in _GROUPS)
        parts = f"name,always_filter,conditionally_filter,fields({groups})"
        return self.get(self.explore_path(), fields=parts)

    def explore_path(self) -> str:
        """Return the path of the Explore."""
        model, explore = self._explore_name()
        return f"/lookml_models/{quote(model, safe='')}/explores/{quote(explore, safe='')}"

    def _explore_name(self) -> tuple[str, str]:
        if self.options.explore:
            model, _, explore = self.options.explore.partition("/")
            return model, explore
        query = self.query()
        return str(query["model"]), str(query["view"])

    @once
    def chosen(self) -> Chosen:
        """Choose the fields for the queries."""
        model, explore = self._explore_name()
        groups = self.explore()["fields"]
        shown = {f["name"]: f for g in _GROUPS[:2] for f in groups[g] if not f.get("hidden")}
        fields = {n: {**f, "category": f.get("category") or "dimension"} for n, f in shown.items()}
        empty = Chosen(model, explore, "", "", (), fields)
        dates = empty.of_type("date_date|date")
        texts = empty.of_type("string")
        measures = [n for n, f in fields.items() if f["category"] == "measure"]
        measures.sort(key=lambda name: fields[name].get("type") != "count")
        if not (dates and texts and measures):
            give_up(
                f"{model}/{explore} lacks a date, a measure or a string; name another: --explore"
            )
        return empty._replace(date=dates[0], measure=measures[0], texts=tuple(texts))

    # ------------------------------------------------------------ queries

    def body(self, *fields: str, **more: Any) -> dict[str, Any]:
        """Return the body of a query of the chosen Explore."""
        chosen = self.chosen()
        requested = [*fields] or [chosen.texts[0], chosen.measure]
        return {"model": chosen.model, "view": chosen.explore, "fields": requested, **more}

    @once
    def create(self, name: str) -> Reply:
        """Create the query of a name; names distinguish equal requests."""
        body = {} if name == "refused" else self.body(limit="500", query_timezone="UTC")
        if name == "taken":
            body = {**body, "limit": "7", "client_id": self.query()["client_id"]}
        if name == "gone":
            body = {**body, "view": MADE_UP_QUERY}
        return self.call("POST", "/queries", body=body, label=name)

    @once
    def sql(self, name: str) -> Reply:
        """Return the SQL of a query, which the warehouse does not run."""
        return self.call("POST", "/queries/run/sql", body=self._sql_body(name), label=name)

    def _sql_body(self, name: str) -> dict[str, Any]:
        text, date = self.chosen().texts[0], self.chosen().date
        bodies: Mapping[str, Callable[[], dict[str, Any]]] = {
            "plain": lambda: self.body(sorts=[]),
            "6000": lambda: self.body(
                limit=6000,
                sorts=["__UNSORTED__"],
                filters={date: "2013-02-03 to 2013-03-04"},
            ),
            "all": lambda: self.body(limit="-1", filters={date: "after 2013-02-03"}),
            "filters": lambda: self.body(
                filters=self._filters(),
                filter_config=None,
                filter_expression=f'${{{text}}} = "facts_x" OR ${{{text}}} = "facts_y"',
            ),
            "unquoted": lambda: self.body(filters={self._parameter(): "%"}),
            "made-up": lambda: self.body(MADE_UP_FIELD),
        }
        return bodies[name]()

    def _number(self) -> str:
        found = self.chosen().of_type("number")
        return found[0] if found else give_up("the Explore has no number to filter by")

    def _parameter(self) -> str:
        parameters = self.explore()["fields"]["parameters"]
        found = [each["name"] for each in parameters if each["type"] == "unquoted"]
        return str(found[0]) if found else give_up("the Explore has no `unquoted` parameter")

    def _filters(self) -> dict[str, str]:
        """Return filters: a text with a comma, two conditions on a number, and a blank one."""
        first, *more = self.chosen().texts
        found = {first: '"facts_a,facts_b"', self._number(): ">=5 AND <9"}
        return {**found, **({more[0]: ""} if more else {})}

    def start(self) -> None:
        """Start all queries of the checks, several concurrently."""
        for name, result_format in _INLINE_RUNS:
            with suppress(NotTriedError):
                self._start(name, result_format)

    def _start(self, name: str, result_format: str) -> Future[Reply]:
        if (name, result_format) not in self._inline_runs:
            flags = {"server_table_calcs": "true"} if name == "calculated" else {}
            self._inline_runs[name, result_format] = self._threads.submit(
                self.call,
                "POST",
                f"/queries/run/{result_format}",
                body=self._inline_body(name),
                label=name,
                query={**flags, "limit": "1"},
            )
        return self._inline_runs[name, result_format]

    def inline(self, name: str, result_format: str = "json_detail") -> Reply:
        """Return the response to an inline run of one row."""
        return self._start(name, result_format).result()

    def result(self, name: str, result_format: str = "json_detail") -> Any:  # noqa: ANN401 - JSON
        """Return the result of an inline run."""
        return _decode(f"run {result_format}", self.inline(name, result_format))

    def _inline_body(self, name: str) -> dict[str, Any]:
        if name == "pivot":
            return self._pivot()
        if name == "narrow":
            chosen = self.chosen()
            first, second, *_ = chosen.texts
            return self.body(first, second, chosen.measure, pivots=[second], column_limit="1")
        if name in {"calculated", "not calculated"}:
            return self._calculating(" desc" if name == "calculated" else "")
        if name == "numbers":
            return self._numbers()
        return self._every_type() if name == "types" else self._times(zone=name)

    def _times(self, zone: str) -> dict[str, Any]:
        """Return a query of two times in a zone, of which Looker converts one."""
        found = [name for name in map(self.time, (True, False)) if name]
        if not found:
            give_up("the Explore has no time")
        filters = dict.fromkeys(found, "NOT NULL")
        return self.body(*found, filters=filters, sorts=found, query_timezone=zone)

    def time(self, is_converted: bool) -> str:  # noqa: FBT001 - mapped
        """Return a time that Looker converts to the query's time zone, or does not."""
        times = self.chosen().of_type("date_time")
        return next((n for n in times if self._is_converted(n) is is_converted), "")

    def _is_converted(self, name: str) -> bool:
        return self.chosen().fields[name].get("convert_tz") is not False

    def _pivot(self) -> dict[str, Any]:
        date, texts = self.chosen().date, self.chosen().texts
        if len(texts) < 2:  # noqa: PLR2004 - one for rows, one for pivots
            give_up("the Explore has no second string to pivot by")
        return self.body(
            *(date, texts[0], texts[1], self.chosen().measure),
            pivots=[texts[1]],
            total=True,
            row_total="right",
            subtotals=[date],
        )

    def _calculating(self, direction: str) -> dict[str, Any]:
        """Return a query with table calculations on a field, and on one that it lacks."""
        expressions = {_TWICE: self.chosen().measure, _LOST: self._number()}
        calculations = [
            {
                "table_calculation": name,
                "label": name,
                "expression": f"${{{field}}} * 2",
                "_type_hint": "number",
            }
            for name, field in expressions.items()
        ]
        sorts = [f"{self.chosen().texts[0]}{direction}"]
        return self.body(sorts=sorts, dynamic_fields=json.dumps(calculations))

    def calculation(self, name: str, calculation: str = _TWICE) -> object:
        """Return the value of a table calculation in the first row."""
        return (self.first_row(name).get(calculation) or {}).get("value")

    def lost_calculation(self) -> object:
        """Return the value of the table calculation on a field that the query lacks."""
        return self.calculation("calculated", _LOST)

    def _numbers(self) -> dict[str, Any]:
        """Return a query with the average of each number, and a number of more than 53 bits."""
        number = self._number()
        average = {"measure": _AVERAGE, "based_on": number, "type": "average"}
        great = {"dimension": _GREAT, "expression": str(2**53 + 1)}
        custom = [
            {**each, "label": "Number", "_type_hint": "number", "_kind_hint": kind}
            for kind, each in (("measure", average), ("dimension", great))
        ]
        return self.body(
            *(number, _GREAT, _AVERAGE),
            dynamic_fields=json.dumps(custom),
            filters={number: "NOT NULL"},
        )

    def average(self) -> object:
        """Return an integral number that the database computed as a float."""
        row = self.first_row("numbers")
        number = float(row[self._number()]["value"])
        return (
            row[_AVERAGE]["value"] if number.is_integer() else give_up("the number is not integral")
        )

    def great_number(self) -> object:
        """Return a number of more than 53 bits."""
        return self.first_row("numbers")[_GREAT]["value"]

    def first_row(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return the first row of an inline run in json_detail."""
        rows = self.result(name).get("data")
        return rows[0] if rows else give_up("the query has no rows")

    def _every_type(self) -> dict[str, Any]:
        chosen = self.chosen()
        group = chosen.fields[chosen.date].get("dimension_group")
        units = [
            name
            for name in chosen.of_type("date_.*")
            if chosen.fields[name].get("dimension_group") == group
        ]
        others = [*chosen.of_type("yesno")[:1], *chosen.of_type("duration_.*")[:1]]
        return self.body(*units, *others, *chosen.of_type("location")[:1])

    def value_of(self, *types: str) -> Iterator[tuple[str, object]]:
        """Yield the types and values, in one row, of fields of these types.

        Raises:
            NotTriedError: If the Explore has none, or they are null.
        """
        fields = self._every_type()["fields"]
        row = self.first_row("types") if fields else {}
        found = [
            (str(self.chosen().fields[name]["type"]), row[name].get("value"))
            for name in fields
            if self.chosen().fields[name]["type"] in types and name in row
        ]
        found = [each for each in found if each[1] is not None]
        yield from found or give_up(f"the Explore has no field of type {' or '.join(types)}")

    # ------------------------------------------------------------ tasks

    _LAUNCHES = (
        *(("detail", "json_detail"), ("bi", "json_bi"), ("json", "json"), ("csv", "csv")),
        ("gone", "json_detail"),
    )

    @once
    def launch(
        self, name: str, result_format: str = "json_detail", token: str | None = None
    ) -> Reply:
        """Create a query task of one row."""
        if name.startswith("failing"):
            query_id = self.options.failing_query or give_up(
                "name a query that fails in its database: --failing-query"
            )
        elif name == "made-up":
            query_id = MADE_UP_QUERY
        else:
            created = self.create("gone" if name == "gone" else "first")
            query_id = _decode("POST /queries", created)["id"]
        body = {"query_id": query_id, "result_format": result_format}
        query = {"limit": "1", **({"cache": "false"} if name == "stopped" else {})}
        return self.call("POST", "/query_tasks", body=body, label=name, query=query, token=token)

    @once
    def stopped(self) -> tuple[str, int]:
        """Launch a task like another and cancel it; return its ID, and the status of the latter."""
        id_ = str(_decode("POST /query_tasks", self.launch("stopped"))["id"])
        return id_, self.call("DELETE", f"/running_queries/{id_}").status

    @once
    def _tasks(self) -> dict[str, str]:
        """Launch all tasks, and return their IDs by name."""
        launches = [*self._LAUNCHES]
        if self.options.failing_query:
            launches += [("failing detail", "json_detail"), ("failing bi", "json_bi")]
        found = {}
        for name, result_format in launches:
            # A query of a view that is gone may be rejected.
            with suppress(*((NotTriedError,) if name == "gone" else ())):
                reply = self.launch(name, result_format)
                found[name] = str(_decode("POST /query_tasks", reply)["id"])
        with suppress(NotTriedError):
            found["development"] = self.development()
        return found

    def task_id(self, name: str) -> str:
        """Return the ID of a task."""
        if name.startswith("failing") and not self.options.failing_query:
            give_up("name a query that fails in its database: --failing-query")
        return self._tasks().get(name) or give_up(f"Looker rejects the task {name}")

    @once
    def finished(self) -> dict[str, Any]:
        """Poll all tasks until they are finished, at least twice; return their entries by ID."""
        ids = [*self._tasks().values()]
        pause, entries, before = 0.25, dict[str, Any](), dict[str, Any]()
        while len(self.polls) < 2 or not _are_final(entries, before, ids):  # noqa: PLR2004 - each comma
            if self.polls:
                self._sleep(pause)
                pause = min(pause * 2, 5)
            before = entries
            entries = _decode("multi_results", self.poll(ids, "%2C" if self.polls else ","))
        return dict(entries)

    def statuses(self) -> list[list[str]]:
        """Return the statuses of each task in all polls."""
        found = [reply.json for _, reply in self.polls if isinstance(reply.json, dict)]
        return [
            [str(poll[id_].get("status")) for poll in found if id_ in poll]
            for id_ in self._tasks().values()
        ]

    def poll(self, ids: list[str], comma: str) -> Reply:
        """Poll tasks in one request."""
        reply = self.call("GET", f"/query_tasks/multi_results?query_task_ids={comma.join(ids)}")
        self.polls.append((ids, reply))
        return reply

    @once
    def extra_poll(self, what: str) -> Reply:
        """Poll an unknown task together with a known one, or too many tasks."""
        ids = [f"{number:032x}" for number in range(300)]
        if what == "made-up":
            ids = [self.task_id("detail"), MADE_UP_TASK, self.stopped()[0]]
        path = f"/query_tasks/multi_results?query_task_ids={'%2C'.join(ids)}"
        return self.call("GET", path)

    def entry(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return the last entry of a task."""
        return self.finished().get(self.task_id(name)) or give_up(f"no entry of task {name}")

    def data(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return the result of a task."""
        entry = self.entry(name)
        expected = "error" if name.startswith(("failing", "gone")) else "complete"
        if str(entry.get("status")).lower() != expected:
            give_up(f"the task {name} is {entry.get('status')}")
        return entry.get("data")

    @once
    def task(self) -> Any:  # noqa: ANN401 - JSON
        """Return a task as `query_task` describes it, finished."""
        self.finished()
        return self.get(f"/query_tasks/{self.task_id('detail')}")

    @once
    def results(self, name: str) -> Reply:
        """Return the response of `query_task_results`."""
        id_ = MADE_UP_TASK
        if name != "made-up":
            id_ = self.task_id(name)
            self.finished()
        return self.call("GET", f"/query_tasks/{id_}/results")

    @once
    def kill(self, name: str) -> Reply:
        """Cancel a finished task, or an unknown one."""
        id_ = MADE_UP_TASK
        if name != "made-up":
            id_ = self.task_id(name)
            self.finished()
        return self.call("DELETE", f"/running_queries/{id_}")


def _decode(operation: str, reply: Reply) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of a successful response."""
    if reply.status != _OK or reply.json is None:
        message = reply.json.get("message") if isinstance(reply.json, dict) else reply.kind
        give_up(f"{operation}: HTTP {reply.status} ({message})")
    return reply.json


def _token(reply: Reply) -> str:
    found = reply.json.get("access_token") if isinstance(reply.json, dict) else None
    return found if isinstance(found, str) else ""


def _are_final(entries: Mapping[str, Any], before: Mapping[str, Any], ids: list[str]) -> bool:
    """Return whether all tasks are finished; `expired` must have been seen twice."""
    now, earlier = (
        [str((poll.get(id_) or {}).get("status")).lower() for id_ in ids]
        for poll in (entries, before)
    )
    return all(
        status in _FINAL and (status != _EXPIRED or previous == _EXPIRED)
        for status, previous in zip(now, earlier, strict=True)
    )
