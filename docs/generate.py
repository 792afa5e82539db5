"""Writes the parts of the pages that come from the code: `python -m docs.generate`.

A part stands between `<!-- from the code: NAME -->` and `<!-- end -->`, in any page.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import partial
from inspect import cleandoc
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
from click.testing import CliRunner

from docs.messages import collect_messages, find_test
from looker_simulator.facts.command import FACTS
from looker_simulator.faults import FAULTS
from looker_simulator.routes import ROUTES
from tap_looker_tasks import errors
from tap_looker_tasks.looker import EDITIONS, QUERY_BASED, UNMETERED, LookerClient
from tap_looker_tasks.records.column_types import TYPE_BY_LOOKER_TYPE, column_type_of
from tap_looker_tasks.run.collector import MAX_SPOOL_BYTES
from tap_looker_tasks.store import MEMORY_BYTES, SHORT_BYTES
from tap_looker_tasks.streams.outcomes import QueryTaskResultsStream
from tap_looker_tasks.streams.rows import QueryTaskRowsStream
from tap_looker_tasks.tap import TapLookerTasks
from tap_looker_tasks.tasks.query_task import PHASES, Phase
from tests.interface.declared import about, json_type, own_settings
from tests.interface.test_architecture import MODULES, ORDER, PACKAGE, PURE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

PROJECT = Path(__file__).parent.parent
_PART = re.compile(
    r"(?P<begin><!-- from the code: (?P<name>[\w-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)
_PHASES = MappingProxyType(
    {
        Phase.FINAL: "final",
        Phase.DOUBTFUL: "final once it has lasted `expired_grace_seconds`",
        Phase.UNFINISHED: "polled again",
    }
)


# How sure the kind of an operation is, as Looker meters it.
_CERTAINTIES = MappingProxyType(
    {
        **dict.fromkeys(("create_query_task", "query_task_results", "run_query"), "documented"),
        **dict.fromkeys(("create_query", "query_sql"), "not documented"),
    }
)
# The settings that most users need, and all others by topic.
_ESSENTIAL = (
    *("base_url", "client_id", "client_secret", "queries", "dashboards"),
    *("query_task_ids_file", "start_date", "max_concurrent_tasks"),
)
_TOPICS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Extraction": (
            *("query_task_ids", "query_timezone", "result_format", "decimals", "cache"),
            *("max_name_length",),
        ),
        "Runs": (
            *("wait_for_completion", "task_timeout_seconds", "sync_timeout_seconds"),
            *("max_task_attempts", "expired_grace_seconds", "fail_on_task_error"),
            *("on_interrupt", "run_id", "report_path", "summary_path"),
        ),
        "API calls": (
            *("polling", "poll_interval_seconds", "poll_max_interval_seconds", "batch_size"),
            "api_call_limit",
        ),
        "Connection": (
            *("verify_ssl", "ca_bundle", "max_connections", "http_timeout_seconds"),
            *("http_max_tries", "max_response_bytes"),
        ),
        "Shards": ("shard_count", "shard_index"),
    }
)


def find_pages() -> Iterator[Path]:
    """Yield the pages of the site, and what is written in Markdown at the top."""
    yield from sorted(PROJECT.glob("*.md"))
    yield from sorted(path for path in PROJECT.glob("docs/**/*.md") if "_build" not in path.parts)


def write_parts(text: str) -> str:
    """Return a page with its parts written again.

    Raises:
        KeyError: If the page names an unknown part.
    """
    return _PART.sub(lambda p: f"{p['begin']}\n{_PARTS[p['name']]()}\n\n{p['end']}", text)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_in_cell(cell) for cell in line)} |" for line in lines)


def _in_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _essential_settings_table() -> str:
    own = own_settings()
    return _settings_table({name: own[name] for name in _ESSENTIAL})


def _other_settings_table() -> str:
    """Every setting that is not essential, by topic.

    Raises:
        ValueError: If a setting has no topic, or a topic names a setting twice.
    """
    own = own_settings()
    listed = [*_ESSENTIAL, *(name for names in _TOPICS.values() for name in names)]
    if sorted(listed) != sorted(own):
        msg = f"settings without a topic, or in two: {sorted({*listed} ^ {*own})}"
        raise ValueError(msg)
    rows = [
        (topic, f"`{name}`", _type_and_default(own[name]), own[name]["description"])
        for topic, names in _TOPICS.items()
        for name in names
    ]
    return _table(("Topic", "Setting", "Type", "Meaning"), rows)


def _settings_table(settings: Mapping[str, dict[str, Any]]) -> str:
    rows = [(f"`{n}`", _type_and_default(s), s["description"]) for n, s in settings.items()]
    return _table(("Setting", "Type", "Meaning"), rows)


def _sdk_settings() -> Mapping[str, dict[str, Any]]:
    own = own_settings()
    return {name: setting for name, setting in about().items() if name not in own}


def _type_and_default(schema: dict[str, Any]) -> str:
    choices = [f"`{choice}`" for choice in schema.get("enum", ()) if choice is not None]
    remarks = [" or ".join(choices) or json_type(schema)]
    if "default" in schema:
        default = msgspec.json.encode(schema["default"]).decode().strip('"')
        remarks.append(f"default `{default}`")
    elif "null" not in schema["type"]:
        remarks.append("required")
    remarks.append("secret" if schema.get("secret") else "")
    return ", ".join(remark for remark in remarks if remark)


def _columns_table(schema: Mapping[str, Any]) -> str:
    rows = []
    for name, column in schema["properties"].items():
        types = [type_ for type_ in column["type"] if type_ != "null"]
        rows.append((f"`{name}`", column.get("format") or types[0], column["description"]))
    return _table(("Column", "Type", "Meaning"), rows)


def _types_table() -> str:
    types = defaultdict(list)
    for looker_type in TYPE_BY_LOOKER_TYPE:
        types[column_type_of(looker_type)].append(f"`{looker_type}`")
    rows = [(", ".join(names), _declare(kind.json_schema)) for kind, names in types.items()]
    unknown = ("anything else, such as `list` and `location`", "any type")
    return _table(("Type of the field", "Declared as"), [*rows, unknown])


def _declare(schema: Mapping[str, Any]) -> str:
    return ", ".join(filter(None, (schema["type"][0], schema.get("format"))))


def _statuses_table() -> str:
    rows = [(f"`{status}`", _PHASES[phase]) for status, phase in PHASES.items()]
    return _table(("Status", "Treated as"), rows)


def _operations_table() -> str:
    """Each operation of the client that Looker meters, with its kind."""
    names = {name for name in vars(LookerClient) if not name.startswith("_")}
    metered = sorted(
        names - {"abort", "close"} - UNMETERED, key=lambda n: (n not in QUERY_BASED, n)
    )
    kinds = (
        (
            f"`{name}`",
            "query-based" if name in QUERY_BASED else "administrative",
            _CERTAINTIES.get(name, "by the definition of its kind"),
        )
        for name in metered
    )
    return _table(("Operation", "Kind", "How sure"), kinds)


def _facts_table() -> str:
    """Each fact about Looker, with its evidence and what relies on it."""
    rows = (
        (
            f"`{fact.id}` {fact.statement}"
            + (f" (not tried: {fact.not_tried})" * bool(fact.not_tried)),
            f"{fact.evidence}; {fact.certainty}",
            fact.validated or "never",
            f"`{fact.relied_on_by}`" if fact.relied_on_by else "nothing yet",
        )
        for fact in FACTS
    )
    return _table(("fact", "evidence", "validated", "relied on by"), rows)


def _editions_table() -> str:
    rows = ((name, f"{queries:,}", f"{others:,}") for name, (queries, others) in EDITIONS.items())
    return _table(("Edition", "Query-based calls", "Administrative calls"), rows)


def _errors_table() -> str:
    found = [
        c for c in vars(errors).values() if isinstance(c, type) and c.__module__ == errors.__name__
    ]
    rows = (
        (f"`{c.__name__}`", f"`{c.__mro__[1].__name__}`", _first_line(c.__doc__)) for c in found
    )
    return _table(("Exception", "Is a", "Meaning"), rows)


def _messages_table() -> str:
    rows = (
        (
            f"`` {m.text} ``" if "`" in m.text else f"`{m.text}`",
            f"{m.when} ({m.kind})" if m.kind in {"info", "warning"} else m.when,
            "" if m.exit_code is None else str(m.exit_code),
            f"`tests/{test}`" if (test := find_test(m)) else "",
        )
        for m in collect_messages()
    )
    return _table(("Message", "When", "Exit code", "Test"), rows)


def _bounds_table() -> str:
    bounds = {
        "in memory, always: each result up to this size": SHORT_BYTES,
        "in memory: larger results together": MEMORY_BYTES,
        "in a temporary file, before launching pauses": MAX_SPOOL_BYTES,
    }
    rows = ((where, f"{bound >> 10:,} KiB") for where, bound in bounds.items())
    return _table(("Where results wait", "Up to"), rows)


def _help_text() -> str:
    shown = CliRunner().invoke(TapLookerTasks.cli, ["--help"], prog_name=TapLookerTasks.name)
    return f"```text\n{shown.stdout.strip()}\n```"


def _modules_table() -> str:
    rows = []
    for place in ORDER:
        names = [name for name in MODULES if name.split(".")[0] == place]
        pure = " *(pure)*" if place in PURE else ""
        if place not in MODULES:
            rows.append((f"**`{place}/`**", f"**{_purpose(place)}**{pure}"))
            pure = ""
        rows += [(_path(name), _purpose(name) + pure) for name in names]
    return _table(("Place", "Purpose"), rows)


def _path(module: str) -> str:
    return f"`{module.replace('.', '/')}.py`"


def _purpose(place: str) -> str:
    """Return the first line of the docstring of a module or package."""
    package = PACKAGE / place / "__init__.py"
    tree = MODULES[place] if place in MODULES else ast.parse(package.read_text())
    return _first_line(ast.get_docstring(tree))


def _first_line(docstring: str | None) -> str:
    return cleandoc(docstring or "").split("\n")[0]


def _simulator_operations_table() -> str:
    rows = sorted((route.path, route.verb, route.operation_id) for route in ROUTES)
    return _table(("Operation", "Request"), ((f"`{n}`", f"`{v} {p}`") for p, v, n in rows))


def _simulator_faults_table() -> str:
    rows = ((f"`{name}`", kind.description) for name, kind in FAULTS.items())
    return _table(("Fault", "Effect"), rows)


_PARTS: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "essential-settings": _essential_settings_table,
        "other-settings": _other_settings_table,
        "sdk-settings": lambda: _settings_table(_sdk_settings()),
        "query-task-results": partial(_columns_table, QueryTaskResultsStream.schema),
        "query-task-rows": partial(_columns_table, QueryTaskRowsStream.schema),
        "types": _types_table,
        "statuses": _statuses_table,
        "operations": _operations_table,
        "editions": _editions_table,
        "exceptions": _errors_table,
        "messages": _messages_table,
        "bounds": _bounds_table,
        "command-line": _help_text,
        "modules": _modules_table,
        "looker-facts": _facts_table,
        "simulator-operations": _simulator_operations_table,
        "simulator-faults": _simulator_faults_table,
    }
)


def main() -> None:
    """Write the parts of all pages again."""
    for page in find_pages():
        text = page.read_text()
        if (anew := write_parts(text)) != text:
            page.write_text(anew)


if __name__ == "__main__":
    main()
