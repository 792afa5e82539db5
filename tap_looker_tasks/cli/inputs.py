"""Input files: state and catalog, checked, and IDs of external tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from tap_looker_tasks.config import Settings, parse_ids_file
from tap_looker_tasks.errors import SettingsError
from tap_looker_tasks.queries import StreamState
from tap_looker_tasks.records import DECIMAL_KEY, read_decimal_size
from tap_looker_tasks.tasks import LedgerState

# Shapes of the parts that the tap needs; other programs keep other keys around them.
_WRAPPERS = ("value", "singer_state", "completed", "state")
_RESULTS = "query_task_results"


class _PropertyMetadata(msgspec.Struct, rename=lambda name: name.replace("_", "-")):
    """The metadata that selection and keys are read from."""

    inclusion: Literal["available", "automatic", "unsupported"] | None = None
    selected: bool | None = None
    selected_by_default: bool | None = None
    table_key_properties: list[str] | None = None
    replication_key: str | None = None
    replication_method: str | None = None
    forced_replication_method: str | None = None


class _MetadataEntry(msgspec.Struct):
    breadcrumb: list[str]
    metadata: _PropertyMetadata


class _Schema(msgspec.Struct):
    type: str | list[str] | None = None
    properties: dict[str, _Schema] | None = None
    items: _Schema | None = None


class _CatalogEntry(msgspec.Struct):
    tap_stream_id: str
    schema: _Schema = msgspec.field(default_factory=_Schema)
    metadata: list[_MetadataEntry] = []
    key_properties: list[str] | None = None
    replication_key: str | None = None
    replication_method: Literal["FULL_TABLE", "INCREMENTAL", "LOG_BASED"] | None = None


class WrongShapeError(ValueError):
    """The object is not a state or catalog; the message names the wrong place."""


def read_file(
    file: IO[str] | None, read: Callable[[object], dict[str, Any]], logger: logging.Logger
) -> IO[str] | None:
    """Return the content of a file option, in a form that the SDK accepts.

    Args:
        file: The file, if there is one.
        read: `read_state` or `read_catalog`.
        logger: Logger for values that are ignored as empty.

    Raises:
        SettingsError: If the file cannot be read, or has another shape.
    """
    if file is None:
        return None
    try:
        text = file.read()
        raw = msgspec.json.decode(text) if text.strip() else None
        content = read(raw)
    except WrongShapeError as error:
        msg = f"{file.name}: {error}"
        raise SettingsError(msg) from None
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{file.name}: cannot be read as a JSON file: {error}"
        raise SettingsError(msg) from None
    if raw != content:
        logger.warning("%s: ignored null and empty entries", file.name)
    return StringIO(msgspec.json.encode(content).decode())


def read_state(raw: object) -> dict[str, Any]:
    """Return a state whose bookmarks the tap can read, without null and empty entries.

    Other keys, and bookmarks of other taps' streams, stay unchanged.

    Raises:
        WrongShapeError: If it has contents but cannot be read, because the run would silently
            deliver everything again.
    """
    state = _read_object(raw, "state")
    if "bookmarks" not in state:
        _reject_wrapped(state)
        return state
    bookmarks = _read_object(state["bookmarks"], "bookmarks")
    kept = {name: bookmark for name, bookmark in bookmarks.items() if bookmark not in (None, [])}
    for name, bookmark in kept.items():
        shape = LedgerState if name == _RESULTS else StreamState
        _check_shape(bookmark, shape, f"bookmarks.{name}")
    return {**state, "bookmarks": kept}


def find_state(config_files: Iterable[str]) -> dict[str, Any] | None:
    """Return the state that Meltano passes only to the run after discovery.

    It is saved beside the config file. What cannot be read is left to that run to reject.
    """
    for path in map(Path, config_files):
        if path.match("tap*.config.json"):
            with suppress(OSError, ValueError, RecursionError):
                return read_state(msgspec.json.decode(path.with_name("state.json").read_bytes()))
    return None


def read_catalog(raw: object) -> dict[str, Any]:
    """Return a catalog that the SDK can read and follow.

    Raises:
        WrongShapeError: If it is not a catalog, because the run would silently deselect everything.
    """
    if not isinstance(raw, dict) or not isinstance(raw.get("streams"), list):
        msg = (
            "not a catalog: expected an object with an array of `streams`, as --discover writes it"
        )
        raise WrongShapeError(msg)
    for number, entry in enumerate(raw["streams"]):
        _check_shape(entry, _CatalogEntry, f"streams[{number}]")
        _check_name(entry, f"streams[{number}]")
        _keep_decimals(entry)
        for found in entry.get("metadata", ()):
            # The SDK ignores the place where Singer's specification has the selection.
            if not found["breadcrumb"] and (method := found["metadata"].get("replication-method")):
                entry["replication_method"] = method
    return raw


def _keep_decimals(entry: Mapping[str, Any]) -> None:
    """Copy the size of decimals to where the SDK keeps it; it drops unknown keywords.

    Raises:
        WrongShapeError: If a decimal has no size, because a target would drop all digits after the
            point.
    """
    for name, declared in ((entry.get("schema") or {}).get("properties") or {}).items():
        try:
            size = read_decimal_size(declared)
        except ValueError as error:
            msg = f"{entry['tap_stream_id']}: {name}: {error}"
            raise WrongShapeError(msg) from None
        if size:
            declared[DECIMAL_KEY] = {"precision": size[0], "scale": size[1]}


def _check_name(entry: Mapping[str, Any], place: str) -> None:
    """Check that a stream has the tap's name for it, as the SDK assumes.

    Raises:
        WrongShapeError: If it has another name.
    """
    own = entry["tap_stream_id"]
    if (name := entry.get("stream")) and name != own:
        shown = msgspec.json.encode(name)[:50].decode()
        msg = f"{place}.stream: {shown}, but it is {own}; rename it by an __alias__ in stream_maps"
        raise WrongShapeError(msg)


def _read_object(raw: object, place: str) -> dict[str, Any]:
    if raw is None or raw == []:
        return {}
    if not isinstance(raw, dict):
        msg = f"{place}: expected an object, got {msgspec.json.encode(raw)[:50].decode()}"
        raise WrongShapeError(msg)
    return raw


def _reject_wrapped(state: Mapping[str, Any]) -> None:
    for key in _WRAPPERS:
        if isinstance(state.get(key), dict):
            msg = f"the state is wrapped; pass the object in its `{key}`"
            raise WrongShapeError(msg)
    if state and "currently_syncing" not in state:
        msg = f"not a state of this tap: expected `bookmarks`, got {', '.join(state)}"
        raise WrongShapeError(msg)


def _check_shape(raw: object, shape: type, place: str) -> None:
    """Check that a value has a shape; keys outside the shape are not checked.

    Raises:
        WrongShapeError: If it has another shape.
    """
    try:
        msgspec.convert(raw, shape)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        msg = f"{place}{where.rstrip('`')}: {what[:1].lower()}{what[1:]}"
        raise WrongShapeError(msg) from None


def read_task_ids(settings: Settings) -> tuple[str, ...]:
    """Return the IDs of external tasks from the settings and from the file, each once.

    Raises:
        SettingsError: If the file cannot be read.
    """
    path = settings.query_task_ids_file
    if path is None:
        return settings.query_task_ids
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        msg = f"query_task_ids_file: cannot read {path}: {error.strerror}"
        raise SettingsError(msg) from None
    return tuple(dict.fromkeys(settings.query_task_ids + parse_ids_file(content)))
