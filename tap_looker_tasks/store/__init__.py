"""Results that wait for delivery: in memory, then in private files."""

from tap_looker_tasks.store.freed_memory import use_one_heap
from tap_looker_tasks.store.store import ResultStore, StoredResult

__all__ = [
    "ResultStore",
    "StoredResult",
    "use_one_heap",
]
