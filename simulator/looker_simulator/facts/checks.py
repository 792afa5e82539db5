"""The table of checks: the expected parts of Looker's responses for each fact."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from looker_simulator.facts.probe import MADE_UP_TASK, Probe, give_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MISSING = object()
"""Pattern for a key that must be missing."""
_MAX_SHOWN = 100
_GZIP_FROM_CHARACTERS = 4096


class Check(NamedTuple):
    """Check of a fact.

    Attributes:
        look: Function that returns the part of Looker's responses.
        expected: Pattern for that part: a value, a type, a regular expression, a dict of keys, a
            list with the pattern of each element, a tuple of alternatives, or a predicate.
        needs_run: Whether it creates a query or runs one row.
    """

    look: Callable[[Probe], Any]
    expected: Any
    needs_run: bool = False


def find_difference(expected: Any, found: Any, place: str = "") -> str | None:  # noqa: ANN401 - JSON
    """Return the place and value at which a response differs from a pattern; None if it matches."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return _first(
            find_difference(pattern, found.get(key, MISSING), f"{place}.{key}".strip("."))
            for key, pattern in expected.items()
        )
    if expected and isinstance(expected, list) and isinstance(found, list):
        (pattern,) = expected
        return _first(find_difference(pattern, entry, f"{place}[]") for entry in found)
    if isinstance(expected, tuple):
        differences = [find_difference(pattern, found, place) for pattern in expected]
        return differences[0] if all(differences) else None
    return None if _is_like(expected, found) else f"{place}: {_shown(found)}".lstrip(": ")


def _first(differences: Iterable[str | None]) -> str | None:
    return next(filter(None, differences), None)


def _is_like(expected: Any, found: Any) -> bool:  # noqa: ANN401 - JSON
    if isinstance(expected, type):
        return isinstance(found, expected) and (expected is bool or not isinstance(found, bool))
    if isinstance(expected, re.Pattern):
        return isinstance(found, str) and bool(expected.fullmatch(found))
    if callable(expected):
        return found is not MISSING and bool(expected(found))
    return bool(found is expected or found == expected) and type(found) is type(expected)


