"""Whether keys tell the records of a stream apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_looker_tasks.records.rows import RecordBatch

_MOST_REMEMBERED = 1_000_000


class KeyCheck:
    """Counts nulls in the key columns of records, and records whose key was there before.

    It remembers a hash of each key. Beyond a million of them, it goes on with half the keys, then
    a quarter, ...: chosen by their hash, so that repeats of those are still found.
    """

    def __init__(self, names: Sequence[str], most_remembered: int = _MOST_REMEMBERED) -> None:
        """Begin with no record; `names` are those of the key columns."""
        self._nulls = dict.fromkeys(names, 0)
        self._most_remembered = most_remembered
        self._hashes: set[int] = set()
        self._one_in = 1
        self._repeats = 0

    def add(self, batch: RecordBatch) -> None:
        """Check the records of a batch, which has all key columns."""
        if not self._nulls:
            return
        columns = [batch.column(name) for name in self._nulls]
        for name, values in zip(self._nulls, columns, strict=True):
            self._nulls[name] += sum(value is None for value in values)
        hashes: Sequence[int] = [*map(hash, zip(*map(_as_hashable, columns), strict=True))]
        if self._one_in > 1:
            hashes = [found for found in hashes if not found % self._one_in]
        before = len(self._hashes)
        self._hashes.update(hashes)
        self._repeats += len(hashes) - (len(self._hashes) - before)
        while len(self._hashes) > self._most_remembered:
            self._one_in *= 2
            self._hashes = {found for found in self._hashes if not found % self._one_in}

    @property
    def problems(self) -> list[str]:
        """Return, a line each, why the keys do not tell records apart."""
        keys = " and ".join(self._nulls)
        least = "" if self._one_in == 1 else "at least "
        nulls = [f"{name} is null in {count} rows" for name, count in self._nulls.items() if count]
        repeats = f"{least}{self._repeats} rows repeat the values of {keys} of another"
        return [
            f"primary_keys: {problem}, so a target may keep fewer rows than there are"
            for problem in (*nulls, *([repeats] if self._repeats else []))
        ]


def _as_hashable(values: Sequence[object]) -> Sequence[object]:
    """Replace what has no hash; and -1, whose hash Python makes that of -2."""
    if {dict, list}.isdisjoint(map(type, values)) and -1 not in values:
        return values
    return [(repr(v),) if v == -1 or isinstance(v, dict | list) else v for v in values]
