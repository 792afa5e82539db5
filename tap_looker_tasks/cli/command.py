"""The command and its options; it ends cleanly, wherever it fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from importlib.metadata import metadata
from itertools import takewhile
from traceback import walk_tb
from typing import Any

import click
from singer_sdk.exceptions import MappingError
from singer_sdk.mapper import PluginMapper
from singer_sdk.plugin_base import SingerCommand
from singer_sdk.singerlib import Catalog
from typing_extensions import override

from tap_looker_tasks.cli.plugin import NAME
from tap_looker_tasks.errors import SettingsError

_HELP = """Run Looker queries as query tasks, and write their rows as Singer messages.

\b
    tap-looker-tasks --init                          connect to Looker, write a configuration
    tap-looker-tasks --config config.json --doctor   check it
    tap-looker-tasks --config config.json | target-jsonl

Documentation: {}
"""
_IN_REPOSITORY = "docs/index.md of the repository, with a tutorial and how-to guides"


def build_help() -> str:
    """Return the text of `--help`, with the documentation's address once a release has one."""
    named = (url.partition(", ") for url in metadata(NAME).get_all("Project-URL") or ())
    addresses = {label: address for label, _, address in named if ".invalid/" not in address}
    return _HELP.format(addresses.get("Documentation", _IN_REPOSITORY))


class ClosingCommand(SingerCommand):
    """A command that closes the context even if reading options fails.

    The SDK discovers and tests while options are read, and click closes a context only after that,
    so a failure would leave the login and the files of options open.
    """

    def __init__(self, *args: Any, declared: Mapping[str, dict[str, Any]], **kwargs: Any) -> None:
        """Keep the JSON Schema of each setting, for `--init`."""
        super().__init__(*args, **kwargs)
        self._declared = declared

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--init" in args:
            # Imported here, since few commands need it. It has separate options.
            from tap_looker_tasks.cli.init import build_init  # noqa: PLC0415

            others = [arg for arg in args if arg != "--init"]
            init = build_init(self._declared, self.logger)
            ctx.exit(init.main(others, f"{ctx.info_name} --init", standalone_mode=False))
        try:
            return super().parse_args(ctx, _join_words(args, "--find"))
        except BaseException:
            ctx.close()
            raise


def _join_words(args: Sequence[str], option: str) -> list[str]:
    """Join the words after an option to one value, which may be empty: `--find monthly orders`."""
    if option not in args:
        return [*args]
    at = args.index(option) + 1
    words = [*takewhile(lambda word: not word.startswith("-"), args[at:])]
    return [*args[: at - 1], f"{option}={' '.join(words)}", *args[at + len(words) :]]


# Stream maps: ignored for deselected streams, and reported in one line if they are wrong.


def register_streams(mapper: PluginMapper, catalog: Catalog) -> None:
    """Register the selected streams of a catalog, as the SDK does.

    The SDK leaves a deselected stream no columns, so each map of it would be wrong.
    """
    for name, entry in catalog.items():
        mask = entry.metadata.resolve_selection()
        if mask[()]:
            mapper.register_raw_streams_from_catalog(type(catalog)({name: entry}))
        else:
            mapper.register_raw_stream_schema(name, entry.schema.to_dict(), entry.key_properties)


def find_overridden_maps(stream_maps: Mapping[str, Any], names: Iterable[str]) -> Iterator[str]:
    """Yield a line for each map that the SDK ignores: if several match, it applies the last."""
    for name in names:
        matching = [
            key
            for key, definition in stream_maps.items()
            if fnmatch(name, key) and "__source__" not in (definition or {})
        ]
        for key in matching[:-1]:
            yield (
                f"stream_maps: {key!r} has no effect on {name}, because {matching[-1]!r} also "
                f"matches it and comes later; write both into one map named {name!r}, the last one"
            )


@contextmanager
def reject_wrong_stream_maps() -> Iterator[None]:
    """Turn any exception of a user's expression into one line.

    Raises:
        SettingsError: If a stream map is wrong, when it is read or when it meets a record.
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
