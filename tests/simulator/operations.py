"""Arguments for the operations that only read, by operationId."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

READING: Mapping[str, Mapping[str, str]] = {
    "session": {},
    "all_looks": {},
    "search_looks": {"title": "%", "limit": "2"},
    "all_dashboards": {},
    "search_dashboards": {"deleted": "true"},
    "all_folders": {},
    "search_folders": {"name": "flights"},
    "folder": {"folder_id": "3"},
    "folder_looks": {"folder_id": "3"},
    "folder_dashboards": {"folder_id": "1"},
    "merge_query": {"merge_query_id": "ghi"},
    "lookml_model": {"lookml_model_name": "shop"},
}
