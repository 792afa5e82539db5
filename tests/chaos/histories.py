"""Random histories of incremental loads: the table ends as a full load, or the log says why not."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tap_looker_tasks.config.entries import ConfiguredQuery, QueryConfig
from tap_looker_tasks.queries.bookmark import BookmarkAdvance, from_bookmark
from tap_looker_tasks.queries.keeper import QueryKeeper
from tap_looker_tasks.records.column_types import DATE, DATE_TIME, INTEGER, LOCAL_DATE_TIME
from tap_looker_tasks.records.columns import Column

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUNS = 10
# The first two are 25 hours apart.
ZONES = ("Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC", "America/New_York", "Europe/Berlin")
SENTINEL = datetime(2199, 12, 31, tzinfo=UTC)
_FILTER = re.compile(r"(?:after|>=)\s*(.*)")


@dataclass
class Row:
    """A row of the warehouse: its key, the moment (or number) it is loaded by, and a value."""

    id: int
    moment: datetime | None
    number: int
    value: int = 1


@dataclass
class History:
    """One warehouse, one query on it, and the table that its runs fill."""

    random: random.Random
    rows: list[Row] = field(default_factory=list)
    table: dict[int, int] = field(default_factory=dict)
    bookmark: dict[str, object] = field(default_factory=dict)
    reported: bool = False

    def __post_init__(self) -> None:
        pick = self.random
        kind = pick.choice([DATE, DATE_TIME, LOCAL_DATE_TIME, INTEGER])
        self.is_local = kind is LOCAL_DATE_TIME
        self.column = Column("k", "k", kind, converts_time_zone=not self.is_local)
        self.late_hours = 0 if kind is INTEGER else pick.choice([0, 0, 3, 30])
        self.limit = pick.choice([None, None, None, 7, 40])
        self.fills = kind is DATE and pick.random() < 0.5
        self.zone = pick.choice(ZONES)
        lookback = f"{self.late_hours} hours" if self.late_hours else None
        config = QueryConfig(name="q", query_id="1", replication_key="k", lookback=lookback)
        self.query = ConfiguredQuery(config, "queries[0]")
        self.now = datetime(2026, 3, 1, pick.randrange(24), tzinfo=UTC)
        self.ids = count(1)

    def live(self, hours: int) -> None:
        """Let time pass, in which rows come: some late, some together, some with a sentinel."""
        pick = self.random
        for _ in range(pick.choice([0, 1, 3, 12])):
            at = self.now + timedelta(minutes=pick.randrange(hours * 60 + 1))
            for _ in range(pick.choice([1, 1, 1, 4])):
                id_ = next(self.ids)
                moment: datetime | None = at
                if self.late_hours and pick.random() < 0.4:
                    moment = at - timedelta(hours=pick.randrange(self.late_hours))
                if pick.random() < 0.05:
                    moment = SENTINEL
                if not self.table and pick.random() < 0.05:
                    moment = None
                self.rows.append(Row(id_, moment, id_))
        self.now += timedelta(hours=hours)
        if pick.random() < 0.2:
            self.zone = pick.choice(ZONES)

    def key_of(self, row: Row) -> object:
        """Return the key as a record has it."""
        if self.column.column_type is INTEGER:
            return row.number
        if row.moment is None:
            return None
        if self.column.column_type is DATE_TIME:
            return row.moment.isoformat()
        if self.column.column_type is DATE:
            return row.moment.astimezone(ZoneInfo(self.zone)).date().isoformat()
        return row.moment.replace(tzinfo=None).isoformat(" ")

    def is_let_through(self, row: Row, expression: str) -> bool:
        """Filter as Looker does: moments in the query's zone, whatever the values are in."""
        found = _FILTER.fullmatch(expression)
        assert found, expression
        if self.column.column_type is INTEGER:
            return row.number >= int(found[1])
        if row.moment is None:
            return False
        start = datetime.fromisoformat(found[1]).replace(tzinfo=ZoneInfo(self.zone))
        return row.moment >= start.astimezone(UTC)

    def load(self) -> None:
        """Run the query once, and load its result by key."""
        keeper = QueryKeeper(self.query, self.bookmark, self.column)
        changes = from_bookmark(
            {}, {}, self.column, keeper.value, self.zone, keeper.back(self.zone)
        )
        expected = changes.get("filters", {}).get("k")
        rows = [row for row in self.rows if expected is None or self.is_let_through(row, expected)]
        rows.sort(key=lambda row: (self.key_of(row) is not None, self.key_of(row), row.id))
        if self.limit is not None:
            # At its limit, the result is said to be cut off.
            self.reported = len(rows) >= self.limit
            rows = rows[: self.limit]
        keys, values = [self.key_of(row) for row in rows], [row.value for row in rows]
        advance = BookmarkAdvance(
            self.column,
            None if keeper.is_of_another_zone(self.zone) else keeper.value,
            launched_at=self.now.timestamp(),
            finished_at=self.now.timestamp(),
            query_timezone=self.zone,
        )
        advance.add(*self.filled(keys, values))
        self.table |= {row.id: row.value for row in rows}
        keeper.move(advance.value, self.zone)

    def filled(
        self, keys: list[object], values: list[int]
    ) -> tuple[list[object], list[Sequence[object]]]:
        """Add the days up to next week, as Looker fills them in."""
        if not self.fills:
            return keys, [values]
        days = [str((self.now + timedelta(days=n)).date()) for n in range(-3, 8)]
        nothing: list[None] = [None] * len(days)
        return [*keys, *days], [[*values, *nothing]]


@dataclass
class Loads:
    """What came of random histories.

    Attributes:
        counts: by what became of them.
        problems: histories whose table is wrong, though the log says nothing.
    """

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def shown(self) -> Iterator[str]:
        """Yield a table."""
        for what, count_ in self.counts.most_common():
            yield f"{what:24} {count_:8,}"


def load_histories(histories: int, seed: int) -> Loads:
    """Load that many random histories, in ten runs each."""
    loads = Loads()
    for number in range(histories):
        history = History(random.Random(f"{seed}/{number}"))  # noqa: S311 - histories, not secrets
        for _ in range(RUNS):
            history.live(history.random.choice([1, 5, 26]))
            history.load()
        is_complete = history.table == {row.id: row.value for row in history.rows}
        what = (
            "as a full load"
            if is_complete
            else "cut off, and named"
            if history.reported
            else "wrong"
        )
        loads.counts[what] += 1
        if what == "wrong":
            loads.problems.append(f"history {seed}/{number}: a wrong table")
    return loads
