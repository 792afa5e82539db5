"""Addresses: of an instance, and of pages in a browser, converted to entries and back."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import msgspec

from tap_looker_tasks.config.entries import (
    UNLIMITED,
    ConfiguredQuery,
    DashboardConfig,
    ExploreConfig,
    QueryConfig,
)
from tap_looker_tasks.errors import SettingsError

_Entry = TypeVar("_Entry", QueryConfig, DashboardConfig)

# Defaults of keys that an address may have instead.
_NOT_GIVEN: tuple[object, ...] = (None, "", (), {})
_DASHBOARDS = frozenset({"dashboards", "dashboards-next", "dashboards-legacy"})
_LISTS = ("fields", "pivots", "fill_fields", "sorts")
_TEXTS = ("filter_expression", "dynamic_fields", "query_timezone")
# Parameters of a dashboard's address that are not filters.
_LOOK_OF_DASHBOARDS = frozenset(
    {
        *("_theme", "allow_login_screen", "embed_domain", "filter_config", "hide_filter"),
        *("layout", "nonce", "preview", "refresh", "sdk", "theme", "toggle"),
    }
)
_NEITHER = MappingProxyType(
    {
        "boards": ("a board", "the address of a Look or dashboard on it"),
        "browse": ("a folder", "the address of a Look or dashboard in it"),
        "folders": ("a folder", "the address of a Look or dashboard in it"),
        "spaces": ("a folder", "the address of a Look or dashboard in it"),
        "merge": (
            "a merged query",
            "the address of a dashboard with a tile of it, or of each source query",
        ),
        "sql": ("an SQL Runner query", "the address of an Explore, Look or dashboard of that data"),
        "projects": ("a LookML file", "the address of an Explore, Look or dashboard"),
        "login": ("a sign-in or signed embed page", "the address of the page behind it"),
    }
)
_PASTE = "the address of a Look, an Explore, a shared query (/x/...) or a dashboard"


def read_instance_url(text: str) -> str:
    """Return scheme, host and port of the instance, without a path.

    Raises:
        SettingsError: If it is not a URL of http or https, or is http to another machine.
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


def resolve_addresses(
    setting: str, entries: Iterable[_Entry], base_url: str
) -> tuple[tuple[_Entry, ...], list[str]]:
    """Return entries with the parts of their addresses, and a line for each problem."""
    resolved, problems = [], []
    for n, entry in enumerate(entries):
        try:
            resolved.append(_resolve(entry, base_url))
        except ValueError as error:
            problems.append(f"{setting}[{n}].url: {error}")
    return tuple(resolved), problems


def _resolve(entry: _Entry, base_url: str) -> _Entry:
    """Add the parts of its `url` to an entry; the entry's own keys take precedence.

    Raises:
        ValueError: If the address shows something else; the message names what to paste instead.
    """
    if entry.url is None:
        return entry
    found = read_address(entry.url, base_url)
    if not isinstance(found, type(entry)):
        is_query = isinstance(found, QueryConfig)
        what, setting = ("not a", "queries") if is_query else ("a", "dashboards")
        msg = f"this is {what} dashboard; give it as `url` in `{setting}`"
        raise ValueError(msg)  # noqa: TRY004 - it is the value of a setting
    match found:
        case QueryConfig(look_id=None) if not entry.name:
            msg = "an address of an Explore has no title; give the entry a `name`"
            raise ValueError(msg)
    own = {k: v for k, v in msgspec.structs.asdict(entry).items() if v not in _NOT_GIVEN}
    filters = {**found.filters, **entry.filters}
    return msgspec.structs.replace(found, **{**own, "filters": filters})


