"""Stream maps of the SDK: harmless where a stream is deselected, one line where they are wrong."""

from __future__ import annotations

from contextlib import contextmanager
from fnmatch import fnmatch
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import MappingError
from singer_sdk.mapper import PluginMapper

from tap_looker_tasks.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from singer_sdk.singerlib import Catalog


def register_streams(mapper: PluginMapper, catalog: Catalog) -> None:
    """Register the streams of a catalog, as the SDK does but for those that are deselected.

    The SDK leaves a deselected stream no columns, so that each map of it would be wrong.
    """
    for name, entry in catalog.items():
        mask = entry.metadata.resolve_selection()
        if mask[()]:
            mapper.register_raw_streams_from_catalog(type(catalog)({name: entry}))
        else:
            mapper.register_raw_stream_schema(name, entry.schema.to_dict(), entry.key_properties)


def find_overridden_maps(stream_maps: Mapping[str, Any], names: Iterable[str]) -> Iterator[str]:
    """Yield a line for each map that the SDK ignores: of all that match, it applies the last."""
    for name in names:
        matching = [
            key
            for key, definition in stream_maps.items()
            if fnmatch(name, key) and "__source__" not in (definition or {})
        ]
        for key in matching[:-1]:
            yield (
                f"stream_maps: {key!r} has no effect on {name}, because {matching[-1]!r} matches "
                f"it, too, and stands later; write both into one map named {name!r}, the last one"
            )


@contextmanager
def refuse_wrong_stream_maps() -> Iterator[None]:
    """Turn whatever an expression of the user's raises into one line.

    Raises:
        SettingsError: a stream map is wrong, as it is read or as it meets a record.
    """
    try:
        yield
    except MappingError as error:
        reason = str(error)
    except Exception as error:
        if not _comes_from_a_map(error):
            raise
        reason = f"{type(error).__name__}: {error}"
    else:
        return
    msg = f"stream_maps: {' '.join(reason.split())}"
    raise SettingsError(msg)


def _comes_from_a_map(error: Exception) -> bool:
    modules = (frame.f_globals.get("__name__") for frame, _ in walk_tb(error.__traceback__))
    return PluginMapper.__module__ in modules
