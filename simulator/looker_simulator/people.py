"""Users of the simulated Looker: their permissions, and the fields hidden from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from looker_simulator.model import Model

CREDENTIAL = "simulator"
PERMISSIONS = (
    *("access_data", "see_lookml_dashboards", "see_looks", "see_user_dashboards", "explore"),
    *("see_sql", "see_lookml", "see_users", "see_queries", "see_system_activity", "develop"),
    *("create_table_calculations", "create_custom_fields", "download_with_limit"),
    *("download_without_limit", "save_content", "administer"),
)
"""Permissions that the simulator knows: <https://docs.cloud.google.com/looker/docs/admin-panel-users-roles>."""


@dataclass(frozen=True)
class User:
    """A user with credentials for the API.

    Attributes:
        id: Looker's ID.
        client_id: Client ID to log in with.
        client_secret: Client secret to log in with.
        name: Display name.
        permissions: Names of the user's permissions; None for all.
        models: Names of the models they apply to; None for all.
        folders: IDs of the folders whose content the user sees; None for all.
        attributes: Values of user attributes, by name, for Liquid and access grants.
    """

    id: str = "1"
    client_id: str = CREDENTIAL
    client_secret: str = CREDENTIAL
    name: str = "Simulator"
    permissions: frozenset[str] | None = None
    models: frozenset[str] | None = None
    folders: frozenset[str] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def email(self) -> str:
        """Return the user's address."""
        return f"{self.name.lower().replace(' ', '.')}@looker.test"

    @property
    def all_attributes(self) -> dict[str, str]:
        """Return the values of Looker's own attributes and of the others."""
        first, _, last = self.name.partition(" ")
        own = {"id": self.id, "name": self.name, "email": self.email, "first_name": first}
        return {**own, "last_name": last, "locale": "en", **self.attributes}

    def may(self, permission: str, model: str | None = None) -> bool:
        """Return whether the user has a permission, for a model if one is named."""
        if self.permissions is not None and permission not in self.permissions:
            return False
        return model is None or self.models is None or model in self.models

    def sees_folder(self, folder_id: str | None) -> bool:
        """Return whether the user sees the content of a folder."""
        return self.folders is None or folder_id in self.folders

    def hidden_fields(self, model: Model | None, explore: str) -> set[str]:
        """Return the names of an Explore's fields that access grants hide from the user."""
        found = model.explores.get(explore) if model else None
        if model is None or found is None:
            return set()
        granted = {
            name
            for name, (attribute, values) in model.access_grants.items()
            if self.all_attributes.get(attribute) in values
        }
        return {name for name, each in found.fields.items() if not each.grants <= granted}


def as_user(user: User) -> dict[str, Any]:
    """Describe a user: <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/User>."""
    first, _, last = user.name.partition(" ")
    return {
        "id": user.id,
        "can": {"show": True},
        "display_name": user.name,
        "first_name": first,
        "last_name": last,
        "email": user.email,
        "is_disabled": False,
        "locale": "en",
        "group_ids": ["1"],
        "role_ids": [user.id],
        "url": f"/users/{user.id}",
    }


def as_role(user: User) -> dict[str, Any]:
    """Describe the role of a user; each user has one, with the user's ID.

    <https://docs.cloud.google.com/looker/docs/reference/looker-api/latest/types/Role>
    """
    return {
        "id": user.id,
        "can": {"show": True},
        "name": f"Role of {user.name}",
        "permission_set": as_permission_set(user),
        "permission_set_id": user.id,
        "model_set": as_model_set(user),
        "model_set_id": user.id,
    }


def as_permission_set(user: User) -> dict[str, Any]:
    """Describe the permissions of a user."""
    allowed = PERMISSIONS if user.permissions is None else sorted(user.permissions)
    return {
        "id": user.id,
        "can": {"show": True},
        "name": f"Permissions of {user.name}",
        "permissions": [*allowed],
        "all_access": user.permissions is None,
        "built_in": False,
    }


def as_model_set(user: User) -> dict[str, Any]:
    """Describe the models of a user."""
    return {
        "id": user.id,
        "can": {"show": True},
        "name": f"Models of {user.name}",
        "models": sorted(user.models or ()),
        "all_access": user.models is None,
        "built_in": False,
    }
