"""Declares the settings, wires the parts, discovers the streams."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import msgspec
import requests
from singer_sdk import Stream, Tap
from singer_sdk import typing as th
from typing_extensions import override

from tap_looker_tasks.client import LookerClient
from tap_looker_tasks.errors import SettingsError, TasksNotCompletedError
from tap_looker_tasks.ledger import Ledger
from tap_looker_tasks.query_task import TaskBoard
from tap_looker_tasks.runner import Runner
from tap_looker_tasks.settings import Settings, parse_ids_file, setting_defaults
from tap_looker_tasks.state_writer import PacedStateWriter
from tap_looker_tasks.streams import QueryTaskResultsStream, QueryTaskRowsStream
from tap_looker_tasks.writer import MessageWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    import click

    from tap_looker_tasks.runner import Outcome

_TASKS_NAMED = 20
_DEFAULTS = dict(setting_defaults())


def _setting(
    name: str,
    type_: type[th.JSONTypeHelper[Any]] | th.JSONTypeHelper[Any],
    title: str,
    description: str,
    **more: Any,
) -> th.Property[Any]:
    default = _DEFAULTS.get(name)
    return th.Property(
        name,
        type_,
        title=title,
        description=description,
        required=name not in _DEFAULTS,
        default=default if isinstance(default, bool | int | float | str) else None,
        **more,
    )


class TapLookerTasks(Tap):
    """Follows Looker query tasks and delivers their outcomes and results."""

    name = "tap-looker-tasks"
    package_name = "tap-looker-tasks"
    message_writer_class = MessageWriter
    message_writer: MessageWriter
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        _setting(
            "base_url",
            th.StringType,
            "Base URL",
            "Address of the Looker instance, with or without port or `/api/4.0`; "
            "https, or http on loopback only",
        ),
        _setting(
            "client_id", th.StringType, "Client ID", "Client ID of the API credentials", secret=True
        ),
        _setting(
            "client_secret",
            th.StringType,
            "Client secret",
            "Client secret of the API credentials",
            secret=True,
        ),
        _setting("verify_ssl", th.BooleanType, "Verify TLS", "Whether to verify TLS certificates"),
        _setting(
            "ca_bundle",
            th.StringType,
            "CA bundle",
            "Path of a file with your own certificate authority's certificates",
        ),
        _setting(
            "query_task_ids",
            th.ArrayType(th.StringType),
            "Query task IDs",
            "Query tasks made elsewhere, to follow",
        ),
        _setting(
            "query_task_ids_file",
            th.StringType,
            "Query task IDs file",
            "Path of a file with query tasks to follow: one id a line, or JSON lines with "
            "`query_task_id`",
        ),
        _setting(
            "wait_for_completion",
            th.BooleanType,
            "Wait for completion",
            "Whether to wait until every task has finished; if not, take one look at each and "
            "leave the rest to the next run",
        ),
        _setting(
            "task_timeout_seconds",
            th.NumberType,
            "Task timeout",
            "Seconds after which an unfinished task gets the status `timeout`",
        ),
        _setting(
            "batch_size",
            th.IntegerType,
            "Batch size",
            "Query task ids per `multi_results` request, at most 250",
        ),
        _setting(
            "poll_interval_seconds",
            th.NumberType,
            "Poll interval",
            "Seconds between the first polls, and the shortest pause",
        ),
        _setting(
            "poll_max_interval_seconds",
            th.NumberType,
            "Longest poll interval",
            "Longest pause between polls, in seconds; the pause grows while nothing finishes",
        ),
        _setting(
            "expired_grace_seconds",
            th.NumberType,
            "Grace for expired tasks",
            "Seconds for which `expired`, `absent` and `missing` must last before they are "
            "believed",
        ),
        _setting(
            "fail_on_task_error",
            th.BooleanType,
            "Fail on task error",
            "Whether to end with exit code 1, after everything else is delivered, when a task "
            "did not complete",
        ),
        _setting(
            "http_timeout_seconds",
            th.NumberType,
            "HTTP timeout",
            "Seconds one request may wait for an answer",
        ),
        _setting(
            "http_max_tries",
            th.IntegerType,
            "HTTP tries",
            "Tries per request before the run gives up",
        ),
    ).to_dict()

    def __init__(
        self,
        *args: Any,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        **kwargs: Any,
    ) -> None:
        """Create the tap; `clock` tells epoch seconds."""
        self._clock = clock or _steady_clock()
        self._sleep = sleep
        super().__init__(*args, **kwargs)
        # The SDK would write one STATE per stream synced, and has no public way to replace it.
        self._state_writer = self._paced = PacedStateWriter(self.message_writer, self._clock)

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        # The SDK would show a traceback.
        try:
            return super().cb_config(ctx, param, value)
        except (OSError, ValueError) as error:
            msg = f"--config {' '.join(value)}: cannot be read as a JSON file: {error}"
            raise SettingsError(msg) from None

    @classmethod
    @override
    def invoke(
        cls, *, state: IO[str] | None = None, catalog: IO[str] | None = None, **options: Any
    ) -> None:
        super().invoke(state=_json_object(state), catalog=_json_object(catalog), **options)

    @cached_property
    def settings(self) -> Settings:
        """The configuration, checked.

        Raises:
            SettingsError: a value is missing or wrong.
        """
        return Settings.from_config(self.config)

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        # The SDK's own messages show the wrong value, which may be a secret, and come in
        # several lines. It still checks its own settings.
        if not raise_errors:
            return []
        checked = Settings.from_config(self._config)
        # Numbers come as text from the environment.
        self._config |= {
            name: getattr(checked, name)
            for name in checked.__struct_fields__
            if isinstance(self._config.get(name), str)
        }
        return super()._validate_config(raise_errors=True)

    @override
    def discover_streams(self) -> Sequence[Stream]:
        return [
            QueryTaskResultsStream(self, self._following, self._end_sync),
            QueryTaskRowsStream(self),
        ]

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        self._paced.write_now(self.state)
        super()._handle_termination(signum, frame)

    @contextmanager
    def _following(self, bookmark: dict[str, Any]) -> Iterator[tuple[Ledger, Iterator[Outcome]]]:
        """Wire everything that follows tasks, and log out of Looker in the end."""
        settings = self.settings
        ledger = Ledger(bookmark, _given_ids(settings))
        board = TaskBoard(settings, running=ledger.tasks_to_follow())
        with requests.Session() as session:
            client = LookerClient(
                settings,
                session=session,
                clock=self._clock,
                sleep=self._pause,
                logger=self.logger,
            )
            runner = Runner(board, client, clock=self._clock, sleep=self._pause, logger=self.logger)
            try:
                yield ledger, runner.outcomes()
            finally:
                # What was delivered before a failure need not be delivered again.
                self._paced.write_now(self.state)
                client.logout()
                calls = ", ".join(f"{count} {name}" for name, count in client.calls.most_common())
                self.logger.info("API calls made: %s", calls or "none")

    def _pause(self, seconds: float) -> None:
        """Let the target have everything so far, then sleep."""
        self.message_writer.flush()
        self._sleep(seconds)

    def _end_sync(self, incomplete: Sequence[str]) -> None:
        """Write the last STATE; only then report tasks that did not complete.

        Raises:
            TasksNotCompletedError: there are such tasks, and `fail_on_task_error` is on.
        """
        self._paced.write_now(self.state)
        if not incomplete:
            return
        named = "; ".join(incomplete[:_TASKS_NAMED])
        more = len(incomplete) - _TASKS_NAMED
        tasks = "query task" if len(incomplete) == 1 else "query tasks"
        msg = f"{len(incomplete)} {tasks} did not complete: {named}"
        msg += f"; and {more} more, see query_task_results" if more > 0 else ""
        if self.settings.fail_on_task_error:
            raise TasksNotCompletedError(msg)
        self.logger.warning("%s", msg)


def _json_object(file: IO[str] | None) -> IO[str] | None:
    """Check the content of a file given by option, which the SDK would show a traceback for.

    Raises:
        SettingsError: it is not a JSON object.
    """
    if file is None:
        return None
    try:
        text = file.read()
        if isinstance(msgspec.json.decode(text), dict):
            return StringIO(text)
        msg = f"{file.name}: not a JSON object"
    except (OSError, ValueError) as error:
        msg = f"{file.name}: cannot be read as a JSON file: {error}"
    raise SettingsError(msg)


def _given_ids(settings: Settings) -> tuple[str, ...]:
    """Ids from the settings and from the file, each once.

    Raises:
        SettingsError: the file cannot be read.
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


def _steady_clock() -> Callable[[], float]:
    """A clock of epoch seconds that never jumps when the machine's clock is set."""
    offset = time.time() - time.monotonic()
    return lambda: time.monotonic() + offset