def _shown(found: object) -> str:
    text = "nothing" if found is MISSING else json.dumps(found, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


# ---------------------------------------------------------------- parts of responses


def _about(reply: Any) -> dict[str, Any]:  # noqa: ANN401 - a reply
    """Return the status, media type and JSON of a response, for one pattern."""
    return {"status": reply.status, "kind": reply.kind, "json": reply.json, "text": reply.text}


def _entries(probe: Probe) -> list[Any]:
    """Return the entries of all polls."""
    probe.finished()
    found = [reply.json for _, reply in probe.polls if isinstance(reply.json, dict)]
    return [entry for poll in found for entry in poll.values()]


def _where(sql: str) -> str:
    """Return the text after the first WHERE of a statement, in lower case."""
    return sql.lower().partition("where")[2]


def _zone_difference(probe: Probe, *, is_converted: bool = True) -> float:
    """Return the hours between one moment in Kolkata and in UTC."""
    name = probe.time(is_converted) or give_up("the Explore has no such time")
    utc, india = (probe.first_row(zone)[name]["value"] for zone in ("UTC", "Asia/Kolkata"))
    return (datetime.fromisoformat(india) - datetime.fromisoformat(utc)) / timedelta(hours=1)


def _texts(probe: Probe) -> list[str]:
    return [reply.text for reply in probe.replies if "json" in reply.kind]


def _rate_headers(probe: Probe) -> list[str]:
    names = (name for reply in probe.replies for name in reply.headers)
    return [name for name in names if ("rate" in name and "limit" in name) or name == "retry-after"]


def _encodings(probe: Probe) -> list[str]:
    long = [reply for reply in probe.replies if len(reply.text) > _GZIP_FROM_CHARACTERS]
    if not long:
        give_up("no response was long enough to be compressed")
    return [reply.headers.get("content-encoding", "none") for reply in long]


def _pivoted(row: Mapping[str, Any], probe: Probe) -> Any:  # noqa: ANN401 - JSON
    return row.get(probe.chosen().measure)


def _bi_rows(probe: Probe, *, is_grouped: bool) -> list[Any]:
    rows = probe.result("pivot", "json_bi")["rows"]
    return [row for row in rows if (_GROUPING in row) is is_grouped]


def _two_looks(probe: Probe) -> list[str]:
    ids = [str(each["id"]) for each in probe.found("looks", **_PAGE)]
    if len(ids) < 2:  # noqa: PLR2004 - two to be searched for
        give_up("only one Look is found")
    return [str(each["id"]) for each in probe.found("looks", id=",".join(ids), fields="id")]


def _invented_entry(probe: Probe) -> Any:  # noqa: ANN401 - JSON
    reply = probe.extra_poll("made-up")
    found = reply.json if isinstance(reply.json, dict) else {}
    return found.get(MADE_UP_TASK, "left out") if reply.status == 200 else reply.status  # noqa: PLR2004


def _copies(probe: Probe) -> list[Any]:
    return [(probe.create(name).json or {}).get("id") for name in ("first", "second")]


def _launch_times(probe: Probe) -> list[str]:
    return [probe.task_id("detail"), probe.stopped()[0]]


def _stopped_status(probe: Probe) -> str:
    """Return the status of a task that was cancelled."""
    id_, status = probe.stopped()
    if status == 404:  # noqa: PLR2004
        give_up("the query finished before it could be stopped")
    found = probe.extra_poll("made-up").json.get(id_, {}).get("status")
    return str(found) if found not in {"added", "running"} else give_up("it is not stopped yet")


def _brief_expiries(probe: Probe) -> list[list[str]]:
    """Return the statuses of the tasks that were `expired` in passing."""
    probe.finished()
    found = [each for each in probe.statuses() if "expired" in each[:-1] and each[-1] != "expired"]
    return found or give_up("no task was `expired` in passing")


def _notes(probe: Probe) -> dict[str, Any]:
    data: dict[str, Any] = probe.data("development")
    return data if data.get("errors") else give_up("development mode causes no such error")


def _severed(probe: Probe) -> list[Any]:
    """Return the last rows of results whose database broke off."""
    results = (probe.data("json"), probe.data("bi")["rows"])
    found = [rows[-1] for rows in results if len(rows) > 1 and "looker_error" in rows[-1]]
    return found or give_up("no database broke off")


def _sorted_first(probe: Probe) -> dict[str, Any]:
    """Return the first text in either direction, and the number of rows of a pivot."""
    name = probe.chosen().texts[0]
    ends = [probe.first_row(each)[name]["value"] for each in ("not calculated", "calculated")]
    if ends[0] == ends[1]:
        give_up(f"{name} has one value")
    return {"pivoted": len(probe.result("pivot")["data"])}


def _responses(probe: Probe, *statuses: int) -> list[Any]:
    found = [_about(reply) for reply in probe.replies if reply.status in statuses]
    return found or give_up(f"no response was HTTP {' or '.join(map(str, statuses))}")


def _numbers(text: str) -> list[str]:
    return re.findall(r"\b\d+\b", text)


def _is_cells(row: Mapping[str, Any]) -> bool:
    return all(isinstance(cell, dict) and "value" in cell for cell in row.values())


def _is_bare(row: Mapping[str, Any]) -> bool:
    return not any(isinstance(cell, dict) and "value" in cell for cell in row.values())


# ---------------------------------------------------------------- patterns

_PAGE = {"title": "%", "fields": "id,title,query_id", "limit": "2"}
_GROUPING = "$$$__grouping__$$$"
_ROW_TOTAL = "$$$_row_total_$$$"
_ID = re.compile(r"[A-Za-z0-9]{22}")
_HEX = re.compile(r"[0-9a-f]{32}")
_WORD = re.compile("added|running|complete|error|expired|killed|missing")
_JSON_404 = {"kind": "application/json", "json": {"message": "Not found"}}
_PAGE_404 = {"kind": "text/html", "text": lambda text: "not found" in text.lower()}
_FIELDS = {"name": str, "type": str}
_REJECTED = (400, 403, 404, 422)
_LIST = (list, None)
_FILTERS = ([{"name": str, "value": (str, None)}], None)
_ERROR_404 = re.compile(r"https?://.*/err/4\.0/404/get/looks.*")
_VALUES: Mapping[str, str] = MappingProxyType(
    {
        "date_time": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
        "date_second": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
        "date_minute": r"\d{4}-\d\d-\d\d \d\d:\d\d",
        "date_hour": r"\d{4}-\d\d-\d\d \d\d",
        "date_date": r"\d{4}-\d\d-\d\d",
        "date_week": r"\d{4}-\d\d-\d\d",
        "date_month": r"\d{4}-\d\d",
        "date_fiscal_year": r"FY\d{4}",
    }
)
_TIME = tuple(_VALUES)


def _is_written(pairs: list[tuple[str, object]]) -> bool:
    return all(re.fullmatch(_VALUES[type_], str(value)) for type_, value in pairs)


# ---------------------------------------------------------------- the table

_READING: Mapping[str, Check] = {
    "L1": Check(
        lambda p: p.login().json,
        {
            "access_token": str,
            "token_type": "Bearer",
            "expires_in": (int, float),
            "refresh_token": (MISSING, None),
        },
    ),
    "L2": Check(
        lambda p: _about(p.wrong_login()),
        ({"status": 404, **_JSON_404}, {"status": 404, "kind": "text/html"}),
    ),
    "L3": Check(lambda p: _about(p.me()), {"status": 200, "json": {"id": str}}),
    "L4": Check(lambda p: p.me("Bearer").status, 200),
    "L5": Check(
        lambda p: _about(p.me("token", "0123456789abcdef")),
        {"status": 401, "json": {"message": re.compile("Requires authentication.*")}},
    ),
    "L6": Check(lambda p: p.outside().status, 403),
    "L7": Check(lambda p: [*p.logout()][::2], lambda statuses: statuses == [204, 401]),
    "L8": Check(lambda p: p.at("/session").json, {"workspace_id": "production"}),
    "L9": Check(
        lambda p: {"alive": p.at("//alive").status, **p.get("/versions")},
        {
            "alive": 200,
            "looker_release_version": str,
            "api_server_url": str,
            "web_server_url": str,
        },
    ),
    "L11": Check(lambda p: p.logout()[1], 200),
    "G1": Check(lambda p: [p.look()["query_id"], p.query()["id"]], lambda ids: ids[0] == ids[1]),
    "G2": Check(
        lambda p: {"id": p.query()["id"], "1": p.at("/queries/1").status}, {"id": str, "1": 404}
    ),
    "G3": Check(lambda p: [p.query()["id"], p.query()["client_id"]], lambda ids: ids[0] == ids[1]),
    "G4": Check(
        lambda p: (
            [
                p.at(f"/queries/slug/{slug}").json.get("id")
                for slug in {p.query()["client_id"], p.query()["share_url"].rpartition("/")[2]}
            ]
            + [p.query()["id"]]
        ),
        lambda ids: len({*ids}) == 1,
    ),
    "G5": Check(
        lambda p: p.look(), {"query": {"id": str}, "query_id": str, "title": str, "deleted": bool}
    ),
    "G6": Check(lambda p: p.trashed_look(), {"deleted": True}),
    "G7": Check(
        lambda p: p.explore(),
        lambda found: (
            {*found} <= {"name", "fields", "always_filter", "conditionally_filter"}
            and {*found["fields"]} == {"dimensions", "measures", "filters", "parameters"}
        ),
    ),
    "G8": Check(
        lambda p: p.dashboards(),
        [{"title": str, "dashboard_filters": [{"name": str}], "dashboard_elements": [{"id": str}]}],
    ),
    "G9": Check(lambda p: p.lookml_dashboard(), {"title": str}),
    "G10": Check(
        lambda p: p.tiles(),
        [
            {
                "query_id": (str, None),
                "look_id": (str, None),
                "merge_result_id": (str, None),
                "result_maker": (dict, None),
            }
        ],
    ),
    "G11": Check(
        lambda p: [
            (tile.get("query") or {}).get("id")
            for tile in p.lookml_dashboard()["dashboard_elements"]
        ],
        lambda ids: any(id_ is None for id_ in ids),
    ),
    "G12": Check(lambda p: p.merge_query(), {"source_queries": [{"query_id": str}]}),
    "G13": Check(
        lambda p: p.query(),
        {"limit": (str, None), "filters": (lambda found: found is None or isinstance(found, dict))},
    ),
    "G14": Check(
        lambda p: json.loads(p.dynamic_fields()),
        lambda found: (
            found is None
            or all({*each} & {"table_calculation", "dimension", "measure"} for each in found)
        ),
    ),
    "G15": Check(lambda p: p.get("/timezones"), [{"value": str}]),
    "C8": Check(
        lambda p: [p.query()["view"], p.explore()["name"]],
        lambda names: names[0] == names[1] or give_up("the Explore was named: --explore"),
    ),
    "E1": Check(
        lambda p: _about(p.at("/looks/999999999")),
        ({"json": {"message": str, "documentation_url": _ERROR_404}}, _PAGE_404),
    ),
    "E2": Check(
        lambda p: _about(p.at("/looks/999999999")),
        ({"status": 404, **_JSON_404}, {"status": 404, **_PAGE_404}),
    ),
    "V1": Check(
        lambda p: p.explore()["fields"]["dimensions"],
        [
            {
                **_FIELDS,
                "primary_key": bool,
                "time_interval": (dict, None),
                "convert_tz": (bool, None, MISSING),
                "datatype": (str, None, MISSING),
            }
        ],
    ),
    "F2": Check(
        lambda p: p.explore(), {"always_filter": _FILTERS, "conditionally_filter": _FILTERS}
    ),
    "F4": Check(lambda p: p.dashboard_filters(), [{"name": str, "required": bool}]),
    "F5": Check(
        lambda p: p.listening(),
        [lambda found: len({each["field"] for each in found}) == len(found)],
    ),
    "F6": Check(lambda p: p.listening(), [[{"dashboard_filter_name": str, "field": str}]]),
    "A2": Check(
        lambda p: p.roles(),
        [{"permission_set": {"permissions": list}, "model_set": {"models": list}}],
    ),
    "X1": Check(
        lambda p: [p.found("looks", **_PAGE), p.dashboards()],
        lambda found: {*found[0][0]} <= {"id", "title", "query_id"} and len(found[0]) <= 2,  # noqa: PLR2004
    ),
    "X2": Check(_two_looks, lambda ids: len(ids) == 2),  # noqa: PLR2004
    "X3": Check(
        lambda p: p.search("looks", **_PAGE).headers.get("link", MISSING),
        re.compile(r'.*rel="\w+".*'),
    ),
    "X4": Check(
        lambda p: p.query(),
        lambda q: q["share_url"].rpartition("/x/")[2] in {q["client_id"], q.get("slug")},
    ),
    "X5": Check(
        lambda p: p.query()["expanded_share_url"],
        re.compile(r".*/explore/[^/]+/[^/?]+\?.*fields=.*"),
    ),
    "X6": Check(
        lambda p: [found["url"] for found in p.dashboards()],
        [re.compile("(https?://.*)?/dashboards/.+")],
    ),
}

_RUNNING: Mapping[str, tuple[Callable[[Probe], Any], Any]] = {
    "C1": (_copies, lambda ids: ids[0] is not None and ids[0] == ids[1]),
    "C2": (
        lambda p: _about(p.create("refused")),
        {
            "status": 422,
            "json": {
                "message": "Validation Failed",
                "errors": [{"field": str, "code": str, "message": str}],
            },
        },
    ),
    "C3": (lambda p: p.sql("made-up").status, _REJECTED),
    "C4": (
        lambda p: {"where": _where(p.sql("filters").text), "taken": p.create("taken").status},
        {"where": lambda where: "facts_a" in where, "taken": (400, 409, 422)},
    ),
    "C5": (
        lambda p: ["order by" in p.sql(name).text.lower() for name in ("plain", "6000")],
        lambda found: found == [True, False],
    ),
    "C6": (
        lambda p: _where(p.sql("filters").text),
        lambda where: all(word in where for word in ("facts_x", "facts_y", "facts_a")),
    ),
    "C7": (lambda p: [p.sql("6000").status, p.sql("all").status], [200]),
    "N1": (lambda p: _numbers(p.sql("plain").text), lambda found: bool({"500", "501"} & {*found})),
    "N2": (lambda p: _numbers(p.sql("6000").text), lambda found: bool({"6000", "6001"} & {*found})),
    "N4": (
        lambda p: _numbers(p.sql("all").text),
        lambda found: not {"500", "501"} & {*found},
    ),
    "Z7": (
        lambda p: [_where(p.sql("all").text), _where(p.sql("6000").text)],
        lambda wheres: (
            re.search(r">=?[^<>]*2013-02-03", wheres[0])
            and re.search(r"<[^=][^<>]*2013-03-04", wheres[1])
        ),
    ),
    "F1": (
        lambda p: [p.explore().get("always_filter"), _where(p.sql("plain").text)],
        lambda found: found[1] if found[0] else give_up("the Explore has no `always_filter`"),
    ),
    "F3": (
        lambda p: [_where(p.sql("filters").text), *p.chosen().texts[1:2]],
        lambda found: len(found) == 2 and " ''" not in found[0],  # noqa: PLR2004
    ),
    "F7": (lambda p: _where(p.sql("filters").text), lambda where: "facts_a,facts_b" in where),
    "F8": (
        lambda p: _where(p.sql("filters").text),
        lambda where: re.search(r">= *5\b", where) and re.search(r"< *9\b", where),
    ),
    "T1": (
        lambda p: p.launch("detail", "json_detail").json,
        {"status": re.compile("added|running|complete"), "result_source": (None, MISSING, str)},
    ),
    "T2": (lambda p: p.task_id("detail"), _HEX),
    "T3": (_launch_times, lambda ids: ids[0] != ids[1]),
    "T4": (lambda p: p.data("detail")["data"], lambda rows: len(rows) <= 1),
    "T7": (lambda p: p.launch("made-up", "json").status, (404, 422)),
    "S1": (lambda p: [entry.get("status") for entry in _entries(p)], [_WORD]),
    "S3": (_brief_expiries, list),
    "S4": (_stopped_status, re.compile("killed|expired")),
    "S5": (lambda p: p.task()["status"], _WORD),
    "S6": (
        lambda p: [p.finished(), *({*ids} - {*reply.json} for ids, reply in p.polls[:1])][1:],
        [lambda unknown: not unknown],
    ),
    "S7": (_notes, {"errors": [{"fatal": False}], "data": list}),
    "M1": (
        _entries,
        [
            lambda entry: (
                [*entry] == [key for key in ("status", "result_source", "data") if key in entry]
            )
        ],
    ),
    "M2": (lambda p: [p.finished(), *(reply.status for _, reply in p.polls)][1:], [200]),
    "M3": (lambda p: p.extra_poll("too many").status, (400, 413, 414)),
    "M4": (_invented_entry, ("left out", {"status": "missing"}, 404)),
    "M5": (
        lambda p: [p.finished(), *({*ids} <= {*reply.json} for ids, reply in p.polls[1:])][1:],
        [True],
    ),
    "M6": (
        lambda p: {"task": p.task_id("detail"), **p.data("detail")},
        lambda data: data["task"] == data.get("id") and data.get("from_cache") in {True, False},
    ),
    "M7": (lambda p: p.data("csv"), str),
    "M8": (
        lambda p: [
            p.finished(),
            *(reply.json[p.task_id("json")].get("data") for _, reply in p.polls[-2:]),
        ][1:],
        lambda found: found[-1] is not None,
    ),
    "R1": (
        lambda p: p.data("detail"),
        lambda data: (
            isinstance(data.get("data"), list)
            and all(map(_is_cells, data["data"]))
            and [key for key in data if key in {"fields", "data", "errors"}][-1] != "fields"
        ),
    ),
    "R2": (lambda p: p.data("detail"), {"runtime": (re.compile(r"\d+(\.\d+)?"), MISSING)}),
    "R3": (lambda p: p.data("detail"), {"expires_at": MISSING, "warnings": MISSING}),
    "R4": (lambda p: p.data("detail"), {"truncated": (True, MISSING)}),
    "R5": (
        lambda p: p.data("detail"),
        {"fields": ({"dimensions": [_FIELDS], "measures": [_FIELDS]}, MISSING)},
    ),
    "R6": (
        lambda p: p.data("bi"),
        {"metadata": dict, "rows": [_is_cells]},
    ),
    "R7": (
        lambda p: p.data("bi")["metadata"],
        {"columns_truncated": (bool, str, None, MISSING), "sql": (str, None, MISSING)},
    ),
    "R8": (
        lambda p: p.data("bi")["metadata"],
        {"limit": MISSING, "truncated": MISSING, "runtime": MISSING, "timezone": MISSING},
    ),
    "R9": (lambda p: p.data("json"), [_is_bare]),
    "R10": (
        lambda p: [p.results("json").status, p.results("made-up").status],
        lambda statuses: statuses == [200, 404],
    ),
    "R11": (
        lambda p: [p.results("json").kind, p.inline("pivot", "csv").kind, p.sql("plain").kind],
        lambda kinds: kinds == ["application/json", "text/csv", "application/sql"],
    ),
    "E5": (
        lambda p: p.data("failing detail"),
        {"data": [lambda _: False], "errors": [{"message": str}]},
    ),
    "E6": (
        lambda p: p.data("failing bi")["rows"],
        lambda rows: len(rows) == 1 and isinstance(rows[0].get("looker_error"), str),
    ),
    "E7": (
        lambda p: [p.results("failing detail").status, p.results("failing bi").status],
        lambda statuses: statuses == [200, 400],
    ),
    "E8": (lambda p: p.data("gone"), {"error": str}),
    "E9": (_severed, [{"looker_error": str}]),
    "E10": (lambda p: p.sql("unquoted").status, 400),
    "Z2": (
        lambda p: [p.data("detail").get("timezone"), p.data("detail")["added_params"]],
        lambda found: found[1].get("query_timezone", found[0]) == found[0],
    ),
    "K1": (lambda p: p.kill("detail").status, 404),
    "K2": (lambda p: p.kill("made-up").status, (403, 404)),
}

_RUNNING_INLINE: Mapping[str, tuple[Callable[[Probe], Any], Any]] = {
    "R12": (
        lambda p: p.inline("pivot", "csv").text.splitlines()[:1],
        [lambda head: head.count(",") >= 3],  # noqa: PLR2004 - two dimensions, a value and a total
    ),
    "R13": (
        lambda p: p.result("not calculated"),
        {"fields": dict, "data": [_is_cells]},
    ),
    "N5": (
        lambda p: len([pivot for pivot in p.result("pivot")["pivots"] if not pivot["is_total"]]),
        lambda count: count == 50 or (count < 50 and give_up("the pivots have fewer values")),  # noqa: PLR2004
    ),
    "N7": (
        lambda p: [p.inline("narrow").status, *p.result("narrow")],
        lambda keys: not [key for key in keys if "column" in str(key)],
    ),
    "P1": (
        lambda p: p.result("pivot"),
        {
            "totals_data": dict,
            "subtotals_data": lambda found: all(
                level.isdecimal() and all(_GROUPING in row for row in rows)
                for level, rows in found.items()
            ),
        },
    ),
    "P2": (
        lambda p: [p.result("pivot", "json_bi")["rows"][-1], p.chosen().date],
        lambda found: found[1] not in found[0],
    ),
    "P3": (lambda p: _bi_rows(p, is_grouped=True), lambda rows: len(rows) > 0),
    "P4": (
        lambda p: _pivoted(p.first_row("pivot"), p),
        lambda cells: _is_cells(cells) and _ROW_TOTAL in cells,
    ),
    "P5": (
        lambda p: _pivoted(_bi_rows(p, is_grouped=False)[0], p),
        lambda cells: isinstance(cells, dict) and _is_cells(cells),
    ),
    "P6": (
        lambda p: _pivoted(p.result("pivot", "json")[0], p),
        lambda cells: isinstance(cells, dict) and _is_bare(cells),
    ),
    "T5": (
        lambda p: [p.calculation("not calculated"), p.calculation("calculated")],
        lambda values: values[0] is None and values[1] is not None,
    ),
    "T6": (lambda p: p.lost_calculation(), None),
    "N6": (_sorted_first, {"pivoted": 1}),
    "Z1": (_zone_difference, 5.5),
    "Z3": (lambda p: _zone_difference(p, is_converted=False), 0.0),
    "Z4": (lambda p: [*p.value_of(*_TIME)], _is_written),
    "Z5": (
        lambda p: [value for _, value in p.value_of("date_quarter")],
        [re.compile(r"\d{4}-(Q\d|\d\d)")],
    ),
    "Z6": (lambda p: [value for _, value in p.value_of("date_raw")], [re.compile(r"\d{4}-.*")]),
    "V2": (lambda p: p.average(), int),
    "V3": (
        lambda p: p.great_number(),
        (float, re.compile(r"\d{16}"), lambda found: len(str(found)) == 16),  # noqa: PLR2004
    ),
    "V4": (lambda p: [value for _, value in p.value_of("yesno")], [re.compile("Yes|No")]),
    "V5": (lambda p: [value for _, value in p.value_of("duration_day", "duration_hour")], [int]),
    "V6": (lambda p: [value for _, value in p.value_of("location")], [(str, list, dict)]),
}

_OF_ALL_RESPONSES: Mapping[str, Check] = {
    "L10": Check(
        lambda p: [reply.status for reply in p.replies if 300 <= reply.status < 400],  # noqa: PLR2004
        [],
    ),
    "U3": Check(_rate_headers, []),
    "R14": Check(
        _texts, [lambda text: not (text.startswith("\ufeff") or re.search(r"[:\[,]\s*NaN\b", text))]
    ),
    "R15": Check(_encodings, ["gzip"]),
    "E4": Check(
        lambda p: _responses(p, 500),
        [{"json": {"message": re.compile("An error has occurred.*")}}],
    ),
    "E12": Check(
        lambda p: _responses(p, 502, 504), [{"kind": lambda kind: kind != "application/json"}]
    ),
}

_RUNNING_OTHER: Mapping[str, tuple[Callable[[Probe], Any], Any]] = {
    "S2": (lambda p: p.entry_of_other(), {"status": "missing"}),
    "E3": (lambda p: p.rejected_to_other(), [404]),
    "E11": (lambda p: p.failures(), lambda found: found[0] not in found[1]),
    "A1": (lambda p: p.granted_fields(), lambda found: found[1] and found[0] not in found[1]),
}

CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        **_READING,
        **{id_: Check(*check, needs_run=True) for id_, check in _RUNNING.items()},
        **{id_: Check(*check, needs_run=True) for id_, check in _RUNNING_INLINE.items()},
        **{id_: Check(*check, needs_run=True) for id_, check in _RUNNING_OTHER.items()},
        **_OF_ALL_RESPONSES,
    }
)
"""The check of each fact that has one, by the fact's ID, in the order of its checks."""
