"""A target's side of Singer, exactly: upserts by key, versions, files, commits with each STATE."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.singer import OrderCheck, batch_records

if TYPE_CHECKING:
    from collections.abc import Collection

Row = dict[str, Any]


@dataclass
class Warehouse:
    """Tables by stream, and the STATE that the next run is given.

    Attributes:
        tables: rows by key.
        state: the last STATE that was committed; None before the first.
    """

    tables: dict[str, dict[tuple[Any, ...], Row]] = field(default_factory=dict)
    state: dict[str, Any] | None = None
    _keys: dict[str, list[str]] = field(default_factory=dict)
    _versions: dict[tuple[str, tuple[Any, ...]], int | None] = field(default_factory=dict)
    _check: OrderCheck = field(default_factory=OrderCheck)
    _pending: list[dict[str, Any]] = field(default_factory=list)

    def take(self, line: bytes) -> None:
        """Read a whole line; what it brings is there once a STATE follows it."""
        message = json.loads(line)
        self._pending += batch_records(message) if message["type"] == "BATCH" else [message]
        if message["type"] == "STATE":
            self.commit()

    def commit(self) -> None:
        """Load what is pending, as a target does at the end of its input."""
        for message in self._pending:
            self._load(message)
        self._pending.clear()

    def die(self) -> None:
        """Lose what is pending."""
        self._pending.clear()

    def rows(self, stream: str, without: Collection[str] = ()) -> list[str]:
        """Return the rows of a table as sorted JSON, less the columns that differ by run."""
        return sorted(
            json.dumps({name: row[name] for name in row if name not in without}, sort_keys=True)
            for row in self.tables.get(stream, {}).values()
        )

    def outcomes(self) -> list[Row]:
        """Return the outcomes of tasks."""
        return [*self.tables["query_task_results"].values()]

    def _load(self, message: dict[str, Any]) -> None:
        self._check.take(message)
        match message:
            case {"type": "SCHEMA", "stream": stream, "key_properties": keys}:
                self._keys[stream] = keys
                self.tables.setdefault(stream, {})
            case {"type": "RECORD", "stream": stream, "record": row}:
                key = tuple(row[name] for name in self._keys[stream])
                self.tables[stream][key] = row
                self._versions[stream, key] = message.get("version")
            case {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}:
                for key in [*self.tables[stream]]:
                    if self._versions[stream, key] != version:
                        del self.tables[stream][key]
            case {"type": "STATE", "value": state}:
                self.state = state