def read_address(text: str, base_url: str) -> QueryConfig | DashboardConfig:
    """Return an entry, without a name, for the address of one of Looker's pages.

    Args:
        text: Address with or without scheme and host, as a browser shows it.
        base_url: URL of the instance that it must belong to.

    Raises:
        ValueError: If it is another instance's, or shows nothing that can run; the message names
            what it is and what to paste instead.
    """
    text = text.strip(" \t\r\n<>\"'").replace("&amp;", "&")
    has_host = not text.startswith("/")
    url = urlsplit(text if "://" in text or not has_host else f"https://{text}")
    if has_host:
        _check_host(url.hostname, base_url, url.path)
    try:
        parts = [unquote(part, errors="strict") for part in url.path.split("/") if part]
        parameters = dict(parse_qsl(url.query, keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        msg = "its percent-encoding is not UTF-8; copy it from the browser's address bar"
        raise ValueError(msg) from None
    if parts[:1] == ["embed"]:
        del parts[0]
    match parts:
        case ["looks", look_id] if "." not in look_id:
            return _read_look(look_id, parameters)
        case ["x" | "query-visualization", slug]:
            return QueryConfig(query_slug=slug)
        case ["explore", model, explore]:
            return _read_explore(model, explore, parameters)
        case [page, dashboard_id] if page in _DASHBOARDS:
            shown = {k: v for k, v in parameters.items() if k not in _LOOK_OF_DASHBOARDS}
            return DashboardConfig(dashboard_id=dashboard_id, filters=shown)
    page = parts[0].partition("_")[0] if parts else ""
    what, instead = _NEITHER.get(page, ("not a page of data", _PASTE))
    msg = f"this is {what}; paste {instead}"
    raise ValueError(msg)


def _check_host(host: str | None, base_url: str, path: str) -> None:
    own = urlsplit(base_url).hostname
    if host != own:
        msg = (
            f"this is an address of {host}, but base_url is {own}; paste an address of {own}, or "
            f"only the path if both are one instance ({path[:40]})"
        )
        raise ValueError(msg)


def _read_look(look_id: str, parameters: Mapping[str, str]) -> QueryConfig:
    if qid := parameters.get("qid"):
        msg = (
            f"this is Look {look_id} with changes that are not saved; paste /looks/{look_id} for "
            f"the Look, or /x/{qid} for what the page shows"
        )
        raise ValueError(msg)
    limit = _read_limit(parameters.get("limit"))
    return QueryConfig(look_id=look_id, filters=_read_filters(parameters), limit=limit)


def _read_explore(model: str, explore: str, parameters: Mapping[str, str]) -> QueryConfig:
    lists: dict[str, Any] = {name: _split(parameters.get(name, "")) for name in _LISTS}
    if not lists["fields"]:
        if qid := parameters.get("qid"):
            return QueryConfig(query_slug=qid)
        msg = "this Explore has no fields yet; choose some, run it, and paste the address then"
        raise ValueError(msg)
    filters = _read_filters(parameters)
    _check_filter_config(parameters.get("filter_config"), filters)
    given: dict[str, Any] = {name: parameters.get(name) or None for name in _TEXTS}
    given["column_limit"] = _read_number("column_limit", parameters.get("column_limit"))
    query = ExploreConfig(model=model, explore=explore, filters=filters, **lists, **given)
    return QueryConfig(explore=query, limit=_read_limit(parameters.get("limit")))


def _split(text: str) -> tuple[str, ...]:
    return tuple(part for name in text.split(",") if (part := name.strip()))


def _read_filters(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the filters of parameters such as `f[orders.status]=complete`."""
    return {
        name[2:-1]: value
        for name, value in parameters.items()
        if name.startswith("f[") and name.endswith("]")
    }


def _check_filter_config(text: str | None, filters: Mapping[str, str]) -> None:
    """Check that the page's own description of its filters has no other filter."""
    try:
        described = msgspec.json.decode(text or "{}", type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return
    if missing := sorted(described.keys() - filters.keys()):
        msg = (
            f"it filters {', '.join(missing)} in a way that only the page can read; share the "
            "query, and paste its short address (/x/...)"
        )
        raise ValueError(msg)


def _read_limit(text: str | None) -> int | None:
    limit = _read_number("limit", text)
    if limit is not None and (limit == 0 or limit < UNLIMITED):
        msg = f"its limit is {limit}; expected 1 or more, or -1 for all rows"
        raise ValueError(msg)
    return limit


def _read_number(name: str, text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 10):  # noqa: PLR2004 - digits
        msg = f"its {name} is {text[:20]!r}, which is not a number"
        raise ValueError(msg)
    return int(text)


def write_address(config: QueryConfig | DashboardConfig) -> str | None:
    """Return the address of a page that shows an entry, from the instance's root.

    Returns:
        The address; None for a query by ID, which no page shows.
    """
    match config:
        case DashboardConfig(dashboard_id=dashboard_id):
            return _join(("dashboards", dashboard_id), config.filters.items())
        case QueryConfig(explore=ExploreConfig() as explore):
            column_limit = config.column_limit or explore.column_limit
            parameters = [
                *((name, ",".join(getattr(explore, name)) or None) for name in _LISTS),
                *_write_filters({**explore.filters, **config.filters}),
                ("limit", config.limit),
                ("column_limit", column_limit),
                ("filter_expression", explore.filter_expression),
                ("dynamic_fields", explore.dynamic_fields_text),
                ("query_timezone", explore.query_timezone),
            ]
            return _join(("explore", explore.model, explore.explore), parameters)
        case QueryConfig(look_id=look_id) if look_id is not None:
            more = [*_write_filters(config.filters), ("limit", config.limit)]
            return _join(("looks", look_id), more)
        case QueryConfig(query_slug=slug) if slug is not None:
            return _join(("x", slug), ())
    return None


def page_of(query: ConfiguredQuery) -> str | None:
    """Return the address of a page that shows a query, from the instance's root, if any does."""
    if query.dashboard_id is not None:
        return write_address(DashboardConfig(dashboard_id=query.dashboard_id))
    return write_address(query.config)


def _write_filters(filters: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((f"f[{name}]", value) for name, value in filters.items())


def _join(parts: Iterable[object], parameters: Iterable[tuple[str, object]]) -> str:
    path = "".join(f"/{quote(str(part), safe=':')}" for part in parts)
    given = [(name, value) for name, value in parameters if value is not None]
    query = urlencode(given, quote_via=quote, safe="[],:")
    return f"{path}?{query}" if query else path
