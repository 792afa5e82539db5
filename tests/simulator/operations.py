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
    "search_alerts": {"limit": "2"},
    "scheduled_plans_for_look": {"look_id": "1"},
    "scheduled_plans_for_dashboard": {"dashboard_id": "1"},
    "merge_query": {"merge_query_id": "ghi"},
    "lookml_model": {"lookml_model_name": "shop"},
    "all_users": {},
    "search_users": {"email": "%looker.test"},
    "user": {"user_id": "1"},
    "user_roles": {"user_id": "1"},
    "user_attribute_user_values": {"user_id": "1"},
    "all_user_attributes": {},
    "user_attribute": {"user_attribute_id": "email"},
    "all_roles": {},
    "role": {"role_id": "1"},
    "role_users": {"role_id": "1"},
    "all_permission_sets": {},
    "permission_set": {"permission_set_id": "1"},
    "all_model_sets": {},
    "model_set": {"model_set_id": "1"},
    "all_connections": {},
    "connection": {"connection_name": "duckdb"},
    "test_connection": {"connection_name": "duckdb"},
    "get_setting": {},
    "all_projects": {},
    "project": {"project_id": "shop"},
    "git_branch": {"project_id": "shop"},
    "all_git_branches": {"project_id": "shop"},
    "manifest": {"project_id": "shop"},
    "search_dashboard_elements": {"title": "New%"},
    "dashboard_element": {"dashboard_element_id": "11"},
    "dashboard_filter": {"dashboard_filter_id": "2"},
    "folder_children": {"folder_id": "1"},
    "folder_parent": {"folder_id": "3"},
    "folder_ancestors": {"folder_id": "3"},
}

WRITING = frozenset({"update_session", "update_git_branch"})
"""Operations with a body that only the requests made from Looker's description send."""
