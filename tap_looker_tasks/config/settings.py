"""The settings: `Settings.from_config` checks a config dict and returns a frozen `Settings`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from tap_looker_tasks.config.addresses import read_instance_url, resolve_addresses
from tap_looker_tasks.config.entries import (
    DashboardConfig,
    Decimals,
    ExploreConfig,
    QueryConfig,
    TileConfig,
    check_task_ids,
    decimals_problems,
    problems,
)
from tap_looker_tasks.errors import SettingsError
from tap_looker_tasks.records import to_utc, zone_named
from tap_looker_tasks.wording import did_you_mean, find_similar

# Keys of an object of the configuration, by the end of its path.
_KEYS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "queries": QueryConfig.__struct_fields__,
        "explore": ExploreConfig.__struct_fields__,
        "dashboards": DashboardConfig.__struct_fields__,
        "tiles": TileConfig.__struct_fields__,
        "decimals": Decimals.__struct_fields__,
    }
)
_NAMES_OF_TYPES = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "array": "an array",
    "object": "an object",
    "null": "nothing",
}
_SDK_ERROR = re.compile(r"(?P<what>.*) in config\[(?P<where>.*)\]", re.DOTALL)
_FLAGS = {"yes": True, "on": True, "no": False, "off": False}
_SECRET = {"secret": True, "writeOnly": True}

_Text = Annotated[str, Meta(min_length=1)]
_YEAR = 366 * 86_400
_Positive = Annotated[int, Meta(ge=1, le=1_000_000)]
_PositiveSeconds = Annotated[float, Meta(gt=0, le=_YEAR)]


def _about(title: str, description: str, **more: Any) -> Meta:
    """Return the declaration of a setting without its type and default."""
    return Meta(title=title, description=description, **more)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the tap, checked; field names are the setting names.

    A setting is declared only here: type, default, bounds, title, description, secret. The JSON
    Schema for the SDK, `--about`, `meltano.yml`, `plugin.yml` and the reference follow from it.
    """

    base_url: Annotated[
        _Text,
        _about(
            "Base URL",
            "URL of the Looker instance, with or without port or `/api/4.0`; HTTPS "
            "except on loopback",
        ),
    ]
    client_id: Annotated[
        _Text, _about("Client ID", "Client ID of the API credentials", extra_json_schema=_SECRET)
    ]
    client_secret: Annotated[
        _Text,
        _about("Client secret", "Client secret of the API credentials", extra_json_schema=_SECRET),
    ]
    verify_ssl: Annotated[bool, _about("Verify TLS", "Whether to verify TLS certificates")] = True
    ca_bundle: Annotated[
        str | None,
        _about("CA bundle", "Path of a file with a private certificate authority's certificates"),
    ] = None
    query_task_ids: Annotated[
        tuple[str, ...], _about("Query task IDs", "IDs of external query tasks to follow")
    ] = ()
    query_task_ids_file: Annotated[
        str | None,
        _about(
            "Query task IDs file",
            "Path of a file with IDs of external query tasks: one ID a line, or JSON "
            "lines with `query_task_id`",
        ),
    ] = None
    queries: Annotated[
        tuple[QueryConfig, ...],
        _about(
            "Queries",
            "Queries to launch, one typed stream each: objects with `name`, one of "
            "`url`, `query_id`, `query_slug`, `look_id` and `explore`, and optionally `limit`, "
            "`column_limit`, `filters`, `primary_keys` (fields, or `auto`), `replication_key`, "
            "`lookback`, `cache` and `decimals`",
        ),
    ] = ()
    dashboards: Annotated[
        tuple[DashboardConfig, ...],
        _about(
            "Dashboards",
            "Dashboards whose tiles to launch, one typed stream each: objects with "
            "`url` or `dashboard_id`, `name` (first part of the streams' names) and optionally "
            "`filters`, `limit`, `primary_keys` (`auto`) and `tiles`",
        ),
    ] = ()
    start_date: Annotated[
        str | None,
        _about(
            "Start date",
            "Initial bookmark of incremental queries on a date or date-time",
            extra_json_schema={"format": "date-time"},
        ),
    ] = None
    query_timezone: Annotated[
        _Text, _about("Query time zone", "IANA time zone that launched queries run in")
    ] = "UTC"
    result_format: Annotated[
        Literal["json_detail", "json_bi"],
        _about("Result format", "Result format of launched queries"),
    ] = "json_detail"
    decimals: Annotated[
        Decimals | None,
        _about(
            "Decimals",
            "Exact decimals for numbers that may have a fraction, such as "
            '`{"precision": 38, "scale": 9}`; `decimals` of a query overrides it',
        ),
    ] = None
    cache: Annotated[
        bool,
        _about(
            "Cache",
            "Whether Looker may return cached results for launched queries; `cache` "
            "of a query overrides it",
        ),
    ] = True
    wait_for_completion: Annotated[
        bool,
        _about(
            "Wait for completion",
            "Whether to wait for every task; if false, poll once and leave the rest",
        ),
    ] = True
    task_timeout_seconds: Annotated[
        _PositiveSeconds,
        _about(
            "Task timeout",
            "Seconds after which an unfinished task gets the status `timeout`; "
            "the tap cancels it if it launched it",
        ),
    ] = 3600
    sync_timeout_seconds: Annotated[
        _PositiveSeconds | None,
        _about(
            "Sync timeout",
            "Seconds before a run stops cleanly; launched tasks stay in state to be resumed",
        ),
    ] = None
    max_concurrent_tasks: Annotated[
        _Positive, _about("Concurrent tasks", "Maximum number of launched, unfinished query tasks")
    ] = 10
    max_connections: Annotated[
        int, _about("Connections", "Maximum number of concurrent requests to Looker", ge=1, le=32)
    ] = 8
    batch_size: Annotated[
        int,
        _about(
            "Batch size",
            "Maximum number of query tasks in one `multi_results` request",
            ge=1,
            le=250,
        ),
    ] = 50
    poll_interval_seconds: Annotated[
        _PositiveSeconds,
        _about(
            "Poll interval", "Initial seconds between polls; two fifths of it for short queries"
        ),
    ] = 0.25
    poll_max_interval_seconds: Annotated[
        _PositiveSeconds,
        _about(
            "Longest poll interval",
            "Maximum seconds between polls of tasks whose run time is unknown",
        ),
    ] = 15
    polling: Annotated[
        Literal["prompt", "sparing"],
        _about(
            "Polling",
            "`prompt`: poll often, to collect results soon; `sparing`: make as few "
            "calls as possible, and collect up to a tenth of a task's expected time later, or 5 s",
        ),
    ] = "prompt"
    expired_grace_seconds: Annotated[
        float,
        _about(
            "Grace for expired tasks",
            "Seconds that `expired`, `absent` or `missing` must persist to become final",
            ge=0,
            le=_YEAR,
        ),
    ] = 60
    max_task_attempts: Annotated[
        _Positive,
        _about(
            "Task attempts",
            "Maximum number of launches of a query in a run, if its task expires or is lost",
        ),
    ] = 2
    on_interrupt: Annotated[
        Literal["cancel", "leave"],
        _about(
            "On interrupt",
            "Whether SIGINT and SIGTERM `cancel` launched tasks, or `leave` them in "
            "state for the next run",
        ),
    ] = "cancel"
    fail_on_task_error: Annotated[
        bool,
        _about("Fail on task error", "Whether to end with exit code 1 if a task did not complete"),
    ] = True
    http_timeout_seconds: Annotated[
        _PositiveSeconds,
        _about("HTTP timeout", "Seconds without data from Looker after which a request times out"),
    ] = 300
    http_max_tries: Annotated[
        _Positive, _about("HTTP tries", "Maximum number of tries of a request")
    ] = 5
    max_response_bytes: Annotated[
        int,
        _about(
            "Longest response",
            "Maximum bytes of a response from Looker, uncompressed",
            ge=1,
            le=10**15,
        ),
    ] = 10_000_000_000
    api_call_limit: Annotated[
        Annotated[int, Meta(ge=3, le=10**9)] | None,
        _about(
            "API call limit",
            "Maximum number of API calls per run; the run stops cleanly before it exceeds it",
        ),
    ] = None
    shard_count: Annotated[
        _Positive, _about("Shards", "Number of taps that share the tasks and queries")
    ] = 1
    shard_index: Annotated[
        int, _about("Shard", "Index of this tap's shard, from 0", ge=0, le=999_999)
    ] = 0
    max_name_length: Annotated[
        int,
        _about(
            "Longest name",
            "Maximum bytes in a stream or column name; longer names are shortened with a hash",
            ge=20,
            le=300,
        ),
    ] = 63
    run_id: Annotated[
        _Text | None,
        _about(
            "Run ID",
            "Name of the run, such as an orchestrator's; a query that a run of this "
            "name has delivered is not launched again",
        ),
    ] = None
    report_path: Annotated[_Text | None, _about("Report", "Path of an HTML report of each run")] = (
        None
    )
    summary_path: Annotated[
        _Text | None, _about("Summary", "Path of a JSON summary of each run")
    ] = None

    @property
    def nothing_configured(self) -> str | None:
        """The settings to add, in one line, if none names anything to extract; otherwise None."""
        if self.queries or self.dashboards or self.query_task_ids or self.query_task_ids_file:
            return None
        return (
            "nothing is configured to extract; set queries, dashboards, query_task_ids or "
            "query_task_ids_file, at the top level of the configuration"
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Check a tap's config; settings of the Singer SDK in it are skipped.

        Raises:
            SettingsError: If a value is wrong or missing; the message names the first wrong
                setting, or all required ones that are missing.
        """
        reject_problems([*_not_unicode(config)])
        missing = [
            field.name
            for field in _FIELDS
            if field.required and config.get(field.name) in (None, "")
        ]
        if missing:
            msg = f"{', '.join(missing)}: required, but not set"
            raise SettingsError(msg)
        given = {
            field.name: _read_flag(value) if isinstance(field.default, bool) else value
            for field in _FIELDS
            if (value := config.get(field.name)) is not None
        }
        try:
            settings = msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(explain(error)) from None
        reject_problems([*problems(settings.queries, settings.dashboards), *_problems_in(settings)])
        return msgspec.structs.replace(
            _resolve_addresses(settings),
            query_task_ids=check_task_ids(settings.query_task_ids, "query_task_ids"),
            poll_max_interval_seconds=max(
                settings.poll_interval_seconds, settings.poll_max_interval_seconds
            ),
        )


def explain(error: msgspec.ValidationError, name: str = "", place: str = "") -> str:
    """Return one line about a wrong value: msgspec's message in words, with the setting in front.

    Args:
        error: Error from msgspec.
        name: Setting that was converted; empty for a complete config.
        place: Name of that setting in the message.
    """
    what, _, where = str(error).partition(" - at `$")
    where = where.removesuffix("`")
    config_path = f"{place}{where}".removeprefix(".")
    if missing := re.search(r"missing required field `(\w+)`", what):
        return f"{config_path}.{missing[1]}: required"
    if unknown := re.search(r"unknown field `(.*)`", what):
        hint = did_you_mean(find_similar(unknown[1], _keys_at(f"{name}{where}")))
        return f"{config_path}.{unknown[1]}: no such key{hint}"
    if what.startswith("Invalid enum value"):
        options = get_args(get_args(SETTING_TYPES[name or config_path])[0])
        return f"{config_path}: expected {' or '.join(options)}"
    what = re.sub("`([^`]+)`", _name_types, what)
    return f"{config_path}: {what[:1].lower()}{what[1:]}"


def _name_types(found: re.Match[str]) -> str:
    names = found[1].split(" | ")
    is_known = all(name in _NAMES_OF_TYPES for name in names)
    return " or ".join(_NAMES_OF_TYPES[name] for name in names) if is_known else found[0]


def _keys_at(config_path: str) -> Sequence[str]:
    """Return the allowed keys of the object at a path, such as `queries[3].explore`."""
    parts = re.findall(r"[a-z_]+", config_path)
    return _KEYS_OF.get(parts[-1], ()) if parts else ()


def _not_unicode(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each setting with half a character, such as a byte of a variable has."""
    for name, value in config.items():
        try:
            msgspec.json.encode({name: value})
        except UnicodeEncodeError:
            yield f"{name}: contains text that is not Unicode"
        except ValueError:
            # A number that is too long, which is reported elsewhere.
            continue


def _read_flag(value: object) -> object:
    """Return the boolean of a word that msgspec does not know; Meltano passes flags unchanged."""
    return _FLAGS.get(value.lower(), value) if isinstance(value, str) else value


def find_unknown_settings(config: Mapping[str, Any], declared: Collection[str]) -> list[str]:
    """Return a line for each name that is not a setting, with a similar setting.

    Names that start with `_` are Meltano's extras.
    """
    return [
        f"{name}: no such setting{did_you_mean(find_similar(name, declared))}"
        for name in config
        if name not in declared and not name.startswith("_")
    ]


_FIELDS = msgspec.structs.fields(Settings)
SETTING_TYPES = {field.name: field.type for field in _FIELDS}


def reject_problems(found: Sequence[str]) -> None:
    """Report all problems of the configuration in one error.

    Raises:
        SettingsError: If there are any.
    """
    if len(found) == 1:
        raise SettingsError(found[0])
    if found:
        msg = f"{len(found)} problems in the configuration:"
        raise SettingsError(msg, *found)


def reject_sdk_errors(messages: Iterable[str]) -> None:
    """Report the SDK's errors about settings, each on one line.

    Raises:
        SettingsError: If there are any.
    """
    reject_problems([_name_setting_first(message) for message in messages])


def _name_setting_first(message: str) -> str:
    match = _SDK_ERROR.fullmatch(message)
    if not match:
        return message
    where = ".".join(re.findall(r"\w+", match["where"]))
    return f"{where}: {' '.join(match['what'].split())}"


def _resolve_addresses(settings: Settings) -> Settings:
    """Add the parts of pasted addresses to their entries.

    Raises:
        SettingsError: If an address shows nothing that can be configured there.
    """
    base_url = read_instance_url(settings.base_url)
    queries, wrong_queries = resolve_addresses("queries", settings.queries, base_url)
    dashboards, wrong_dashboards = resolve_addresses("dashboards", settings.dashboards, base_url)
    reject_problems([*wrong_queries, *wrong_dashboards])
    reject_problems([*_wrong_zones(queries)])
    return msgspec.structs.replace(
        settings, base_url=base_url, queries=queries, dashboards=dashboards
    )


def _wrong_zones(queries: Sequence[QueryConfig]) -> Iterator[str]:
    for n, query in enumerate(queries):
        zone = query.time_zone("UTC")
        if zone_named(zone) is None:
            yield f"queries[{n}].query_timezone: {zone} is not the name of a time zone"


def _problems_in(settings: Settings) -> Iterator[str]:
    yield from decimals_problems("decimals", settings.decimals)
    if settings.shard_index >= settings.shard_count:
        last = settings.shard_count - 1
        yield (
            f"shard_index: {settings.shard_index} is not one of 0 to {last}; shard_count is "
            f"{settings.shard_count}"
        )
    if zone_named(settings.query_timezone) is None:
        yield f"query_timezone: {settings.query_timezone} is not the name of a time zone"
    if settings.start_date is not None:
        try:
            to_utc(_with_time(settings.start_date), UTC)
        except (ValueError, OverflowError):
            yield f"start_date: {settings.start_date} is not a date-time like 2026-01-31T00:00:00Z"


def _with_time(text: str) -> str:
    return f"{text}T00:00:00" if len(text) == len("2026-01-31") else text
