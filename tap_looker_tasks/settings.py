"""Config dict -> frozen, checked `Settings`, once."""

from __future__ import annotations

import ipaddress
import json
import re
from datetime import timezone
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from tap_looker_tasks.errors import SettingsError
from tap_looker_tasks.queries.config import DashboardConfig, QueryConfig, problems
from tap_looker_tasks.records.timestamps import to_utc, zone_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MAX_BATCH_SIZE = 250
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,4096}")
_MSGSPEC_ERROR = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<where>.*)`)?", re.DOTALL)

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_PositiveSeconds = Annotated[float, msgspec.Meta(gt=0)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the user configured, checked; field names are the setting names."""

    base_url: _Text
    client_id: _Text
    client_secret: _Text
    verify_ssl: bool = True
    ca_bundle: str | None = None
    query_task_ids: tuple[str, ...] = ()
    query_task_ids_file: str | None = None
    wait_for_completion: bool = True
    task_timeout_seconds: _PositiveSeconds = 3600
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=MAX_BATCH_SIZE)] = 50
    poll_interval_seconds: _PositiveSeconds = 0.25
    poll_max_interval_seconds: _PositiveSeconds = 15
    expired_grace_seconds: _Seconds = 60
    queries: tuple[QueryConfig, ...] = ()
    dashboards: tuple[DashboardConfig, ...] = ()
    start_date: str | None = None
    query_timezone: _Text = "UTC"
    result_format: Literal["json_detail", "json_bi"] = "json_detail"
    max_concurrent_tasks: _Positive = 10
    max_task_attempts: _Positive = 2
    on_interrupt: Literal["cancel", "leave"] = "cancel"
    sync_timeout_seconds: _PositiveSeconds | None = None
    api_call_limit: Annotated[int, msgspec.Meta(ge=3)] | None = None
    shard_count: _Positive = 1
    shard_index: Annotated[int, msgspec.Meta(ge=0)] = 0
    fail_on_task_error: bool = True
    http_timeout_seconds: _PositiveSeconds = 300
    http_max_tries: _Positive = 5

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Check a tap's config; settings of the Singer SDK in it are passed over.

        Raises:
            SettingsError: the first wrong value found, by the name of its setting.
        """
        given = {
            name: config[name] for name in cls.__struct_fields__ if config.get(name) is not None
        }
        try:
            settings = msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(_in_one_line(str(error))) from None
        refuse([*problems(settings.queries, settings.dashboards), *_problems_in(settings)])
        return msgspec.structs.replace(
            settings,
            base_url=_instance_url(settings.base_url),
            query_task_ids=_checked_ids(settings.query_task_ids, "query_task_ids"),
            poll_max_interval_seconds=max(
                settings.poll_interval_seconds, settings.poll_max_interval_seconds
            ),
        )


def refuse(found: Sequence[str]) -> None:
    """Report everything that is wrong with the configuration at once.

    Raises:
        SettingsError: there is something.
    """
    if len(found) == 1:
        raise SettingsError(found[0])
    if found:
        lines = "\n  ".join(found)
        msg = f"{len(found)} problems in the configuration:\n  {lines}"
        raise SettingsError(msg)


def _problems_in(settings: Settings) -> Iterator[str]:
    if settings.shard_index >= settings.shard_count:
        last = settings.shard_count - 1
        yield f"shard_index: {settings.shard_index} is not one of 0 to {last}, as shard_count says"
    if zone_named(settings.query_timezone) is None:
        yield f"query_timezone: {settings.query_timezone} is not the name of a time zone"
    if settings.start_date is not None:
        try:
            to_utc(_with_time(settings.start_date), timezone.utc)
        except (ValueError, OverflowError):
            yield f"start_date: {settings.start_date} is not a date-time like 2026-01-31T00:00:00Z"


def _with_time(text: str) -> str:
    return f"{text}T00:00:00" if len(text) == len("2026-01-31") else text


def parse_ids_file(content: bytes) -> tuple[str, ...]:
    """Query task ids from a file's content: one id a line, or JSON lines with `query_task_id`.

    Raises:
        SettingsError: a line is neither, by its number.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        msg = "query_task_ids_file: not a text file in UTF-8"
        raise SettingsError(msg) from None
    lines = ((n, line.strip()) for n, line in enumerate(text.splitlines(), start=1))
    return tuple(
        dict.fromkeys(
            _checked_id(_id_in_line(line, n), f"query_task_ids_file: line {n}")
            for n, line in lines
            if line
        )
    )


def _id_in_line(line: str, number: int) -> object:
    if not line.startswith("{"):
        return line
    try:
        return json.loads(line)["query_task_id"]
    except (ValueError, KeyError):
        msg = f"query_task_ids_file: line {number}: not a JSON object with query_task_id"
        raise SettingsError(msg) from None


def _checked_ids(ids: Iterable[str], place: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_checked_id(id_, f"{place}[{n}]") for n, id_ in enumerate(ids)))


def _checked_id(query_task_id: object, place: str) -> str:
    if isinstance(query_task_id, str) and _TASK_ID.fullmatch(query_task_id):
        return query_task_id
    shown = repr(query_task_id)[:60]
    msg = f"{place}: {shown} cannot be a query task id (letters, digits, - and _)"
    raise SettingsError(msg)


def _in_one_line(message: str) -> str:
    """Put the setting that msgspec names last in front."""
    match = _MSGSPEC_ERROR.fullmatch(message)
    what, where = (match["what"], match["where"]) if match else (message, None)
    if missing := re.search(r"missing required field `(\w+)`", what):
        return (
            f"{where}.{missing[1]}: required" if where else f"{missing[1]}: required, but not set"
        )
    return f"{where or 'config'}: {what[:1].lower()}{what[1:]}"


def _instance_url(text: str) -> str:
    """Scheme, host and port of the instance, without a path.

    Raises:
        SettingsError: not a URL of http or https, or http to another machine.
    """
    hint = "expected the instance's address, like https://example.cloud.looker.com"
    try:
        url = urlsplit(text.strip())
        host, port = url.hostname, url.port
    except ValueError:
        host, port, url = None, None, urlsplit("")
    if url.scheme not in {"http", "https"} or not host or url.username or url.query:
        msg = f"base_url: {hint}"
        raise SettingsError(msg)
    if url.path.strip("/") and not re.fullmatch(r"/+api(/.*)?", url.path):
        msg = f"base_url: {hint}, without the path {url.path!r}"
        raise SettingsError(msg)
    if url.scheme == "http" and not _is_loopback(host):
        msg = f"base_url: http would send the credentials in the clear to {host}; use https"
        raise SettingsError(msg)
    bracketed = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{bracketed}" + (f":{port}" if port else "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def setting_defaults() -> Iterator[tuple[str, object]]:
    """Each optional setting with its default."""
    for field in msgspec.structs.fields(Settings):
        if field.default is not msgspec.NODEFAULT:
            yield field.name, field.default
