"""Which shard a task or a query belongs to."""

from __future__ import annotations

import hashlib


def shard_of(text: str, shard_count: int) -> int:
    """Assign a task id or stream name to a shard, from 0: the same in every run and process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % shard_count
