"""Ids of external query tasks, from a setting or from a file, checked."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tap_looker_tasks.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,4096}")


def check_task_ids(ids: Iterable[str], place: str) -> tuple[str, ...]:
    """Return the ids, each once.

    Raises:
        SettingsError: one cannot be an id, by its place.
    """
    return tuple(dict.fromkeys(_check_task_id(id_, f"{place}[{n}]") for n, id_ in enumerate(ids)))


def parse_ids_file(content: bytes) -> tuple[str, ...]:
    """Return the ids in a file's content: one a line, or JSON lines with `query_task_id`.

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
            _check_task_id(_id_in_line(line, n), f"query_task_ids_file: line {n}")
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


def _check_task_id(query_task_id: object, place: str) -> str:
    if isinstance(query_task_id, str) and _TASK_ID.fullmatch(query_task_id):
        return query_task_id
    shown = repr(query_task_id)[:60]
    msg = f"{place}: {shown} cannot be a query task id (letters, digits, - and _)"
    raise SettingsError(msg)
