"""Which shard a task or a query belongs to."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def shard_of(text: str, shard_count: int) -> int:
    """Assign a task id to a shard, from 0: the same in every run and process."""
    return _hash(text) % shard_count


def share_queries(names: Iterable[str], shard_count: int) -> dict[str, int]:
    """Assign the streams of queries to shards, from 0, as evenly as can be.

    Their order has no influence, and a stream more or less moves few of the others. Each goes
    where its hash says, as long as that shard has no more than its share; the rest fill up the
    shards that have less.
    """
    ordered = sorted(set(names), key=_hash)
    share = len(ordered) // shard_count
    sizes = [0] * shard_count
    shards: dict[str, int] = {}
    for name in ordered:
        shard = shard_of(name, shard_count)
        if sizes[shard] < share:
            shards[name] = shard
            sizes[shard] += 1
    for name in ordered:
        if name not in shards:
            least = min(sizes)
            shard = max(
                (shard for shard in range(shard_count) if sizes[shard] == least),
                key=lambda shard: _hash(f"{name}/{shard}"),
            )
            shards[name] = shard
            sizes[shard] += 1
    return shards


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
