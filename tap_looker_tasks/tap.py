"""The Singer tap: declares the settings, builds the parts, discovers and syncs the streams."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import IO, Any, ClassVar

import click
from dotenv import load_dotenv
from singer_sdk import Stream, Tap
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigValidationError
from typing_extensions import override

from tap_looker_tasks.cli import (
    ClosingCommand,
    build_help,
    find_overridden_maps,
    find_state,
    read_catalog,
    read_file,
    read_state,
    read_task_ids,
    register_streams,
    reject_wrong_stream_maps,
)
from tap_looker_tasks.config import (
    Settings,
    build_config_schema,
    describe_settings,
    find_unknown_settings,
    find_wrong_variables,
    reject_problems,
    reject_sdk_errors,
    without_secrets,
)
from tap_looker_tasks.inspection import Question, build_questions, print_requested
from tap_looker_tasks.launching import Discovery, StoredQueries, new_client
from tap_looker_tasks.looker import Clock, LookerClient, SteadyClock
from tap_looker_tasks.queries import names_by_content
from tap_looker_tasks.singer import Interrupts, MessageWriter, PacedStateWriter, filter_record
from tap_looker_tasks.streams import (
    LookerTap,
    QueryStream,
    QueryTaskResultsStream,
    QueryTaskRowsStream,
)
from tap_looker_tasks.tasks import END_TIMES
from tap_looker_tasks.watch import RunWatch, log_calls

_IS_RUN = "tap_looker_tasks.is_run"
_CONFIG_FILES = "tap_looker_tasks.config_files"
_STATE = "tap_looker_tasks.state"
_LEVELS_OF_LOGS = frozenset({"LOGLEVEL", "TAP_LOOKER_TASKS_LOGLEVEL", "SINGER_SDK_LOG_CONFIG"})


class TapLookerTasks(LookerTap):
    """Follows Looker query tasks and delivers their outcomes and results."""

    name = "tap-looker-tasks"
    package_name = "tap-looker-tasks"
    message_writer_class = MessageWriter
    message_writer: MessageWriter
    config_jsonschema: ClassVar[dict[str, Any]] = build_config_schema()

    def __init__(
        self, *args: Any, clock: Clock | None = None, may_run: bool = True, **kwargs: Any
    ) -> None:
        """Create the tap; `may_run` allows discovery to run queries."""
        self._may_run = may_run
        self.clock = clock or SteadyClock()
        self._calls: Counter[str] = Counter()
        self._client: LookerClient | None = None
        self._watch: RunWatch | None = None
        self._outcomes: QueryTaskResultsStream | None = None
        self._interrupts = Interrupts(END_TIMES.last_state)
        self._is_run = False
        # Discovery comes before the SDK reads it.
        self._earlier_state = kwargs.get("state")
        if command := click.get_current_context(silent=True):
            self._is_run = _IS_RUN in command.meta
            self._earlier_state = self._earlier_state or command.meta.get(_STATE)
            command.call_on_close(self._end_command)
            # Registered first: `_end_command` takes seconds, and must not be interrupted.
            command.call_on_close(self._interrupts.end)
        super().__init__(*args, **kwargs)
        self.message_writer.interrupts = self._interrupts
        if not _LEVELS_OF_LOGS & {*os.environ}:
            # Without a requested level, METRIC lines would be most of the log.
            self.metrics_logger.setLevel(logging.WARNING)
        # The SDK would write one STATE per stream synced, and has no public way to replace it.
        self._state_writer = self._paced

    @classmethod
    @override
    def print_about(cls, output_format: str | None = None) -> None:
        super().print_about(output_format)
        if output_format is None:
            # The SDK's text has only the names of the settings.
            click.echo(f"Meaning:\n{describe_settings(cls._declare_settings())}")

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        ctx.meta[_CONFIG_FILES] = value
        # The SDK would print a traceback.
        try:
            given = super().cb_config(ctx, param, value)
        except (OSError, ValueError, TypeError, RecursionError) as error:
            reject_problems([f"--config {' '.join(value)}: cannot be read as a JSON file: {error}"])
            raise
        if given.parse_env:
            return replace(given, config={**given.config, **cls._read_variables()}, parse_env=False)
        return given

    @classmethod
    def _read_variables(cls) -> dict[str, Any]:
        """Return the settings in variables, which override those in a file `.env`.

        In the SDK, the file overrides variables, and is also searched for beside the SDK's files.
        """
        try:
            load_dotenv(".env")
        except (OSError, ValueError) as error:
            reject_problems([f".env: cannot be read: {error}"])
        declared = cls._declare_settings()
        reject_problems([*find_wrong_variables(os.environ, cls._env_var_prefix, declared)])
        schema = {"properties": declared}
        return parse_environment_config(schema, cls._env_var_prefix, os.devnull)

    @classmethod
    def _declare_settings(cls) -> dict[str, dict[str, Any]]:
        """Return the JSON Schema of each setting, those of the SDK included."""
        cls.append_builtin_config(cls.config_jsonschema)
        declared: dict[str, dict[str, Any]] = cls.config_jsonschema["properties"]
        return declared

    @classmethod
    @override
    def invoke(
        cls, *, state: IO[str] | None = None, catalog: IO[str] | None = None, **options: Any
    ) -> None:
        question = Question.parse(options)
        # All other commands discover, test or print something.
        if question is None:
            click.get_current_context().meta[_IS_RUN] = True
        with reject_wrong_stream_maps():
            state = read_file(state, read_state, cls.logger)
            catalog = read_file(catalog, read_catalog, cls.logger)
            if question is None:
                super().invoke(state=state, catalog=catalog, **options)
                return
            # A catalog, even an empty one, keeps the tap from discovering streams.
            no_catalog: dict[str, Any] | None = None if question.needs_streams else {}
            tap = cls(
                config=options["config"].config,
                parse_env_config=options["config"].parse_env,
                state=state and json.load(state),
                catalog=json.load(catalog) if catalog else no_catalog,
                setup_mapper=False,
                may_run=False,
            )
            if not print_requested(tap, question):
                click.get_current_context().exit(1)

    @override
    def setup_mapper(self) -> None:
        with reject_wrong_stream_maps():
            super(Tap, self).setup_mapper()
            register_streams(self.mapper, self.catalog)
        for line in find_overridden_maps(self.config.get("stream_maps") or {}, self.catalog):
            self.logger.warning("%s", line)

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        # Before the first log line.
        cls.logger.addFilter(filter_record)
        base = super().get_singer_command()
        return ClosingCommand(
            name=base.name,
            callback=base.callback,
            params=[*base.params, *build_questions()],
            help=build_help(),
            context_settings=base.context_settings,
            logger=cls.logger,
            declared=cls._declare_settings(),
        )

    @classmethod
    @override
    def cb_discover(cls, ctx: click.Context, param: click.Option, value: bool) -> None:
        if value:
            ctx.meta[_STATE] = find_state(ctx.meta[_CONFIG_FILES])
        super().cb_discover(ctx, param, value)

    @cached_property
    @override
    def external_ids(self) -> tuple[str, ...]:
        return read_task_ids(self.settings)

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        # The SDK's own messages contain the wrong value, which may be a secret, and have
        # several lines. It still checks its own settings.
        reject_problems(find_unknown_settings(self._config, self._declare_settings()))
        if not raise_errors:
            return []
        checked = Settings.from_config(self._config)
        # The environment has numbers as text; null means the default.
        self._config |= {
            name: getattr(checked, name)
            for name in self._config.keys() & {*checked.__struct_fields__}
            if isinstance(self._config[name], str | None)
        }
        try:
            return super()._validate_config(raise_errors=True)
        except ConfigValidationError as error:
            reject_sdk_errors(error.errors)
            raise

    @override
    def _setup_signal_handlers(self) -> None:
        # The SDK's own handlers exit with code 0. A program that uses the tap keeps its own.
        if click.get_current_context(silent=True):
            self._interrupts.handle()

    @override
    def discover_streams(self) -> Sequence[Stream]:
        self._watch = RunWatch(
            self.clock, self.message_writer, self.logger, self._calls, self.config
        )
        if self._is_run:
            self._watch.check_places(self.settings)
        self._outcomes = QueryTaskResultsStream(self, self._paced, self._watch)
        return [self._outcomes, QueryTaskRowsStream(self), *self._query_streams()]

    def _query_streams(self) -> Iterator[QueryStream]:
        """The streams of configured queries, as described by Looker or the catalog."""
        # `--discover` and `--about` work without a configuration.
        if not (self.config.get("queries") or self.config.get("dashboards")):
            return
        discovery = Discovery(
            self.settings, self.client, self.stored_queries, self.logger, may_run=self._may_run
        )
        in_state = names_by_content(self._earlier_state)
        if self.input_catalog is None:
            found = discovery.all_plans(self.settings, in_state)
        else:
            known: dict[str, dict[str, Any]] = {
                name: {"properties": {}} | entry.schema.to_dict()
                for name, entry in self.input_catalog.items()
            }
            found = discovery.plans_in_catalog(self.settings, known, in_state)
        self.failures = found.failures
        for name, reason in self.failures:
            self.logger.warning("%s cannot run: %s", name, reason)
        for plan in found.values:
            yield QueryStream(self, plan)

    @cached_property
    def _paced(self) -> PacedStateWriter:
        return PacedStateWriter(self.message_writer, self.clock.now)

    @cached_property
    @override
    def stored_queries(self) -> StoredQueries:
        """Queries looked up so far, shared by discovery and sync."""
        return StoredQueries(self.client, self.settings, self._earlier_state)

    def _end_command(self) -> None:
        """End a run cleanly, however its command ended."""
        end_at = self.clock.now() + END_TIMES.logout
        try:
            # A sync that ended on its own follows nothing any more.
            if self._outcomes and self._outcomes.is_running:
                self._outcomes.end_run(cancels=self._must_cancel())
                # What was delivered must not be delivered again.
                self._paced.write_last(self.state)
            if self._client:
                self._client.close(end_at - self.clock.now())
        finally:
            error = sys.exc_info()[1]
            end = self._interrupts.find_end(error)
            self._log_end(end)
            self._interrupts.restore()
            if end and end is not error:
                raise end

    def _log_end(self, error: BaseException | None) -> None:
        """Log a command's summary, and write the report of a run."""
        if not self._is_run:
            log_calls(self._calls, self.logger)
        # A rejected configuration leaves nothing to log, and no settings to log it with.
        elif self._watch:
            config = without_secrets(self.config, self.config_jsonschema)
            self._watch.log_end(error, self.settings, config)

    def _must_cancel(self) -> bool:
        is_interrupted = self._interrupts.number is not None
        is_cut_short = is_interrupted or self.message_writer.is_target_gone
        return is_cut_short and self.settings.on_interrupt == "cancel"

    @property
    @override
    def client(self) -> LookerClient:
        if self._client is None:
            self._client = new_client(self.settings, self.clock, self.logger, self._calls)
        return self._client
